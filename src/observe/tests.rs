//! Lines and bars of the sample runs.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::{ProgressDrawTarget, TermLike};
use unicode_width::UnicodeWidthStr;

use super::frame::{Frame, Size};
use super::row::{Columns, Row, Tone, step_row};
use super::words::{clock, fitted};
use super::*;
use crate::model::event::Body;
use crate::model::event::samples::{self, t};
use crate::model::event::step::{StepEvent, StepKind};
use crate::model::plan::{ProbeState, StepPlan};
use crate::model::state::{Status, StepState};

fn lines_of(events: &[Event], verbose: bool) -> String {
    let mut out = Vec::new();
    let mut lines = Lines::new(&mut out, Lang::En);
    if verbose {
        lines = lines.verbose();
    }
    let mut state = RunState::default();
    for event in events {
        state.apply(event).unwrap();
        lines.event(event, &state);
    }
    lines.finish(&state);
    String::from_utf8(out).unwrap()
}

#[test]
fn lines_of_the_sample_runs() {
    insta::assert_snapshot!("success", lines_of(&samples::success(), false));
    insta::assert_snapshot!("failure", lines_of(&samples::failure(), false));
    insta::assert_snapshot!("aborted", lines_of(&samples::aborted(), false));
    insta::assert_snapshot!("emergency", lines_of(&samples::emergency(), false));
}

#[test]
fn calls_and_readings_are_left_out_unless_asked_for() {
    let (quiet, verbose) = (lines_of(&samples::success(), false), lines_of(&samples::success(), true));
    assert!(!quiet.contains("vpc:CreateNetworkAcl") && verbose.contains("vpc:CreateNetworkAcl ok in 31 ms, request 7a1c6f20"));
    assert!(!quiet.contains("lag_ms") && verbose.contains("lag_ms"));
}

#[test]
fn every_line_is_one_line_whatever_the_cloud_said() {
    for line in lines_of(&samples::failure(), true).lines() {
        assert!(line.as_bytes().get(13..15) == Some(b"  ") && line.contains('Z'), "{line}");
    }
}

/// The state after `count` events of a run.
fn after(events: &[Event], count: usize) -> RunState {
    RunState::from_events(&events[..count]).unwrap()
}

/// The display after some events of a run, without colour.
fn frame(state: &RunState, now: u64, lang: Lang, columns: usize, rows: usize, foot: &str) -> Vec<String> {
    let size = Size { columns, rows };
    Frame { state, plan: state.plan().unwrap(), now: t(now), lang, size, foot, color: false }.lines()
}

#[test]
fn a_frame_never_has_more_lines_or_columns_than_the_terminal() {
    for events in [samples::success(), samples::failure(), samples::aborted(), samples::emergency(), samples::steered()] {
        for count in 1..=events.len() {
            for (lang, columns, rows) in [(Lang::En, 80, 24), (Lang::Zh, 80, 24), (Lang::En, 60, 8), (Lang::Zh, 200, 60), (Lang::En, 50, 6)] {
                let lines = frame(&after(&events, count), 70_000, lang, columns, rows, "p pause · s skip · q stop · a abort");
                assert!(lines.len() < rows, "{lines:#?}");
                assert!(lines.iter().all(|line| line.width() < columns), "{lines:#?}");
                assert_eq!(lines.last().map(String::as_str), Some("p pause · s skip · q stop · a abort"));
            }
        }
    }
}

/// A whole run of the plan with the steps of a large runbook: forty that are done, one that a person is waited for, twenty that wait.
fn crowded() -> RunState {
    let mut events = samples::steered();
    let asked = events.iter().position(|event| matches!(&event.body, Body::Step(StepEvent { kind: StepKind::Asked { .. }, .. }))).unwrap();
    events.truncate(asked + 1);
    let mut state = RunState::from_events(&events).unwrap();
    let (mut plan, failover) = (state.plan().unwrap().clone(), state.plan().unwrap().failover.clone());
    for number in 0..60 {
        let id = format!("host-{number}");
        plan.failover.steps.push(StepPlan { id: id.clone(), ..failover.steps[0].clone() });
        let status = if number < 40 { Status::Applied } else { Status::Pending };
        let mut step = StepState::default();
        step.status = status;
        state.steps.insert(format!("failover/{id}"), step);
    }
    state.start.as_mut().unwrap().plan = Arc::new(plan);
    state
}

#[test]
fn in_a_small_terminal_what_is_done_and_what_waits_folds_and_whoever_is_waited_for_stays() {
    let lines = frame(&crowded(), 70_000, Lang::En, 80, 24, "y yes · n no");
    insta::assert_snapshot!("crowded", lines.join("\n"));
    assert!(lines.iter().any(|line| line.contains("WAITS FOR APPROVAL")), "{lines:#?}");
    let state = crowded();
    let plan = state.plan().unwrap();
    for probe in plan.probes.iter().filter(|probe| plan.objectives.contains_key(&probe.id)) {
        let title = probe.title.get(Lang::En);
        let name = fitted(if title.is_empty() { &probe.id } else { title }, 12);
        assert!(lines.iter().any(|line| line.contains(name.trim_end_matches(['…', ' ']))), "{name} in {lines:#?}");
    }
    let tall = frame(&crowded(), 70_000, Lang::En, 80, 120, "");
    assert!(tall.len() > 60 && tall.iter().any(|line| line.contains("waiting")), "there is room for every step");
}

