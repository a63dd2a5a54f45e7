//! The single samples of a run, for other tools.

use std::io::{self, Write};

use serde_json::json;

use super::exit::{Exit, Kind};
use super::runs;
use crate::engine::samples::Row;
use crate::journal::{FileStore, samples};
use crate::model::format::Unreadable;
use crate::model::plain;
use crate::model::state::RunState;

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// An Arrow IPC stream.
    Arrow,
}

/// Writes the samples of `run` to `to`, those of `wanted` probes or of all, in the order in which they were judged. Gives back what a reader has to know.
///
/// # Errors
/// When there is no such run or probe, a file is not the one that the journal tells of, or `to` cannot be written.
pub fn export(store: &FileStore, run: &str, wanted: &[String], format: Format, to: &mut dyn Write) -> Result<Vec<String>, Exit> {
    let state = runs::state(run, &runs::read(store, run)?)?;
    let probes: Vec<String> = state.plan().iter().flat_map(|plan| &plan.probes).map(|probe| probe.id.clone()).collect();
    if let Some(unknown) = wanted.iter().find(|id| !probes.contains(id)) {
        return Err(Exit::new(Kind::Usage, format!("run {run} has no probe `{unknown}`")).hint(format!("it has {}", probes.join(", "))));
    }
    let (files, notes) = files(store, run, &state)?;
    let mut target = match format {
        Format::Arrow => Target::Arrow(Box::new(samples::Sink::new(to, probes).map_err(unwritten)?)),
        Format::Jsonl => Target::Lines(to),
    };
    for file in &files {
        let path = store.path(run).join(file);
        let mut unwritten_because = None;
        let read = samples::read(&path, |ids, mut rows| {
            rows.retain(|row| wanted.is_empty() || ids.get(row.probe as usize).is_some_and(|id| wanted.contains(id)));
            target.write(ids, &rows).map_err(|error| {
                unwritten_because = Some(error);
                io::ErrorKind::Other.into()
            })
        });
        match (read, unwritten_because) {
            (Ok(_), _) => {}
            (Err(_), Some(error)) => return Err(unwritten(error)),
            (Err(error), None) => {
                if let Some(unread) = error.get_ref().and_then(|error| error.downcast_ref::<Unreadable>()) {
                    return Err(Exit::new(Kind::Newer, format!("{} is not this Lifeboat's to read", path.display()))
                        .cause(unread.to_string())
                        .hint(unread.hint()));
                }
                return Err(Exit::new(Kind::Definitions, format!("{} cannot be read", path.display())).cause(error.to_string()));
            }
        }
    }
    target.finish().map_err(unwritten)?;
    Ok(notes)
}

/// Where samples go.
enum Target<'a> {
    Arrow(Box<samples::Sink<&'a mut dyn Write>>),
    Lines(&'a mut dyn Write),
}

impl Target<'_> {
    fn write(&mut self, probes: &[String], rows: &[Row]) -> io::Result<()> {
        match self {
            Self::Arrow(sink) => sink.write(rows),
            Self::Lines(to) => rows.iter().try_for_each(|row| to.write_all(line(probes, row).as_bytes())),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Arrow(sink) => sink.finish(),
            Self::Lines(to) => to.flush(),
        }
    }
}

/// The files of samples that there are, held against the journal.
fn files(store: &FileStore, run: &str, state: &RunState) -> Result<(Vec<String>, Vec<String>), Exit> {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for name in (1..=state.epoch).map(samples::file_name) {
        let path = store.path(run).join(&name);
        let told = state.samples.iter().find(|kept| kept.file == name);
        match (told, samples::digest(&path)) {
            (Some(kept), Ok(digest)) if kept.sha256 == digest => {}
            (Some(_), Ok(_)) => {
                let altered = Exit::new(Kind::Definitions, format!("{name} of run {run} was altered"));
                return Err(altered.cause("its SHA-256 is not the one in the journal").hint("restore the file from a copy"));
            }
            (None, Ok(_)) => notes.push(format!("{name}: its process was cut off; nothing in the journal vouches for it")),
            (None, Err(_)) => continue,
            (Some(kept), Err(error)) => {
                return Err(Exit::new(Kind::Definitions, format!("{name} of run {run}, {} samples, is missing", kept.rows)).cause(error.to_string()));
            }
        }
        found.push(name);
    }
    if found.is_empty() {
        return Err(Exit::new(Kind::Definitions, format!("run {run} has kept no samples")));
    }
    Ok((found, notes))
}

fn line(probes: &[String], row: &Row) -> String {
    let probe = probes.get(row.probe as usize);
    let (reading, late) = (samples::word(row.reading), row.late);
    let object = json!({ "probe": probe, "sent": row.sent, "first_byte": row.first_byte, "done": row.done, "reading": reading, "late": late, "detail": row.detail });
    format!("{}\n", plain::in_json(&object.to_string()))
}

fn unwritten(error: io::Error) -> Exit {
    Exit::new(Kind::Environment, "the samples cannot be written").cause(error.to_string())
}
