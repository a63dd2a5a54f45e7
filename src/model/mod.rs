//! The pure part: languages, plan, events and what follows from events. No tokio, no I/O, no clock.

pub mod time;
