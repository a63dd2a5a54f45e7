//! Reports on disk: made from the journal alone, as often as anybody likes.

use std::path::PathBuf;

use super::exit::{Exit, Kind};
use super::runs;
use crate::journal::FileStore;
use crate::model::chain::Chain;
use crate::model::text::Lang;

/// The file of the English report.
pub const ENGLISH: &str = "report.en.md";

/// Writes `report.en.md`, `report.zh.md` and their pictures into the run's folder; returns the path of the English one.
///
/// # Errors
/// When the journal cannot be trusted or a file cannot be written.
pub fn write(store: &FileStore, run: &str) -> Result<PathBuf, Exit> {
    let chain = started(store, run)?;
    let beside = |name: &str, bytes: &[u8]| store.write_beside(run, name, bytes).map_err(|error| Exit::from_error(Kind::Environment, &error));
    for (name, svg) in crate::report::charts(&chain.events) {
        beside(&name, svg.as_bytes())?;
    }
    beside("report.zh.md", crate::report::render(&chain.events, &chain.head, Lang::Zh).as_bytes())?;
    beside(ENGLISH, crate::report::render(&chain.events, &chain.head, Lang::En).as_bytes())
}

/// The report in one language, as text.
///
/// # Errors
/// When the journal cannot be trusted.
pub fn text(store: &FileStore, run: &str, lang: Lang) -> Result<String, Exit> {
    let chain = started(store, run)?;
    Ok(crate::report::render(&chain.events, &chain.head, lang))
}

/// The events of a run that has any.
fn started(store: &FileStore, run: &str) -> Result<Chain, Exit> {
    let chain = runs::read(store, run)?;
    if chain.events.is_empty() {
        return Err(Exit::new(Kind::Definitions, format!("run {run} never started: there is nothing to report")));
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::store::Owner;

    #[test]
    fn a_run_without_events_has_no_report() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), false);
        store.create("r", &Owner { token: "a".into(), epoch: 1 }).unwrap();
        assert_eq!(text(&store, "r", Lang::En).unwrap_err().kind, Kind::Definitions);
        assert_eq!(write(&store, "r").unwrap_err().kind, Kind::Definitions);
        assert!(!store.path("r").join(ENGLISH).exists());
    }
}
