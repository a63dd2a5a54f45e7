//! Where single samples are kept, and what one is.

use std::io;

use crate::model::event::KeptSamples;
use crate::model::time::Timestamp;

/// The three things a sample can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As expected.
    Good,
    /// Not as expected.
    Bad,
    /// The reading failed on our side; it neither confirms nor denies.
    Unknown,
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The probe, by its place in the plan.
    pub probe: u32,
    /// When it was sent.
    pub sent: Timestamp,
    /// When the first byte of the answer was there, where there is such a thing.
    pub first_byte: Option<Timestamp>,
    /// When the answer was complete, or it was given up.
    pub done: Timestamp,
    /// What it said.
    pub reading: Reading,
    /// Whether it was sent more than half an interval after its time.
    pub late: bool,
    /// Why it was not good.
    pub detail: Option<String>,
}

/// Where samples are kept.
pub trait SampleFile: Send {
    /// Adds samples. They need not be on stable storage when this returns.
    ///
    /// # Errors
    /// When it cannot be written. Nothing is added after that.
    fn add(&mut self, rows: &[Row]) -> io::Result<()>;

    /// Ends the file; it is on stable storage when this returns.
    ///
    /// # Errors
    /// As above.
    fn finish(self: Box<Self>) -> io::Result<KeptSamples>;
}
