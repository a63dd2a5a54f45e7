//! The text of a page of the reference, and of the table of all words.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use lifeboat::catalogue;
use lifeboat::engine::place::Acts;
use lifeboat::model::call::Cloud;
use lifeboat::ops::catalogue_list::{Entry, Field, Sort, description, fields};
use serde_json::Value;

use super::exercised;

const MADE: &str = "<!-- Made from the catalogue by `LIFEBOAT_BLESS=1 cargo test --test it reference::`; what is edited here is lost. -->";

/// Where the page of a word is, below docs/reference: `exec` is an action and a kind of probe.
pub(super) fn path(entry: &Entry) -> PathBuf {
    let folder = if entry.sort == Sort::Probe { "probes" } else { "actions" };
    PathBuf::from(folder).join(format!("{}.md", entry.word))
}

fn sort(entry: &Entry) -> &'static str {
    match entry.sort {
        Sort::Action if entry.mutates => "An action, for a step of a runbook.",
        Sort::Action => "An action that changes nothing, for a step of a runbook.",
        Sort::Fault => "A fault, for a scenario.",
        Sort::Probe => "A kind of probe.",
    }
}

/// What stands in a cell: no line breaks, and no bar that would end it.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

fn table(text: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let _ = writeln!(text, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
    rows.iter().for_each(|row| _ = writeln!(text, "| {} |", row.join(" | ")));
}

/// Where each field is, as it would be written in an expression: `expect.max_lag`, `stages[].to`.
fn named(found: &[Field]) -> Vec<String> {
    let mut within: Vec<String> = Vec::new();
    let mut names = Vec::new();
    for field in found {
        within.truncate(field.depth);
        names.push(within.iter().map(|outer| format!("{outer}.")).collect::<String>() + &field.name);
        within.push(if field.of.starts_with("list of") { format!("{}[]", field.name) } else { field.name.clone() });
    }
    names
}

fn parameters(text: &mut String, schema: &Value) {
    let _ = writeln!(text, "\n## Parameters\n");
    let found = fields(schema);
    if found.is_empty() {
        let _ = writeln!(text, "None.");
        return;
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .zip(named(&found))
        .map(|(field, name)| {
            let need = match (&field.default, field.required) {
                (Some(value), _) if value.is_empty() => "nothing".to_owned(),
                (Some(value), _) => code(value),
                (None, true) => "**required**".to_owned(),
                (None, false) => String::new(),
            };
            vec![code(&name), cell(&field.of), need, cell(&field.purpose)]
        })
        .collect();
    table(text, &["parameter", "type", "default", "what it is"], &rows);
}

fn output(text: &mut String, schema: &Value) {
    let found = fields(schema);
    if found.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## Output\n\nLater steps read it as `steps.ID.output.FIELD`.\n");
    let rows: Vec<Vec<String>> =
        found.iter().zip(named(&found)).map(|(field, name)| vec![code(&name), cell(&field.of), cell(&field.purpose)]).collect();
    table(text, &["field", "type", "what it is"], &rows);
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}

/// Where a secret may stand, and which parameters name files.
fn secrets_and_files(text: &mut String, secrets: &[&str], reads: &[&str]) {
    if !secrets.is_empty() {
        let _ = writeln!(text, "\nA [secret](../../security.md#secrets) may stand in {}, and nowhere else.", listed(secrets));
    }
    if !reads.is_empty() {
        let _ = writeln!(text, "\n{} may name files of this machine; their contents are part of what an approval is given for.", listed(reads));
    }
}

fn called(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Aws => "AWS",
        Cloud::Aliyun => "Alibaba Cloud",
    }
}

/// The clouds whose operations a word calls.
fn clouds(entry: &Entry) -> Vec<&'static str> {
    let of_aws = |operation: &str| ["cloudwatch:", "ec2:", "route53:", "s3:"].iter().any(|service| operation.starts_with(service));
    let both = [(Cloud::Aws, true), (Cloud::Aliyun, false)];
    both.iter().filter(|(_, aws)| entry.permissions.keys().any(|operation| of_aws(operation) == *aws)).map(|(cloud, _)| called(*cloud)).collect()
}

fn place(entry: &Entry) -> String {
    let Some(row) = catalogue::action(entry.word).filter(|_| entry.sort != Sort::Probe) else {
        return match clouds(entry).as_slice() {
            [] => "It calls no cloud: it asks what its parameters name.".to_owned(),
            [one] => format!("It asks {one}, in the region of the environment."),
            _ => "It asks the cloud, or the clouds, that its parameters name.".to_owned(),
        };
    };
    match row.acts {
        Acts::Outside if !entry.permissions.is_empty() => "It acts in no cloud, and reads what its parameters name on both.".to_owned(),
        Acts::Outside => "It acts in no cloud: on this machine, on servers that its parameters name, or nowhere.".to_owned(),
        Acts::In(cloud) => format!("It acts in {}, in the region of the environment.", called(cloud)),
        Acts::InRegion(cloud, parameter) => format!("It acts in {}, in the region that `{parameter}` names.", called(cloud)),
        Acts::Dns { zone, provider } => format!(
            "It acts in the DNS of the cloud that serves the zone of `{zone}`: `{provider}` says which, or `zones` of the environment. DNS is in no region. \
             Of the operations below it calls those of that cloud."
        ),
    }
}

