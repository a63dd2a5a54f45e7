//! What may be typed. The doc comments are the help.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use super::accept::Accept;
pub use super::ctl::Ctl;
pub use super::guarded::{Approve, Guarding};
pub use super::halt::{Halt, Release};
pub use super::steering::Steering;
pub use super::taking_back::Abort;
use crate::lab::serve::SCALES;
use crate::model::ids::RunChoice;
use crate::model::text::Lang;
use crate::model::time::{Span, Timestamp};
use crate::ports::Cloud;

/// Drill a failover and execute it in an emergency: the same procedure, on AWS and Alibaba Cloud, with one verdict.
///
/// A scenario names a fault, the runbook that must recover from it and the probes that verify it. `drill` injects the fault, runs the runbook,
/// measures the recovery, takes everything back and writes a report. `execute` runs a runbook for real. Without any account, `drill` runs in the
/// lab: two simulated clouds on this machine.
///
/// Exit codes: 0 pass, 2 fail, 3 inconclusive, 4 aborted, 64 usage, 65 definitions (also a journal that was altered, or
/// what a newer Lifeboat wrote), 69 environment, 70 internal, 77 refused by a guard.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Go to this folder first: the project file and all other paths are looked for from there
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Folder of the runs, one folder each [default: `reports` beside lifeboat.yaml]
    #[arg(long, global = true, value_name = "DIR")]
    pub reports: Option<PathBuf>,
    /// What is printed: text for people, or JSON for programs (one line at the end; progress goes to standard error)
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
    /// No colour (NO_COLOR does the same)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Log what Lifeboat itself does, on standard error: -v what it does, -vv each call and decision, -vvv everything, of the libraries too
    /// (LIFEBOAT_LOG=lifeboat=trace,hyper=info chooses by itself)
    #[arg(short = 'v', long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Inject a fault, recover by the runbook, measure, take everything back
    Drill(Drill),
    /// Run a runbook in an emergency: no fault, nothing undone unasked
    Execute(Execute),
    /// Check scenarios, runbooks and the project file without touching anything
    Validate(Validate),
    /// Show what a drill would do: every step, target and API call, in order
    Plan(PlanArgs),
    /// Write the report of a run again, from its journal alone
    Report(Report),
    /// Print every single sample that the probes of a run took
    Samples(Samples),
    /// List the runs and their verdicts
    #[command(after_help = "Examples:\n\
        \x20 lifeboat runs\n\
        \x20 lifeboat runs --output json")]
    Runs,
    /// Go on where a run was left, after reading the clouds: one that was interrupted, or an emergency that was stopped or failed
    Resume(Resume),
    /// Heal the fault of a run that nobody runs any more and undo its steps; asks first where that leads users away from what serves them
    #[command(after_help = "Examples:\n\
        \x20 lifeboat abort latest\n\
        \x20 lifeboat abort 20261122T2327 --lab http://127.12.0.1:7000")]
    Abort(Abort),
    /// Take what is there of a step as it is, with your name and a reason, when it cannot be put back: it is held no longer
    Accept(Accept),
    /// Approve, before somebody else runs it, exactly this scenario or runbook in this environment
    #[command(after_help = "Examples:\n\
        \x20 lifeboat approve scenarios/aliyun-region-outage.yaml --env staging --for 2h")]
    Approve(Approve),
    /// Undo faults whose lease has ended, by the marks on cloud objects alone: no journal needed
    Reaper(Reaper),
    /// Steer a run that is going on, from another terminal
    #[command(after_help = "Examples:\n\
        \x20 lifeboat ctl latest status\n\
        \x20 lifeboat ctl latest skip failover/share-image --reason \"shared by hand\"\n\
        \x20 lifeboat ctl latest answer failover/confirm yes")]
    Ctl(Ctl),
    /// Abort all runs of an environment, those of an emergency too, take back what others left, and let no new drill begin there
    #[command(after_help = "Examples:\n\
        \x20 lifeboat halt --env staging --reason \"a real incident\"")]
    Halt(Halt),
    /// Let drills begin again in an environment that was halted
    #[command(after_help = "Examples:\n\
        \x20 lifeboat release --env staging --reason \"the incident is over\"")]
    Release(Release),
    /// List the words a scenario may use, or explain one
    Actions(Actions),
    /// Print the JSON Schema of what you write, or of what programs read
    #[command(after_help = "Examples:\n\
        \x20 lifeboat schema > lifeboat.schema.json\n\
        \x20 lifeboat schema report > report.schema.json")]
    Schema(Schema),
    /// Run the two simulated clouds alone, for other tools to be pointed at
    Lab(Lab),
    /// Print a completion script for a shell
    Completions(Completions),
}

