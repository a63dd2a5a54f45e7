//! The runs on disk: naming, finding, listing, reading with the chain checked.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use serde::{Deserialize as _, Serialize};

use super::control::abort_command;
use super::exit::{Exit, Kind};
use crate::journal::FileStore;
use crate::journal::file::{JOURNAL, PLAN};
use crate::journal::folder::is_stranger;
use crate::model::chain::{self, Chain, ChainError, Part, Wrong};
use crate::model::event::{Body, RunEvent};
use crate::model::format::{Format, Unreadable, Version, check_file, check_readable};
use crate::model::ids::{NoChoice, RunChoice, RunId};
use crate::model::measure::{self, StandingChange, Stands, standing};
use crate::model::plan::{Plan, Verdict};
use crate::model::state::RunState;
use crate::model::time::Timestamp;
use crate::ports::store::{RunStore as _, StoreError};

/// The id of a run that begins now.
#[must_use]
pub fn fresh_id(now: Timestamp, name: &str) -> RunId {
    RunId::new(now, name, rand::random())
}

/// The run that a person means.
///
/// # Errors
/// When there is no such run, or more than one.
pub fn find(store: &FileStore, wanted: &RunChoice) -> Result<RunId, Exit> {
    let runs = store.runs().map_err(|error| unreadable(&error))?;
    let said = |why: NoChoice| Exit::new(Kind::Usage, why.to_string()).hint("`lifeboat runs` lists them; --reports DIR says where they are");
    wanted.among(&runs).cloned().map_err(said)
}

/// Reads a run's journal and checks every link of its chain.
///
/// # Errors
/// When it cannot be read, was altered (naming the event), or is a newer Lifeboat's.
pub fn read(store: &FileStore, run: &str) -> Result<Chain, Exit> {
    trusted(store, run, whole_part(store, run))
}

/// The same, with the SHA-256 of the journal's lines, for who notes how it ended.
///
/// # Errors
/// As [`read`].
pub(super) fn read_with_digest(store: &FileStore, run: &str) -> Result<(Chain, String), Exit> {
    let lines = store.read(run, 0).map_err(|error| unreadable(&error))?;
    let digest = chain::sha256_of_lines(lines.iter().map(Vec::as_slice));
    trusted(store, run, judged(store, run, &lines)).map(|chain| (chain, digest))
}

/// A chain of which nothing is wrong; else what is, with what helps.
fn trusted(store: &FileStore, run: &str, (chain, wrong): (Chain, Option<Exit>)) -> Result<Chain, Exit> {
    let Some(wrong) = wrong else { return Ok(chain) };
    if wrong.kind == Kind::Newer {
        return Err(wrong);
    }
    let help = settled_by(store, run);
    Err(match wrong.hint.clone() {
        Some(hint) if hint != help => wrong.hint(format!("{hint}, or: {help}")),
        _ => wrong.hint(help),
    })
}

/// What is provably whole of a run's journal, and why the rest cannot be read or trusted, if so.
#[must_use]
pub fn whole_part(store: &FileStore, run: &str) -> (Chain, Option<Exit>) {
    match store.read(run, 0) {
        Ok(lines) => judged(store, run, &lines),
        Err(error) => (nothing(run), Some(unreadable(&error))),
    }
}

fn nothing(run: &str) -> Chain {
    Chain { events: Vec::new(), head: chain::genesis(run) }
}

/// What of these lines is provably whole, and what is wrong with the rest.
fn judged(store: &FileStore, run: &str, lines: &[Vec<u8>]) -> (Chain, Option<Exit>) {
    let altered = |error: ChainError| {
        Exit::new(Kind::Definitions, format!("the journal of run {run} was altered"))
            .cause(error.to_string())
            .hint("its report cannot be trusted; restore the file from a copy")
    };
    let mut part = chain::whole_part(run, lines.iter().map(Vec::as_slice));
    match is_shared_with_us(store, run, &part.chain) {
        Err(strange) => (nothing(run), Some(strange)),
        Ok(()) => {
            let wrong = part.altered.take().or_else(|| ends_as_noted(store, run, &part).err());
            let wrong = wrong.map(altered).or_else(|| unread(store, run, &part));
            (part.chain, wrong)
        }
    }
}

