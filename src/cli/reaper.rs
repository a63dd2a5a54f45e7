//! `lifeboat reaper`: the process around [`crate::ops::reaper`].

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::{Global, Reaper as Args};
use super::output::Output;
use super::{errors, start};
use crate::model::project::{EnvironmentFile, EnvironmentKind};
use crate::ops::environment::{Environment, LabChoice};
use crate::ops::exit::{Exit, Kind};
use crate::ops::marks::checker;
use crate::ops::pinned;
use crate::ops::preflight;
use crate::ops::reaper::{Finding, Options, Outcome, Reaper};
use crate::ports::gate::Gate;
use crate::world::World;

/// What it exits with when a fault may stand that should not.
const STANDS: u8 = 2;
/// What it exits with when it was told twice to end.
const LEFT: u8 = 4;

pub(super) fn reaper(args: &Args, global: &Global, output: &Output) -> Result<u8, Exit> {
    let file = environment(args, global, output)?;
    start::runtime()?.block_on(async {
        let choice = match (&args.lab, file.kind) {
            (None, EnvironmentKind::Lab) => {
                return Err(Exit::new(
                    Kind::Usage,
                    format!("the lab of environment {} ends with the process that starts it: no fault is left there", args.env),
                )
                .hint("--lab CONTROL_URL names a lab that runs"));
            }
            (control, _) => LabChoice { control: control.clone(), ..LabChoice::default() },
        };
        let environment = Environment::open(&args.env, &file, choice, &serde_json::Map::new()).await?;
        // One cloud that does not answer must not protect the faults on the other; a wrong account is refused in any case.
        preflight::accounts(&environment, None).await?;
        let world = Arc::new(World::connect(&environment.settings, &Gate::default()).await);
        let options =
            Options { regions: args.regions.clone(), grace: args.grace.duration(), dry_run: args.dry_run, unsigned: args.unsigned, run: None };
        let mut signals = Signals::catch()?;
        let mut standing = Vec::new();
        loop {
            // Each time: a key may be made, or mended, while it waits.
            let reaper = Reaper::new(Arc::clone(&world), checker(&environment), options.clone());
            let tell = |finding: &Finding| show(finding, &standing, output);
            let mut sweep = Box::pin(reaper.sweep(&tell));
            let findings = tokio::select! {
                findings = &mut sweep => findings,
                () = signals.next() => {
                    output.say("asked to end: this look is finished first; asked again, it is left at once, and its marks stay");
                    return tokio::select! {
                        findings = &mut sweep => Ok(code(&findings)),
                        () = signals.next() => Ok(LEFT),
                    };
                }
            };
            drop(sweep);
            let Some(every) = args.every else {
                if findings.is_empty() && !output.json {
                    output.say(&format!("no marks in {}", args.env));
                }
                return Ok(code(&findings));
            };
            let latest = code(&findings);
            // A fault that stands by right is told once, not at every look.
            standing =
                findings.into_iter().filter(|finding| finding.outcome == Outcome::Standing).map(|finding| (finding.run, finding.step)).collect();
            tokio::select! {
                () = tokio::time::sleep(every.duration()) => {}
                () = signals.next() => return Ok(latest),
            }
        }
    })
}

/// The environment as the project file has it or, where that cannot tell, as the latest run there had it.
fn environment(args: &Args, global: &Global, output: &Output) -> Result<EnvironmentFile, Exit> {
    let project = start::project_in_need(None)?;
    project.environment(&args.env).map_err(|found| errors::definitions(&found)).or_else(|exit| {
        let store = start::store_of(global, Some(&project))?;
        let Some((run, file)) = pinned::latest_environment(&store, &args.env) else { return Err(exit) };
        let why = exit.diagnostics.first().map_or_else(|| exit.message.clone(), ToString::to_string);
        output.note(&format!("{why}; environment {} is taken as run {run} had it", args.env));
        Ok(file)
    })
}

/// Which fault a finding is of.
type Whose = (Option<String>, Option<String>);

fn show(finding: &Finding, known: &[Whose], output: &Output) {
    let is_known = finding.outcome == Outcome::Standing && known.iter().any(|(run, step)| *run == finding.run && *step == finding.step);
    match (output.json, is_known) {
        (true, _) => output.json_line(finding),
        (false, false) => output.say(&finding.text()),
        (false, true) => {}
    }
}

fn code(findings: &[Finding]) -> u8 {
    if findings.iter().any(|finding| finding.outcome.is_bad()) {
        STANDS
    } else if findings.iter().any(|finding| finding.outcome == Outcome::Unsearched) {
        Kind::Environment.code()
    } else {
        0
    }
}

/// The signals that ask a process to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> Result<Self, Exit> {
        let catch = |kind| signal(kind).map_err(|error| Exit::new(Kind::Environment, "signals cannot be caught").cause(error.to_string()));
        Ok(Self { interrupt: catch(SignalKind::interrupt())?, terminate: catch(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}

/// The shortest pause between two looks.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn finding(outcome: Outcome) -> Finding {
        Finding { at: Timestamp::from_nanos(0), outcome, run: None, step: None, uses: None, until: None, objects: Vec::new(), detail: String::new() }
    }

    #[test]
    fn what_may_still_stand_weighs_more_than_what_was_not_searched() {
        for (outcomes, expected) in [
            (&[][..], 0),
            (&[Outcome::Standing, Outcome::Undone, Outcome::Already, Outcome::Meanwhile], 0),
            (&[Outcome::WouldUndo], 2),
            (&[Outcome::Undone, Outcome::Unsearched], 69),
            (&[Outcome::Unsearched, Outcome::Conflict], 2),
            (&[Outcome::Failed], 2),
            (&[Outcome::Foreign], 2),
            (&[Outcome::Unsigned, Outcome::Undone], 2),
        ] {
            let findings: Vec<Finding> = outcomes.iter().copied().map(finding).collect();
            assert_eq!(code(&findings), expected, "{outcomes:?}");
        }
    }
}
