//! Reports on disk: made from the journal alone, as often as anybody likes.

use std::path::PathBuf;

use super::exit::{Exit, Kind};
use super::runs;
use crate::journal::FileStore;
use crate::model::chain::Chain;
use crate::model::text::Lang;
use crate::report::Report;

/// The file of the English report.
pub const ENGLISH: &str = "report.en.md";

/// The page with both languages.
pub const HTML: &str = "report.html";

/// The report for programs.
pub const JSON: &str = "report.json";

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Markdown in one language.
    Markdown,
    /// One page with both languages and all pictures.
    Html,
    /// Both languages and the values behind them.
    Json,
}

/// Writes the report in every format and its pictures into the run's folder; returns the path of the English Markdown.
///
/// # Errors
/// When the journal cannot be trusted or a file cannot be written.
pub fn write(store: &FileStore, run: &str) -> Result<PathBuf, Exit> {
    write_of(store, run, &runs::read(store, run)?)
}

/// The same from the journal of `run` as it was just read.
///
/// # Errors
/// When it has no event, or a file cannot be written.
pub(super) fn write_of(store: &FileStore, run: &str, chain: &Chain) -> Result<PathBuf, Exit> {
    has_started(run, chain)?;
    let beside = |name: &str, bytes: &[u8]| store.write_beside(run, name, bytes).map_err(|error| Exit::from_error(Kind::Environment, &error));
    let report = Report::of(&chain.events, &chain.head);
    for (name, svg) in report.pictures() {
        beside(&name, svg.as_bytes())?;
    }
    // What people read first comes first: on a disk that gets full it is what there is.
    beside("report.zh.md", report.markdown(Lang::Zh).as_bytes())?;
    let english = beside(ENGLISH, report.markdown(Lang::En).as_bytes())?;
    beside(HTML, report.html(Lang::En).as_bytes())?;
    beside(JSON, report.json().as_bytes())?;
    Ok(english)
}

/// The report as text. Of the formats with both languages, HTML shows `lang` first.
///
/// # Errors
/// When the journal cannot be trusted.
pub fn text(store: &FileStore, run: &str, format: Format, lang: Lang) -> Result<String, Exit> {
    let chain = runs::read(store, run)?;
    has_started(run, &chain)?;
    let report = Report::of(&chain.events, &chain.head);
    Ok(match format {
        Format::Markdown => report.markdown(lang),
        Format::Html => report.html(lang),
        Format::Json => report.json(),
    })
}

/// Whether a run has any events.
fn has_started(run: &str, chain: &Chain) -> Result<(), Exit> {
    if chain.events.is_empty() {
        return Err(Exit::new(Kind::Definitions, format!("run {run} never started: there is nothing to report")));
    }
    Ok(())
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
        assert_eq!(text(&store, "r", Format::Markdown, Lang::En).unwrap_err().kind, Kind::Definitions);
        assert_eq!(write(&store, "r").unwrap_err().kind, Kind::Definitions);
        assert!(!store.path("r").join(ENGLISH).exists());
    }
}
