//! The guards on the command line: what may be said to them, what they say before a run, and `lifeboat approve`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::args::Global;
use super::output::{Output, safe};
use super::steering::Limiting;
use super::{errors, start};
use crate::engine::clock::RunClock;
use crate::journal::FileStore;
use crate::model::diagnostic::suggest;
use crate::model::guard::{Confirmed, Decision, Guard, Override, Overrides, evaluate};
use crate::model::plain;
use crate::model::plan::{Mode, Plan};
use crate::model::text::Lang;
use crate::model::time::Span;
use crate::ops::approvals::{self, Given, Signer, Subject};
use crate::ops::check::plan_either;
use crate::ops::dry_run::DryRun;
use crate::ops::environment::Environment;
use crate::ops::exit::{Exit, Kind};
use crate::ops::guards::{self, Intended, in_the_way, way_out};
use crate::ops::people;
use crate::ops::preflight;
use crate::ops::project::Project;
use crate::ops::resolve::Request;
use crate::ops::run::{self, Allowed, DefinitionFile};
use crate::ops::unused;
use crate::ops::words::Words;

/// What may be said to the guards of an environment.
#[derive(Debug, Clone, Default, Args)]
pub struct Guarding {
    /// Go on although this guard says no, with the reason for the report; may be given several times. In a drill only `windows`, `freeze` and `overlap` give way
    #[arg(long = "override", value_name = "GUARD=REASON")]
    pub overrides: Vec<String>,
    /// The environment's name, where its guards want it typed
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
}

/// `lifeboat approve`
#[derive(Debug, Args)]
pub struct Approve {
    /// The scenario or runbook that somebody else is going to run
    pub scenario: PathBuf,
    /// The environment of lifeboat.yaml
    #[arg(long)]
    pub env: String,
    /// How long the approval holds
    #[arg(long = "for", value_name = "TIME", default_value = "8h")]
    pub lasts: Span,
    /// A variable that is going to be set
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// A parameter that the runbook is going to be given
    #[arg(long = "with", value_name = "NAME=VALUE")]
    pub with: Vec<String>,
    /// Approve a drill that stays on the standby side
    #[arg(long)]
    pub no_failback: bool,
    /// What else is going to be asked of the run: approved as it is given here.
    #[command(flatten)]
    pub limiting: Limiting,
    /// Who approves, by a name among the `approvers` of the environment [default: your login name]
    #[arg(long = "as", value_name = "NAME", requires = "key")]
    pub by: Option<String>,
    /// Sign with this SSH key (Ed25519): a private key, or a public one whose other half your agent holds
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// A run that is about to begin.
pub(super) struct About<'a> {
    pub(super) project: &'a Project,
    pub(super) store: &'a FileStore,
    pub(super) environment: &'a Environment,
    pub(super) plan: &'a Plan,
    pub(super) mode: Mode,
    pub(super) given: &'a Given,
}