fn calls(text: &mut String, entry: &Entry) {
    let _ = writeln!(text, "\n## Where it acts, and what it calls\n\n{}", place(entry));
    if entry.permissions.is_empty() {
        return;
    }
    let rows: Vec<Vec<String>> = entry
        .permissions
        .iter()
        .map(|(operation, permission)| {
            let when = ["sample", "plan", "apply", "undo", "marks"]
                .into_iter()
                .filter(|when| entry.calls.get(when).is_some_and(|of| of.contains(operation)));
            let said = match permission.source {
                Some(page) => format!("[`{}`]({page})", permission.word),
                None => format!("`{}`, not shown", permission.word),
            };
            let held = exercised::held_against(operation).map_or_else(String::new, |(arm, file)| format!("[{arm}](../../../{file})"));
            vec![code(operation), when.collect::<Vec<_>>().join(", "), said, held]
        })
        .collect();
    let _ = writeln!(text);
    table(text, &["operation", "called for", "permission", "the lab is held against"], &rows);
    if entry.permissions.values().any(|permission| permission.source.is_none()) {
        let _ = writeln!(
            text,
            "\n*Not shown*: no page of the vendor's was found that names the permission; what stands there is the operation's own word."
        );
    }
    if entry.permissions.keys().any(|operation| operation.starts_with("dts:")) {
        let page = "https://www.alibabacloud.com/help/en/dts/developer-reference/ram-authorization";
        let _ = writeln!(
            text,
            "\nThe words of DTS stand in a policy of the vendor's own, but [its page on RAM]({page}) says that DTS is granted by instance and not by action."
        );
    }
}

/// The sentences of a help text that tell of undo.
fn about_undo(help: &str) -> Vec<String> {
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentences = flat.split_inclusive(". ").map(str::trim);
    sentences.filter(|sentence| sentence.contains("ndo")).map(str::to_owned).collect()
}

fn undo(text: &mut String, entry: &Entry) {
    let Some(row) = catalogue::action(entry.word).filter(|_| entry.sort != Sort::Probe) else { return };
    let _ = writeln!(text, "\n## Undo\n");
    let said = about_undo(description(&entry.parameters));
    if !said.is_empty() {
        let _ = writeln!(text, "{}", said.join(" "));
    } else if !row.mutates {
        let _ = writeln!(text, "It changes nothing, so there is nothing to put back.");
    }
    if row.mutates && !row.calls.undo.is_empty() {
        let _ = writeln!(
            text,
            "What somebody else has changed meanwhile is left as it is and named as a [conflict](../../operations.md#what-stays-and-who-takes-it-back). What of this cannot be \
             put back, the plan says before anything begins."
        );
    }
    if row.fault {
        let _ = writeln!(
            text,
            "A fault is taken out on every way out of a run. If its run is gone, the [reaper](../../operations.md#the-reaper) does it by its marks."
        );
    }
    if let Some((longest, why)) = row.longest {
        let _ = writeln!(text, "It may be held for at most {longest}: {why}.");
    }
    if row.leads {
        let _ = writeln!(
            text,
            "It leads users elsewhere: after an emergency it is taken back only for a reason (`lifeboat abort RUN --yes-because REASON`)."
        );
    }
}

fn tests(text: &mut String, entry: &Entry) {
    let _ = writeln!(text, "\n## Tests\n");
    for (what, files) in exercised::by(entry) {
        let files: Vec<String> = files.iter().map(|file| format!("[{file}](../../../{file})")).collect();
        let _ = writeln!(text, "- {what}: {}", files.join(", "));
    }
}

/// The page of a word.
pub(super) fn page(entry: &Entry) -> String {
    let mut text = format!("{MADE}\n\n# {}\n\n{}\n\n{}\n", entry.word, sort(entry), description(&entry.parameters).trim());
    let (secrets, reads) = match entry.sort {
        Sort::Probe => catalogue::probe(entry.word).map(|row| (row.secrets, row.reads)),
        Sort::Action | Sort::Fault => catalogue::action(entry.word).map(|row| (row.secrets, row.reads)),
    }
    .expect("every entry is of a row");
    parameters(&mut text, &entry.parameters);
    secrets_and_files(&mut text, secrets, reads);
    let _ = writeln!(text, "\n## Example\n\n```yaml\n{}\n```", entry.example);
    entry.output.iter().for_each(|schema| output(&mut text, schema));
    calls(&mut text, entry);
    undo(&mut text, entry);
    tests(&mut text, entry);
    text
}

/// The table of all words.
pub(super) fn index(entries: &[Entry]) -> String {
    let mut text = format!(
        "{MADE}\n\n# The words\n\nWhat a scenario and a runbook may say, a page for each. `lifeboat actions` lists the same, `lifeboat actions NAME` explains one, \
         `lifeboat schema` is the JSON Schema for an editor.\n"
    );
    let by_sort: BTreeMap<_, _> = [(0, Sort::Action), (1, Sort::Fault), (2, Sort::Probe)].into();
    for (sort, title) in by_sort.values().zip(["Actions, for the steps of a runbook", "Faults, for a scenario", "Probes"]) {
        let _ = writeln!(text, "\n## {title}\n");
        let rows: Vec<Vec<String>> = entries
            .iter()
            .filter(|entry| entry.sort == *sort)
            .map(|entry| {
                let about = description(&entry.parameters).split("\n\n").next().unwrap_or_default().replace('\n', " ");
                let first = about.split_inclusive(". ").next().unwrap_or_default().trim().to_owned();
                vec![format!("[{}]({})", entry.word, path(entry).display()), cell(&first), clouds(entry).join(", ")]
            })
            .collect();
        table(&mut text, &["word", "what it does", "calls"], &rows);
    }
    text
}
