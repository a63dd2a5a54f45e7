//! What earlier runs let expect: in the plan, at the start of the next run, in its journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use lifeboat::journal::file::JOURNAL;
use lifeboat::model::event::{Body, Event, RunEvent};
use lifeboat::model::forecast::Forecast;
use lifeboat::model::measure::{StepOutcome, step_times};
use lifeboat::model::state::RunState;
use serde_json::Value;

use crate::common::{LabProcess, copy_project, folder, lifeboat, quick, run, text};

const SCENARIO: &str = "scenarios/sync-stop.yaml";

fn command(project: &Path, words: &[&str]) -> Output {
    let output = run(lifeboat().current_dir(project).args(words));
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
    output
}

fn runs(project: &Path) -> Vec<PathBuf> {
    let mut runs: Vec<PathBuf> = fs::read_dir(project.join("reports")).unwrap().map(|entry| entry.unwrap().path()).collect();
    runs.retain(|path| path.join(JOURNAL).is_file());
    runs.sort();
    runs
}

fn events(run: &Path) -> Vec<Event> {
    fs::read_to_string(run.join(JOURNAL)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn foreseen(run: &Path) -> Option<Forecast> {
    events(run).into_iter().find_map(|event| if let Body::Run(RunEvent::Forecast(forecast)) = event.body { Some(forecast) } else { None })
}

#[test]
fn the_second_run_knows_what_the_first_took() {
    let lab = LabProcess::start(&["--time-scale", "5"]);
    let project = folder();
    copy_project(project.path(), quick);
    let project = project.path();
    let place = ["--lab", lab.control()];
    let plan = || text(&command(project, &[&["plan", SCENARIO][..], &place].concat()).stdout);
    assert!(!plan().contains("Forecast"), "{}", plan());

    command(project, &[&["drill", SCENARIO][..], &place].concat());
    let first = runs(project).remove(0);
    assert_eq!(foreseen(&first), None);
    let printed = plan();
    assert!(printed.contains("Forecast: the recovery takes ") && printed.contains("by the medians of 1 earlier run in lab"), "{printed}");
    let json: Value = serde_json::from_slice(&command(project, &[&["plan", SCENARIO, "--output", "json"][..], &place].concat()).stdout).unwrap();
    assert_eq!(json["forecast"]["runs"], 1);

    let said = text(&command(project, &[&["drill", SCENARIO][..], &place].concat()).stdout);
    assert!(said.contains("the recovery takes "), "{said}");
    let forecast = foreseen(&runs(project)[1]).unwrap();
    let state = RunState::from_events(&events(&first)).unwrap();
    let mut compared = 0;
    for step in step_times(&state).iter().filter(|step| step.outcome == StepOutcome::Done && step.key != "fault") {
        let took = u64::try_from((step.run.unwrap() + step.verify.unwrap_or(0)) / 1_000_000).unwrap();
        let typical = forecast.steps[&step.key];
        assert_eq!((typical.count, typical.median.as_millis(), typical.p90.as_millis()), (1, took, took), "{}", step.key);
        compared += 1;
    }
    assert!(compared > 1 && forecast.unknown.is_empty(), "{forecast:?}");
    assert!(plan().contains("by the medians of 2 earlier runs in lab"), "{}", plan());
}
