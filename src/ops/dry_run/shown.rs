//! A dry run as text for people.

use super::DryRun;
use crate::engine::action::PlannedCall;
use crate::model::forecast::short;
use crate::model::time::Span;
use crate::ops::guards;

impl DryRun {
    /// As text for people, in 80 columns where ids allow.
    #[must_use]
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{} in {}", self.name, self.environment);
        for line in &self.whereabouts {
            let _ = writeln!(out, "  {line}");
        }
        let mut wave = None;
        for step in &self.steps {
            if wave != Some(step.wave) {
                wave = Some(step.wave);
                let together = self.steps.iter().filter(|other| other.wave == step.wave).count();
                let how = if together > 1 { format!(", {together} steps in parallel") } else { String::new() };
                let _ = writeln!(out, "\n{}{how}", step.wave + 1);
            }
            let _ = writeln!(out, "  {}  {}", step.step, step.uses);
            if !step.needs.is_empty() {
                let _ = writeln!(out, "      after   {}", step.needs.join(", "));
            }
            if let Some(typical) = self.forecast.as_ref().and_then(|forecast| forecast.steps.get(&step.step)) {
                let _ = writeln!(out, "      takes   {}, p90 {} of {}", short(typical.median), short(typical.p90), typical.count);
            }
            if let Some(when) = &step.when {
                let _ = writeln!(out, "      when    {when}");
            }
            for target in &step.targets {
                let change = if target.change.is_empty() { "as it is" } else { &target.change };
                let _ = writeln!(out, "      target  {} {}: {change}", target.kind, target.id);
            }
            if step.fresh {
                let _ = writeln!(out, "      targets fresh: whatever is there when it runs");
            }
            list(&mut out, "", &step.calls);
            if let Some(seconds) = step.ttl_s {
                let _ = writeln!(out, "      kept    by clients for up to {} (TTL)", Span::from_secs(seconds));
            }
            if let Some(marks) = &step.marks {
                let _ = writeln!(out, "      marks   {marks}");
            }
            list(&mut out, "marks ", &step.mark_calls);
            list(&mut out, "undo ", &step.undo);
            for note in &step.notes {
                let _ = writeln!(out, "      note    {note}");
            }
            for what in &step.not_undone {
                let _ = writeln!(out, "      cannot be undone: {what}");
            }
            if let Some(why) = &step.unknown {
                let _ = writeln!(out, "      not known before the run: {why}");
            }
        }
        if !self.beside.is_empty() {
            let _ = writeln!(out, "\nBeside the steps");
            list(&mut out, "", &self.beside);
        }
        let radius: Vec<String> =
            self.blast_radius.iter().map(|(kind, count)| format!("{count} {kind}{}", if *count == 1 { "" } else { "s" })).collect();
        let radius = match (radius.is_empty(), self.untold.is_empty()) {
            (true, true) => "nothing".to_owned(),
            (true, false) => format!("not known, as {} could not be looked at", self.untold.join(", ")),
            (false, true) => radius.join(", "),
            (false, false) => format!("at least {}; {} could not be looked at", radius.join(", "), self.untold.join(", ")),
        };
        if !self.guards.is_empty() {
            let _ = write!(out, "\nGuards\n{}", guards::text(&self.guards));
        } else if self.is_unguarded {
            let _ = writeln!(
                out,
                "\nNo guards that could refuse anything are written for {}: a drill on real clouds is refused without.",
                self.environment
            );
        }
        let _ = writeln!(
            out,
            "\nBlast radius: {radius}; {} changing calls, with marks and putting everything back. Nothing was changed.",
            self.mutating_calls
        );
        for warning in &self.warnings {
            let _ = writeln!(out, "Warning: {warning}.");
        }
        if let Some(forecast) = &self.forecast {
            let _ = writeln!(out, "Forecast: {forecast}.");
        }
        let _ = writeln!(out, "{}", self.budget);
        out
    }
}

/// Calls, one a line.
fn list(out: &mut String, what: &str, calls: &[PlannedCall]) {
    use std::fmt::Write as _;
    for call in calls {
        let kind = if call.mutating { "change" } else { "read  " };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "      {what}{kind}  {}", format!("{} {}", call.operation, call.subject).trim_end());
    }
}