fn time_scale(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|scale| SCALES.contains(scale)).ok_or_else(|| format!("write a number from {} to {}", SCALES.start(), SCALES.end()))
}

/// Where a run runs.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// Use the lab that is already running at this control address, so that its world outlives the run; refused in an environment of accounts
    #[arg(long, value_name = "CONTROL_URL")]
    pub lab: Option<String>,
    /// Set a variable of the environment; the value is YAML
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Seed of the embedded lab: the same seed gives the same delays and answers [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "lab")]
    pub seed: Option<u64>,
    /// How many times as fast as real proportions the embedded lab's world moves [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "lab", value_parser = time_scale, allow_negative_numbers = true)]
    pub time_scale: Option<f64>,
}

/// `lifeboat drill`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat drill scenarios/aliyun-region-outage.yaml\n\
    \x20 lifeboat drill scenarios/sync-stop.yaml --env staging --output json\n\
    \x20 lifeboat drill scenarios/aws-route-failure.yaml --lab http://127.12.0.1:7000 --no-failback")]
pub struct Drill {
    /// The scenario file
    pub scenario: PathBuf,
    /// The environment of lifeboat.yaml
    #[arg(long, default_value = "lab")]
    pub env: String,
    /// Stay on the standby side: take the fault out, but neither fail back nor undo
    #[arg(long)]
    pub no_failback: bool,
    /// What is said to the guards.
    #[command(flatten)]
    pub guarding: Guarding,
    /// How it may be steered.
    #[command(flatten)]
    pub steering: Steering,
    /// Where it runs.
    #[command(flatten)]
    pub place: Where,
}

/// `lifeboat execute`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat execute runbooks/fail-over-to-aws.yaml --env production --since 2026-11-22T23:27:11Z\n\
    \x20 lifeboat execute runbooks/shift-checkout-to-aliyun.yaml --env production --yes-because \"incident 4711\"\n\
    \x20 lifeboat execute runbooks/fail-over-to-aws.yaml --env lab --with service=storefront")]
pub struct Execute {
    /// The runbook file
    pub runbook: PathBuf,
    /// The environment of lifeboat.yaml; there is no default in an emergency
    #[arg(long)]
    pub env: String,
    /// A parameter of the runbook; the value is YAML
    #[arg(long = "with", value_name = "NAME=VALUE")]
    pub with: Vec<String>,
    /// When the disruption began, in RFC 3339, such as 2026-11-22T23:27:11Z: recovery is measured from there [default: asked on a terminal]
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// What is said to the guards.
    #[command(flatten)]
    pub guarding: Guarding,
    /// Begin at once: ask neither whether to begin nor when the disruption began
    #[arg(long)]
    pub yes: bool,
    /// Go on although guards warn, with the reason for the report
    #[arg(long, value_name = "REASON")]
    pub yes_because: Option<String>,
    /// How it may be steered.
    #[command(flatten)]
    pub steering: Steering,
    /// Where it runs.
    #[command(flatten)]
    pub place: Where,
}

/// `lifeboat validate`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat validate .\n\
    \x20 lifeboat validate scenarios runbooks lifeboat.yaml --env staging")]
pub struct Validate {
    /// Files, or folders to search for *.yaml and *.yml
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The environment against whose variables expressions are checked
    #[arg(long, default_value = "lab")]
    pub env: String,
}

