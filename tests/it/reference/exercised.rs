//! Which files of the repository exercise a word, and which arm holds the lab's answer to a vendor's operation against a client of the vendor's own. All of it
//! is read from the files; nothing is known here by heart but which folder is for what.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use lifeboat::ops::catalogue_list::{Entry, Sort};
use serde_json::Value;

use super::below;
use crate::common::root;
use crate::samples::samples;

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files below some folders with one of these endings, by their names from the root.
fn files(folders: &[&str], endings: &[&str]) -> Vec<(String, String)> {
    let mut found: Vec<PathBuf> = Vec::new();
    folders.iter().for_each(|folder| below(&root().join(folder), &mut found));
    found.sort();
    found.retain(|path| path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one)));
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Every `uses` of a definition, and whether it is a probe's.
fn used(value: &Value, in_probes: bool, found: &mut BTreeSet<(String, bool)>) {
    match value {
        Value::Object(object) => {
            if let Some(word) = object.get("uses").and_then(Value::as_str) {
                found.insert((word.to_owned(), in_probes));
            }
            object.iter().for_each(|(key, inner)| used(inner, in_probes || key == "probes" || key == "of", found));
        }
        Value::Array(items) => items.iter().for_each(|item| used(item, in_probes, found)),
        _ => {}
    }
}

/// The definitions of each kind, with the words that they use.
struct Definitions(Vec<(String, BTreeSet<(String, bool)>)>);

impl Definitions {
    fn of(folders: &[&str], more: &[&str]) -> Self {
        let more = more.iter().map(|name| ((*name).to_owned(), read(name)));
        let files = files(folders, &["yaml"]).into_iter().chain(more);
        let words = |text: &str| {
            let mut found = BTreeSet::new();
            used(&serde_saphyr::from_str(text).unwrap_or_default(), false, &mut found);
            found
        };
        Self(files.map(|(name, text)| (name, words(&text))).collect())
    }

    fn with(&self, entry: &Entry) -> Vec<String> {
        let word = (entry.word.to_owned(), entry.sort == Sort::Probe);
        self.0.iter().filter(|(_, words)| words.contains(&word)).map(|(name, _)| name.clone()).collect()
    }
}

static SHIPPED: LazyLock<Definitions> = LazyLock::new(|| Definitions::of(&["scenarios", "runbooks"], &["lifeboat.yaml"]));
static EXAMPLES: LazyLock<Definitions> = LazyLock::new(|| Definitions::of(&["examples"], &[]));
static MOTO: LazyLock<Definitions> = LazyLock::new(|| Definitions::of(&["tests/moto"], &[]));
static SERVERS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| files(&["tests/servers"], &["rs"]));
static TESTS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let mut all = files(&["tests/it"], &["rs"]);
    // This folder and the samples name words for others.
    all.retain(|(name, _)| !name.starts_with("tests/it/reference/") && !name.starts_with("tests/it/common/"));
    all
});

/// Whether a Rust file uses a word: `uses: WORD`, or as a text by itself where no other text would be written so.
fn names(text: &str, word: &str) -> bool {
    let is_end = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || matches!(next, '.' | '-'));
    let ways = [format!("uses: {word}"), format!("\"uses\": \"{word}"), format!("uses\\\": \\\"{word}")];
    ways.iter().any(|way| text.match_indices(way).any(|(at, _)| is_end(&text[at + way.len()..])))
        || (word.contains(['.', '-']) && text.contains(&format!("\"{word}\"")))
}

/// What exercises a word, and in which files.
pub(super) fn by(entry: &Entry) -> Vec<(&'static str, Vec<String>)> {
    let one = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut found = vec![("The example above is accepted where it may stand", one(&["tests/it/first_day.rs"]))];
    if entry.mutates && !entry.calls.is_empty() {
        found.push(("The example above finds something to act on in the lab", one(&["tests/it/reference/mod.rs"])));
    }
    if samples().iter().any(|sample| sample.kind == entry.word) && entry.sort != Sort::Probe {
        let every = ["tests/it/catalogue_undo.rs", "tests/it/catalogue_conflicts.rs", "tests/it/catalogue_calls.rs", "tests/sweep/main.rs"];
        found.push((
            "Cut off anywhere, undone exactly, held against what somebody else changes, its calls against those stated, killed at every event",
            one(&every),
        ));
    }
    if entry.sort == Sort::Probe {
        found.push(("What it says when nothing, or something else, is there", one(&["tests/it/readings.rs"])));
        if !entry.calls.is_empty() {
            found.push(("Its example is sampled in the lab, its calls are held against those stated", one(&["tests/it/catalogue_calls.rs"])));
        }
    }
    found.push(("No secret leaves through it", one(&["tests/it/secrets/mod.rs"])));
    found.push(("In the shipped definitions, whose scenarios `tests/it/drills.rs` and the sweep drill", SHIPPED.with(entry)));
    found.push(("In the project with a world of its own, which `tests/it/own_world.rs` drills", EXAMPLES.with(entry)));
    found.push(("Against moto, by `tests/run moto`", MOTO.with(entry)));
    let has = |sources: &[(String, String)], names: &dyn Fn(&str) -> bool| {
        sources.iter().filter(|(_, text)| names(text)).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    if entry.sort == Sort::Probe {
        let sampled = format!("\"{}\"", entry.word);
        found.push(("Against servers of others, by `tests/run servers`", has(&SERVERS, &|text| names(text, entry.word) || text.contains(&sampled))));
    } else {
        found.push(("Against servers of others, by `tests/run servers`", has(&SERVERS, &|text| names(text, entry.word))));
    }
    let both = catalogue_has_both(entry.word);
    found.push((if both { "Also named, as the action or as the probe, in" } else { "Also named in" }, has(&TESTS, &|text| names(text, entry.word))));
    found.retain(|(_, files)| !files.is_empty());
    found
}

fn catalogue_has_both(word: &str) -> bool {
    lifeboat::catalogue::action(word).is_some() && lifeboat::catalogue::probe(word).is_some()
}

/// The vendor's own client that makes this call to the lab, and the file in which it does.
pub(super) fn held_against(operation: &str) -> Option<(&'static str, &'static str)> {
    static CLI: LazyLock<String> = LazyLock::new(|| read("tests/awscli/arm.py"));
    static SDK: LazyLock<String> = LazyLock::new(|| read("tests/aliyun/sdk_arm.py").replace('_', ""));
    let (service, name) = operation.split_once(':')?;
    let kebab = name.chars().fold(String::new(), |mut kebab, letter| {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
        kebab
    });
    let client = match service {
        "s3" => "s3api",
        "alidns" => "dns",
        "oss" => "store",
        other => other,
    };
    let by_cli = CLI.contains(&format!("\"{client}\", \"{kebab}\""));
    let by_sdk = SDK.contains(&format!("{client}.{}(", name.to_ascii_lowercase()));
    if by_cli {
        Some(("the aws CLI", "tests/awscli/arm.py"))
    } else if by_sdk {
        Some(("Alibaba's SDK", "tests/aliyun/sdk_arm.py"))
    } else {
        None
    }
}
