//! What is said before a run about how it may be steered: answers given beforehand, how long things may take.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::Value;

use crate::engine::desk::{Reply, Trust};
use crate::model::diagnostic::suggest;
use crate::model::order::Witness;
use crate::model::plan::{Limits, Mode, Plan, StepPlan};
use crate::model::time::Span;
use crate::ops::control::operator;
use crate::ops::exit::{Exit, Kind};

/// How long whoever executes a runbook on a terminal has to mend a step that has failed, unless they say otherwise.
const EMERGENCY_PATIENCE: Span = Span::from_secs(15 * 60);

/// How a run may be steered.
#[derive(Debug, Clone, Default, Args)]
pub struct Steering {
    /// Answer an approval or a manual step beforehand, in the name of whoever gave the answer [default: yours]; may be given several times
    #[arg(long = "approve", value_name = "STEP[=NAME]")]
    pub approve: Vec<String>,
    /// What it may do, and for how long.
    #[command(flatten)]
    pub limiting: Limiting,
}

/// What a run may do, and how long things may take: a part of what is approved.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Limiting {
    /// How long a step that has failed for good waits for a person to retry or skip it [default: not at all; in an emergency on a terminal 15m]
    #[arg(long, value_name = "TIME")]
    pub patience: Option<Span>,
    /// Do not rely on the source side: steps run as their `ungraceful` says
    #[arg(long)]
    pub ungraceful: bool,
    /// How long the run may take; then a drill aborts and an emergency stops [default: 1h]
    #[arg(long, value_name = "TIME")]
    pub budget: Option<Span>,
    /// How long putting everything back may take [default: 10m]
    #[arg(long, value_name = "TIME")]
    pub undo_for: Option<Span>,
}

impl Limiting {
    /// The limits for the plan.
    ///
    /// # Errors
    /// When one of them leaves no time at all.
    pub(super) fn limits(&self) -> Result<Limits, Exit> {
        for (flag, given) in [("--budget", self.budget), ("--undo-for", self.undo_for)] {
            if given == Some(Span::default()) {
                return Err(Exit::new(Kind::Usage, format!("{flag} 0s leaves no time for anything")).hint("write a number with its unit, like 30m"));
            }
        }
        let usual = Limits::default();
        Ok(Limits {
            run: self.budget.unwrap_or(usual.run),
            undo: self.undo_for.unwrap_or(usual.undo),
            patience: self.patience.unwrap_or(usual.patience),
        })
    }

    /// How long a failed step of an emergency waits for people: by itself only when somebody is there.
    pub(super) fn patience_in_emergency(&self, somebody: bool) -> Span {
        self.patience.unwrap_or(if somebody { EMERGENCY_PATIENCE } else { Limits::default().patience })
    }
}

impl Steering {
    /// The answers given beforehand. A plan that asks, with nobody there to answer, is refused.
    ///
    /// # Errors
    /// When an answer is to nothing that asks, or one is missing.
    pub(super) fn answers(&self, plan: &Plan, can_ask: bool, vouched: &[(String, Witness)]) -> Result<Vec<(String, Reply)>, Exit> {
        let given = given(&self.approve, plan, vouched)?;
        if !can_ask && plan.mode != Mode::Rehearse {
            let missing: Vec<String> =
                asking(plan).iter().filter(|(key, step)| !is_answered(key, step, &given, Trust::of(plan))).map(|(key, _)| key.clone()).collect();
            if !missing.is_empty() {
                return Err(Exit::new(
                    Kind::Usage,
                    format!("{} will ask, and there is no terminal to answer on; nothing was changed", missing.join(", ")),
                )
                .hint(match Trust::of(plan) {
                    Trust::Said => "answer beforehand with --approve STEP=NAME, one for each person that is needed",
                    Trust::Users | Trust::Keys => {
                        "answer beforehand with --approve STEP=NAME, one for each person that is needed; in the name of others only of those who have \
                         run `lifeboat approve` on exactly this"
                    }
                }));
            }
        }
        Ok(given)
    }
}

/// Answers as given on the command line: the step, and who gave it. `vouched`: those whose word is known to be theirs, with what shows it.
///
/// # Errors
/// When one is to nothing that asks, or nobody's.
pub(super) fn given(approve: &[String], plan: &Plan, vouched: &[(String, Witness)]) -> Result<Vec<(String, Reply)>, Exit> {
    let read = |given: &String| match given.split_once('=') {
        Some((step, name)) => (step.to_owned(), name.trim().to_owned()),
        None => (given.clone(), operator()),
    };
    let given: Vec<(String, String)> = approve.iter().map(read).collect();
    let asking = asking(plan);
    for (step, name) in &given {
        if name.is_empty() {
            return Err(Exit::new(Kind::Usage, format!("--approve {step}=: a name is missing")).hint("write --approve STEP=NAME, or STEP alone"));
        }
        if !asking.iter().any(|(key, of)| key == step || of.id == *step) {
            let keys = asking.iter().map(|(key, _)| key.as_str());
            let shown: String = step.chars().filter(|c| !c.is_control()).take(64).collect();
            let hint = suggest(step, keys, "steps that ask").or_else(|| Some("no step of this plan asks anything".into()));
            return Err(Exit { hint, ..Exit::new(Kind::Usage, format!("--approve: no step `{shown}` asks anything")) });
        }
    }
    let reply = |by: String| {
        let known = vouched.iter().find(|(name, _)| *name == by).map(|(_, witness)| witness.clone());
        Reply { yes: true, by, note: "given beforehand".into(), witness: known.unwrap_or_else(|| Witness::user(operator())) }
    };
    Ok(given.into_iter().map(|(step, by)| (step, reply(by))).collect())
}

/// The steps of a plan that ask people, by key.
fn asking(plan: &Plan) -> Vec<(String, &StepPlan)> {
    plan.steps().filter(|(_, step)| step.asks_people()).collect()
}

/// Whether enough of those who may answer have; parameters that only the run will know are taken at their least.
fn is_answered(key: &str, step: &StepPlan, given: &[(String, Reply)], trust: Trust) -> bool {
    let of: Vec<&str> = step.with.get("of").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let starter = step.uses == "manual" || step.with.get("starter") == Some(&Value::Bool(true));
    let needed = step.with.get("approvers").and_then(Value::as_u64).unwrap_or(1).max(1);
    let own = operator();
    let counts = |name: &String| (of.is_empty() || of.contains(&name.as_str())) && (starter || *name != own);
    let to_it = given.iter().filter(|(to, _)| to == key || *to == step.id);
    let names: BTreeSet<String> = to_it.filter_map(|(_, reply)| trust.author(reply, starter).ok()).filter(counts).collect();
    names.len() as u64 >= needed
}
