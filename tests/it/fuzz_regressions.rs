//! What the fuzzers kept, without a fuzzer: every input that once broke something (`fuzz/regressions`), and the corpus (`fuzz/corpus`).
//!
//! The targets are read from `fuzz/` as they are, so that both run the same code.

#[allow(unreachable_pub)]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::root;

/// Longer than any input takes in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Gives each target the inputs of its folder, and tells how many there were.
fn replay(folder: &str) -> usize {
    let mut wrong = Vec::new();
    let mut inputs = 0;
    for (name, target) in targets::TARGETS {
        for path in files(&root().join("fuzz").join(folder).join(name)) {
            let data = fs::read(&path).unwrap();
            let begun = Instant::now();
            if catch_unwind(AssertUnwindSafe(|| target(&data))).is_err() {
                wrong.push(format!("{} breaks `{name}`", path.display()));
            } else if begun.elapsed() > PATIENCE {
                wrong.push(format!("{} takes `{name}` {:?}", path.display(), begun.elapsed()));
            }
            inputs += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    inputs
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn what_once_broke_something_breaks_nothing_now() {
    assert!(replay("regressions") > 0);
}

#[test]
fn the_kept_corpus_breaks_nothing() {
    assert!(replay("corpus") > 100);
}

#[test]
fn every_target_is_built_seeded_and_replayed() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let mut built: Vec<&str> = manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let mut replayed: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    built.sort_unstable();
    replayed.sort_unstable();
    assert_eq!(built, replayed);
    for name in replayed {
        assert!(!files(&root().join("fuzz/corpus").join(name)).is_empty(), "{name} has no corpus");
    }
}