/// `lifeboat plan`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat plan scenarios/aliyun-region-outage.yaml\n\
    \x20 lifeboat plan runbooks/fail-over-to-aws.yaml --env production")]
pub struct PlanArgs {
    /// The scenario file, or a runbook
    pub scenario: PathBuf,
    /// The environment of lifeboat.yaml
    #[arg(long, default_value = "lab")]
    pub env: String,
    /// How it would be steered.
    #[command(flatten)]
    pub steering: Steering,
    /// Where it would run.
    #[command(flatten)]
    pub place: Where,
}

/// `lifeboat report`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat report latest\n\
    \x20 lifeboat report 20261122T2327 --lang zh\n\
    \x20 lifeboat report latest --format html --lang zh > report.html\n\
    \x20 lifeboat report latest --format json | jq '.opening[0].facts[0].value.values'\n\n\
Without --format and --lang it writes report.en.md, report.zh.md, their pictures, report.html and report.json into the folder of the run.")]
pub struct Report {
    /// The run, a beginning of its name that fits one run only, or `latest`
    pub run: RunChoice,
    /// Print the report in this language instead of writing the files; HTML holds both and shows this one first [default: of the locale]
    #[arg(long, value_enum)]
    pub lang: Option<Language>,
    /// Print the report in this format instead of writing the files [default with --lang: markdown]
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
}

/// `lifeboat schema`
#[derive(Debug, Args)]
pub struct Schema {
    /// Of which files
    #[arg(value_enum, default_value_t = SchemaOf::Definitions)]
    pub of: SchemaOf,
}

/// Which files a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Scenarios, runbooks, freeze calendars and the project file
    Definitions,
    /// The report for programs, `report.json`
    Report,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Markdown in one language
    Markdown,
    /// One page with both languages and all pictures, for any browser and for printing
    Html,
    /// Both languages and the values behind them; `lifeboat schema report` says what stands in it
    Json,
}

/// `lifeboat samples`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat samples latest --probe storefront\n\
    \x20 lifeboat samples latest --format arrow > samples.arrows")]
pub struct Samples {
    /// The run, a beginning of its name that fits one run only, or `latest`
    pub run: RunChoice,
    /// Only this probe's; may be given several times
    #[arg(long, value_name = "ID")]
    pub probe: Vec<String>,
    /// How they are written
    #[arg(long, value_enum, default_value_t = SampleFormat::Jsonl)]
    pub format: SampleFormat,
}

/// How single samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SampleFormat {
    /// One JSON object a line
    Jsonl,
    /// An Arrow IPC stream
    Arrow,
}

/// Language of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// English
    En,
    /// Chinese
    Zh,
}

impl From<Language> for Lang {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::En,
            Language::Zh => Self::Zh,
        }
    }
}

/// `lifeboat resume`, `lifeboat abort`
#[derive(Debug, Clone, Args)]
pub struct Recover {
    /// The run, a beginning of its name that fits one run only, or `latest`
    pub run: RunChoice,
    /// The lab it ran in, if that listens elsewhere now; another lab is refused, and so is any for a run on real clouds
    #[arg(long, value_name = "CONTROL_URL")]
    pub lab: Option<String>,
}

/// `lifeboat resume`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat resume latest\n\
    \x20 lifeboat resume 20261122T2327 --approve failover/confirm=ann")]
pub struct Resume {
    /// Which run.
    #[command(flatten)]
    pub recover: Recover,
    /// How long a step that has failed for good waits for a person [default: as when the run began]
    #[arg(long, value_name = "TIME")]
    pub patience: Option<Span>,
    /// Answer an approval or a manual step beforehand, as when a run begins; answers that were given before it was interrupted still count
    #[arg(long = "approve", value_name = "STEP[=NAME]")]
    pub approve: Vec<String>,
    /// Where the fault is still to be injected: go on although this guard says no by now, with the reason for the report; may be given several times
    #[arg(long = "override", value_name = "GUARD=REASON")]
    pub overrides: Vec<String>,
}