/// Why this Lifeboat cannot read a run, if another one wrote words into its journal or plan that this one does not know; whatever else is wrong with it.
#[must_use]
pub fn newer(store: &FileStore, run: &str) -> Option<Exit> {
    let lines = store.read(run, 0).unwrap_or_default();
    unread(store, run, &chain::whole_part(run, lines.iter().map(Vec::as_slice)))
}

fn unread(store: &FileStore, run: &str, part: &Part) -> Option<Exit> {
    match &part.unread {
        Some(wrong @ ChainError { reason: Wrong::Unread(unread), .. }) => Some(unreadable_here(run, &format!("{JOURNAL}, {wrong}"), unread)),
        _ => plan_unread(store, run),
    }
}

/// Why this Lifeboat cannot read the plan in the folder of a run, if it is of another format.
pub(super) fn plan_unread(store: &FileStore, run: &str) -> Option<Exit> {
    let unread = check_file(Format::Plan, &store.read_beside(run, PLAN).ok()?).err()?;
    Some(unreadable_here(run, &format!("{PLAN}: {unread}"), &unread))
}

fn unreadable_here(run: &str, said: &str, unread: &Unreadable) -> Exit {
    Exit::new(Kind::Newer, format!("run {run} has what this Lifeboat cannot read")).cause(said).hint(unread.hint())
}

/// What a run had come to as far as its journal is provably whole, and why the rest cannot be read or trusted, if so.
#[must_use]
pub fn told_part(store: &FileStore, run: &str) -> (RunState, Option<Exit>) {
    let (chain, wrong) = whole_part(store, run);
    match state(run, &chain) {
        Ok(state) => (state, wrong),
        // Sealed as it should be, and yet no run: nothing of it is used.
        Err(error) => (RunState::default(), Some(wrong.unwrap_or(error))),
    }
}

/// What helps with a run whose journal cannot be read or trusted.
#[must_use]
pub fn settled_by(store: &FileStore, run: &str) -> String {
    if let Some(hint) = newer(store, run).and_then(|exit| exit.hint) {
        return hint;
    }
    match store.vouched(run) {
        Err(error) if is_stranger(&error.source) => STRANGER.to_owned(),
        _ => format!("`{}` takes its fault out by its marks and settles it", from_marks_command(store, run)),
    }
}

/// The command that settles a run whose journal cannot be read or trusted. Where nothing tells its environment, somebody has to.
#[must_use]
pub fn from_marks_command(store: &FileStore, run: &str) -> String {
    let is_placed = told_part(store, run).0.plan().is_some() || plan_beside(store, run).is_some();
    format!("{} --from-marks{}", abort_command(store, run), if is_placed { "" } else { " --env NAME" })
}

/// A problem with its causes in one line.
#[must_use]
pub fn in_a_line(exit: &Exit) -> String {
    [&exit.message].into_iter().chain(&exit.causes).cloned().collect::<Vec<_>>().join(": ")
}

/// A group vouches for the runs of those environments that name it, and for no others.
fn is_shared_with_us(store: &FileStore, run: &str, chain: &Chain) -> Result<(), Exit> {
    let Some(group) = store.vouched(run).map_err(|error| unreadable(&error))? else { return Ok(()) };
    let environment = chain.events.iter().find_map(|event| match &event.body {
        Body::Run(RunEvent::Started { plan, .. }) => Some(plan.environment.as_str()),
        _ => None,
    });
    if environment.is_none_or(|environment| store.trust().group_of(environment) == Some(group)) {
        return Ok(());
    }
    let environment = environment.unwrap_or_default();
    Err(Exit::new(Kind::Environment, format!("run {run} is another user's: group {group} shares no runs of environment {environment}")))
}

/// The file beside a journal that says how it ended: number and hash of its last event, and the SHA-256 of the whole file.
pub(super) const HEAD: &str = "journal.head";

/// Notes how the journal of `run` ended when its run did. No chain can tell that lines at its end are missing: they may never have been written.
/// `digest`: the SHA-256 of its lines.
pub fn note_head(store: &FileStore, run: &str, chain: &Chain, digest: &str) {
    // A folder that cannot be written has been told of by whoever writes the report.
    let _ = store.write_over(run, HEAD, &head(&format!("{} {} {digest}", chain.events.len(), chain.head)));
}

/// Makes the file that will say how the journal of `run` ended, so that a full disk does not keep that from being said.
///
/// # Errors
/// When it cannot be made.
pub fn keep_room_for_head(store: &FileStore, run: &str) -> Result<(), StoreError> {
    store.write_over(run, HEAD, &head(""))
}

