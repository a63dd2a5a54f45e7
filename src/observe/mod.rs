//! Observers of a run for people who watch: plain lines, or bars on a terminal. They show events and [`RunState`] and compute nothing of their own.

mod bars;
mod frame;
mod lines;
mod results;
mod row;
mod words;

use std::io;

pub use bars::{Bars, above_the_display};
pub use lines::Lines;
pub use results::results;
pub(crate) use words::{heading, listed};

use crate::model::event::Event;
use crate::model::state::RunState;
use crate::model::text::Lang;

/// Watches a run. Nothing it does or fails to do changes the run.
pub trait Observer {
    /// An event happened; `state` has it taken in already.
    fn event(&mut self, event: &Event, state: &RunState);

    /// Nothing happened for a moment: for what moves by itself, such as elapsed times.
    fn tick(&mut self, _state: &RunState) {}

    /// What is said at the foot of the display from now on; nothing when `line` is empty.
    fn foot(&mut self, _line: &str) {}

    /// Something must be said at once that no event tells.
    fn said(&mut self, _line: &str) {}

    /// There will be no more events.
    fn finish(&mut self, _state: &RunState) {}
}

/// The observer for where a command writes: bars on a terminal, else a plain line an event. With `json`, standard output belongs to the result and the progress goes to standard error.
#[must_use]
pub fn for_output(terminal: bool, color: bool, json: bool) -> Box<dyn Observer + Send> {
    let lang = language();
    if terminal {
        Box::new(Bars::new(Bars::terminal(json), bars::size, color, lang).paced().known())
    } else if json {
        Box::new(Lines::new(io::stderr(), lang))
    } else {
        Box::new(Lines::new(io::stdout(), lang))
    }
}

/// The language that people are spoken to in: what the locale says.
#[must_use]
pub fn language() -> Lang {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if set.is_some_and(|locale| locale.starts_with("zh")) { Lang::Zh } else { Lang::En }
}

#[cfg(test)]
mod tests;
