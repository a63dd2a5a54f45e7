//! The sections of a report. A new one is a file here and a row in [`PARTS`]: its number, its place in every renderer and what is *not recorded* follow.

mod availability;
mod baseline;
mod changes;
mod controls;
mod course;
mod data;
mod failback;
mod guards;
mod kept;
mod lease;
mod missing;
mod people;
mod proof;
mod reasons;
mod results;
mod sources;
mod steps;
mod traffic;

use std::collections::BTreeSet;

pub(super) use course::{phase_label, shown};

use super::document::{self, Block, Document, Section};
use super::fields::Field;
use super::labels::Label;
use super::page::Page;

/// All parts in the order in which they stand.
const PARTS: &[Part] = &[
    // What stands before the first section.
    part(|page| page.identity()),
    section("results", Label::ResultsTitle, |page| page.results()),
    part(|page| page.guards()),
    section("course", Label::CourseTitle, |page| page.course()),
    part(|page| page.steps()),
    part(|page| page.people()),
    section("changes", Label::ChangesTitle, |page| page.changes()),
    part(|page| page.lease()),
    part(|page| page.baseline()),
    part(|page| page.kept()),
    section("availability", Label::ProbesTitle, |page| page.availability()),
    part(|page| page.traffic()),
    section("data", Label::DataTitle, |page| page.data()),
    section("failback", Label::FailbackTitle, |page| page.failback()),
    derived("controls", Label::ControlsTitle, |page, held| page.controls(held)),
    derived("missing", Label::MissingTitle, |page, held| page.missing(held)),
    section("sources", Label::SourcesTitle, |page| page.sources()),
    section("proof", Label::ProofTitle, |page| page.proof()),
];

/// A row of the list.
struct Part {
    /// The id and title of the section that begins with it; without them it goes on with the one before.
    begins: Option<(&'static str, Label)>,
    write: Write,
}

/// How a part is written.
#[derive(Clone, Copy)]
enum Write {
    /// From the run.
    Told(fn(&Page<'_>) -> Vec<Block>),
    /// From the run and the fields that the parts hold that were written before: all that are told, then those derived in order.
    Derived(fn(&Page<'_>, &BTreeSet<Field>) -> Vec<Block>),
}

const fn section(id: &'static str, title: Label, write: fn(&Page<'_>) -> Vec<Block>) -> Part {
    Part { begins: Some((id, title)), write: Write::Told(write) }
}

const fn part(write: fn(&Page<'_>) -> Vec<Block>) -> Part {
    Part { begins: None, write: Write::Told(write) }
}

const fn derived(id: &'static str, title: Label, write: fn(&Page<'_>, &BTreeSet<Field>) -> Vec<Block>) -> Part {
    Part { begins: Some((id, title)), write: Write::Derived(write) }
}

/// The report of a run.
pub(super) fn document(page: &Page<'_>) -> Document {
    let mut written: Vec<Vec<Block>> = PARTS
        .iter()
        .map(|part| match part.write {
            Write::Told(write) => write(page),
            Write::Derived(_) => Vec::new(),
        })
        .collect();
    for (index, part) in PARTS.iter().enumerate() {
        if let Write::Derived(write) = part.write {
            let held = document::fields(written.iter().flatten());
            written[index] = write(page, &held);
        }
    }
    let (mut opening, mut sections) = (Vec::new(), Vec::<Section>::new());
    for (part, blocks) in PARTS.iter().zip(written) {
        match part.begins {
            Some((id, title)) => sections.push(Section { id, title: page.t(title).into(), blocks }),
            None => sections.last_mut().map_or(&mut opening, |section| &mut section.blocks).extend(blocks),
        }
    }
    let (run, head_hash) = (page.state.run.clone(), page.head_hash.to_owned());
    Document { lang: page.lang, run, head_hash, title: page.title(), opening, sections }
}
