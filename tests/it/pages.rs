//! The pages for people: every link leads to a file and a heading that are there, every command that is shown exists with its flags, and every project file that
//! is shown is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{folder, lifeboat, root, run, text};

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Every page, with its text.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut found = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    below(&root().join("docs"), &mut found);
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines outside of blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// The lines of the blocks of code of one language.
fn code<'a>(page: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    let mut within = false;
    page.lines().filter(move |line| {
        if let Some(of) = line.trim_start().strip_prefix("```") {
            within = !within && of == language;
            return false;
        }
        within
    })
}

/// What a heading is called in a link, as GitHub does it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    prose(page).filter_map(|line| line.strip_prefix('#')).map(|heading| anchor(heading.trim_start_matches('#'))).collect()
}

/// Where the links of a page lead, as they are written; what stands in code is none.
fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(page) {
        let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("x");
        found.extend(plain.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    found
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let pages = pages();
    let (mut broken, mut checked) = (Vec::new(), 0);
    for (path, page) in &pages {
        for link in links(page) {
            if link.starts_with("https://") {
                continue;
            }
            checked += 1;
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let at = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let Ok(at) = at.canonicalize() else {
                broken.push(format!("{}: ({link}) leads to no file", path.display()));
                continue;
            };
            if !heading.is_empty() && !fs::read_to_string(&at).is_ok_and(|there| anchors(&there).contains(heading)) {
                broken.push(format!("{}: ({link}) leads to no heading", path.display()));
            }
        }
    }
    assert!(checked > 300, "only {checked} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let pages = pages();
    let mut reached = BTreeSet::new();
    let mut next = vec![root().join("README.md")];
    while let Some(path) = next.pop() {
        let Some(page) = pages.get(&path).filter(|_| reached.insert(path.clone())) else { continue };
        let folder = path.parent().unwrap();
        next.extend(links(page).iter().filter_map(|link| folder.join(link.split('#').next()?).canonicalize().ok()));
    }
    let lost: Vec<_> = pages.keys().filter(|path| !reached.contains(*path)).collect();
    assert!(lost.is_empty(), "no link leads to {lost:?}");
}

#[test]
fn every_command_and_flag_that_a_page_shows_exists() {
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (path, page) in &pages() {
        for line in code(page, "sh") {
            let line = line.split(" #").next().unwrap();
            let Some(at) = line.find("lifeboat ").filter(|at| *at == 0 || line[..*at].ends_with(' ')) else { continue };
            let mut words = line[at..].split_whitespace().skip(1).skip_while(|word| *word == "-C").filter(|word| !word.contains('/'));
            let Some(command) = words.next() else { continue };
            let help = helps.entry(command.to_owned()).or_insert_with(|| {
                let shown = run(lifeboat().args([command, "--help"]));
                if shown.status.success() { text(&shown.stdout) } else { String::new() }
            });
            checked += 1;
            for flag in words.filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap()) {
                if !help.split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '[' | ']' | '<')).any(|word| word == flag) {
                    wrong.push(format!("{}: `lifeboat {command}` has no {flag}", path.display()));
                }
            }
            if help.is_empty() {
                wrong.push(format!("{}: there is no `lifeboat {command}`", path.display()));
            }
        }
    }
    assert!(checked > 20, "only {checked} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The blocks of code of one language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    page.split(&format!("```{language}\n")).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect()
}

#[test]
fn every_project_file_that_a_page_shows_is_valid() {
    let mut checked = 0;
    for (path, page) in pages() {
        for block in blocks(&page, "yaml") {
            let project = match block {
                _ if block.starts_with("lifeboat: 1\n") => block.to_owned(),
                _ if block.starts_with("environments:\n") => format!("lifeboat: 1\n{block}"),
                _ => continue,
            };
            checked += 1;
            let folder = folder();
            fs::copy(root().join("examples/booking/world.yaml"), folder.path().join("world.yaml")).unwrap();
            fs::write(folder.path().join("lifeboat.yaml"), project).unwrap();
            let output = run(lifeboat().current_dir(folder.path()).args(["validate", "lifeboat.yaml"]));
            assert_eq!(output.status.code(), Some(0), "{}: {block}\n{}{}", path.display(), text(&output.stdout), text(&output.stderr));
        }
    }
    assert!(checked >= 3, "only {checked} project files were found");
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 130, "README.md has {lines} lines; what is longer belongs into docs/");
}