impl About<'_> {
    /// How every guard decides; the name of the environment is `confirmed` or not.
    async fn decisions(&self, confirmed: Confirmed, overrides: Overrides, dry_run: Option<&DryRun>) -> Result<Vec<Decision>, Exit> {
        let Self { project, store, environment, plan, mode, .. } = *self;
        let subject = Subject::of(plan);
        let guards = project.guards(&environment.name).unwrap_or_default();
        let now = RunClock::start().now();
        let intended = Intended { environment, plan, mode, subject: &subject, now, confirmed, overrides, dry_run, own: None, intended: false };
        Ok(evaluate(&guards, &guards::gather(&guards, intended, store).await?))
    }

    /// The files of the plan; every variable that was set must be one that they or the environment use.
    pub(super) fn files(&self) -> Result<Vec<DefinitionFile>, Exit> {
        let files = run::definitions(&self.project.root, self.plan)?;
        let mut own = self.project.lab_vars(&self.environment.name);
        own.extend(self.project.settings.environments.get(&self.environment.name).map(|file| file.vars.clone()).unwrap_or_default());
        unused::check(&self.given.set, &own, &files).map(|()| files)
    }

    /// How every guard would decide, for `plan`.
    pub(super) async fn foreseen(&self, dry_run: &DryRun) -> Result<Vec<Decision>, Exit> {
        self.decisions(Confirmed::Later, Overrides::default(), Some(dry_run)).await
    }

    /// Whether a drill here has nothing that makes it safe.
    pub(super) fn is_unguarded(&self) -> bool {
        self.environment.is_real()
            && self.mode != Mode::Emergency
            && self.project.guards(&self.environment.name).is_none_or(|guards| guards.file.is_idle())
    }

    /// Lets the guards decide, asks where a person may decide, and gives what is to be recorded.
    ///
    /// # Errors
    /// When a guard refuses, or asks and nobody is there to answer: told with every guard that does.
    pub(super) async fn decide(&self, guarding: &Guarding, yes_because: Option<&str>, seen: &DryRun) -> Result<Allowed, Exit> {
        let name = &self.environment.name;
        let overrides = overrides(guarding, yes_because, self.mode)?;
        if self.is_unguarded() {
            return Err(Exit::new(
                Kind::Refused,
                format!("environment {name} is on real clouds and has no guards that could refuse anything: a drill there is refused"),
            )
            .hint(format!(
                "write `guards:` under `{name}` in lifeboat.yaml, at least `guards: {{ confirm: type-the-name }}`; docs/guide/staging.md has them all"
            )));
        }
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        let confirmed = match &guarding.confirm {
            Some(given) => Confirmed::Given(given.clone()),
            None if can_ask && self.mode != Mode::Emergency => Confirmed::Later,
            None => Confirmed::No,
        };
        let mut decisions = self.decisions(confirmed.clone(), overrides.clone(), Some(seen)).await?;
        if in_the_way(&decisions).0 {
            return Err(self.refused(&decisions));
        }
        if confirmed == Confirmed::Later && decisions.iter().any(|decision| decision.of() == Some(Guard::Confirm)) {
            let typed = typed(&format!("Type the name of the environment to begin ({name}): ")).unwrap_or_default();
            decisions = self.decisions(Confirmed::Given(typed), overrides.clone(), Some(seen)).await?;
            if in_the_way(&decisions).0 {
                return Err(self.refused(&decisions));
            }
        }
        if in_the_way(&decisions).1 {
            let why = if can_ask { self.asked(&decisions) } else { Err(self.unanswered(&decisions)) }?;
            let by = people::me().name;
            for decision in decisions.iter_mut().filter(|decision| decision.asks()) {
                decision.overridden = Some(Override { by: by.clone(), why: why.clone() });
            }
        }
        let guards = self.project.guards(name).unwrap_or_default();
        Ok(Allowed { decisions, said: guards::Said { guards, overrides, started_by: None } })
    }

    /// Every guard that refuses, and what helps.
    fn refused(&self, decisions: &[Decision]) -> Exit {
        refusal(decisions, self.environment, self.store, self.mode)
    }

    /// Guards ask, and nobody is there.
    fn unanswered(&self, decisions: &[Decision]) -> Exit {
        let asking: Vec<&Decision> = decisions.iter().filter(|decision| decision.asks()).collect();
        let message =
            format!("{} in {}, and there is no terminal to ask on; nothing was changed", said(&asking, "warns", "warn"), self.environment.name);
        let single: Vec<String> = asking.iter().map(|decision| way_out(decision, self.mode)).collect();
        let mut exit = Exit::new(Kind::Refused, message).hint(format!("add --yes-because REASON, or one by one {}", single.join(" ")));
        exit.causes = asking.iter().map(|decision| format!("{}: {}", decision.guard, decision.detail)).collect();
        exit
    }

    /// Asks once about everything that warns; the answer is the reason.
    fn asked(&self, decisions: &[Decision]) -> Result<String, Exit> {
        let asking: Vec<&Decision> = decisions.iter().filter(|decision| decision.asks()).collect();
        let mut question = format!("{} in {}:\n", said(&asking, "warns", "warn"), self.environment.name);
        for decision in &asking {
            question.push_str(&format!("  {}: {}\n", decision.guard, plain::line(&decision.detail)));
        }
        let wants_name = asking.iter().any(|decision| decision.of() == Some(Guard::Confirm));
        question.push_str(&if wants_name {
            format!("Go on all the same? Type the name {} and why, or nothing to leave: ", self.environment.name)
        } else {
            "Go on all the same? Type why, or nothing to leave: ".to_owned()
        });
        let answer = typed(&question).unwrap_or_default();
        let why = if wants_name { answer.strip_prefix(self.environment.name.as_str()).unwrap_or_default() } else { &answer };
        let why = reason(why.trim_start_matches([':', ',', ' ']));
        why.ok_or_else(|| Exit::new(Kind::Refused, "nobody took it upon themselves to go on; nothing was changed"))
    }
}

