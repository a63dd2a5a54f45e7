//! `lifeboat ctl`: a run is steered from another terminal.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::args::Global;
use super::output::Output;
use super::start;
use crate::journal::FileStore;
use crate::model::ids::{self, RunChoice, RunId};
use crate::model::order::{Asked, Order};
use crate::model::plain::line;
use crate::model::plan::{Mode, Stage};
use crate::ops::control::{self, Status};
use crate::ops::exit::{Exit, Kind};
use crate::ops::runs;
use crate::ops::sshsig;
use crate::ports::store::StoreError;

/// `lifeboat ctl`
#[derive(Debug, Args)]
pub struct Ctl {
    /// The run, a beginning of its name that fits one run only, or `latest`
    pub run: RunChoice,
    /// What it is to do
    #[command(subcommand)]
    pub order: Ask,
    /// Why, for the report
    #[arg(long, global = true, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who says so, where several people share this account [default: the login name of your user id]. Outside of the lab an answer counts for the user
    /// from whom it comes, whoever it names, unless it is signed
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub by: Option<String>,
    /// Sign an answer with this SSH key (Ed25519), listed under `approvers` of the environment for the NAME of --as: a private key, or a public one whose
    /// other half your agent holds
    #[arg(long, global = true, value_name = "FILE", requires = "by")]
    pub key: Option<PathBuf>,
}

/// What may be asked of a run.
#[derive(Debug, Clone, Subcommand)]
pub enum Ask {
    /// Tell how it stands: stage, steps, open questions
    Status,
    /// Start nothing more for now; what runs goes on, and stop conditions, leases and probes do too
    Pause,
    /// Go on after a pause
    Resume,
    /// Do without a step that waits, runs or has failed; needs --reason
    Skip {
        /// The step, such as `failover/shift-dns` or `shift-dns`
        step: String,
    },
    /// Try a failed step again
    Retry {
        /// The step
        step: String,
    },
    /// Give the source side up: from now on steps run as their `ungraceful` says
    Ungraceful,
    /// Start nothing more and leave things as they are; a fault is taken out all the same
    Stop,
    /// Start nothing more and put everything back
    Abort,
    /// Answer an approval or a manual step
    Answer {
        /// The step that asks
        step: String,
        /// The answer
        answer: YesNo,
    },
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// Approved, or done
    Yes,
    /// Not approved, or not to be done: the step fails
    No,
}

impl Ask {
    fn order(&self) -> Option<Order> {
        Some(match self.clone() {
            Self::Status => return None,
            Self::Pause => Order::Pause,
            Self::Resume => Order::Unpause,
            Self::Skip { step } => Order::Skip { step },
            Self::Retry { step } => Order::Retry { step },
            Self::Ungraceful => Order::Ungraceful,
            Self::Stop => Order::Stop,
            Self::Abort => Order::Abort,
            Self::Answer { step, answer } => Order::Answer { step, yes: answer == YesNo::Yes },
        })
    }
}

pub(super) fn ctl(args: &Ctl, global: &Global, output: &Output) -> Result<u8, Exit> {
    let store = start::store(global)?;
    let run = find(&store, &args.run)?;
    let Some(order) = args.order.order() else {
        let status = Status::of_running(&store, &run)?;
        if output.json {
            output.json_line(&status);
        } else {
            output.print(&text(&status));
        }
        return Ok(0);
    };
    let why = args.reason.clone().unwrap_or_default();
    if matches!(order, Order::Skip { .. }) && why.trim().is_empty() {
        return Err(Exit::new(Kind::Usage, "doing without a step needs a reason").hint("add --reason TEXT; it goes into the report"));
    }
    if order == Order::Abort && why.trim().is_empty() {
        wants_a_reason(&store, &run)?;
    }
    let said = order.to_string();
    let (order, signature) = match &args.key {
        Some(key) => signed(&store, &run, order, key)?,
        None => (order, None),
    };
    control::order(&store, &run, Asked { order, by: args.by.clone().unwrap_or_else(control::operator), why }, signature)?;
    if output.json {
        output.json_line(&serde_json::json!({ "run": run, "ok": true }));
    } else {
        output.say(&format!("{said}  {run}"));
    }
    Ok(0)
}

