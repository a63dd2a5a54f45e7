//! The log of what Lifeboat itself does: nobody sees it unasked, and whoever asks sees no secret in it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::common::{LabProcess, folder, lifeboat, run, text};
use crate::pty::Terminal;
use crate::workplace::{UNJUDGED, Workplace};

const DRILL: [&str; 2] = ["drill", "drill.yaml"];
/// As no other text is, and with a name in the environment that says what it is.
const CANARY: &str = "canary-of-the-log";

/// How times are written.
const TIME: &str = "2026-11-30T18:00:00.000Z";
/// Who says that a connection is kept.
const POOL: &str = " hyper_util::client::legacy::pool: ";

/// Whether a line begins as every line of the log does: a time in UTC and a level.
fn is_logged(line: &str) -> bool {
    let (time, rest) = line.split_once(' ').unwrap_or_default();
    time.len() == "2026-11-30T18:00:00.000Z".len()
        && time.ends_with('Z')
        && ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].iter().any(|level| rest.trim_start().starts_with(level))
}

/// Every file below a folder.
fn contents(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { contents(&path) } else { text(&fs::read(path).unwrap()) }).collect()
}

#[test]
fn nobody_sees_the_log_unasked_and_standard_output_is_the_same_with_it() {
    let (lab, reports) = (LabProcess::start(&[]), folder());
    let plan = |more: &[&str], variable: &str| {
        let mut command = lifeboat();
        command.args(["plan", "scenarios/sync-stop.yaml", "--output", "json", "--lab", lab.control(), "--reports"]).arg(reports.path());
        run(command.args(more).env("LIFEBOAT_LOG", variable).env("RUST_LOG", "trace"))
    };
    for variable in ["", "off", "lifeboat=off"] {
        assert_eq!(text(&plan(&[], variable).stderr), "", "LIFEBOAT_LOG={variable}");
    }
    let silent = text(&plan(&[], "").stdout);
    for (more, variable, expected, absent) in [
        (&["-v"][..], "", &["file read path=", "environment opened environment=\"lab\"", "phases=project ", "ended code=0"][..], "call cloud=aws"),
        (&["-vv"], "", &["call cloud=aliyun operation=\"dts:", "outcome=\"ok\" request_id=\""], "hyper"),
        (&["-vvv"], "hyper_util=off", &["lifeboat::ports::calls: call"], POOL),
        (&[], "lifeboat::ops=info", &["lifeboat::ops::environment: environment opened"], "lifeboat::cli"),
    ] {
        let output = plan(more, variable);
        let said = text(&output.stderr);
        assert_eq!(text(&output.stdout), silent, "{more:?}");
        assert!(said.lines().all(is_logged), "{more:?}: {said}");
        for part in expected {
            assert!(said.contains(part), "{more:?} says nothing of `{part}`: {said}");
        }
        assert!(!said.contains(absent), "{more:?} says `{absent}`: {said}");
    }
}

#[test]
fn a_drill_tells_what_it_does_and_keeps_nothing_of_it() {
    let place = Workplace::new("1ms", "1ms");
    let output = place.see_through(&[&DRILL[..], &["-vv"]].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(UNJUDGED), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["run"], place.run_id());
    let expected = [
        "lock taken environment=\"lab\"",
        "journal opened path=",
        "space set aside for the journal",
        "control socket opened",
        "thread of the probes started probes=0",
        "decided: apply step=\"fault\" uses=\"aliyun.dts.suspend-job\"",
        "marks written run=",
        "marks removed run=",
        "call cloud=aliyun operation=\"dts:SuspendDtsJob\"",
        "ended code=3",
    ];
    for part in expected {
        assert!(said.lines().any(|line| is_logged(line) && line.contains(part)), "nothing of `{part}`: {said}");
    }
    let kept = contents(&place.reports());
    assert!(
        kept.contains("dts:SuspendDtsJob") && !kept.contains("marks written") && !kept.contains("decided: apply"),
        "the log is kept with the run"
    );
}

#[test]
fn no_secret_and_nothing_that_acts_is_in_the_log() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok) {
            let mut asked = [0; 8192];
            let length = stream.read(&mut asked).unwrap_or(0);
            let body = format!("\u{1b}[2J{}", String::from_utf8_lossy(&asked[..length]));
            let _ =
                stream.write_all(format!("HTTP/1.1 200 {CANARY}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    let ask = format!(
        "{{ id: ask, uses: http.request, with: {{ url: \"http://{address}/\", headers: {{ Authorization: {{ secret: \"env:SHOP\" }} }} }} }}"
    );
    let place = Workplace::with_steps(&[&ask]);
    let arguments = place.starting(&["execute", "over.yaml", "--env", "lab", "--yes", "-vvv"]);
    let output = run(place.command(&arguments).env("SHOP", CANARY));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(UNJUDGED), "{said}");
    assert!(said.contains("secret read reference=\"env:SHOP\"") && said.contains(POOL), "it says nothing of what it should: {said}");
    // What the operator has a name for that says what it is, though no plan refers to it.
    let named = format!("{CANARY}\u{1b}[2J\n.yaml");
    place.write(&named, "lifeboat: 1\n");
    let checked = run(place.command(&["validate", &named, "-vvv"]).env("SHOP_TOKEN", CANARY));
    let line = text(&checked.stderr).lines().find(|line| line.contains("file read") && line.contains("***")).map(str::to_owned);
    assert!(line.is_some_and(|line| is_logged(&line)), "{}", text(&checked.stderr));
    for printed in [&output.stdout, &output.stderr, &checked.stderr] {
        let printed = text(printed);
        assert!(!printed.contains(CANARY) && !printed.contains('\u{1b}'), "{printed:?}");
    }
}

#[test]
fn a_directive_that_is_none_is_refused_with_its_place_before_anything_is_done() {
    let reports = folder();
    let runs = reports.path().join("runs");
    let output = run(lifeboat().args(["drill", "scenarios/sync-stop.yaml", "--reports"]).arg(&runs).env("LIFEBOAT_LOG", "info,lifeboat=loud"));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("LIFEBOAT_LOG:1:15: `loud` is no level") && said.contains("nothing was done"), "{said}");
    assert!(!runs.exists() && output.stdout.is_empty());
}

#[test]
fn on_a_terminal_the_log_stands_above_the_display_in_whole_lines() {
    let place = Workplace::new("1ms", "1ms");
    let mut terminal = Terminal::run(&place.command(&[&DRILL[..], &["-v", "--lab", place.lab.control()]].concat()));
    assert_eq!(terminal.end(), Some(UNJUDGED), "{}", terminal.shown());
    // What was written last may be read a moment after the command's end.
    let last = terminal.await_after(0, "ended code=");
    let shown = terminal.shown();
    for part in ["marks written", "marks removed"] {
        let (before, line) = shown
            .lines()
            .find_map(|line| Some(line.split_at(line.find(&format!("  INFO lifeboat::ops::marks::marker: {part}"))?)))
            .unwrap_or_else(|| panic!("nothing of `{part}`: {shown}"));
        let (before, time) = before.split_at(before.len() - TIME.len());
        assert!(is_logged(&format!("{time}{line}")), "{time}{line}");
        // The display is erased, and the cursor is where it began.
        assert!(before.is_empty() || before.ends_with("\u{1b}[2K") || before.ends_with('A') && before.contains("\u{1b}[2K"), "{before:?}");
        assert!(!line.contains('\u{1b}'), "the display is drawn again below: {line:?}");
    }
    assert!(shown.find("The first wait").is_some_and(|display| display < last), "{shown}");
}
