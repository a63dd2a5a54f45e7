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

use crate::journal::FileStore;

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

/// Who works with this terminal or session, as far as anybody says.
#[must_use]
pub fn operator() -> String {
    let name = ["LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
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