/// An answer under the whole key of its step, with the signature of the text that says it.
fn signed(store: &FileStore, run: &str, order: Order, key: &Path) -> Result<(Order, Option<String>), Exit> {
    let Order::Answer { step, yes } = order else { return Err(Exit::new(Kind::Usage, "--key: only an answer is signed")) };
    let status = Status::of_running(store, run)?;
    let is_it = |open: &&control::Open| open.step == step || ids::short(&open.step) == step;
    let Some(open) = status.questions.iter().find(is_it) else {
        let open: Vec<&str> = status.questions.iter().map(|open| open.step.as_str()).collect();
        let what = if open.is_empty() { "no step asks anything".to_owned() } else { format!("these ask: {}", open.join(", ")) };
        return Err(Exit::new(Kind::Environment, format!("run {run}: {what}")));
    };
    let text = control::answer_text(&status.run, &open.step, open.since, yes);
    let signature = sshsig::sign(key, text.as_bytes())
        .map_err(|why| Exit::new(Kind::Environment, format!("the answer is not signed with {}", key.display())).cause(why))?;
    Ok((Order::Answer { step: open.step.clone(), yes }, Some(signature)))
}

/// Refuses to abort an emergency that has changed something, unless somebody says why: it leads users back whether the source side is well or not.
fn wants_a_reason(store: &FileStore, run: &str) -> Result<(), Exit> {
    let status = Status::of_running(store, run)?;
    if status.mode != Some(Mode::Emergency) || status.held.is_empty() {
        return Ok(());
    }
    Err(Exit::new(Kind::Refused, format!("this puts back {} although the source side may be down; nothing was changed", status.held.join(", ")))
        .hint("add --reason TEXT to abort all the same; `stop` starts nothing more and leaves things as they are"))
}

/// As everywhere; only that `latest` is the latest that goes on, if one does.
fn find(store: &FileStore, wanted: &RunChoice) -> Result<RunId, Exit> {
    let all = || store.runs().map_err(|error: StoreError| Exit::from_error(Kind::Environment, &error));
    let running = match wanted {
        RunChoice::Latest => all()?.into_iter().rev().find(|run| store.is_owned(run)),
        RunChoice::Named(_) => None,
    };
    running.map_or_else(|| runs::find(store, wanted), Ok)
}

fn text(status: &Status) -> String {
    let mut lines = vec![format!("{}  {}", status.run, status.environment)];
    let stage = status.stage.map_or("starting", stage_word);
    let mut words = vec![match status.verdict {
        Some(_) => "ended".to_owned(),
        None => stage.to_owned(),
    }];
    words.extend(status.paused.then(|| "paused".to_owned()));
    words.extend(status.ungraceful.then(|| "the source side is given up".to_owned()));
    words.extend(status.ending.as_ref().map(|ending| format!("asked to {ending}")));
    words.extend(status.lease_until.map(|until| format!("the fault may stand until {until}")));
    lines.push(words.join(", "));
    for question in &status.questions {
        let answered = if question.answered.is_empty() { String::new() } else { format!(" (so far {})", question.answered.join(", ")) };
        let of = if question.approvers > 1 { format!(", {} people", question.approvers) } else { String::new() };
        let what = if question.manual { "to be done by hand" } else { "waits for approval" };
        lines.push(format!("\n{} {what}{of}: {}{answered}", question.step, line(&question.text)));
        lines.push(format!("  lifeboat ctl {} answer {} yes", status.run, question.step));
    }
    lines.push(String::new());
    let width = status.steps.iter().map(|step| step.step.len()).max().unwrap_or(0);
    for step in &status.steps {
        lines.push(line(format!("{:width$}  {:9}  {}", step.step, step.state, step.detail).trim_end()).into_owned());
    }
    lines.join("\n") + "\n"
}

const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::SteadyState => "steady state",
        Stage::Inject => "inject",
        Stage::Detect => "detect",
        Stage::Decide => "decide",
        Stage::Failover => "failover",
        Stage::Verify => "verify",
        Stage::Failback => "failback",
        Stage::Cleanup => "cleanup",
    }
}