/// Every guard that refuses, and what helps.
pub(super) fn refusal(decisions: &[Decision], environment: &Environment, store: &FileStore, mode: Mode) -> Exit {
    let refusing: Vec<&Decision> = decisions.iter().filter(|decision| decision.stands_in_the_way()).collect();
    let of = |guard: Guard| refusing.iter().any(|decision| decision.of() == Some(guard));
    // A wrong account is not a matter of rules: the environment is not the one that is meant.
    let kind = if of(Guard::Account) { Kind::Environment } else { Kind::Refused };
    let mut exit = Exit::new(kind, format!("{} in {}; nothing was changed", said(&refusing, "refuses", "refuse"), environment.name));
    exit.causes = refusing.iter().map(|decision| format!("{}: {}", decision.guard, decision.detail)).collect();
    if of(Guard::Approvals) {
        // Where other people put their approvals. A folder that cannot be made is told by `approve`.
        let _ = approvals::prepare(&store.path(""));
    }
    let mut helps: Vec<String> = refusing
        .iter()
        .filter(|decision| decision.of() != Some(Guard::Account))
        .map(|decision| format!("{}: {}", decision.guard, way_out(decision, mode)))
        .collect();
    if of(Guard::Account) {
        helps.insert(0, preflight::hint(environment));
    }
    exit.hint(helps.join("; "))
}

/// `guard windows refuses`, `guards windows and freeze refuse`.
fn said(decisions: &[&Decision], one: &str, several: &str) -> String {
    let names: Vec<&str> = decisions.iter().map(|decision| decision.guard.as_str()).collect();
    match names.as_slice() {
        [name] => format!("guard {name} {one}"),
        [first @ .., last] => format!("guards {} and {last} {several}", first.join(", ")),
        [] => String::new(),
    }
}

/// A line typed on the terminal; `None` at its end.
pub(super) fn typed(question: &str) -> Option<String> {
    let _ = write!(io::stderr(), "{}", safe(question));
    let _ = io::stderr().flush();
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line).unwrap_or(0);
    (read > 0).then(|| line.trim().to_owned())
}

