//! Mistakes in lifeboat.yaml: what steers, ends and looks at runs needs no project file, and an environment's mistakes are its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{LabProcess, copy_project, folder, has_step, journal, lifeboat, quick, run, text, until};

const SCENARIO: &str = "scenarios/sync-stop.yaml";

/// What somebody makes of the project file, and whether anything can be made of that.
type Mistake = (&'static str, fn(&str) -> String, bool);

const MISTAKES: [Mistake; 4] = [
    ("a quote that is not closed", |file| format!("{file}\nvendors: \"Asia\n"), true),
    ("a key that is none", |file| format!("{file}\nprozes: {{ a: 1 }}\n"), true),
    (
        "another environment",
        |file| file.replacen("environments:\n", "environments:\n  other: { kind: clowd, guards: { freeze: gone.yaml } }\n", 1),
        true,
    ),
    ("no YAML", |_| "lifeboat: 99\nkind: [".to_owned(), false),
];

fn command(project: &Path, words: &[&str]) -> Command {
    let mut command = lifeboat();
    command.current_dir(project).args(words);
    command
}

fn says(project: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = run(&mut command(project, words));
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_mistake_in_the_project_file_keeps_nobody_from_what_ends_and_shows_runs() {
    let (lab, project) = (LabProcess::start(&["--time-scale", "5"]), folder());
    copy_project(project.path(), quick);
    let (before, file) = (lab.world(), project.path().join("lifeboat.yaml"));
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(
        project.path().join("hello.yaml"),
        "lifeboat: 1\nkind: runbook\ntitle: Hello\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n",
    )
    .unwrap();
    let emergency = ["execute", "hello.yaml", "--env", "lab", "--lab", lab.control(), "--yes", "--yes-because", "x"];
    let expected = says(project.path(), &emergency).0;
    let reports = project.path().join("reports");
    for (number, (what, broken, is_readable)) in MISTAKES.iter().enumerate() {
        fs::remove_dir_all(&reports).unwrap();
        let mut drill = command(project.path(), &["drill", SCENARIO, "--lab", lab.control()]);
        let mut drill = drill.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the fault", || journal(&reports).filter(|journal| has_step(journal, "fault", "applied")));
        let text = broken(&whole);
        assert_ne!(text, whole, "{what}");
        fs::write(&file, text).unwrap();
        if number % 2 == 0 {
            for words in [&["runs"][..], &["ctl", "latest", "status"], &["ctl", "latest", "abort"]] {
                let (code, said) = says(project.path(), words);
                assert_eq!(code, Some(0), "{what}, {words:?}: {said}");
            }
            assert_eq!(drill.wait().unwrap().code(), Some(4), "{what}");
        } else {
            drill.kill().unwrap();
            drill.wait().unwrap();
            let swept = says(project.path(), &["reaper", "--env", "lab", "--lab", lab.control(), "--dry-run", "--once"]);
            assert!(swept.1.contains("suspend-job"), "{what}: {swept:?}");
            let halted = says(project.path(), &["halt", "--env", "lab", "--reason", "x"]);
            assert_eq!(halted.0, Some(0), "{what}: {halted:?}");
            assert_eq!(says(project.path(), &["release", "--env", "lab"]).0, Some(0), "{what}");
        }
        assert_eq!(lab.world(), before, "{what}");
        let report = says(project.path(), &["report", "latest"]);
        assert_eq!(report.0, Some(0), "{what}: {report:?}");
        let (code, said) = says(project.path(), &emergency);
        assert_eq!(code, if *is_readable { expected } else { Some(65) }, "{what}: {said}");
        // It is said, and what begins a drill goes by a whole file only.
        let (_, said) = says(project.path(), &["runs"]);
        assert_eq!(said.contains("lifeboat.yaml:"), *what != "another environment", "{what}: {said}");
        let refused = says(project.path(), &["drill", SCENARIO, "--lab", lab.control(), "--env", if number == 2 { "other" } else { "lab" }]);
        assert_eq!(refused.0, Some(65), "{what}: {refused:?}");
        fs::write(&file, &whole).unwrap();
    }
}
