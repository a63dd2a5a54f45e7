//! What is wrong with the guards of a project file beyond their form, and the freeze calendars that they name.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::catalogue;
use crate::model::decode::decode;
use crate::model::diagnostic::{Diagnostic, suggest};
use crate::model::guard::file::{FreezeFile, GuardsFile};
use crate::model::guard::{Freeze, FreezesFile, Glob};
use crate::model::project::ProjectFile;
use crate::model::time::Span;
use crate::model::yaml::{Seg, way};
use crate::ops::files::{Files, LoadError, Loaded, folder_of};

/// The freeze calendar of an environment.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    /// Its entries.
    pub freezes: Vec<Freeze>,
    /// The file they are in, when they are not in the project file.
    pub(crate) file: Option<Rc<Loaded>>,
}

/// Reads the calendars of all environments and checks their guards. What is wrong comes beside what is right.
pub(in crate::ops) fn read(project: &Rc<Loaded>, settings: &ProjectFile, files: &mut Files) -> (BTreeMap<String, Calendar>, Vec<Diagnostic>) {
    let mut calendars = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, environment) in &settings.environments {
        let Some(guards) = &environment.guards else { continue };
        let at = way!["environments", name, "guards"];
        check(guards, project, &at, &mut problems);
        // A zone that is none is told where it is written.
        let zone = settings.zone.parse().unwrap_or(chrono_tz::UTC);
        let calendar = match &guards.freeze {
            None => continue,
            Some(FreezeFile::Entries(entries)) => {
                Calendar { freezes: entries.iter().cloned().map(|entry| Freeze::new(entry, zone)).collect(), file: None }
            }
            Some(FreezeFile::At(path)) => match named(path, project, files) {
                Ok((file, written)) => {
                    let zone = written.zone.map_or(zone, |own| own.0);
                    Calendar { freezes: written.freezes.into_iter().map(|entry| Freeze::new(entry, zone)).collect(), file: Some(file) }
                }
                Err(found) => {
                    problems.extend(found.into_iter().map(|found| match found {
                        CalendarProblem::There(problem) => problem,
                        CalendarProblem::Here(message) => {
                            project.doc.problem(&under(&at, way!["freeze"]), message).hint("paths are relative to the project file")
                        }
                    }));
                    continue;
                }
            },
        };
        calendars.insert(name.clone(), calendar);
    }
    // Two environments may share a calendar.
    problems.dedup();
    (calendars, problems)
}

/// Where something is wrong with a calendar.
enum CalendarProblem {
    /// In its file.
    There(Diagnostic),
    /// Where it is named.
    Here(String),
}

fn named(path: &str, project: &Loaded, files: &mut Files) -> Result<(Rc<Loaded>, FreezesFile), Vec<CalendarProblem>> {
    let folder = folder_of(&project.path);
    let file = files.load_inside(&folder.join(path), &[folder]).map_err(|error| match error {
        LoadError::Text(problem) => vec![CalendarProblem::There(problem)],
        LoadError::Unreadable(why) => vec![CalendarProblem::Here(format!("`{path}`: {}", why.message))],
    })?;
    let written = decode(&file.doc).map_err(|problems| problems.into_iter().map(CalendarProblem::There).collect::<Vec<_>>())?;
    Ok((file, written))
}

fn under(at: &[Seg], more: impl AsRef<[Seg]>) -> Vec<Seg> {
    [at, more.as_ref()].concat()
}

/// A guard that guards nothing is a mistake: nobody would notice.
fn check(guards: &GuardsFile, project: &Loaded, at: &[Seg], problems: &mut Vec<Diagnostic>) {
    let problem = |more: &[Seg], message: String| project.doc.problem(&under(at, more), message);
    if let Some(lists) = &guards.actions {
        let globs = [("allow", lists.allow.as_deref().unwrap_or_default()), ("deny", lists.deny.as_slice())];
        for (list, index, glob) in globs.into_iter().flat_map(|(list, globs)| globs.iter().enumerate().map(move |(index, glob)| (list, index, glob)))
        {
            let words = catalogue::actions().iter().filter(|row| row.mutates).map(|row| row.kind);
            if !words.clone().any(|word| glob.fits(word)) {
                let hint = nearest(glob, words);
                problems.push(problem(&way!["actions", list, index], format!("`{glob}` fits no action that changes anything")).maybe_hint(hint));
            }
        }
    }
    for (cloud, regions) in guards.regions.iter().flat_map(|lists| [("aws", &lists.aws), ("aliyun", &lists.aliyun)]) {
        let Some(regions) = regions else { continue };
        if regions.is_empty() {
            problems
                .push(problem(&way!["regions", cloud], "no region is allowed".into()).hint("name at least one, or leave the cloud out to allow all"));
        }
        for (index, region) in regions.iter().enumerate().filter(|(_, region)| !is_region(region)) {
            problems.push(problem(&way!["regions", cloud, index], format!("`{region}` is not a region")).hint(REGION));
        }
    }
    if guards.max_fault == Some(Span::default()) {
        problems.push(problem(&way!["max_fault"], "a fault of 0s is none".into()).hint("`max_faults: 0` forbids faults"));
    }
    if guards.max_targets == Some(0) {
        problems.push(problem(&way!["max_targets"], "nothing could be acted on".into()).hint("write 1 or more, or leave it out"));
    }
    for (key, value) in guards.tags.iter().filter(|(key, value)| key.is_empty() || value.is_empty()) {
        problems.push(problem(&way!["tags", key], format!("the tag `{key}={value}` is not whole")).hint("write `key: value`"));
    }
}

fn nearest(glob: &Glob, words: impl Iterator<Item = &'static str>) -> Option<String> {
    let text = glob.to_string();
    let hint = (!text.contains('*')).then(|| suggest(&text, words, "actions")).flatten();
    hint.or_else(|| Some("`lifeboat actions` lists them".to_owned()))
}

/// What a region looks like.
pub(in crate::ops) const REGION: &str = "write it as the cloud does, such as us-east-1 or cn-hangzhou";

/// Whether a text can be the name of a region.
pub(in crate::ops) fn is_region(text: &str) -> bool {
    (3..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.ends_with('-')
}
