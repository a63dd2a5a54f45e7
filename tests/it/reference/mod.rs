//! docs/reference: a page for every action and every kind of probe, made from the catalogue's own tables. `LIFEBOAT_BLESS=1` writes the pages anew. That
//! each example is accepted where it may stand, `first_day` shows.
//!
//! The pages are made here and not in the product because they say which tests exercise a word, which only the tests know.
//!
//! - `page`: the text of a page.
//! - `exercised`: which files of the tests exercise a word or a vendor's operation.

mod exercised;
mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lifeboat::catalogue;
use lifeboat::ops::catalogue_list::{Entry, description, entries};
use lifeboat::ops::words::Words;

use crate::catalogue_world::{Sample, on_stage};
use crate::common::root;
use crate::samples::in_lab;

/// Where the pages are.
const FOLDER: &str = "docs/reference";

const RENEW: &str = "LIFEBOAT_BLESS=1 cargo test --test it reference::";

fn words() -> Vec<Entry> {
    entries(Words::of_catalogue())
}

/// Every file below a folder.
fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_pages_are_those_of_the_catalogue() {
    let entries = words();
    let mut pages: BTreeMap<PathBuf, String> = entries.iter().map(|entry| (page::path(entry), page::page(entry))).collect();
    pages.insert("README.md".into(), page::index(&entries));
    let here = root().join(FOLDER);
    let mut there = Vec::new();
    below(&here, &mut there);
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        there.iter().filter(|path| !pages.contains_key(path.strip_prefix(&here).unwrap())).for_each(|path| fs::remove_file(path).unwrap());
        for (path, page) in &pages {
            fs::create_dir_all(here.join(path).parent().unwrap()).unwrap();
            fs::write(here.join(path), page).unwrap();
        }
        return;
    }
    let stale: Vec<&PathBuf> = there.iter().filter(|path| !pages.contains_key(path.strip_prefix(&here).unwrap())).collect();
    assert!(stale.is_empty(), "pages of no word: {stale:?}; `{RENEW}` renews the reference");
    for (path, page) in &pages {
        let written = fs::read_to_string(here.join(path)).unwrap_or_default();
        let line = written.lines().zip(page.lines()).position(|(written, made)| written != made).map_or(0, |line| line + 1);
        assert!(written == *page, "{FOLDER}/{}:{line} is not as the catalogue says; `{RENEW}` renews the reference", path.display());
    }
}

#[test]
fn every_action_that_changes_something_says_what_its_undo_does() {
    for entry in words().iter().filter(|entry| entry.mutates) {
        let said = description(&entry.parameters);
        assert!(said.contains("ndo"), "{}: its help text does not say what undo does, or that there is none", entry.word);
    }
}

#[test]
fn every_example_of_an_action_in_a_cloud_finds_something_to_act_on_in_the_lab() {
    on_stage(async |stage| {
        for row in catalogue::actions().iter().filter(|row| !row.calls.all().is_empty() && row.mutates) {
            let sample = Sample { kind: row.kind, with: in_lab(row.example) };
            let step = stage.step(&sample);
            let planned = step.plan().await;
            assert!(!planned.targets.is_empty(), "{}: {} finds nothing", row.kind, sample.with);
        }
    });
}
