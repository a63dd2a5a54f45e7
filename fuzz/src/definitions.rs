//! Scenarios, runbooks and the project file, checked as `validate` checks them, without a disk.

use std::path::PathBuf;
use std::sync::OnceLock;

use lifeboat::cli::errors::{Style, render};
use lifeboat::lab::serve::vars;
use lifeboat::lab::world::file::Blueprint;
use lifeboat::model::chain::{genesis, seal, verify};
use lifeboat::model::event::{Body, Event, RunEvent};
use lifeboat::model::plan::{Mode, Plan};
use lifeboat::model::time::Timestamp;
use lifeboat::ops::check::check_given;
use lifeboat::ops::resolve::Request;
use lifeboat::ops::words::Words;
use serde_json::{Map, Value};

/// Files one after the other, each after a line `=== path`; without any such line, one file.
pub fn definitions(data: &[u8]) {
    static VARS: OnceLock<Map<String, Value>> = OnceLock::new();
    let files = files(data);
    if files.len() > 8 {
        return;
    }
    let vars = VARS.get_or_init(|| vars(&Blueprint::shop(), None)).clone();
    let request = Request { vars, ..Request::new("lab", Mode::Rehearse) };
    for (checked, plan) in check_given(files, Words::of_catalogue(), &request) {
        for problem in &checked.problems {
            let (line, column) = problem.position();
            assert!(line >= 1 && column >= 1 && problem.source.text.get(problem.at.clone()).is_some(), "no place: {problem}");
        }
        assert_eq!(checked.problems.is_empty(), !render(&checked.problems, Style::PLAIN).contains("error"), "{:?}", checked.problems);
        if let Some(plan) = plan {
            can_be_journalled(&plan);
        }
    }
}

/// What is accepted must survive the journal: sealed, verified, read back the same.
fn can_be_journalled(plan: &Plan) {
    let started = RunEvent::Started {
        plan: Box::new(plan.clone()),
        plan_sha256: String::new(),
        tool: String::new(),
        operator: String::new(),
        host: String::new(),
        clock_error_ms: None,
        begun: None,
    };
    let at = Timestamp::from_nanos(0);
    let event = Event {
        v: lifeboat::model::format::Format::Journal.current(),
        seq: 1,
        run: "r".into(),
        id: "e".into(),
        owner: "o".into(),
        epoch: 1,
        at,
        body: Body::Run(started),
    };
    let (line, _) = seal(&event, &genesis("r")).expect("a plan can be sealed");
    let chain = verify("r", [line.as_bytes()]).expect("a plan can be read back");
    assert_eq!(chain.events, [event], "a plan is read back as it was");
}

fn files(data: &[u8]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        match (line.strip_prefix(b"=== "), files.last_mut()) {
            (Some(path), _) => files.push((PathBuf::from(String::from_utf8_lossy(path).trim()), Vec::new())),
            (None, Some((_, text))) => text.extend_from_slice(line),
            (None, None) => files.push((PathBuf::from("a.yaml"), line.to_vec())),
        }
    }
    files
}
