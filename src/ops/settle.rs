//! A run whose journal cannot be read or trusted: its fault is taken out by its marks, and the part of the journal that is provably whole becomes the
//! journal again, with the reason of whoever wants that. What was there is kept beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::control::operator;
use super::environment::Environment;
use super::exit::{Exit, Kind};
use super::guards::searched;
use super::marks::checker;
use super::reaper::{Finding, Options, Outcome, Reaper};
use super::run::begin_anew;
use super::runs;
use crate::catalogue;
use crate::engine::clock::RunClock;
use crate::journal::FileStore;
use crate::journal::file::PLAN;
use crate::journal::folder::is_stranger;
use crate::model::ids;
use crate::model::plan::{Plan, StepPlan};
use crate::model::state::{FAULT, RunState};
use crate::ports::gate::Gate;
use crate::ports::store::RunStore as _;
use crate::world::World;

/// What was done about a run of which not even the plan was left.
const SETTLED: &str = "settled.json";

/// A run whose journal cannot be read or trusted.
#[derive(Debug)]
pub struct Untold {
    run: String,
    /// Why.
    pub why: Exit,
    /// How many events that part has.
    whole: usize,
    /// What it was to do: by that part, or else by the plan beside it; `None` when nothing tells.
    pub plan: Option<Plan>,
    /// What it may have changed besides that nobody knows to be put back: steps, or everything.
    unknown: Vec<String>,
    /// Objects with a mark that cannot be read: whose it is, nobody knows.
    torn: Vec<String>,
}

impl Untold {
    /// The run, if its journal is one that cannot be read or trusted.
    ///
    /// # Errors
    /// When it is somebody else's, or a newer Lifeboat's.
    pub fn of(store: &FileStore, run: &str) -> Result<Option<Self>, Exit> {
        if let Err(error) = store.vouched(run)
            && is_stranger(&error.source)
        {
            return Err(runs::unreadable(&error));
        }
        // What only another Lifeboat can read is no damage, and is not to be cut off.
        if let Some(newer) = runs::newer(store, run) {
            return Err(newer);
        }
        let (state, wrong) = runs::told_part(store, run);
        let Some(why) = wrong else { return Ok(None) };
        let whole = if state.start.is_some() { runs::whole_part(store, run).0.events.len() } else { 0 };
        let plan = state.plan().cloned().or_else(|| runs::plan_beside(store, run));
        let unknown = plan.as_ref().map_or_else(Vec::new, |plan| unknown(store, run, whole, &state, plan));
        Ok(Some(Self { run: run.to_owned(), why, whole, plan, unknown, torn: Vec::new() }))
    }

    /// Takes the faults of the run out by their marks, whether their lease has ended or not; `tell` hears of each. Gives a line for each.
    ///
    /// # Errors
    /// When a mark's fault could not be taken out, or a place could not be searched: then nobody knows whether one stands.
    pub async fn take_out(&mut self, environment: &Environment, tell: &(dyn Fn(&Finding) + Send + Sync)) -> Result<Vec<String>, Exit> {
        let world = Arc::new(World::connect(&environment.settings, &Gate::default()).await);
        let regions = self.plan.as_ref().map(|plan| searched(environment, plan)).unwrap_or_default();
        let options = Options { regions, run: Some(self.run.clone()), ..Options::default() };
        let findings = Reaper::new(world, checker(environment), options).sweep(tell).await;
        // A mark that cannot be read may be anybody's: that must not keep this run for ever, and is said in the end.
        self.torn = findings.iter().filter(|finding| finding.run.is_none() && finding.outcome.is_bad()).map(in_a_line).collect();
        let is_left = |finding: &&Finding| finding.run.is_some() && finding.outcome.is_bad() || finding.outcome == Outcome::Unsearched;
        let left: Vec<String> = findings.iter().filter(is_left).map(in_a_line).collect();
        if left.is_empty() {
            return Ok(findings.iter().map(in_a_line).collect());
        }
        let mut exit = Exit::new(Kind::Environment, format!("whether the fault of run {} stands cannot be told", self.run));
        exit.causes = left;
        Err(exit.hint("what could be taken out is; nothing was written. Run the same command again"))
    }

    /// Puts the whole part of the journal in its place. Gives what is to be said of that in the run's journal.
    ///
    /// # Errors
    /// When another process runs it, or the folder cannot be written.
    pub fn set_aside(&self, store: &Arc<FileStore>, reason: &str, found: &[String]) -> Result<String, Exit> {
        let with: &[&str] = if self.plan.is_some() { &[runs::HEAD] } else { &[runs::HEAD, PLAN] };
        let aside = store.set_aside(&self.run, self.whole, with).map_err(|error| match error.source.kind() {
            std::io::ErrorKind::WouldBlock => is_running(&self.run),
            _ => Exit::from_error(Kind::Environment, &error)
                .hint("its fault is taken out by its marks; run the same command again once the folder can be written"),
        })?;
        let because = runs::in_a_line(&self.why);
        let marks = if found.is_empty() { "no marks of it were found".to_owned() } else { format!("by its marks: {}", found.join("; ")) };
        let by = operator();
        let Some(plan) = &self.plan else {
            let said = format!("{because}; nothing of it is used, all of it is kept in {aside}; {marks}; because: {reason} ({by})");
            let note = json!({ "settled": said, "by": by, "at": RunClock::start().now(), "why": reason });
            store.write_beside(&self.run, SETTLED, note.to_string().as_bytes()).map_err(|error| Exit::from_error(Kind::Environment, &error))?;
            return Ok(said);
        };
        if self.whole == 0 {
            begin_anew(store, &self.run, plan)?;
        }
        let whole = self.whole;
        Ok(format!("{because}; its first {whole} events are used, all of it is kept in {aside}; {marks}; because: {reason} ({by})"))
    }

