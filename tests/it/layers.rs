//! Each layer uses only the layers it may. The table lists edges, tighter than the order in `src/lib.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::root;
use crate::common::source::{is_in, product_lines, test_modules};

/// The lab is a crate of its own, which the library shows as a module.
const LAB: &str = "lab";

/// What each top-level module may use of the others. Tests may use more: what they alone are built of is left out.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("ports", &["model"]),
    ("engine", &["model", "ports"]),
    ("clouds", &["model", "ports"]),
    ("world", &["model", "ports", "clouds"]),
    ("catalogue", &["model", "ports", "engine", "clouds", "world"]),
    ("journal", &["model", "ports"]),
    ("observe", &["model"]),
    ("report", &["model"]),
    ("ops", &["model", "ports", "engine", "world", "catalogue", "journal", "observe", "report", "lab"]),
    ("cli", &["model", "ports", "engine", "world", "catalogue", "journal", "observe", "report", "lab", "ops"]),
];

#[test]
fn layers_use_only_what_they_may() {
    let all = sources(&root().join("src"));
    let tests = test_modules(&all);
    let (mut wrong, mut read) = (Vec::new(), 0);
    for (layer, allowed) in MAY_USE {
        let folder = root().join("src").join(layer);
        for file in all.iter().filter(|file| file.starts_with(&folder) && !is_in(file, &tests)) {
            let text = fs::read_to_string(file).unwrap();
            for (number, line) in product_lines(&text) {
                read += 1;
                let code = line.split("//").next().unwrap_or(line);
                for used in code.split("crate::").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")) {
                    let is_layer = used == LAB || MAY_USE.iter().any(|(name, _)| *name == used);
                    // What stands in braces would not be seen.
                    if used.is_empty() || is_layer && used != layer && !allowed.contains(&used) {
                        wrong.push(format!("{}:{number}: `{layer}` uses `{used}`", file.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read > 30_000, "only {read} lines were read");
}

/// That the lab and Lifeboat's clients understand each other means something only while they share no code, so the lab is built of nothing else of ours but the notation.
#[test]
fn the_lab_knows_nothing_of_the_rest_but_the_notation() {
    let ours = |name: &str| {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        manifest.lines().filter(|line| line.contains("path = ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ours("lab"), ["lifeboat-notation = { path = \"../notation\" }"]);
    assert_eq!(ours("notation"), Vec::<String>::new());
}

/// Whoever needs the lab asks for it as a layer, or the table above would not see it.
#[test]
fn the_lab_is_reached_as_a_layer_alone() {
    let names_the_crate = |file: &PathBuf| fs::read_to_string(file).unwrap().contains("lifeboat_lab");
    let who: Vec<PathBuf> = sources(&root().join("src")).into_iter().filter(names_the_crate).collect();
    assert_eq!(who, [root().join("src/lib.rs")]);
}

/// What is derived from events is derived from nothing else, and says nothing on the way: no log can differ between a run and its report.
#[test]
fn what_is_pure_writes_no_log() {
    for pure in ["model", "report", "engine/machine"] {
        let files = sources(&root().join("src").join(pure));
        assert!(files.len() > 5, "nothing in src/{pure}");
        for file in files {
            assert!(!fs::read_to_string(&file).unwrap().contains("tracing::"), "{} writes to the log", file.display());
        }
    }
}

/// In which world a run is stands in `env`, among what people write there. Whoever else read it from there would read it in another way.
#[test]
fn where_a_run_runs_is_read_in_one_place() {
    let all = lines_with(&["\"/env", "[\"env\"]", "get(\"env\")", "get_mut(\"env\")", "of_env"]);
    let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(file, _)| ["model/scope.rs", "model/whereabouts.rs"].contains(&file.as_str()));
    assert_eq!(others, [], "`Plan::whereabouts` tells it");
    assert!(own.len() >= 2, "{own:?}");
}

/// Between written parameters and what runs stand the checks of secrets, in one order. Two may parse beside that: the check of files, which has examples in the
/// place of what is not known yet, and a probe whose parameters hold those of other probes.
#[test]
fn parameters_are_parsed_in_one_place() {
    let files: BTreeSet<String> = lines_with(&[".parse)("]).into_iter().map(|(file, _)| file).collect();
    let resolve = ["ops/resolve/probe.rs", "ops/resolve/runbook.rs", "ops/resolve/scenario.rs"];
    let expected: BTreeSet<String> = ["catalogue/probes/group.rs", "engine/parameters.rs"].into_iter().chain(resolve).map(str::to_owned).collect();
    assert_eq!(files, expected, "`engine/parameters.rs` does it for all others");
}

/// The lines of the product that hold one of `words`, with the file, from `src` on.
fn lines_with(words: &[&str]) -> Vec<(String, String)> {
    let src = root().join("src");
    let all = sources(&src);
    let tests = test_modules(&all);
    let mut found = Vec::new();
    for file in all.iter().filter(|file| !is_in(file, &tests)) {
        let text = fs::read_to_string(file).unwrap();
        let lines = product_lines(&text).into_iter().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        let name = file.strip_prefix(&src).unwrap().display().to_string();
        found.extend(lines.map(|(number, line)| (name.clone(), format!("{number}: {}", line.trim()))));
    }
    found
}

/// A layer is a folder, or a file of the same name.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        let mut found: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).flat_map(|path| sources(&path)).collect();
        found.sort();
        found
    } else {
        let file = if path.extension().is_some() { path.to_owned() } else { path.with_extension("rs") };
        if file.extension().is_some_and(|extension| extension == "rs") { vec![file] } else { Vec::new() }
    }
}
