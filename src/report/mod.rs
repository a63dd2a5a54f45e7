//! Reports as documents, and their renderers. A report is made from a journal's events alone: the same events give the same bytes, on any machine, at any time.
//!
//! Nothing here measures: [`Measures`] does. Nothing here asks for the time, the environment or a file. In reading order: `document` says what a report is made of,
//! `page` what every section needs, `sections` what a report says, `pictures` what it draws, `render` how it looks in each format.

mod controls;
mod document;
mod fields;
mod labels;
mod numbers;
mod page;
mod pictures;
mod render;
mod sections;

use document::{Block, Document, Line};
use labels::Label;
use page::Page;

use crate::model::event::Event;
use crate::model::measure::Measures;
use crate::model::state::RunState;
use crate::model::text::Lang;

pub use render::schema;

/// The report of a run in both languages. Runs that failed, were aborted or have not ended get the same report.
#[derive(Debug)]
pub struct Report {
    en: Document,
    zh: Document,
}

impl Report {
    /// Of these events; `head_hash` is the hash of the journal's last event.
    #[must_use]
    pub fn of(events: &[Event], head_hash: &str) -> Self {
        let instead = |why: [Line; 2]| {
            let [en, zh] = why;
            Self { en: empty(Lang::En, en), zh: empty(Lang::Zh, zh) }
        };
        let state = match RunState::from_events(events) {
            Ok(state) => state,
            Err(error) => return instead([Lang::En, Lang::Zh].map(|_| document::text(&error.to_string()))),
        };
        let Some(start) = state.start.as_ref() else { return instead([Lang::En, Lang::Zh].map(|lang| Label::NotRecorded.text(lang).into())) };
        let measures = Measures::of(&state);
        let [en, zh] = [Lang::En, Lang::Zh].map(|lang| sections::document(&Page::new(lang, &state, start, &measures, events, head_hash)));
        Self { en, zh }
    }

    const fn document(&self, lang: Lang) -> &Document {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }

    /// As Markdown in one language; its pictures are files beside it.
    #[must_use]
    pub fn markdown(&self, lang: Lang) -> String {
        render::markdown(self.document(lang))
    }

    /// As one page that needs no other file and no script, in both languages, of which `first` is the one shown first.
    #[must_use]
    pub fn html(&self, first: Lang) -> String {
        render::html(&self.en, &self.zh, first)
    }

    /// As JSON for programs, in both languages, with the values behind the words; [`schema`] says what stands in it.
    #[must_use]
    pub fn json(&self) -> String {
        render::json(&self.en, &self.zh)
    }

    /// The pictures in both languages: file name and SVG. The Markdown refers to them by these names.
    #[must_use]
    pub fn pictures(&self) -> Vec<(String, String)> {
        [&self.en, &self.zh].into_iter().flat_map(Document::figures).map(|(file, figure)| (file, figure.svg.clone())).collect()
    }
}

/// The report of what is no run, or has not begun.
fn empty(lang: Lang, why: Line) -> Document {
    let title = Label::DrillReport.text(lang).into();
    Document { lang, run: String::new(), head_hash: String::new(), title, opening: vec![Block::Paragraph(why)], sections: Vec::new() }
}

#[cfg(test)]
mod claims;
#[cfg(test)]
mod html_tests;
#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod tests;