    /// What may stand that nothing that is to be trusted tells of: marks that cannot be read, and steps whose things do not read as before the run.
    #[must_use]
    pub fn left_unknown(&self, after: &RunState) -> Vec<String> {
        let is_as_before = |step: &String| after.baseline.as_ref().is_some_and(|baseline| baseline.same.contains(step));
        let steps = self.unknown.iter().filter(|step| !is_as_before(step)).map(|step| format!("what {step} may have changed"));
        steps.chain(self.torn.iter().cloned()).collect()
    }
}

/// What is said of a run that is not to be settled, because it goes on.
#[must_use]
pub fn is_running(run: &str) -> Exit {
    Exit::new(Kind::Environment, format!("run {run} is still being run by another process"))
        .hint(format!("`lifeboat ctl {run} abort` makes it take everything back by itself"))
}

/// What was said when a run was settled of which not even the plan was left.
#[must_use]
pub fn settled(store: &FileStore, run: &str) -> Option<String> {
    let note: Value = serde_json::from_slice(&store.read_beside(run, SETTLED).ok()?).ok()?;
    note["settled"].as_str().map(str::to_owned)
}

fn in_a_line(finding: &Finding) -> String {
    finding.text().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The steps that may have changed something which the whole part of the journal does not tell of. The lines behind that part are not to be trusted, and yet
/// whoever mends by hand should know; where they do not even read like the rest of a journal, any step may have.
fn unknown(store: &FileStore, run: &str, whole: usize, state: &RunState, plan: &Plan) -> Vec<String> {
    let mutates = |step: &StepPlan| catalogue::action(&step.uses).is_none_or(|row| row.mutates);
    let steps: BTreeMap<String, bool> = plan.steps().map(|(key, step)| (key, mutates(step))).collect();
    let is_unknown = |step: &String| {
        let changes = steps.get(ids::whole(step)).copied().unwrap_or(true);
        changes && state.step(step).is_none_or(|known| known.intent.is_none())
    };
    let lines = store.read(run, whole as u64).unwrap_or_default();
    let ids = steps.keys().cloned().collect();
    let told = rest(&lines, whole, &ids, noted_length(store, run)).unwrap_or(ids);
    told.into_iter().filter(is_unknown).collect()
}

fn noted_length(store: &FileStore, run: &str) -> usize {
    runs::noted_head(store, run).first().and_then(|length| length.parse().ok()).unwrap_or_default()
}

/// Steps that changed something by lines behind the whole part; `None` when those do not read like the rest of a journal.
fn rest(lines: &[Vec<u8>], whole: usize, ids: &BTreeSet<String>, noted: usize) -> Option<BTreeSet<String>> {
    let mut told = BTreeSet::new();
    if lines.is_empty() || whole + lines.len() < noted {
        return None;
    }
    for (index, line) in lines.iter().enumerate() {
        let event: Value = serde_json::from_slice(line).ok()?;
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        if event.get("seq").and_then(Value::as_u64) != Some((whole + index) as u64 + 1) {
            return None;
        }
        match text("of")? {
            "run" | "probe" => {}
            "step" => {
                let step = text("step")?;
                if step == FAULT {
                    continue;
                }
                ids.get(ids::whole(step))?;
                if !ids::is_plain(step) {
                    return None;
                }
                if text("event") == Some("undone") {
                    told.remove(step);
                } else if !matches!(text("event"), Some("started" | "skipped" | "asked" | "answered" | "progress" | "undoing")) {
                    told.insert(step.to_owned());
                }
            }
            _ => return None,
        }
    }
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: usize, step: &str, event: &str) -> Vec<u8> {
        json!({ "seq": seq, "of": "step", "step": step, "event": event }).to_string().into_bytes()
    }

    #[test]
    fn what_is_not_to_be_trusted_tells_of_changes_and_silence_of_nothing() {
        let ids = ["failover/a", "failover/b"].map(str::to_owned).into();
        let found = |lines: &[Vec<u8>], noted| rest(lines, 3, &ids, noted).map(|told| told.into_iter().collect::<Vec<_>>().join(" "));
        let lines =
            [line(4, "fault", "applied"), line(5, "failover/a", "intended"), line(6, "failover/b[1]", "applied"), line(7, "failover/b[1]", "undone")];
        assert_eq!(found(&lines, 0).as_deref(), Some("failover/a"));
        assert_eq!(found(&lines, 9), None, "events are missing at its end");
        assert_eq!(found(&lines[1..], 0), None, "one is missing");
        assert_eq!(found(&[], 0), None);
        assert_eq!(found(&[line(4, "failover/x", "intended")], 0), None, "no step of the plan");
        assert_eq!(found(&[b"{".to_vec()], 0), None);
        assert_eq!(found(&[line(4, "failover/a", "intfnded")], 0).as_deref(), Some("failover/a"), "what is no word of a journal may be an intent");
    }
}
