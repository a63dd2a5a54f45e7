//! Lines and bars of the sample runs.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::{ProgressDrawTarget, TermLike};
use unicode_width::UnicodeWidthStr;

use super::bars::{head, probe_row, step_row};
use super::words::{clock, fitted};
use super::*;
use crate::model::event::samples::{self, t};
use crate::model::plan::Mode;

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

/// All rows of the display at `now`, without colour.
fn rows(state: &RunState, now: u64, lang: Lang) -> Vec<String> {
    let plan = state.plan().unwrap();
    let mut rows = vec![head(state, plan, t(now), lang)];
    rows.extend(state.steps.keys().filter_map(|key| step_row(state, key, t(now), lang)).map(|row| row.text(false)));
    rows.extend(plan.probes.iter().map(|probe| probe_row(state, plan, probe, t(now), lang).text(false)));
    rows
}

#[test]
fn rows_fit_eighty_columns_and_align_in_both_languages() {
    for events in [samples::success(), samples::failure(), samples::aborted(), samples::emergency()] {
        for count in 1..=events.len() {
            for lang in [Lang::En, Lang::Zh] {
                for row in rows(&after(&events, count), 70_000, lang) {
                    assert!(row.width() <= 80, "{row}");
                    assert_eq!(row.width(), rows(&after(&events, 1), 70_000, lang)[0].width(), "{row}");
                }
            }
        }
    }
}

#[test]
fn rows_in_the_middle_of_an_outage() {
    let events = samples::success();
    let retrying = events.iter().position(|event| event.at > t(7640)).unwrap();
    insta::assert_snapshot!("rows.en", rows(&after(&events, retrying), 9_000, Lang::En).join("\n"));
    insta::assert_snapshot!("rows.zh", rows(&after(&events, retrying), 9_000, Lang::Zh).join("\n"));
    let late = rows(&after(&events, retrying), 70_000, Lang::En);
    assert!(late.iter().any(|row| row.contains("RTO 1m MISSED") && row.contains("1m04s")), "{late:#?}");
}

#[test]
fn colour_is_only_there_when_wanted() {
    let state = after(&samples::success(), 1);
    let row = step_row(&state, "fault", t(0), Lang::En).unwrap();
    assert!(row.text(true).contains('\u{1b}') && !row.text(false).contains('\u{1b}'));
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
    let plan = samples::plan(Mode::Rehearse);
    let mut bars = Bars::new(&plan, ProgressDrawTarget::term_like(Box::new(screen.clone())), false, Lang::En);
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
