//! The files beside the definitions that a plan's actions and probes run or read: what they are is a part of what is approved.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::files::{absolute, normal};
use crate::catalogue;
use crate::model::plan::{Definition, Plan, Ungraceful};

/// What stands in the place of the digest of a file that cannot be read.
pub const UNREADABLE: &str = "unreadable";
/// Where the system keeps its own programs: they change with its updates.
const SYSTEM: [&str; 7] = ["/bin", "/sbin", "/usr", "/lib", "/lib64", "/nix/store", "/dev"];

/// So many words of one text are looked at.
const MOST: usize = 10_000;

/// Every such file, with its digest, in order of its name: relative to `root`, the project's folder, where it lies below.
#[must_use]
pub fn of(plan: &Plan, root: &Path) -> Vec<Definition> {
    let root = absolute(root);
    let here = std::env::current_dir().unwrap_or_else(|_| root.clone());
    let mut found = BTreeSet::new();
    for value in reading(plan) {
        let mut texts = Vec::new();
        texts_in(value, &mut texts);
        for (index, text) in texts.into_iter().enumerate() {
            found.extend(files(text, index == 0 && value.is_array(), &root, &here));
        }
    }
    let named = |path: PathBuf| {
        let shown = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        Definition { path: shown, sha256: digest(&path) }
    };
    found.into_iter().map(named).collect()
}

/// The same files as they are now.
#[must_use]
pub fn again(files: &[Definition], root: &Path) -> Vec<Definition> {
    let root = absolute(root);
    files.iter().map(|file| Definition { path: file.path.clone(), sha256: digest(&root.join(&file.path)) }).collect()
}

/// The SHA-256 of what a file holds.
#[must_use]
pub fn digest(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (mut hash, mut piece) = (Sha256::new(), vec![0; 64 << 10]);
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(hex::encode(hash.finalize())),
                count => hash.update(&piece[..count]),
            }
        }
    };
    read().unwrap_or_else(|_| UNREADABLE.to_owned())
}

/// The parameters of all steps and probes that name files.
fn reading(plan: &Plan) -> Vec<&Value> {
    let action = |uses: &str| catalogue::action(uses).map_or(&[][..], |row| row.reads);
    let probe = |uses: &str| catalogue::probe(uses).map_or(&[][..], |row| row.reads);
    let mut all: Vec<&Value> = Vec::new();
    if let Some(fault) = &plan.fault {
        all.extend(action(&fault.uses).iter().filter_map(|name| fault.with.get(*name)));
    }
    for step in [Some(&plan.failover), plan.failback.as_ref()].into_iter().flatten().flat_map(|book| &book.steps) {
        all.extend(action(&step.uses).iter().filter_map(|name| step.with.get(*name)));
        if let Some(Ungraceful::With(otherwise)) = &step.ungraceful {
            all.extend(action(&step.uses).iter().filter_map(|name| otherwise.get(*name)));
        }
    }
    for one in &plan.probes {
        all.extend(probe(&one.uses).iter().filter_map(|name| one.with.get(*name)));
    }
    all
}

fn texts_in<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts_in(item, texts)),
        Value::Object(map) => map.values().for_each(|item| texts_in(item, texts)),
        _ => {}
    }
}

/// The files that one word of a command may mean. `is_program`: it is the first, which is also looked for where programs are.
fn files(word: &str, is_program: bool, root: &Path, here: &Path) -> Vec<PathBuf> {
    // `--config=FILE`, `@FILE` and what stands in a line for a shell name files too.
    let parts = word.split(|c: char| c.is_whitespace() || ";|&()<>\"'`=,{}@".contains(c)).take(MOST);
    let mut found: Vec<PathBuf> =
        [word].into_iter().chain(parts).filter(|part| !part.is_empty()).flat_map(|part| [here.join(part), root.join(part)]).collect();
    if is_program && !word.contains('/') {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        found = std::env::split_paths(&paths).map(|folder| here.join(folder).join(word)).find(|path| path.is_file()).into_iter().collect();
    }
    let is_own = |path: &PathBuf| !SYSTEM.iter().any(|folder| path.starts_with(folder));
    let mut own: Vec<PathBuf> = found.into_iter().filter(|path| path.is_file()).map(|path| normal(&path)).filter(is_own).collect();
    own.dedup();
    own
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(with: Value) -> Plan {
        let step = json!({ "id": "x", "title": {}, "uses": "exec", "with": with, "needs": [], "timeout": "1m",
            "retry": { "attempts": 1, "backoff": "1s" }, "on_failure": "stop", "critical": true });
        serde_json::from_value(json!({
            "version": 1, "name": "outage", "title": {}, "mode": "drill", "environment": "e", "zone": "UTC", "scope": {}, "objectives": {},
            "probes": [{ "id": "p", "uses": "exec", "with": { "command": ["sh", "probe.sh"] }, "every": "1s", "timeout": "1s", "bad_after": 1,
                "good_after": 1, "service": false }],
            "failover": { "file": "", "title": {}, "parameters": {}, "steps": [step] }, "definitions": []
        }))
        .unwrap()
    }

    #[test]
    fn every_file_of_the_project_that_a_command_names_is_one_that_it_reads() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["run.sh", "undo.sh", "probe.sh", "conf.json", "body", "other.sh"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        let with = json!({ "command": [root.join("run.sh"), "--config=conf.json", "@body", "x"], "undo": ["sh", "-c", "true && ./undo.sh>log"], "stdin": "other.sh" });
        let found = of(&plan(with), root);
        let names: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["body", "conf.json", "probe.sh", "run.sh", "undo.sh"]);
        assert_eq!(again(&found, root), found);
        std::fs::write(root.join("undo.sh"), "other").unwrap();
        std::fs::remove_file(root.join("body")).unwrap();
        let changed: Vec<String> = again(&found, root).into_iter().zip(found).filter(|(now, then)| now != then).map(|(now, _)| now.path).collect();
        assert_eq!(changed, ["body", "undo.sh"]);
    }
}
