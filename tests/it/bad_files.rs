//! Every bad file in `tests/bad` is refused with exactly the words in the `.txt` beside it. `LIFEBOAT_BLESS=1` writes them anew.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lifeboat::cli::errors::{Style, render};
use lifeboat::lab::serve::vars;
use lifeboat::lab::world::file::Blueprint;
use lifeboat::model::diagnostic::{Diagnostic, Source};
use lifeboat::model::plan::Mode;
use lifeboat::model::yaml;
use lifeboat::ops::check::validate;
use lifeboat::ops::project::{load_project, read_project};
use lifeboat::ops::resolve::Request;
use lifeboat::ops::words::Words;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

fn check(path: &Path) -> Vec<Diagnostic> {
    let project = read_project(Path::new("tests/bad/lifeboat.yaml")).unwrap();
    let request = Request { vars: vars(&Blueprint::shop(), None), ..Request::new("lab", Mode::Rehearse) };
    validate(&[path.to_owned()], &project, Words::of_catalogue(), &request).into_iter().flat_map(|checked| checked.problems).collect()
}

#[test]
fn every_bad_file_is_refused_with_place_and_hint() {
    let bless = std::env::var_os("LIFEBOAT_BLESS").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir("tests/bad").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml") && path.file_name().unwrap() != "lifeboat.yaml");
    files.sort();
    let mut wrong = Vec::new();
    for path in &files {
        let problems = check(path);
        assert!(!problems.is_empty(), "{} is accepted", path.display());
        for problem in &problems {
            assert!(problem.hint.is_some(), "{problem} has no hint");
        }
        let drawn = render(&problems, Style::PLAIN);
        for line in drawn.lines() {
            assert!(line.width() <= 80, "{}: too wide: {line}", path.display());
        }
        let golden = path.with_extension("txt");
        if bless {
            std::fs::write(&golden, &drawn).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != drawn {
            wrong.push(format!("{}:\n{drawn}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "not as written (LIFEBOAT_BLESS=1 writes them anew):\n{}", wrong.join("\n"));
    assert!(files.len() >= 55, "only {} bad files", files.len());
}

#[test]
fn files_of_the_project_are_right() {
    for good in ["tests/bad/lifeboat.yaml", "tests/bad/inc/good.yaml"] {
        assert_eq!(check(Path::new(good)), [], "{good}");
    }
}

#[test]
fn large_files_pipes_and_folders_are_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.yaml");
    std::fs::File::create(&large).unwrap().set_len(100 << 20).unwrap();
    let message = |path: &Path| check(path).first().map(ToString::to_string).unwrap_or_default();
    assert!(message(&large).ends_with("large.yaml:1:1: the file has 104857600 bytes; at most 8388608 are read"));
    assert!(message(Path::new("/dev/zero")).ends_with("/dev/zero:1:1: not a regular file"));
    assert!(message(&folder.path().join("absent.yaml")).ends_with("absent.yaml:1:1: no such file"));
    assert!(message(Path::new("tests/wire")).contains(":1:1: no"));
}

#[test]
fn an_environment_that_does_not_exist_is_told_where_they_are_written() {
    let project = read_project(Path::new("tests/bad/lifeboat.yaml")).unwrap();
    let problem = project.environment("stagng").unwrap_err().remove(0);
    assert_eq!(problem.to_string(), "tests/bad/lifeboat.yaml:3:1: there is no environment `stagng`");
    assert_eq!(problem.hint.unwrap(), "did you mean `staging`?");
    let bare = load_project(Path::new("/"), None).unwrap();
    assert!(bare.environment("lab").is_ok());
    assert_eq!(bare.environment("production").unwrap_err()[0].hint.as_deref().unwrap(), "environments: lab");
}

/// The bounds hold on this machine's debug build with much room; the numbers themselves are measured elsewhere.
#[test]
fn hostile_files_are_refused_soon() {
    let hostile = [
        format!("a: {}", "[".repeat(500_000)),
        format!("a: {}", "{a: ".repeat(200_000)),
        "- ".repeat(500_000),
        format!("? {}", "a".repeat(yaml::MAX_BYTES)),
        format!("a: \"{}", "\\n".repeat(500_000)),
        (0..1000).map(|n| format!("a{n}: &a{n} {}\n", if n == 0 { "x".to_owned() } else { format!("[*a{0}, *a{0}]", n - 1) })).collect(),
        format!("a: [{}]", "x, ".repeat(yaml::MAX_NODES)),
        format!("%TAG ! {}\n---\n", "x".repeat(900_000)),
        "&a ".repeat(300_000),
        "!".repeat(1_000_000),
        "a: |\n".to_owned() + &" x\n".repeat(300_000) + "\tb",
    ];
    for text in hostile {
        let start = Instant::now();
        let head: String = text.chars().take(40).collect();
        assert!(yaml::parse(&Source::new("t", text)).is_err(), "{head} is accepted");
        assert!(start.elapsed() < Duration::from_secs(30), "{head} took {:?}", start.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_parser_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Err(problem) = yaml::parse(&Source::new("t", text)) {
            prop_assert!(!render(&[problem], Style::PLAIN).is_empty());
        }
    }

    #[test]
    fn yaml_like_text_never_panics(text in "([a-c:\\-\\[\\]{}#&*!|>'\"%@`, \t\n]|\\$\\{\\{|\\}\\}|切){0,80}") {
        if let Err(problem) = yaml::parse(&Source::new("t", text.clone())) {
            prop_assert!(!render(&[problem], Style::PLAIN).is_empty());
        }
        if let Ok(expression) = lifeboat::model::expression::Expression::parse(&text) {
            let _ = expression.evaluate(&serde_json::json!({"vars": {"a": 1}}));
        }
    }

    /// A good file with one place changed is accepted or refused with a place in it, never anything else.
    #[test]
    fn mutated_files_are_told_about_in_the_file(at in 0usize..2000, cut in 0usize..6, put in "[a-z:{}\\[\\]$'\"\n\t -]{0,4}") {
        let good = std::fs::read_to_string("tests/plans/region-outage.yaml").unwrap();
        let at = good.floor_char_boundary(at.min(good.len()));
        let end = good.floor_char_boundary((at + cut).min(good.len())).max(at);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mutated.yaml");
        std::fs::write(&path, format!("{}{put}{}", &good[..at], &good[end..])).unwrap();
        for problem in check(&path) {
            let (line, column) = problem.position();
            prop_assert!(line >= 1 && column >= 1);
            prop_assert!(problem.at.end <= problem.source.text.len());
            prop_assert!(!render(&[problem], Style::PLAIN).is_empty());
        }
    }
}

#[test]
fn a_fault_is_held_no_longer_than_the_vendor_allows() {
    let said: Vec<String> = check(Path::new("tests/bad/inc/held-too-long.yaml")).iter().map(ToString::to_string).collect();
    for key in ["lease", "limit"] {
        let start = format!("`{key}` (");
        assert!(said.iter().any(|line| line.contains(&start) && line.contains("is longer than `aliyun.dts.suspend-job` may be held")), "{said:?}");
    }
}
