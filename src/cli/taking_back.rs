//! `lifeboat abort` of a run that serves users: what would happen is said, and somebody must want it.

use clap::Args;

use super::args::Recover;
use super::guarded::{reason, typed};
use super::output::Output;
use super::terminal;
use crate::model::event::run::Difference;
use crate::model::plain;
use crate::model::plan::Plan;
use crate::ops::exit::{Exit, Kind};
use crate::ops::live::{Live, back_command};
use crate::ops::runs;
use crate::ops::settle::Untold;

/// `lifeboat abort`
#[derive(Debug, Clone, Args)]
pub struct Abort {
    /// Which run.
    #[command(flatten)]
    pub recover: Recover,
    /// Take it back although it serves users now, with the reason for the report
    #[arg(long, value_name = "REASON")]
    pub yes_because: Option<String>,
    /// Its journal was altered or cannot be read: take its fault out by the marks on cloud objects, and its steps back as far as the journal is provably
    /// whole; asks for a reason, or takes that of --yes-because. What was there is kept beside it
    #[arg(long)]
    pub from_marks: bool,
    /// With --from-marks, where it ran: for a run of which not even the plan can be read
    #[arg(long, value_name = "NAME", requires = "from_marks")]
    pub env: Option<String>,
}

/// Says what taking a run back would do, and gives the reason of whoever wants it all the same.
///
/// # Errors
/// When nobody does, or nobody can be asked.
pub(super) fn wanted(run: &str, plan: &Plan, live: &Live, yes_because: Option<&str>, output: &Output) -> Result<String, Exit> {
    let said = said(run, plan, live);
    if let Some(given) = yes_because {
        output.say(&said);
        let missing = || Exit::new(Kind::Usage, "--yes-because: a reason is missing").hint("write --yes-because REASON; it goes into the report");
        return reason(given).ok_or_else(missing);
    }
    let in_order = back_command(plan).map(|command| format!("; to go back in order: {command}")).unwrap_or_default();
    if !terminal::can_ask(output.terminal) {
        output.note(&said);
        return Err(Exit::new(Kind::Refused, format!("run {run} serves users, and there is no terminal to ask on; nothing was changed"))
            .hint(format!("add --yes-because REASON to take it back all the same{in_order}")));
    }
    let answer = typed(&format!("{said}\nTake it back all the same? Type why, or nothing to leave it: ")).unwrap_or_default();
    reason(&answer).ok_or_else(|| {
        let exit = Exit::new(Kind::Refused, "nobody took it upon themselves to take it back; nothing was changed");
        match back_command(plan) {
            Some(command) => exit.hint(format!("to go back in order: {command}")),
            None => exit,
        }
    })
}

/// Why somebody wants a run taken back whose journal cannot be read or trusted.
///
/// # Errors
/// When nobody says, or nobody can be asked.
pub(super) fn word_for(untold: &Untold, yes_because: Option<&str>, output: &Output) -> Result<String, Exit> {
    let missing = || Exit::new(Kind::Usage, "--yes-because: a reason is missing").hint("write --yes-because REASON; it goes into the report");
    if let Some(given) = yes_because {
        return reason(given).ok_or_else(missing);
    }
    let why = runs::in_a_line(&untold.why);
    if !terminal::can_ask(output.terminal) {
        return Err(Exit::new(Kind::Refused, format!("{why}; somebody must say why it is to be taken back all the same; nothing was changed"))
            .hint("add --yes-because REASON; it goes into the journal and into the report"));
    }
    let answer = typed(&format!("{why}.\nTake it back by its marks and by what is whole of its journal? Type why, or nothing to leave it: "));
    reason(&answer.unwrap_or_default()).ok_or_else(|| Exit::new(Kind::Refused, "nobody said why; nothing was changed"))
}

/// What a person has to know before.
fn said(run: &str, plan: &Plan, live: &Live) -> String {
    let mut lines = vec![format!("run {run} in {} serves users now.", plan.environment)];
    lines.extend(live.services.iter().map(|seen| format!("  service      {seen}")));
    lines.extend(live.source.iter().map(|seen| format!("  source side  {seen}")));
    lines.push("Taking it back would, in this order:".to_owned());
    lines.extend(live.undone.iter().map(|(step, what)| format!("  {step}  {what}")));
    if !live.moved.is_empty() {
        lines.push("Not as the run made it any more, or not to be read, so that an undo may leave it as it is:".to_owned());
        lines.extend(live.moved.iter().map(|one| format!("  {}  {}", one.step, now(one))));
    }
    lines.push(Live::outlook(live.source_is_good()).to_owned());
    lines.push(match back_command(plan) {
        Some(command) => format!("The way back in order, with its checks: {command}"),
        None => "The runbook names no way back in order (`back: { runbook: … }`).".to_owned(),
    });
    // Services and objects are named in the words of others.
    lines.iter().map(|one| plain::line(one).into_owned()).collect::<Vec<_>>().join("\n")
}

/// What is there now in place of what a step made.
fn now(one: &Difference) -> String {
    match one.what.as_str() {
        "" => one.after.clone(),
        what => format!("{what}: {}", one.after),
    }
}
