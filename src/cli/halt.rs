//! `lifeboat halt` and `lifeboat release`: the lever of an environment.

use clap::Args;
use serde_json::json;

use super::args::{Global, Recover};
use super::output::Output;
use super::start;
use crate::engine::clock::RunClock;
use crate::journal::FileStore;
use crate::model::ids::{RunChoice, RunId};
use crate::model::project::EnvironmentKind;
use crate::ops::control::operator;
use crate::ops::exit::{Exit, Kind};
use crate::ops::halt;
use crate::ops::lever::{self, Lever};
use crate::ops::lock::Place;
use crate::ops::project::Project;
use crate::ops::{places, runs};

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
    // A name that does not exist would halt nothing and say that it did; an environment that has mistakes, or that only runs know of, can be halted.
    let project = start::project_in_need(None)?;
    let store = start::store_of(global, Some(&project))?;
    if !project.names(&args.env) && !halt::is_known(&store, &args.env) {
        project.environment(&args.env).map_err(|found| super::errors::definitions(&found))?;
    }
    let why = args.reason.split_whitespace().collect::<Vec<_>>().join(" ");
    if why.is_empty() {
        return Err(Exit::new(Kind::Usage, "a reason is missing").hint("say it with --reason TEXT: whoever is refused a drill meanwhile is told"));
    }
    let (environment, by) = (args.env.as_str(), operator());
    // The lever first: a run that begins in this moment either sees it or is among those that are aborted.
    let keys = keys(Some(&project), environment);
    let lever = Lever {
        environment: environment.to_owned(),
        by: by.clone(),
        at: RunClock::start().now(),
        why: why.clone(),
        keys,
        kept: Vec::new(),
        unread: None,
    };
    for place in lever::pull(&store, &lever)? {
        output.note(&format!("the lever could not be kept everywhere; a drill that is begun from there may not see it: {place}"));
    }
    output.say(&format!("environment {environment} is halted: no new drill begins there until `{}`", lever.release_command()));

    let written =
        project.environment(environment).ok().filter(|file| file.kind == EnvironmentKind::Cloud).map(|file| Place::written(environment, &file));
    let everywhere: Vec<FileStore> = {
        let others = places::other_folders(&store);
        std::iter::once(store).chain(others).collect()
    };
    // The environment of this name in another project may be another one.
    let is_here = |at: &FileStore, run: &str| {
        places::are_of_one_project(at, &everywhere[0])
            || runs::plan_beside(at, run).is_some_and(|plan| written.as_ref().is_some_and(|here| here.is_same(&Place::of(&plan))))
    };
    type LocatedRuns<'a> = Vec<(&'a FileStore, RunId)>;
    let (mut running, mut left): (LocatedRuns<'_>, LocatedRuns<'_>) = Default::default();
    // Where a run works that is not ours is not known; neither is what goes on in a folder that cannot be read.
    let mut unknown: Vec<String> = Vec::new();
    for at in everywhere.iter().filter(|at| places::are_of_one_project(at, &everywhere[0])) {
        match halt::not_ours(at) {
            Ok(found) => {
                found.iter().for_each(|(run, why, _)| output.note(&format!("{run}  is left alone: {why}")));
                let others = found.into_iter().filter(|(.., is_running)| *is_running);
                unknown.extend(others.map(|(run, ..)| format!("{run} may go on in environment {environment}, and is another user's")));
            }
            Err(_) => unknown.push(format!("{} cannot be read, and a run of environment {environment} may go on there", at.folder().display())),
        }
    }
    let mut solved = "that user, or who shares its runs by the environment's `group`, halts it".to_owned();
    for at in everywhere.iter().filter(|at| places::are_of_one_project(at, &everywhere[0])) {
        for run in halt::placeless(at).unwrap_or_default() {
            solved = format!("if it was in {environment}: {}", runs::settled_by(at, &run));
            unknown.push(format!("nothing tells in which environment run {run} ran and what it left"));
        }
    }
    for at in &everywhere {
        match halt::going_on(at, environment) {
            Ok(found) => running.extend(found.into_iter().filter(|run| is_here(at, run)).map(|run| (at, run))),
            Err(exit) => output.note(&format!("{}  {exit}", at.folder().display())),
        }
    }
    for (at, run) in &running {
        match halt::abort(at, run, &by, &why) {
            Ok(()) => output.say(&format!("{run}  is told to put everything back")),
            Err(exit) => output.say(&format!("{run}  {exit}")),
        }
    }
    for (at, run) in &running {
        let _ = halt::await_end(at, run);
    }
    for at in &everywhere {
        match halt::left(at, environment) {
            Ok(found) => left.extend(found.into_iter().filter(|run| is_here(at, run)).map(|run| (at, run))),
            Err(exit) => output.note(&format!("{}  {exit}", at.folder().display())),
        }
    }
    for (_, run) in left.iter().filter(|(_, run)| running.iter().all(|(_, going_on)| going_on != run)) {
        output.say(&format!("{run}  was left; it is taken over"));
    }
    for (at, run) in &left {
        let global = Global { reports: Some(at.folder().to_owned()), ..global.clone() };
        // Whatever came of it is told below; one that cannot be taken back must not keep the others.
        if let Err(exit) = start::recover(
            &Recover { run: RunChoice::Named(run.to_string()), lab: None },
            &start::How::TakeBack { yes_because: Some(&why), from_marks: Some(None) },
            &global,
            output,
        ) {
            output.say(&format!("{run}  {exit}"));
        }
    }

    let mut runs: LocatedRuns<'_> = running.into_iter().chain(left).collect();
    runs.sort_by(|(_, one), (_, other)| one.cmp(other));
    runs.dedup_by(|(_, one), (_, other)| one == other);
    let remains: Vec<(&FileStore, &RunId, Option<String>)> = runs.iter().map(|(at, run)| (*at, run, halt::remains(at, run))).collect();
    if output.json {
        let runs: Vec<_> = remains.iter().map(|(_, run, remains)| json!({ "run": run, "left": remains })).collect();
        output.json_line(&json!({ "environment": environment, "runs": runs }));
    } else if remains.is_empty() {
        output.say("no run was going on or left there");
    } else {
        for (at, run, remains) in &remains {
            output.say(&format!("{run}  {}", remains.clone().unwrap_or_else(|| halt::put_back(at, run))));
        }
    }
    let number = remains.iter().filter(|(_, _, remains)| remains.is_some()).count();
    if number == 0 {
        return if unknown.is_empty() { Ok(0) } else { Err(Exit::new(Kind::Environment, unknown.join("; ")).hint(solved)) };
    }
    Err(Exit::new(Kind::Environment, format!("{number} of {} runs left something in environment {environment}", remains.len()))
        .hint("run the same command again; `lifeboat runs` lists what solves each"))
}

pub(super) fn release(args: &Release, global: &Global, output: &Output) -> Result<u8, Exit> {
    let store = start::store(global)?;
    let keys = keys(start::project_in_need(None).ok().as_ref(), &args.env);
    let released = lever::release(&store, &args.env, &keys, &operator(), RunClock::start().now(), &args.reason)?;
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

/// By what an environment of accounts is known outside of its project; a lab, or one that cannot be read, by nothing.
fn keys(project: Option<&Project>, environment: &str) -> Vec<String> {
    let file = project.and_then(|project| project.environment(environment).ok());
    file.filter(|file| file.kind == EnvironmentKind::Cloud).map(|file| Place::written(environment, &file).lever_keys()).unwrap_or_default()
}