#[test]
fn frames_in_the_middle_of_an_outage() {
    let events = samples::success();
    let retrying = events.iter().position(|event| event.at > t(7640)).unwrap();
    insta::assert_snapshot!("frame.en", frame(&after(&events, retrying), 9_000, Lang::En, 80, 40, "").join("\n"));
    insta::assert_snapshot!("frame.zh", frame(&after(&events, retrying), 9_000, Lang::Zh, 80, 40, "").join("\n"));
    let late = frame(&after(&events, retrying), 70_000, Lang::En, 80, 40, "");
    assert!(late.iter().any(|row| row.contains("RTO 1m MISSED") && row.contains("1m04s")), "{late:#?}");
}

#[test]
fn colour_is_only_there_when_wanted_and_a_strip_has_those_of_its_moments() {
    let state = after(&samples::success(), 1);
    let row = step_row(&state, "fault", t(0), Lang::En, 28).unwrap();
    let columns = Columns::of(80);
    assert!(row.text(columns, true).contains('\u{1b}') && !row.text(columns, false).contains('\u{1b}'));
    let mut strip = [Some(ProbeState::Good); 12];
    strip[3] = Some(ProbeState::Bad);
    // Bad for a while, and good again by now: the row is green, the moment is red.
    let row = Row { tone: Tone::Good, strip: Some(strip), ..row };
    let text = row.text(columns, true);
    assert!(text.contains("\u{1b}[1;31m█") && text.contains("\u{1b}[32m░"), "{text:?}");
}

#[test]
fn the_columns_use_the_width_of_the_terminal() {
    assert_eq!(Columns::of(80).whole(), 79);
    assert_eq!(Columns::of(200).whole(), 199);
    assert!(Columns::of(200).state > 2 * Columns::of(80).state);
    assert_eq!(Columns::of(1), Columns::of(50));
}

#[test]
fn what_tells_is_not_cut() {
    let mut state = after(&samples::success(), 1);
    let (key, _) =
        state.ordered().into_iter().find(|(key, _)| *key == "failover/start-standby").map(|(key, step)| (key.to_owned(), step.clone())).unwrap();
    let step = state.steps.get_mut(&key).unwrap();
    (step.status, step.attempts, step.progress) = (Status::Running, 1, Some("2 of 12 instances are healthy".into()));
    let row = step_row(&state, &key, t(0), Lang::En, Columns::of(80).state).unwrap();
    assert_eq!(row.state, "2 of 12 instances are healthy");
    let row = step_row(&state, &key, t(0), Lang::En, Columns::of(200).state).unwrap();
    assert_eq!(row.state, "running: 2 of 12 instances are healthy, attempt 1/3");
}

#[test]
fn chinese_takes_two_columns() {
    assert_eq!(fitted("商城首页", 10), "商城首页  ");
    assert_eq!(fitted("商城首页", 6), "商城… ");
    assert_eq!(fitted("abc", 2), "a…");
    assert_eq!(fitted("abc", 0), "");
    assert_eq!(fitted("a\u{1b}[2Jb", 8), "a [2Jb  ", "nothing moves the cursor");
}

#[test]
fn running_times_stay_short() {
    let span = std::time::Duration::from_millis;
    assert_eq!([clock(span(4_250)), clock(span(64_000)), clock(span(3_725_000))], ["4.2s", "1m04s", "1h02m"]);
}

/// A terminal of 80 columns that keeps everything written to it.
#[derive(Clone, Debug, Default)]
struct Screen(Arc<Mutex<String>>);

impl TermLike for Screen {
    fn width(&self) -> u16 {
        80
    }
    fn height(&self) -> u16 {
        40
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("\n")
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn bars_show_a_whole_run_and_end_with_the_reasons() {
    let screen = Screen::default();
    let mut bars = Bars::new(ProgressDrawTarget::term_like(Box::new(screen.clone())), || Some((80, 40)), false, Lang::En);
    let mut state = RunState::default();
    for event in samples::failure() {
        state.apply(&event).unwrap();
        bars.event(&event, &state);
        bars.tick(&state);
    }
    bars.finish(&state);
    let shown = screen.0.lock().unwrap().clone();
    for expected in
        ["Start the standby hosts", "attempt 1 failed: ec2:StartInstances was refused", "LEFT OVER", "objective missed: RTO of storefront"]
    {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colour was wanted");
}

#[test]
fn a_reader_of_chinese_reads_chinese() {
    for events in [samples::success(), samples::failure(), samples::aborted(), samples::emergency(), samples::steered()] {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, Lang::Zh);
        let mut state = RunState::default();
        for event in &events {
            state.apply(event).unwrap();
            lines.event(event, &state);
        }
        let text = String::from_utf8(out).unwrap();
        for english in ["started", "waiting", "is bad", "first bad sample", "put back", "verdict", "FAILED", "not run", " recovered in ", "snapshots"]
        {
            assert!(!text.contains(english), "{english} in {text}");
        }
    }
}