/// `lifeboat reaper`
///
/// Exit codes: 0 nothing stands that should not, 2 a fault stands that should not (it could not be undone, does not read as before, would be undone were
/// it no --dry-run, or its mark cannot be understood), 69 a cloud could not be searched,
/// 4 told twice to end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat reaper --env staging --dry-run\n\
    \x20 lifeboat reaper --env staging --every 1m --region aliyun:cn-shanghai")]
pub struct Reaper {
    /// The environment of lifeboat.yaml
    #[arg(long)]
    pub env: String,
    /// Look once, then end [this is the default]
    #[arg(long, conflicts_with = "every")]
    pub once: bool,
    /// Look again and again, with this much time between, such as 30s
    #[arg(long, value_name = "SPAN", value_parser = pause)]
    pub every: Option<Span>,
    /// Say what would be undone, and undo nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Believe marks too that the environment has not signed: those of an earlier Lifeboat, or of a key that is lost. Look at them with --dry-run first: whoever
    /// may write tags may have made them up
    #[arg(long)]
    pub unsigned: bool,
    /// Leave a lease alone for so long after its end: by so much the clocks of this machine and the runs' may differ
    #[arg(long, value_name = "SPAN", default_value = "30s")]
    pub grace: Span,
    /// Search this region too, besides the environment's own, such as aliyun:cn-shanghai
    #[arg(long = "region", value_name = "CLOUD:REGION", value_parser = region)]
    pub regions: Vec<(Cloud, String)>,
    /// The lab that runs at this control address
    #[arg(long, value_name = "CONTROL_URL")]
    pub lab: Option<String>,
}

fn pause(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.duration() < super::reaper::SHORTEST {
        Err("the clouds limit how often tags may be listed: 1s is the shortest".to_owned())
    } else {
        Ok(span)
    }
}

fn region(text: &str) -> Result<(Cloud, String), String> {
    match text.split_once(':') {
        Some(("aws", region)) if !region.is_empty() => Ok((Cloud::Aws, region.to_owned())),
        Some(("aliyun", region)) if !region.is_empty() => Ok((Cloud::Aliyun, region.to_owned())),
        _ => Err("write aws:REGION or aliyun:REGION".to_owned()),
    }
}

/// `lifeboat actions`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat actions\n\
    \x20 lifeboat actions dns.shift-weight")]
pub struct Actions {
    /// The word to explain
    pub name: Option<String>,
}

/// `lifeboat lab`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat lab\n\
    \x20 lifeboat lab --seed 7 --time-scale 10 --output json\n\
    \x20 lifeboat lab --print-world > worlds/ours.yaml\n\
    \x20 lifeboat lab --world worlds/ours.yaml")]
pub struct Lab {
    /// The same seed gives the same delays and answers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many times as fast as its world file the world moves
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = time_scale, allow_negative_numbers = true)]
    pub time_scale: f64,
    /// The second number of its addresses, 127.N.0.1 [default: the first free one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(10..=250))]
    pub prefix: Option<u8>,
    /// The world file that says what is in it [default: the shipped shop]
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// Print the world file of the shipped shop, to begin one of your own with, and start nothing
    #[arg(long, conflicts_with = "world")]
    pub print_world: bool,
}

/// `lifeboat completions`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 lifeboat completions bash > /etc/bash_completion.d/lifeboat")]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_scale_outside_the_range_is_a_mistake_of_the_command_line() {
        for wrong in ["0", "-1", "NaN", "inf", "1e308", "fast", ""] {
            for command in [&["lifeboat", "lab"][..], &["lifeboat", "drill", "a.yaml"]] {
                let error = Cli::try_parse_from(command.iter().copied().chain(["--time-scale", wrong])).unwrap_err();
                assert!(error.to_string().contains("write a number from 0.01 to 1000"), "{wrong}: {error}");
            }
        }
        assert!(Cli::try_parse_from(["lifeboat", "lab", "--time-scale", "1000"]).is_ok());
    }
}
