//! A copy of the project in which nothing takes long: the shipped scenarios with a tenth of their waiting times. New ones come in by themselves.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::{Captures, Regex};

use crate::common::root;

/// The copy; ends with the value.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("lifeboat.yaml"), &folder.path().join("lifeboat.yaml"));
        for part in ["scenarios", "runbooks"] {
            for file in files(&root().join(part)) {
                copy(&file, &folder.path().join(part).join(file.file_name().unwrap()));
            }
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The names of the scenarios, in order.
    pub(crate) fn scenarios(&self) -> Vec<String> {
        files(&self.path().join("scenarios")).iter().map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    }
}

/// The definitions in a folder, in order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::write(to, hurried(&fs::read_to_string(from).unwrap())).unwrap();
}

/// The text with short waiting times. Time limits stay: they are how a run that hangs is noticed.
fn hurried(text: &str) -> String {
    let waits = Regex::new(r"\b(hold|stable_for|lasting|backoff|every): (\d+)(ms|s)\b").unwrap();
    let hurry = |found: &Captures<'_>| {
        let millis = found[2].parse::<u64>().unwrap() * if &found[3] == "s" { 1000 } else { 1 };
        // Samples cost the machine something, so not quite so many of them.
        let divisor = if &found[1] == "every" { 3 } else { 10 };
        format!("{}: {}ms", &found[1], (millis / divisor).max(1))
    };
    waits.replace_all(text, hurry).into_owned()
}
