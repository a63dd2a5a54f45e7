//! Where a run is at home. The folder of a run is a folder of programs too: whoever is led to a copy of it, or finds it with rights that the one who began it
//! did not have, must not run them. They are run for the user, and in the folder, that began the run.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::journal::FileStore;
use crate::journal::file::JOURNAL;
use crate::journal::folder::real;
use crate::model::event::Begun;
use crate::model::state::RunState;
use crate::world::command::Programs;

/// By whom and where a run is begun now; `None` when that cannot be told.
#[must_use]
pub fn begun(store: &FileStore, run: &str) -> Option<Begun> {
    let journal = store.open_beside(run, JOURNAL).ok()?.metadata().ok()?.ino();
    let folder = std::env::current_dir().ok()?.to_string_lossy().into_owned();
    let kept = real(&store.path(run)).to_string_lossy().into_owned();
    Some(Begun { user: rustix::process::getuid().as_raw(), folder, kept, journal })
}

/// Whether whoever takes a run over runs its programs, and where.
#[must_use]
pub fn programs(store: &FileStore, run: &str, state: &RunState) -> Programs {
    let Some(then) = state.start.as_ref().and_then(|start| start.begun.as_ref()) else {
        return Programs::Refused("its run does not say who began it and where; run it by hand if it must be run".to_owned());
    };
    let Some(now) = begun(store, run) else {
        return Programs::Refused("where its run is kept cannot be told; run it by hand if it must be run".to_owned());
    };
    if then.user != now.user {
        return Programs::Refused(format!("user id {} began its run, this is user id {}; let that user take it over", then.user, now.user));
    }
    if (&then.kept, then.journal) != (&now.kept, now.journal) {
        return Programs::Refused(format!("{} is a copy of its run, which was begun in {}; take it over there", now.kept, then.kept));
    }
    Programs::In(PathBuf::from(&then.folder))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::event::samples::{Script, plan};
    use crate::model::event::{Body, RunEvent};
    use crate::model::plan::Mode;
    use crate::ports::store::Owner;

    /// The run of a store, as one that was begun so.
    fn state(begun: Option<Begun>) -> RunState {
        let mut events = Script::new(plan(Mode::Drill)).events;
        for event in &mut events {
            if let Body::Run(RunEvent::Started { begun: of, .. }) = &mut event.body {
                of.clone_from(&begun);
            }
        }
        RunState::from_events(&events).unwrap()
    }

    #[test]
    fn programs_are_run_where_and_for_whom_the_run_was_begun() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("reports"), false);
        store.create("r", &Owner { token: "a".into(), epoch: 1 }).unwrap();
        let own = begun(&store, "r").unwrap();
        assert_eq!(programs(&store, "r", &state(Some(own.clone()))), Programs::In(std::env::current_dir().unwrap()));
        let refused = |begun: Option<Begun>| match programs(&store, "r", &state(begun)) {
            Programs::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(Some(Begun { user: own.user + 1, ..own.clone() })).contains("began its run"));
        assert!(refused(Some(Begun { kept: "/elsewhere/r".into(), ..own.clone() })).contains("copy of its run"));
        assert!(refused(Some(Begun { journal: own.journal + 1, ..own.clone() })).contains("copy of its run"));
        assert!(refused(None).contains("does not say"));
        // The same files under another name.
        fs::rename(folder.path().join("reports"), folder.path().join("moved")).unwrap();
        let moved = FileStore::new(folder.path().join("moved"), false);
        assert!(matches!(programs(&moved, "r", &state(Some(own))), Programs::Refused(_)));
    }
}
