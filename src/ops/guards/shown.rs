//! Decisions for people: as `plan` prints them, and what can be done about each.

use std::fmt::Write as _;

use serde::Serialize;

use crate::model::guard::{Decision, Guard, Outcome};
use crate::model::plan::Mode;

/// A decision with what can be done about it.
#[derive(Debug, Serialize)]
pub struct GuardView {
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// The option that goes on all the same, or what else helps; absent when nothing is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_out: Option<String>,
}

/// Every decision with its way out.
#[must_use]
pub fn views(decisions: Vec<Decision>, mode: Mode) -> Vec<GuardView> {
    let view = |decision: Decision| {
        let way_out = (decision.outcome != Outcome::Allows && decision.overridden.is_none()).then(|| way_out(&decision, mode));
        GuardView { decision, way_out }
    };
    decisions.into_iter().map(view).collect()
}

/// What helps when a guard is in the way.
#[must_use]
pub fn way_out(decision: &Decision, mode: Mode) -> String {
    let Some(guard) = decision.of() else { return String::new() };
    match guard {
        Guard::Confirm => "--confirm NAME, or type it on the terminal".to_owned(),
        Guard::Approvals if mode != Mode::Emergency => "other people run `lifeboat approve`; cannot be overridden".to_owned(),
        _ if guard.may_be_overridden(mode) => format!("--override {guard}=REASON"),
        Guard::Account => "other credentials, or another `account` in lifeboat.yaml; cannot be overridden".to_owned(),
        _ => "cannot be overridden in a drill".to_owned(),
    }
}

/// Whether anything refuses, and whether anything asks.
#[must_use]
pub fn in_the_way(decisions: &[Decision]) -> (bool, bool) {
    (decisions.iter().any(Decision::stands_in_the_way), decisions.iter().any(Decision::asks))
}

/// Columns of the names and of the outcomes.
const NAME: usize = 11;
const OUTCOME: usize = 7;
/// Columns in all.
const WIDTH: usize = 80;

/// As text for people: aligned, in 80 columns.
#[must_use]
pub fn text(views: &[GuardView]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for GuardView { decision, way_out } in views {
        let outcome = match decision.outcome {
            Outcome::Allows => "allows",
            Outcome::Refuses => "refuses",
            Outcome::Warns => "warns",
        };
        let indent = 2 + NAME + 2 + OUTCOME + 2;
        let lead = format!("  {:NAME$}  {outcome:OUTCOME$}  ", decision.guard);
        let mut lines = wrapped(&decision.detail, WIDTH - indent);
        if let Some(own) = &decision.overridden {
            lines.extend(wrapped(&format!("overridden by {}: {}", own.by, own.why), WIDTH - indent));
        }
        lines.extend(way_out.iter().flat_map(|way_out| wrapped(&format!("→ {way_out}"), WIDTH - indent)));
        for (index, line) in lines.iter().enumerate() {
            let lead = if index == 0 { lead.clone() } else { " ".repeat(indent) };
            let _ = writeln!(out, "{}", format!("{lead}{line}").trim_end());
        }
    }
    out
}

/// A text in lines of at most `width` columns where its words allow.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthStr as _;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        // There is always a last line.
        let line = lines.last_mut().expect("begun with one line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guard::Override;

    #[test]
    fn decisions_stand_in_columns_with_what_helps() {
        let decision =
            |guard: Guard, outcome, detail: &str| Decision { guard: guard.name().into(), outcome, detail: detail.into(), overridden: None };
        let mut overridden = decision(Guard::Freeze, Outcome::Refuses, "11.11, 2026-11-01 to 2026-11-11 (Asia/Shanghai)");
        overridden.overridden = Some(Override { by: "ann".into(), why: "agreed with the sales team".into() });
        let decisions = vec![
            decision(Guard::Account, Outcome::Allows, "aws 111122223333, aliyun 1234567890123456"),
            decision(Guard::Windows, Outcome::Refuses, "outside Tue-Thu 10:00-16:00 Asia/Shanghai; opens Tue 2026-11-24 10:00 Asia/Shanghai"),
            overridden,
            decision(Guard::MaxTargets, Outcome::Refuses, "11 things may be acted on; the most is 5"),
        ];
        let text = text(&views(decisions, Mode::Drill));
        assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= WIDTH), "{text}");
        insta::assert_snapshot!(text, @"
          account      allows   aws 111122223333, aliyun 1234567890123456
          windows      refuses  outside Tue-Thu 10:00-16:00 Asia/Shanghai; opens Tue
                                2026-11-24 10:00 Asia/Shanghai
                                → --override windows=REASON
          freeze       refuses  11.11, 2026-11-01 to 2026-11-11 (Asia/Shanghai)
                                overridden by ann: agreed with the sales team
          max_targets  refuses  11 things may be acted on; the most is 5
                                → cannot be overridden in a drill
        ");
    }
}
