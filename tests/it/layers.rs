//! Each layer uses only the layers it may. The table lists edges, tighter than the order in `src/lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::root;

/// What each top-level module may use of the others. Tests inside a module may use more: they are cut off before the check.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("model", &[]),
    ("ports", &["model"]),
    ("engine", &["model", "ports"]),
    ("clouds", &["model", "ports"]),
    ("world", &["model", "ports", "clouds"]),
    ("catalogue", &["model", "ports", "engine", "clouds", "world"]),
    ("journal", &["model", "ports"]),
    ("observe", &["model"]),
    ("report", &["model"]),
    ("lab", &["model"]),
    ("ops", &["model", "ports", "engine", "world", "catalogue", "journal", "observe", "report", "lab"]),
    ("cli", &["model", "ports", "engine", "world", "catalogue", "journal", "observe", "report", "lab", "ops"]),
];

#[test]
fn layers_use_only_what_they_may() {
    let mut wrong = Vec::new();
    for (layer, allowed) in MAY_USE {
        for file in sources(&root().join("src").join(layer)) {
            if is_test(&file) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
            for (number, line) in product.lines().enumerate() {
                let code = line.split("//").next().unwrap_or(line);
                for used in code.split("crate::").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")) {
                    let is_layer = MAY_USE.iter().any(|(name, _)| *name == used);
                    if is_layer && used != layer && !allowed.contains(&used) {
                        wrong.push(format!("{}:{}: `{layer}` uses `{used}`", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lab needs only the model's time and the rules of its own faults of the product, or agreement between the two would mean nothing.
#[test]
fn the_lab_uses_only_the_models_time_and_its_own_rules() {
    let mut wrong = Vec::new();
    for file in sources(&root().join("src/lab")).into_iter().filter(|file| !is_test(file)) {
        let text = fs::read_to_string(&file).unwrap();
        let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
        for (number, line) in product.lines().enumerate() {
            if line.contains("crate::model::") && !["time", "lab"].iter().any(|module| line.contains(&format!("crate::model::{module}::"))) {
                wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

fn is_test(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| {
        ["tests", "toy", "samples", "fake", "fakes", "vectors"].contains(&stem.to_str().unwrap_or_default())
            || stem.to_string_lossy().ends_with("_tests")
    }) || file.components().any(|part| part.as_os_str() == "tests")
}
