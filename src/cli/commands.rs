//! The commands that touch no cloud: they read files and print.

use clap::CommandFactory as _;
use unicode_width::UnicodeWidthStr as _;

use super::args::{Cli, Completions, Global, Report, ReportFormat, SampleFormat, Samples};
use super::output::Output;
use super::start;
use crate::model::plain;
use crate::model::plan::Verdict;
use crate::model::text::Lang;
use crate::observe;
use crate::ops::exit::{Exit, Kind};
use crate::ops::report::Format;
use crate::ops::{self, lever, runs};

pub(super) fn runs(global: &Global, output: &Output) -> Result<u8, Exit> {
    let store = start::store(global)?;
    let (listed, levers) = (runs::list(&store)?, lever::all(&store)?);
    if output.json {
        output.json_line(&listed);
        return Ok(0);
    }
    if listed.is_empty() {
        output.say("no runs yet");
    }
    let width = |text: fn(&runs::Listed) -> &str| listed.iter().map(|run| text(run).width()).max().unwrap_or(0);
    let (run_width, place_width) = (width(|run| &run.run), width(|run| &run.environment));
    for run in &listed {
        let verdict = run.verdict.map_or("-", verdict_word);
        let line = format!("{:run_width$}  {:place_width$}  {:11}  {verdict:12}  {}", run.run, run.environment, run.state, run.remark);
        output.say(&plain::line(line.trim_end()));
        if let Some(command) = &run.solve {
            output.say(&format!("{:run_width$}  {command}", ""));
        }
    }
    for lever in &levers {
        output.say(&format!("{lever}\n  {}", lever.release_command()));
    }
    Ok(0)
}

pub(super) const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Aborted => "aborted",
    }
}

pub(super) fn report(args: &Report, global: &Global, output: &Output) -> Result<u8, Exit> {
    let store = start::store(global)?;
    let run = runs::find(&store, &args.run)?;
    let format = match args.format {
        Some(ReportFormat::Markdown) => Some(Format::Markdown),
        Some(ReportFormat::Html) => Some(Format::Html),
        Some(ReportFormat::Json) => Some(Format::Json),
        None => args.lang.map(|_| Format::Markdown),
    };
    let lang = args.lang.map(Lang::from);
    match format {
        Some(Format::Json) if lang.is_some() => {
            let why = "--lang says nothing to --format json, which holds both languages";
            return Err(Exit::new(Kind::Usage, why).hint("leave out --lang"));
        }
        Some(format) => {
            let text = ops::report::text(&store, &run, format, lang.unwrap_or_else(observe::language))?;
            if format == Format::Json { output.json_text(&text) } else { output.print(&text) }
        }
        None => {
            let path = ops::report::write(&store, &run)?;
            if output.json {
                let [html, json] = [ops::report::HTML, ops::report::JSON].map(|name| path.with_file_name(name));
                output.json_line(&serde_json::json!({ "run": run, "report": path, "html": html, "json": json }));
            } else {
                output.say(&path.display().to_string());
            }
        }
    }
    Ok(0)
}

pub(super) fn samples(args: &Samples, global: &Global, output: &Output) -> Result<u8, Exit> {
    let store = start::store(global)?;
    let run = runs::find(&store, &args.run)?;
    let format = match args.format {
        SampleFormat::Jsonl => ops::samples::Format::Jsonl,
        SampleFormat::Arrow => ops::samples::Format::Arrow,
    };
    for note in output.bytes(|to| ops::samples::export(&store, &run, &args.probe, format, to))? {
        output.note(&note);
    }
    Ok(0)
}

pub(super) fn completions(args: &Completions, output: &Output) -> Result<u8, Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lifeboat", &mut script);
    let script = String::from_utf8(script).map_err(|error| Exit::new(Kind::Internal, error.to_string()))?;
    output.print(&script);
    Ok(0)
}
