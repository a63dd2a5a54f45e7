//! A dry run as text for people.

use std::collections::BTreeMap;

use super::DryRun;
use crate::engine::action::PlannedCall;
use crate::model::forecast::short;
use crate::model::plain::line;
use crate::model::target::Change;
use crate::model::time::Span;
use crate::ops::guards;

impl DryRun {
    /// As text for people, in 80 columns where ids allow.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        row(&mut out, format_args!("{} in {}", self.name, self.environment));
        for line in &self.whereabouts {
            row(&mut out, format_args!("  {line}"));
        }
        let mut together: BTreeMap<usize, usize> = BTreeMap::new();
        self.steps.iter().for_each(|step| *together.entry(step.wave).or_default() += 1);
        let mut wave = None;
        for step in &self.steps {
            if wave != Some(step.wave) {
                wave = Some(step.wave);
                let together = together.get(&step.wave).copied().unwrap_or_default();
                let how = if together > 1 { format!(", {together} steps in parallel") } else { String::new() };
                row(&mut out, format_args!("\n{}{how}", step.wave + 1));
            }
            row(&mut out, format_args!("  {}  {}", step.step, step.uses));
            if !step.needs.is_empty() {
                row(&mut out, format_args!("      after   {}", step.needs.join(", ")));
            }
            if let Some(typical) = self.forecast.as_ref().and_then(|forecast| forecast.steps.get(&step.step)) {
                row(&mut out, format_args!("      takes   {}, p90 {} of {}", short(typical.median), short(typical.p90), typical.count));
            }
            if let Some(when) = &step.when {
                row(&mut out, format_args!("      when    {when}"));
            }
            for target in &step.targets {
                let change = target.change.as_ref().map_or("as it is", Change::text);
                row(&mut out, format_args!("      target  {target}: {change}"));
            }
            if step.fresh {
                row(&mut out, format_args!("      targets fresh: whatever is there when it runs"));
            }
            list(&mut out, "", &step.calls);
            if let Some(seconds) = step.ttl_s {
                row(&mut out, format_args!("      kept    by clients for up to {} (TTL)", Span::from_secs(seconds)));
            }
            if let Some(marks) = &step.marks {
                row(&mut out, format_args!("      marks   {marks}"));
            }
            list(&mut out, "marks ", &step.mark_calls);
            list(&mut out, "undo ", &step.undo);
            for note in &step.notes {
                row(&mut out, format_args!("      note    {note}"));
            }
            for what in &step.not_undone {
                row(&mut out, format_args!("      cannot be undone: {what}"));
            }
            if let Some(why) = &step.unknown {
                row(&mut out, format_args!("      not known before the run: {why}"));
            }
        }
        if !self.beside.is_empty() {
            row(&mut out, format_args!("\nBeside the steps"));
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
            out.push_str(&format!("\nGuards\n{}", guards::text(&self.guards)));
        } else if self.is_unguarded {
            row(
                &mut out,
                format_args!(
                    "\nNo guards that could refuse anything are written for {}: a drill on real clouds is refused without.",
                    self.environment
                ),
            );
        }
        row(
            &mut out,
            format_args!(
                "\nBlast radius: {radius}; {} changing calls, with marks and putting everything back. Nothing was changed.",
                self.mutating_calls
            ),
        );
        for warning in &self.warnings {
            row(&mut out, format_args!("Warning: {warning}."));
        }
        if let Some(forecast) = &self.forecast {
            row(&mut out, format_args!("Forecast: {forecast}."));
        }
        row(&mut out, format_args!("{}", self.budget));
        out
    }
}

/// One line, whatever is quoted in it; an empty one before it where the text begins with a break.
fn row(out: &mut String, text: std::fmt::Arguments<'_>) {
    let text = text.to_string();
    let (before, text) = text.strip_prefix('\n').map_or(("", text.as_str()), |text| ("\n", text));
    out.push_str(before);
    out.push_str(&line(text));
    out.push('\n');
}

/// Calls, one a line.
fn list(out: &mut String, what: &str, calls: &[PlannedCall]) {
    for call in calls {
        let kind = if call.mutating { "change" } else { "read  " };
        row(out, format_args!("      {what}{kind}  {}", format!("{} {}", call.operation, call.subject).trim_end()));
    }
}