/// As much for any end.
fn head(text: &str) -> Vec<u8> {
    format!("{text:<191}\n").into_bytes()
}

/// Holds a chain against what was noted at its end; a run that was taken up again has more events.
fn ends_as_noted(store: &FileStore, run: &str, part: &Part) -> Result<(), ChainError> {
    let noted = noted_head(store, run);
    let count = part.length;
    let wrong = |position: u64, reason: String| Err(ChainError { position, reason: Wrong::Altered(reason) });
    let (length, head) = match noted.as_slice() {
        [] => return Ok(()),
        [length, head, ..] if length.parse::<u64>().is_ok() => (length.parse().unwrap_or(count), head),
        _ => {
            return wrong(count, format!("may not be the last: {HEAD}, which says how the journal ended, was altered"));
        }
    };
    if count < length {
        return wrong(count + 1, format!("is missing: the journal ended with event {length}"));
    }
    if count == length && part.head != *head {
        return wrong(count, "is not the one that the journal ended with".into());
    }
    Ok(())
}

/// The words of the file that says how a journal ended.
pub(super) fn noted_head(store: &FileStore, run: &str) -> Vec<String> {
    let noted = store.read_beside(run, HEAD).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    noted.split_whitespace().map(str::to_owned).collect()
}

/// A run's state from its journal.
///
/// # Errors
/// As [`read`]; also when its events make no legal run.
pub fn state(run: &str, chain: &Chain) -> Result<RunState, Exit> {
    RunState::from_events(&chain.events)
        .map_err(|error| Exit::new(Kind::Definitions, format!("the journal of run {run} makes no sense")).cause(error.to_string()))
}

/// The plan in the folder of a run, for a run that has not got as far as an event, or whose events cannot be read.
#[must_use]
pub fn plan_beside(store: &FileStore, run: &str) -> Option<Plan> {
    let bytes = store.read_beside(run, PLAN).ok()?;
    check_file(Format::Plan, &bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The plan of a run by its first event alone, if that is as it was written and can be read: a journal may be long, and where its run works is said at its
/// beginning.
#[must_use]
pub fn begun_as(store: &FileStore, run: &str) -> Option<Plan> {
    let mut line = Vec::new();
    BufReader::new(store.open_beside(run, JOURNAL).ok()?).read_until(b'\n', &mut line).ok()?;
    let first = chain::whole_part(run, [line.strip_suffix(b"\n")?]).chain.events.pop()?;
    match first.body {
        Body::Run(RunEvent::Started { plan, .. }) => Some(*plan),
        _ => None,
    }
}

/// Whether a run has ended and nothing of it is in anybody's way, by the first and the last line of its journal, and the journal is, byte by byte, the one that
/// was noted at its end: it has passed, or it had no fault, and what it left in place was asked to stay. Then nothing more need be read, however long it is.
#[must_use]
pub fn is_settled(store: &FileStore, run: &str) -> bool {
    let last = || {
        let mut file = store.open_beside(run, JOURNAL).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(64 << 10))).ok()?;
        let mut tail = Vec::new();
        file.take(64 << 10).read_to_end(&mut tail).ok()?;
        let line = tail.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
        serde_json::from_slice::<serde_json::Value>(line).ok()
    };
    let is_as_noted = || {
        let noted = noted_head(store, run);
        noted.get(2).is_some_and(|digest| store.read_beside(run, JOURNAL).is_ok_and(|bytes| chain::sha256(&bytes) == *digest))
    };
    let is_read =
        |event: &serde_json::Value| Version::deserialize(&event["v"]).is_ok_and(|version| check_readable(Format::Journal, version, None).is_ok());
    let has_ended = |event: &serde_json::Value| event["of"] == "run" && event["event"] == "ended";
    let has_no_fault = || begun_as(store, run).is_some_and(|plan| plan.fault.is_none());
    let is_over = |event: &serde_json::Value| is_read(event) && has_ended(event) && (event["verdict"] == "pass" || has_no_fault());
    last().is_some_and(|event| is_over(&event)) && is_as_noted()
}

