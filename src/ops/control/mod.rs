//! Operator control of a run: the socket that `lifeboat ctl` talks to, signals, and whoever sits in front of it.
//!
//! - `socket`: where a run's socket is and who may open it.
//! - `wire`: one JSON line asks, one JSON line answers.
//! - `status`: what a run tells about itself.
//! - `serve`: the thread that hears all of them. It has a runtime of its own: it answers, and leaves, also when the run itself hangs.
//! - `ask`: the other end.

mod ask;
mod console;
mod serve;
mod socket;
mod status;
mod wire;

pub use ask::{ask, order};
pub use console::{Console, Interrupt, Unattended};
pub use serve::{Control, Wiring};
pub use status::{Open, Status, StepStatus, questions};
pub use wire::{Answer, Request};

use std::path::Path;

use super::people;
use crate::journal::FileStore;
use crate::model::time::Timestamp;

/// The command that takes a run back, as it can be typed anywhere.
#[must_use]
pub fn abort_command(store: &FileStore, run: &str) -> String {
    format!("lifeboat abort {run} --reports {}", quoted(&absolute(store.folder())))
}

/// The command that goes on with a run, as it can be typed anywhere.
#[must_use]
pub fn resume_command(store: &FileStore, run: &str) -> String {
    format!("lifeboat resume {run} --reports {}", quoted(&absolute(store.folder())))
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().trim_end_matches('/').to_owned()
}

/// `text` for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ':' | ',' | '@' | '=');
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Who works here: the login name of the user id, which the system vouches for; what the environment says of it is nobody's word.
#[must_use]
pub fn operator() -> String {
    people::me().name
}

/// The text that is signed to answer what the step `key` of a run asked at `since`.
#[must_use]
pub fn answer_text(run: &str, key: &str, since: Timestamp, yes: bool) -> String {
    format!("lifeboat answer v1\nrun {run}\nstep {key}\nasked {since}\nanswer {}\n", if yes { "yes" } else { "no" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_blanks_can_be_pasted() {
        let store = FileStore::new("/tmp/my runs/it's", true);
        assert_eq!(abort_command(&store, "r"), r"lifeboat abort r --reports '/tmp/my runs/it'\''s'");
        assert_eq!(abort_command(&FileStore::new("/srv/reports/", true), "r"), "lifeboat abort r --reports /srv/reports");
    }
}
