//! `lifeboat halt` and `lifeboat release`: the lever of an environment.

use clap::Args;
use serde_json::json;

use super::args::{Global, Recover};
use super::output::Output;
use super::start;
use crate::engine::clock::RunClock;
use crate::ops::control::operator;
use crate::ops::exit::{Exit, Kind};
use crate::ops::halt;
use crate::ops::lever::{self, Lever};

/// `lifeboat halt`
#[derive(Debug, Args)]
pub struct Halt {
    /// The environment of lifeboat.yaml
    #[arg(long, value_name = "NAME")]
    pub env: String,
    /// Why, for whoever is refused a drill meanwhile, and for the reports
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `lifeboat release`
#[derive(Debug, Args)]
pub struct Release {
    /// The environment of lifeboat.yaml
    #[arg(long, value_name = "NAME")]
    pub env: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

pub(super) fn halt(args: &Halt, global: &Global, output: &Output) -> Result<u8, Exit> {
    // A name that does not exist would halt nothing and say that it did; an environment that has mistakes can be halted all the same.
    let project = start::project()?;
    if !project.names(&args.env) {
        project.environment(&args.env).map_err(|found| super::errors::definitions(&found))?;
    }
    let why = args.reason.split_whitespace().collect::<Vec<_>>().join(" ");
    if why.is_empty() {
        return Err(Exit::new(Kind::Usage, "a reason is missing").hint("say it with --reason TEXT: whoever is refused a drill meanwhile is told"));
    }
    let store = start::store(global)?;
    let (environment, by) = (args.env.as_str(), operator());
    // The lever first: a run that begins in this moment either sees it or is among those that are aborted.
    let lever = Lever { environment: environment.to_owned(), by: by.clone(), at: RunClock::start().now(), why: why.clone() };
    lever::pull(&store, &lever)?;
    output.say(&format!("environment {environment} is halted: no new drill begins there until `{}`", lever.release_command()));

    let not_ours = halt::not_ours(&store)?;
    for (run, why, _) in &not_ours {
        output.note(&format!("{run}  is left alone: {why}"));
    }
    let running = halt::going_on(&store, environment)?;
    for run in &running {
        match halt::abort(&store, run, &by, &why) {
            Ok(()) => output.say(&format!("{run}  is told to put everything back")),
            Err(exit) => output.say(&format!("{run}  {exit}")),
        }
    }
    for run in &running {
        let _ = halt::await_end(&store, run);
    }
    let left = halt::left(&store, environment)?;
    for run in left.iter().filter(|run| !running.contains(run)) {
        output.say(&format!("{run}  was left; it is taken over"));
    }
    for run in &left {
        // Whatever came of it is told below; one that cannot be taken back must not keep the others.
        if let Err(exit) = start::recover(&Recover { run: run.clone(), lab: None }, &start::How::TakeBack { yes_because: Some(&why) }, global, output)
        {
            output.say(&format!("{run}  {exit}"));
        }
    }

    let mut runs: Vec<&String> = running.iter().chain(&left).collect();
    runs.sort();
    runs.dedup();
    let remains: Vec<(&String, Option<String>)> = runs.into_iter().map(|run| (run, halt::remains(&store, run))).collect();
    if output.json {
        let runs: Vec<_> = remains.iter().map(|(run, remains)| json!({ "run": run, "left": remains })).collect();
        output.json_line(&json!({ "environment": environment, "runs": runs }));
    } else if remains.is_empty() {
        output.say("no run was going on or left there");
    } else {
        for (run, remains) in &remains {
            output.say(&format!("{run}  {}", remains.clone().unwrap_or_else(|| halt::put_back(&store, run))));
        }
    }
    let number = remains.iter().filter(|(_, remains)| remains.is_some()).count();
    if number == 0 {
        // Where such a run works is not known either.
        return match not_ours.iter().filter(|(_, _, is_running)| *is_running).map(|(run, ..)| run.as_str()).collect::<Vec<_>>().as_slice() {
            [] => Ok(0),
            others => {
                Err(Exit::new(Kind::Environment, format!("{} may go on in environment {environment}, and is another user's", others.join(", ")))
                    .hint("that user, or who shares its runs by the environment's `group`, halts it"))
            }
        };
    }
    Err(Exit::new(Kind::Environment, format!("{number} of {} runs left something in environment {environment}", remains.len()))
        .hint("run the same command again; `lifeboat runs` lists what solves each"))
}

pub(super) fn release(args: &Release, global: &Global, output: &Output) -> Result<u8, Exit> {
    let store = start::store(global)?;
    let released = lever::release(&store, &args.env, &operator(), RunClock::start().now(), &args.reason)?;
    if output.json {
        output.json_line(&json!({ "environment": args.env, "released": released }));
        return Ok(0);
    }
    output.say(&match released {
        Some(lever) => format!("drills may begin again ({lever})"),
        None => format!("environment {} was not halted", args.env),
    });
    Ok(0)
}
