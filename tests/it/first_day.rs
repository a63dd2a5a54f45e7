//! What somebody meets on the first day: where the project is looked for, whose mistakes keep whom, and how much is said of one mistake.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::common::{folder, lifeboat, run, text};
use crate::workplace::UNJUDGED;

const SAY: &str = "lifeboat: 1\nkind: runbook\ntitle: Say\nsteps:\n  - { id: say, uses: note, with: { text: hello } }\n";

fn write(folder: &Path, name: &str, content: &str) {
    fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
    fs::write(folder.join(name), content).unwrap();
}

/// A project with one environment that is right and others that are wrong, each in its own way.
fn project(folder: &Path) {
    let environments = "lifeboat: 1
environments:
  right: { kind: lab }
  misspelt: { kindd: lab }
  nowhere: { aws: { region: us-east-1, endpoint: \"::\" } }
  frozen: { kind: lab, guards: { freeze: days.yaml } }
";
    write(folder, "lifeboat.yaml", environments);
    write(folder, "days.yaml", "lifeboat: 1\nfreezes:\n  - { nam: x }\n");
    write(folder, "runbooks/say.yaml", SAY);
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_mistake_in_one_environment_keeps_nobody_from_another() {
    let folder = folder();
    project(folder.path());
    let execute = |name: &str| run(lifeboat().current_dir(folder.path()).args(["execute", "runbooks/say.yaml", "--env", name]));
    let right = execute("right");
    assert_eq!(right.status.code(), Some(UNJUDGED), "{}", said(&right));
    for (name, place, mistake) in
        [("misspelt", "lifeboat.yaml:4:15", "kindd"), ("nowhere", "lifeboat.yaml:5:", "is not an address"), ("frozen", "days.yaml:3:", "nam")]
    {
        let output = execute(name);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(65), "{name}: {said}");
        assert!(said.contains(place) && said.contains(mistake) && said.contains("1 problem"), "{name}: {said}");
    }
    let halted = run(lifeboat().current_dir(folder.path()).args(["halt", "--env", "misspelt", "--reason", "it is wrong, and goes on"]));
    assert_eq!(halted.status.code(), Some(0), "{}", said(&halted));
    // `validate` still tells all of them.
    let all = run(lifeboat().current_dir(folder.path()).args(["validate", "lifeboat.yaml", "--env", "right"]));
    assert_eq!(all.status.code(), Some(65));
    assert!(said(&all).contains("kindd"), "{}", said(&all));
}

#[test]
fn what_is_wrong_outside_the_environments_is_said_and_keeps_nobody_from_an_emergency() {
    let folder = folder();
    write(folder.path(), "lifeboat.yaml", "lifeboat: 1\nzone: Mars/Olympus\nenvironments: { right: { kind: lab } }\n");
    write(folder.path(), "say.yaml", SAY);
    for (command, code) in [("plan", 65), ("execute", UNJUDGED)] {
        let output = run(lifeboat().current_dir(folder.path()).args([command, "say.yaml", "--env", "right"]));
        assert_eq!(output.status.code(), Some(code), "{command}: {}", said(&output));
        assert!(said(&output).contains("`Mars/Olympus` is not a time zone"), "{command}: {}", said(&output));
    }
}

#[test]
fn the_project_is_that_of_the_folder_or_else_that_of_the_file_and_a_folder_can_be_named() {
    let (here, there) = (folder(), folder());
    project(there.path());
    let runbook = there.path().join("runbooks/say.yaml");
    let from_elsewhere = run(lifeboat().current_dir(here.path()).arg("execute").arg(&runbook).args(["--env", "right"]));
    assert_eq!(from_elsewhere.status.code(), Some(UNJUDGED), "{}", said(&from_elsewhere));
    assert_eq!(fs::read_dir(there.path().join("reports")).unwrap().count(), 1, "its runs are where the project says");
    let named = run(lifeboat().current_dir(here.path()).arg("-C").arg(there.path()).args(["execute", "runbooks/say.yaml", "--env", "right"]));
    assert_eq!(named.status.code(), Some(UNJUDGED), "{}", said(&named));
    let nowhere = run(lifeboat().current_dir(here.path()).args(["-C", "absent", "runs"]));
    assert_eq!(nowhere.status.code(), Some(64));
    assert!(said(&nowhere).contains("-C absent: No such file or directory"), "{}", said(&nowhere));
}

#[test]
fn that_there_is_no_project_file_is_said_once() {
    let folder = folder();
    for name in ["scenarios", "runbooks"] {
        for file in fs::read_dir(crate::common::root().join(name)).unwrap() {
            let file = file.unwrap();
            write(folder.path(), &format!("{name}/{}", file.file_name().to_string_lossy()), &fs::read_to_string(file.path()).unwrap());
        }
    }
    let output = run(lifeboat().current_dir(folder.path()).args(["validate", "scenarios", "runbooks"]));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(65), "{said}");
    // The message may be broken into lines, which begin with a bar.
    let words: String = said.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
    assert_eq!(words.matches("no lifeboat.yaml").count(), 1, "{said}");
    assert!(words.contains("that are named here") && words.contains("1 problem"), "{said}");
}

#[test]
fn a_word_of_a_cloud_that_has_another_name_is_suggested() {
    let folder = folder();
    write(folder.path(), "a.yaml", &SAY.replace("uses: note", "uses: aws.route53.shift-weight"));
    let output = run(lifeboat().current_dir(folder.path()).args(["validate", "a.yaml"]));
    assert!(said(&output).contains("did you mean `dns.shift-weight`?"), "{}", said(&output));
}

#[test]
fn every_word_has_an_example_and_is_accepted_as_it_is_written_there() {
    let folder = folder();
    let listed = run(lifeboat().current_dir(folder.path()).args(["actions", "--output", "json"]));
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(entries.len() > 40, "{}", entries.len());
    let probes = "probes:\n  storefront: { uses: tcp, with: { address: \"127.0.0.1:9\" }, every: 1s }\n";
    write(folder.path(), "nothing.yaml", SAY);
    let mut files = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let (word, sort, example) = (entry["word"].as_str().unwrap(), entry["sort"].as_str().unwrap(), entry["example"].as_str().unwrap());
        assert!(example.starts_with(&format!("uses: {word}\n")), "{word} has no example");
        let indented = |by: &str| example.lines().map(|line| format!("{by}{line}\n")).collect::<String>();
        let text = match sort {
            "action" => format!("lifeboat: 1\nkind: runbook\ntitle: T\n{probes}steps:\n  - id: it\n{}", indented("    ")),
            "fault" => {
                format!("lifeboat: 1\nkind: scenario\ntitle: T\nfault:\n{}  lease: 1m\nfailover: {{ runbook: nothing.yaml }}\n", indented("  "))
            }
            _ => format!("{SAY}probes:\n  it:\n{}    every: 1s\n", indented("    ")),
        };
        let file = format!("{number}.yaml");
        write(folder.path(), &file, &text);
        files.push(file);
    }
    let output = run(lifeboat().current_dir(folder.path()).arg("validate").args(&files));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
