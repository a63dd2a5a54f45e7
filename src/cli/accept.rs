//! `lifeboat accept`: what is there of a step is taken as it is, with a name and a reason.

use std::sync::Arc;

use clap::Args;

use super::args::{Global, Recover};
use super::guarded::reason;
use super::output::Output;
use super::start;
use crate::ops::accept;
use crate::ops::exit::{Exit, Kind};
use crate::ops::runs;

/// `lifeboat accept`
///
/// Exit codes: 0 it is written down, 64 nothing conflicts there or no reason was given, 69 the run is going on or its journal cannot be written.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat accept latest fault --because \"the network team has rebuilt the route\"\n\
    \x20 lifeboat accept 20261122T2327 failover/shift-dns --because \"weights set by hand, ticket 4711\"")]
pub struct Accept {
    /// Which run.
    #[command(flatten)]
    pub recover: Recover,
    /// The step that cannot be put back, such as `fault`, `failover/shift-dns` or `shift-dns`
    pub step: String,
    /// Why what is there may stay, for the journal and the report
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub because: String,
}

pub(super) fn accept(args: &Accept, global: &Global, output: &Output) -> Result<u8, Exit> {
    let missing =
        || Exit::new(Kind::Usage, "a reason is missing").hint("say it with --because TEXT; it goes into the journal and the report, with your name");
    let because = reason(&args.because).ok_or_else(missing)?;
    let store = Arc::new(start::store(global)?);
    let run = runs::find(&store, &args.recover.run)?;
    let (state, plan) = accept::left(&store, &run)?;
    start::may_be_in(&run, plan.whereabouts(), args.recover.lab.as_deref())?;
    let key = accept::step(&state, &run, &args.step)?;
    let accepted = start::runtime()?.block_on(async {
        let environment = start::reopen(&store, &run, &plan, args.recover.lab.as_deref()).await?;
        accept::accept(&store, &run, &key, &because, environment, start::observer(output)).await
    })?;
    if output.json {
        output.json_line(&serde_json::json!({ "run": run, "step": accepted.step, "accepted": accepted.said, "left": accepted.held }));
        return Ok(0);
    }
    output.say(&format!("{}  {}", accepted.step, accepted.said));
    if let Some(why) = &accepted.marks {
        output.note(&format!("its marks could not be taken off, so that the reaper will still find it: {why}"));
    }
    if !accepted.held.is_empty() {
        output.say(&format!("still to be put back: {}", accepted.held.join(", ")));
    }
    Ok(0)
}