/// One line of `lifeboat runs`.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its id.
    pub run: RunId,
    /// `running`, `interrupted`, `ended`, or `unread`: another Lifeboat wrote what this one cannot read.
    pub state: &'static str,
    /// What it came to, once ended.
    pub verdict: Option<Verdict>,
    /// The scenario's or runbook's name.
    #[serde(skip)]
    pub name: String,
    /// The environment.
    pub environment: String,
    /// What a reader must know, such as a broken journal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remark: String,
    /// The command that solves it, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solve: Option<String>,
}

/// All runs, oldest first. A journal that cannot be read is listed with the reason, never left out.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(store: &FileStore) -> Result<Vec<Listed>, Exit> {
    let runs = store.runs().map_err(|error| unreadable(&error))?;
    Ok(runs
        .into_iter()
        .map(|run| {
            let owned = store.is_owned(&run);
            let read = read(store, &run).and_then(|chain| state(&run, &chain));
            let (name, environment) = plan_beside(store, &run).map(|plan| (plan.name, plan.environment)).unwrap_or_default();
            let mut listed = Listed { run, state: "interrupted", verdict: None, name, environment, remark: String::new(), solve: None };
            match read {
                Ok(state) => {
                    listed.verdict = state.ended.as_ref().map(|end| end.verdict);
                    if let Some(plan) = state.plan() {
                        listed.name.clone_from(&plan.name);
                        listed.environment.clone_from(&plan.environment);
                    }
                    listed.state = if state.ended.is_some() { "ended" } else { "interrupted" };
                    let standing = standing(&state);
                    if state.start.is_none() {
                        listed.remark = "never began".into();
                    } else if !owned {
                        listed.remark = told(&standing);
                    }
                    let differs = measure::differs(&state).len();
                    if standing.is_empty() && differs > 0 && !owned {
                        listed.remark = format!("{differs} not as before");
                    }
                    let moved = state.kept.iter().flat_map(|kept| &kept.moved).filter(|one| !one.is_unread()).count();
                    if moved > 0 && !owned {
                        listed.remark = format!("{}; {moved} changed by others since", told(&standing));
                    }
                    let can_be_undone = standing.iter().any(|one| one.can_be_undone);
                    if !owned && state.start.is_some() && (can_be_undone || differs > 0 || state.ended.is_none()) {
                        listed.solve = Some(abort_command(store, &listed.run));
                    }
                }
                Err(error) => {
                    listed.remark = in_a_line(&error);
                    if error.kind == Kind::Newer {
                        listed.state = "unread";
                    }
                    let is_newer = error.kind == Kind::Newer || newer(store, &listed.run).is_some();
                    listed.solve = (!owned && !is_newer && store.vouched(&listed.run).is_ok()).then(|| from_marks_command(store, &listed.run));
                }
            }
            if owned {
                listed.state = "running";
                listed.verdict = None;
            }
            listed
        })
        .collect())
}

/// What stands of a run, in one line; empty when nothing does.
#[must_use]
pub fn told(standing: &[StandingChange]) -> String {
    let is_accepted = |one: &&StandingChange| matches!(one.why, Stands::Accepted(_));
    let of = |can_be_undone: bool| standing.iter().filter(move |one| one.can_be_undone == can_be_undone && !is_accepted(one));
    let listed = |of: &mut dyn Iterator<Item = &StandingChange>| of.map(|one| one.step.as_str()).collect::<Vec<_>>().join(", ");
    let undone: Vec<&StandingChange> = of(true).collect();
    let applied = match undone.len() {
        0 => None,
        steps => Some(format!("{steps} applied, not undone: {}", listed(&mut undone.into_iter()))),
    };
    let lasting = of(false).next().map(|_| format!("cannot be undone: {}", listed(&mut of(false))));
    let accepted = standing.iter().filter_map(|one| match &one.why {
        Stands::Accepted(acceptance) => Some(format!("{}: {}", one.step, measure::accepted(acceptance))),
        _ => None,
    });
    applied.into_iter().chain(lasting).chain(accepted).collect::<Vec<_>>().join("; ")
}

/// Why a run cannot be worked with, and what helps.
pub(super) fn unreadable(error: &StoreError) -> Exit {
    let exit = Exit::from_error(Kind::Environment, error);
    if is_stranger(&error.source) { exit.hint(STRANGER) } else { exit }
}

/// What helps when a run is not the caller's.
const STRANGER: &str =
    "what a run's folder holds is acted upon with your rights: work with it as the user that it belongs to, or name a `group` in the environment";
