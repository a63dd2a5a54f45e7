//! The commands about files and words: `validate`, `actions`, `schema`. They touch nothing but the files they are given.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::{Actions, Schema, SchemaOf, Validate};
use super::output::Output;
use super::{errors, start};
use crate::model::diagnostic::Diagnostic;
use crate::model::plain;
use crate::model::plan::Mode;
use crate::ops::catalogue_list;
use crate::ops::check::{Checked, validate as check};
use crate::ops::exit::{Exit, Kind};
use crate::ops::resolve::Request;
use crate::ops::schema::schema as whole_schema;
use crate::ops::words::Words;

pub(super) fn validate(args: &Validate, output: &Output) -> Result<u8, Exit> {
    let project = start::project_for(args.paths.first().map(std::path::PathBuf::as_path))?;
    project.environment(&args.env).map_err(|found| errors::definitions(&found))?;
    let request = Request { vars: project.lab_vars(&args.env), ..Request::new(&args.env, Mode::Drill) };
    let results = check(&args.paths, &project, Words::of_catalogue(), &request);
    let problems: Vec<Diagnostic> = results.iter().flat_map(|checked| checked.problems.iter().cloned()).collect();
    if output.json {
        if problems.is_empty() {
            output.json_line(&json!([]));
        }
    } else {
        output.print(&lines(&results));
    }
    if problems.is_empty() { Ok(0) } else { Err(errors::definitions(&problems)) }
}

/// One line for each file that is right.
fn lines(results: &[Checked]) -> String {
    results.iter().filter(|checked| checked.problems.is_empty() && !checked.kind.is_empty()).fold(String::new(), |mut text, checked| {
        let _ = writeln!(text, "{}: {} is valid ({})", plain::line(&checked.file), checked.kind, plain::line(&checked.summary));
        text
    })
}

pub(super) fn actions(args: &Actions, output: &Output) -> Result<u8, Exit> {
    let words = Words::of_catalogue();
    let entries = match &args.name {
        None => catalogue_list::entries(words),
        Some(name) => catalogue_list::find(words, name).map_err(|(message, hint)| Exit { hint, ..Exit::new(Kind::Usage, message) })?,
    };
    if output.json {
        output.json_line(&entries);
    } else if args.name.is_none() {
        output.print(&catalogue_list::table(&entries));
    } else {
        let texts: Vec<String> = entries.iter().map(catalogue_list::details).collect();
        output.print(&texts.join("\n"));
    }
    Ok(0)
}

pub(super) fn schema(args: &Schema, output: &Output) -> Result<u8, Exit> {
    let schema: Value = match args.of {
        SchemaOf::Definitions => whole_schema(Words::of_catalogue()),
        SchemaOf::Report => crate::report::schema(),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Exit::new(Kind::Internal, error.to_string()))?;
    output.json_text(&(text + "\n"));
    Ok(0)
}
