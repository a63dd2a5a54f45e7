//! What an emergency is about to do, shown once before its first change to whoever sits in front of it.

use std::fmt::Write as _;

use super::guarded::typed;
use crate::model::guard::{Decision, Outcome};
use crate::model::ids;
use crate::model::phrases::phrase;
use crate::model::plain::line;
use crate::model::plan::Plan;
use crate::model::text::Lang;
use crate::observe::{heading, language, listed};
use crate::ops::dry_run::{DryRun, StepView};
use crate::ops::exit::{Exit, Kind};

/// Shows it and asks.
///
/// # Errors
/// [`Kind::Refused`] unless somebody says yes; nothing was changed.
pub(super) fn wanted(plan: &Plan, seen: &DryRun, decisions: &[Decision]) -> Result<(), Exit> {
    let lang = language();
    let question = match lang {
        Lang::En => "Begin? y yes, anything else leaves everything as it is: ",
        Lang::Zh => "开始？y 是，其他任意输入则保持现状：",
    };
    let answer = typed(&format!("{}{question}", shown(plan, seen, decisions, lang))).unwrap_or_default();
    if matches!(answer.trim(), "y" | "yes" | "Y" | "是") {
        return Ok(());
    }
    Err(Exit::new(Kind::Refused, "nobody said yes; nothing was changed").hint("`--yes` begins without asking"))
}

/// Title, steps in order with what they act on, and every guard that warns.
fn shown(plan: &Plan, seen: &DryRun, decisions: &[Decision], lang: Lang) -> String {
    let mut out = format!("\n{}\n", heading(plan, lang));
    let id = |step: &StepView| ids::short(&step.step).to_owned();
    let width = seen.steps.iter().map(|step| id(step).len()).max().unwrap_or(0);
    for step in &seen.steps {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {:width$}  {}  {}", id(step), step.uses, acts_on(step, lang));
    }
    for decision in decisions.iter().filter(|decision| decision.outcome != Outcome::Allows) {
        let word = if lang == Lang::En { "guard" } else { "守卫规则" };
        let _ = writeln!(out, "  {word} {}: {}", decision.guard, line(&phrase(&decision.detail, lang)));
    }
    out
}

/// What it acts on, or why that is not known.
fn acts_on(step: &StepView, lang: Lang) -> String {
    step.unknown.as_ref().map_or_else(|| listed(&step.targets, lang), |why| phrase(why, lang).into_owned())
}
