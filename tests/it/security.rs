//! What docs/security.md promises is shown by tests: those that it names are there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::root;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a file is the module of this name, or its folder.
fn is_module(path: &Path, module: &str) -> bool {
    path.file_stem().is_some_and(|stem| stem == module) || path.parent().and_then(Path::file_name).is_some_and(|folder| folder == module)
}

#[test]
fn every_test_that_the_page_on_security_names_is_there() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let named: Vec<(&str, &str)> = page
        .split('`')
        .filter_map(|quoted| quoted.split_once("::"))
        .filter(|(module, test)| [module, test].iter().all(|name| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    let mut files = Vec::new();
    sources(&root().join("tests/it"), &mut files);
    sources(&root().join("src"), &mut files);
    for (module, test) in named {
        let is_there = |path: &PathBuf| {
            let lines = fs::read_to_string(path).unwrap();
            let mut last = "";
            lines.lines().map(str::trim).filter(|line| !line.is_empty()).any(|line| {
                let is_it = last.starts_with("#[test]") && line.starts_with(&format!("fn {test}("));
                last = line;
                is_it
            })
        };
        assert!(files.iter().filter(|path| is_module(path, module)).any(is_there), "docs/security.md names `{module}::{test}`, which is no test");
    }
}
