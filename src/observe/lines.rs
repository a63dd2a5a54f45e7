//! One plain line an event, for files, pipes and continuous integration: nothing is redrawn.

use std::io::Write;

use unicode_width::UnicodeWidthStr;

use super::Observer;
use super::words::{Weight, fitted, said};
use crate::model::event::{Body, Event, RunEvent};
use crate::model::plain;
use crate::model::state::RunState;
use crate::model::text::Lang;

/// The widest column of subjects; longer names are cut.
const WIDEST: usize = 36;

/// Writes a line an event: time in UTC, what it is about, what happened. Errors of the writer are ignored: a closed pipe must not stop a failover.
#[derive(Debug)]
pub struct Lines<O> {
    out: O,
    lang: Lang,
    verbose: bool,
    column: usize,
}

impl<O: Write> Lines<O> {
    /// Without single calls, readings and counts.
    pub const fn new(out: O, lang: Lang) -> Self {
        Self { out, lang, verbose: false, column: WIDEST }
    }

    /// With single calls, readings and counts.
    #[must_use]
    pub fn verbose(mut self) -> Self {
        self.verbose = true;
        self
    }

    /// All of it at once: standard error would send each piece by itself.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }
}

impl<O: Write> Observer for Lines<O> {
    fn event(&mut self, event: &Event, state: &RunState) {
        if matches!(event.body, Body::Run(RunEvent::Started { .. } | RunEvent::Resumed { .. })) {
            let names = state.steps.keys().chain(state.probes.keys()).map(|name| name.width());
            self.column = names.max().unwrap_or(0).clamp(3, WIDEST);
        }
        let Some(said) = said(event, state, self.lang) else { return };
        if said.weight == Weight::Detail && !self.verbose {
            return;
        }
        let time = event.at.to_utc().format("%H:%M:%S%.3fZ");
        let subject = fitted(&said.subject, self.column);
        let lines: String = said.lines.iter().map(|line| plain::shown(&format!("{time}  {subject}  {line}")).into_owned() + "\n").collect();
        self.write(&lines);
    }

    fn said(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
    }
}