/// A reason fit for a journal: one line, not empty, bounded.
pub(super) fn reason(text: &str) -> Option<String> {
    const LONGEST: usize = 300;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// What was overridden on the command line.
pub(super) fn overrides(guarding: &Guarding, yes_because: Option<&str>, mode: Mode) -> Result<Overrides, Exit> {
    let mut overrides = Overrides::default();
    let wrong = |message: String| Exit::new(Kind::Usage, message);
    for given in &guarding.overrides {
        let (name, why) = given.split_once('=').unwrap_or((given, ""));
        let Some(guard) = Guard::named(name) else {
            let names = Guard::ALL.into_iter().filter(|guard| guard.may_be_overridden(mode)).map(Guard::name);
            let shown: String = name.chars().take(64).filter(|c| !c.is_control()).collect();
            return Err(Exit {
                hint: suggest(name, names, "guards that can be overridden"),
                ..wrong(format!("--override: there is no guard `{shown}`"))
            });
        };
        let Some(why) = reason(why) else {
            return Err(
                wrong(format!("--override {guard}: a reason is missing")).hint(format!("write --override {guard}=REASON; it goes into the report"))
            );
        };
        if !guard.may_be_overridden(mode) {
            let what = if mode == Mode::Emergency { "not even in an emergency" } else { "not in a drill" };
            return Err(
                wrong(format!("guard {guard} cannot be overridden, {what}")).hint("`lifeboat plan` shows what each guard says and what helps")
            );
        }
        overrides.of.insert(guard, why);
    }
    if let Some(why) = yes_because {
        let missing = || wrong("--yes-because: a reason is missing".into()).hint("write --yes-because REASON; it goes into the report");
        overrides.all = Some(reason(why).ok_or_else(missing)?);
    }
    Ok(overrides)
}

pub(super) fn approve(args: &Approve, global: &Global, output: &Output) -> Result<u8, Exit> {
    if args.lasts == Span::default() {
        return Err(Exit::new(Kind::Usage, "--for 0s approves nothing").hint("write how long the approval holds, like 2h"));
    }
    let project = start::project_for(Some(&args.scenario))?;
    let store = start::store_of(global, Some(&project))?;
    let file = project.environment(&args.env).map_err(|found| errors::definitions(&found))?;
    let Limiting { ungraceful, budget, undo_for, patience } = args.limiting;
    let given = Given {
        set: start::pairs(&args.set, "--set")?,
        with: start::pairs(&args.with, "--with")?,
        no_failback: args.no_failback,
        ungraceful,
        budget,
        undo_for,
        patience,
    };
    // The approval is of the files: where a lab is does not matter to them.
    let mut vars = project.lab_vars(&args.env);
    vars.extend(file.vars);
    vars.extend(given.set.clone());
    let limits = args.limiting.limits()?;
    let (parameters, no_failback) = (given.with.clone(), args.no_failback);
    let request = Request { vars, parameters, no_failback, limits, ungraceful, ..Request::new(&args.env, Mode::Drill) };
    let mut plan = plan_either(&args.scenario, &project, Words::of_catalogue(), &request).map_err(|found| errors::definitions(&found))?;
    approvals::complete(&mut plan, &given, &project.root);
    let signer = signer(args, &plan)?;
    let now = RunClock::start().now();
    let until = now.plus(args.lasts.duration());
    let path = approvals::give(&store.path(""), &plan, signer, now, until)?;
    let me = people::me();
    let by = signer.map_or(me.name.as_str(), |signer| signer.name);
    if output.json {
        output.json_line(
            &json!({ "digest": Subject::of(&plan).digest(), "by": by, "signed": signer.is_some(), "uid": me.uid, "until": until, "file": path }),
        );
        return Ok(0);
    }
    let title = plan.title.get(Lang::En);
    output.say(&format!(
        "{by} approves {} in {} until {}",
        plain::line(if title.is_empty() { &plan.name } else { title }),
        args.env,
        until.to_utc().format("%Y-%m-%d %H:%M:%SZ")
    ));
    for definition in plan.definitions.iter().chain(&plan.files) {
        output.say(&format!("  {}  {}", definition.sha256.get(..12).unwrap_or_default(), plain::line(&definition.path)));
    }
    for (flag, value) in &plan.given {
        output.say(&format!("  {flag}  {value}"));
    }
    output.say(&format!(
        "It counts for a run that somebody else starts in the same way, as long as none of these files changes.\nkept in  {}",
        path.display()
    ));
    Ok(0)
}

/// With which key the approval is signed. Where the environment lists approvers, nothing else counts.
fn signer<'a>(args: &'a Approve, plan: &Plan) -> Result<Option<Signer<'a>>, Exit> {
    let named = || plan.approvers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match (&args.key, &args.by) {
        (None, _) if plan.approvers.is_empty() => Ok(None),
        (None, _) => Err(Exit::new(Kind::Usage, format!("in {} only signed approvals count: {} have a key", args.env, named()))
            .hint("add --as NAME --key FILE, such as --key ~/.ssh/id_ed25519")),
        (Some(_), _) if plan.approvers.is_empty() => Err(Exit::new(Kind::Usage, format!("--key: nobody's key is listed for {}", args.env))
            .hint("list them under `approvers` of the environment, or leave --key out: then it counts for your login")),
        (Some(key), Some(name)) if plan.approvers.contains_key(name) => Ok(Some(Signer { name, key })),
        (Some(_), Some(name)) => {
            let hint = suggest(name, plan.approvers.keys().map(String::as_str), "approvers");
            Err(Exit {
                hint,
                ..Exit::new(Kind::Usage, format!("--as: `{}` is none of the approvers of {}", reason(name).unwrap_or_default(), args.env))
            })
        }
        (Some(_), None) => Err(Exit::new(Kind::Usage, "--key: whose it is is missing").hint(format!("add --as NAME: {}", named()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[&str], mode: Mode) -> Result<Overrides, String> {
        let guarding = Guarding { overrides: given.iter().map(|text| (*text).to_owned()).collect(), confirm: None };
        overrides(&guarding, None, mode).map_err(|exit| exit.to_string())
    }

    #[test]
    fn an_override_names_a_guard_that_gives_way_and_a_reason() {
        let read = check(&["windows=the vendor is here today", "freeze= sales = agreed "], Mode::Drill).unwrap();
        assert_eq!(read.of[&Guard::Windows], "the vendor is here today");
        assert_eq!(read.of[&Guard::Freeze], "sales = agreed");
        for (wrong, part) in [
            ("window=x", "did you mean `windows`?"),
            ("windows", "a reason is missing"),
            ("windows= \t", "a reason is missing"),
            ("account=x", "cannot be overridden, not in a drill"),
            ("max_targets=x", "cannot be overridden, not in a drill"),
        ] {
            let error = check(&[wrong], Mode::Drill).unwrap_err();
            assert!(error.contains(part) && error.contains("hint:"), "{wrong}: {error}");
        }
        assert!(check(&["max_targets=x"], Mode::Emergency).is_ok());
        assert!(check(&["account=x"], Mode::Emergency).unwrap_err().contains("not even in an emergency"));
    }
}
