//! Reports on disk: made from the journal alone, as often as anybody likes.

use std::path::PathBuf;

use super::exit::{Exit, Kind};
use super::runs;
use crate::journal::FileStore;
use crate::model::text::Lang;

/// Writes `report.en.md`, `report.zh.md` and their pictures into the run's folder; returns the path of the English one.
///
/// # Errors
/// When the journal cannot be trusted or a file cannot be written.
pub fn write(store: &FileStore, run: &str) -> Result<PathBuf, Exit> {
    let chain = runs::read(store, run)?;
    let beside = |name: &str, bytes: &[u8]| store.write_beside(run, name, bytes).map_err(|error| Exit::from_error(Kind::Environment, &error));
    for (name, svg) in crate::report::charts(&chain.events) {
        beside(&name, svg.as_bytes())?;
    }
    beside("report.zh.md", crate::report::render(&chain.events, &chain.head, Lang::Zh).as_bytes())?;
    beside("report.en.md", crate::report::render(&chain.events, &chain.head, Lang::En).as_bytes())
}

/// The report in one language, as text.
///
/// # Errors
/// When the journal cannot be trusted.
pub fn text(store: &FileStore, run: &str, lang: Lang) -> Result<String, Exit> {
    let chain = runs::read(store, run)?;
    Ok(crate::report::render(&chain.events, &chain.head, lang))
}
