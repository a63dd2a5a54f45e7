//! What the cases came to: a line each as they end, and a table of all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::case::{Case, Hardship};
use crate::say;
use crate::trial::Held;

/// What one case came to.
#[derive(Debug)]
pub(crate) struct Line {
    case: String,
    row: String,
    took: Duration,
    verdict: String,
    reached: bool,
    /// What does not hold.
    wrong: Option<String>,
    kept: Option<PathBuf>,
}

impl Line {
    pub(crate) fn new(case: &Case, took: Duration, result: &Result<Held, String>) -> Self {
        let held = result.as_ref().ok();
        let verdict = held.and_then(|held| held.verdict).map_or_else(|| "none".to_owned(), |verdict| format!("{verdict:?}").to_lowercase());
        Self {
            case: case.to_string(),
            row: case.kind(),
            took,
            verdict,
            reached: case.hardship == Hardship::None || held.is_none_or(|held| held.reached),
            wrong: result.as_ref().err().cloned(),
            kept: None,
        }
    }

    pub(crate) fn kept_in(self, place: &Path) -> Self {
        Self { kept: Some(place.to_owned()), ..self }
    }
}

/// Everything so far.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

impl Table {
    /// Adds a line and says it.
    pub(crate) fn add(&mut self, line: Line) {
        let seconds = line.took.as_secs_f64();
        match &line.wrong {
            None => {
                let missed = if line.reached { "" } else { "  (not reached)" };
                say(&format!("ok      {seconds:5.1} s  {:<12} {}{missed}", line.verdict, line.case));
            }
            Some(wrong) => {
                say(&format!("FAILED  {seconds:5.1} s  {}\n  {wrong}\n  repeat: cargo test --test sweep -- {}", line.case, line.case));
                if let Some(kept) = &line.kept {
                    say(&format!("  kept: {}", kept.display()));
                }
            }
        }
        self.lines.push(line);
    }

    /// Says the table and, last, how many passed and failed.
    pub(crate) fn conclude(self) -> ExitCode {
        let mut rows: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            rows.entry(&line.row).or_default().push(line);
        }
        if !rows.is_empty() {
            say(&format!("\n{:<24} {:<20} {:>6} {:>6} {:>6} {:>11}  verdicts", "what", "done to it", "cases", "passed", "failed", "not reached"));
        }
        for (row, lines) in rows {
            let failed = lines.iter().filter(|line| line.wrong.is_some()).count();
            let missed = lines.iter().filter(|line| !line.reached).count();
            let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
            for line in lines.iter().filter(|line| line.wrong.is_none()) {
                *verdicts.entry(&line.verdict).or_default() += 1;
            }
            let verdicts: Vec<String> = verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
            let (cases, passed) = (lines.len(), lines.len() - failed);
            say(&format!("{row:<45} {cases:>6} {passed:>6} {failed:>6} {missed:>11}  {}", verdicts.join(", ")));
        }
        let failures: Vec<&Line> = self.lines.iter().filter(|line| line.wrong.is_some()).collect();
        if !failures.is_empty() {
            say("\nfailed:");
            failures.iter().for_each(|line| say(&format!("  cargo test --test sweep -- {}", line.case)));
        }
        say(&format!("{} passed, {} failed", self.lines.len() - failures.len(), failures.len()));
        if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
