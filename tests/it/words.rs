//! No word of a vendor's is invented. Every name, value, state and error code that the clients or the lab write or read stands in a table under
//! `tests/words` with the place where the vendor documents it: `sdk.tsv` is made from the vendors' own SDKs by `find.py`, `documented.tsv` is kept
//! by hand for what the SDKs do not say, which is mostly error codes.
//!
//! What counts as a word: in the files below, tests left out, a string literal that begins with a capital letter and has no spaces, and one in lower
//! case that is an arm of a `match`. `LIFEBOAT_WORDS=FILE` writes all of them into a file, for `find.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::common::source::product_lines;

/// Where words of each cloud are.
const PLACES: [(&str, &[&str]); 2] = [
    (
        "aliyun",
        &[
            "src/clouds/aliyun",
            "crates/lab/src/services/aliyun",
            "crates/lab/src/services/oss",
            "crates/lab/src/wire/aliyun_rpc.rs",
            "crates/lab/src/wire/acs3.rs",
            "crates/lab/src/wire/oss_v4.rs",
            "crates/lab/src/world/sync.rs",
        ],
    ),
    (
        "aws",
        &[
            "src/clouds/aws",
            "crates/lab/src/services/aws",
            "crates/lab/src/wire/aws_query.rs",
            "crates/lab/src/wire/aws_answer.rs",
            "crates/lab/src/wire/smithy.rs",
            "crates/lab/src/wire/sigv4.rs",
            "crates/lab/src/world/state.rs",
        ],
    ),
];

type Words = BTreeMap<(String, String), BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files at or below a path, tests left out.
fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| files(entry, found));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if !name.contains("tests") && !name.ends_with("made_up.rs") {
            found.push(path.to_owned());
        }
    }
}

/// The text without its tests, comments and quoted quotes.
fn bare(text: &str) -> String {
    let lines = product_lines(text).into_iter().map(|(_, line)| line).filter(|line| !line.trim_start().starts_with("//"));
    let lines = lines.map(|line| line.find(" // ").map_or(line, |end| &line[..end]));
    lines.collect::<Vec<_>>().join("\n").replace("b'\"'", "").replace("'\"'", "")
}

/// Every string literal of one line, with what stands before and after it.
fn literals(text: &str) -> Vec<(&str, &str, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('"').map(|start| at + start) {
        if text[..start].ends_with("r#") {
            at = text[start..].find("\"#").map_or(text.len(), |end| start + end + 2);
            continue;
        }
        let mut end = start + 1;
        let bytes = text.as_bytes();
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let end = end.min(text.len());
        found.push((&text[..start], &text[start + 1..end], text.get(end + 1..).unwrap_or_default()));
        at = end + 1;
        if at >= text.len() {
            break;
        }
    }
    found
}

fn is_capital(word: &str) -> bool {
    let inner = word.trim_start_matches("*").trim_start_matches('.').trim_end_matches('*').trim_end_matches('.');
    word.len() > 2
        && inner.starts_with(|first: char| first.is_ascii_uppercase())
        && inner.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_arm(before: &str, word: &str, after: &str) -> bool {
    let before = before.trim_end();
    let after = after.trim_start_matches(')').trim_start();
    let is_plain = word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_plain
        && (before.ends_with("=>") || before.ends_with("=> Some(") || after.starts_with("=>") || after.starts_with('|') && !after.starts_with("||"))
}

fn words() -> Words {
    let mut words = Words::new();
    for (cloud, places) in PLACES {
        let mut found = Vec::new();
        places.iter().for_each(|place| files(&root().join(place), &mut found));
        assert!(found.len() > 10, "{cloud}: the sources are not where they were");
        for file in found {
            let text = bare(&std::fs::read_to_string(&file).unwrap());
            let name = file.strip_prefix(root()).unwrap().display().to_string();
            for (before, word, after) in literals(&text) {
                if is_capital(word) || is_arm(before, word, after) {
                    words.entry((cloud.to_owned(), word.to_owned())).or_default().insert(name.clone());
                }
            }
        }
    }
    words
}

/// Cloud and word to source, of both tables.
fn table() -> BTreeMap<(String, String), String> {
    let mut table = BTreeMap::new();
    for name in ["sdk.tsv", "documented.tsv"] {
        for line in std::fs::read_to_string(root().join("tests/words").join(name)).unwrap().lines() {
            if line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.split('\t').collect();
            let [cloud, word, source] = fields[..] else { panic!("{name}: not three columns: {line}") };
            assert!(!source.trim().is_empty(), "{name}: {word} has no source");
            assert!(table.insert((cloud.to_owned(), word.to_owned()), source.to_owned()).is_none(), "{name}: {cloud} {word} stands twice");
        }
    }
    table
}

#[test]
fn every_word_of_a_vendor_has_its_source() {
    let words = words();
    if let Some(path) = std::env::var_os("LIFEBOAT_WORDS") {
        let mut text = String::new();
        words.keys().for_each(|(cloud, word)| _ = writeln!(text, "{cloud}\t{word}"));
        std::fs::write(path, text).unwrap();
        return;
    }
    let table = table();
    let missing: Vec<String> =
        words.iter().filter(|(word, _)| !table.contains_key(word)).map(|((cloud, word), files)| format!("{cloud}\t{word}\t{files:?}")).collect();
    assert!(
        missing.is_empty(),
        "words without a source; run tests/words/find.py, or give each a line in tests/words/documented.tsv with the vendor's page:\n{}",
        missing.join("\n")
    );
    let unused: Vec<_> = table.keys().filter(|word| !words.contains_key(word)).collect();
    assert!(unused.is_empty(), "nobody uses these any more: take them out of the tables: {unused:?}");
}

#[test]
fn what_no_vendor_says_is_not_found_anywhere() {
    let words = words();
    for word in ["Suspended", "Starting", "DTS.Msg.JobNotExist", "DTS.Msg.OperationDenied.JobStatusNotSupport", "IncorrectStatus.NetworkAcl"] {
        // `Starting` is a state of machines, not of jobs.
        let files = words.get(&("aliyun".to_owned(), word.to_owned())).cloned().unwrap_or_default();
        assert!(files.iter().all(|file| word == "Starting" && !file.contains("dts") && !file.contains("sync")), "{word}: {files:?}");
    }
}

#[test]
fn words_are_found_as_they_are_written() {
    let text = bare(
        "let a = \"InvalidThing.NotFound\"; // \"NotThis\"\n// \"NorThis\"\nmatch x { \"running\" | \"stopped\" => \"Ok\", _ => \"words here\" }\nf('\"', \"After\")",
    );
    let found: Vec<&str> = literals(&text)
        .into_iter()
        .filter(|(before, word, after)| is_capital(word) || is_arm(before, word, after))
        .map(|(_, word, _)| word)
        .collect();
    assert_eq!(found, ["InvalidThing.NotFound", "running", "stopped", "After"]);
}
