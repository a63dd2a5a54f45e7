//! Whatever happens to a run, nothing is left of it: every scenario and every action, killed at every event of its journal, with a disk that fails there, and with every call failing,
//! taken up and held against the world before.
//!
//! `cargo test --test sweep -- all` tries every case, `sample [N]` a seeded choice (`SWEEP_SEED`), `list` names them, and a case's own line tries it alone.
//! A sweep that was cut off is gone on with by `SWEEP_DONE=FILE`, what it printed: what held is not tried again.
//! Several labs run at once (`SWEEP_LABS`), each case against one of them. `SWEEP_ONLY=TEXT` leaves out the cases whose line has no TEXT in it.
//! The files of what failed are kept, with `SWEEP_KEEP=1` those of every case.
//!
//! - `case`: what is tried, as one line.
//! - `points`: where a process can die, and which calls can fail.
//! - `workspace`: the shipped definitions, hurried, and one for every action.
//! - `commands`: the binary and what it leaves.
//! - `trial`: one case, and what must hold afterwards.
//! - `table`: what all came to.

mod case;
mod commands;
#[allow(dead_code, reason = "shared with the other tests, which need more of it")]
#[path = "../it/common/mod.rs"]
mod common;
mod points;
#[path = "../it/common/samples.rs"]
mod samples;
mod table;
mod trial;
mod workspace;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::case::{Case, Hardship, Recovery};
use crate::common::LabProcess;
use crate::table::{Line, Table};
use crate::trial::Held;
use crate::workspace::Workspace;

/// How many cases `sample` tries.
const SAMPLE: usize = 40;
/// After how many cases a worker takes a new lab: one remembers every call that it ever saw.
const LAB_LASTS: usize = 10;
/// How many times as fast as in the world file the labs' worlds move.
const TIME_SCALE: &str = "20";
/// Where the process that takes a run up is killed, the drill has died here: the failover is done, nothing is taken back.
const DEEP: &str = "before:run:stage#7";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let workspace = Workspace::new();
    let sweep = Sweep { workspace: &workspace, kept: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sweep"), table: Mutex::default() };
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["all"] => {
            let mut cases = sweep.cases();
            let all = cases.len();
            let done = done();
            cases.retain(|case| !done.contains(&case.to_string()));
            say(&format!("{} of {all} cases, the others held before", cases.len()));
            sweep.run(cases);
        }
        ["sample"] => sweep.sample(SAMPLE),
        ["sample", count] => sweep.sample(count.parse().expect("sample N: N is a number")),
        ["list"] => sweep.cases().iter().for_each(|case| say(&case.to_string())),
        [] => {
            say("all | sample [N] | list | a case, such as: scenarios/sync-stop after:fault:intended#1 abort");
            return ExitCode::from(64);
        }
        words => match words.join(" ").parse() {
            Ok(case) => sweep.run(vec![case]),
            Err(wrong) => {
                say(&wrong);
                return ExitCode::from(64);
            }
        },
    }
    sweep.table.into_inner().unwrap().conclude()
}

/// One go through cases.
struct Sweep<'a> {
    workspace: &'a Workspace,
    /// Where what failed is kept.
    kept: PathBuf,
    table: Mutex<Table>,
}

impl Sweep<'_> {
    /// Every case there is. The runs that nothing is done to are made for it: they say which events and calls there are.
    fn cases(&self) -> Vec<Case> {
        let mut first = Vec::new();
        for subject in self.workspace.subjects() {
            first.push(Case::new(subject, Hardship::None));
            if subject.starts_with("scenarios/") {
                let deep = |by| Hardship::Crash { at: DEEP.to_owned(), by, again: None };
                first.extend([Recovery::Abort, Recovery::Resume].map(|by| Case::new(subject, deep(by))));
            }
        }
        let only = std::env::var("SWEEP_ONLY").unwrap_or_default();
        let mut cases = Vec::new();
        let done = Mutex::new(Vec::new());
        self.tell(first, |index, case, held| done.lock().unwrap().push((index, case, held)));
        let mut done = done.into_inner().unwrap();
        done.sort_by_key(|(index, ..)| *index);
        for (_, case, held) in done {
            match &case.hardship {
                Hardship::None => {
                    cases.extend(points::crashes(&case.subject, &held.events));
                    cases.extend(points::disks(&case.subject, &held.events));
                    cases.extend(points::troubles(&case.subject, &held.events));
                }
                _ => cases.extend(points::crashes_again(&case, &held.events)),
            }
        }
        cases.retain(|case| case.to_string().contains(&only));
        cases
    }

    fn sample(&self, count: usize) {
        let seed = std::env::var("SWEEP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u32>);
        say(&format!("SWEEP_SEED={seed}"));
        let mut cases = self.cases();
        let all = cases.len();
        cases.shuffle(&mut StdRng::seed_from_u64(u64::from(seed)));
        cases.truncate(count);
        say(&format!("{} of {all} cases", cases.len()));
        self.run(cases);
    }

    /// Tries all of them on several labs at once.
    fn run(&self, cases: Vec<Case>) {
        self.tell(cases, |_, _, _| {});
    }

    /// As [`Sweep::run`], and tells what held, with the case's place in the list.
    fn tell(&self, cases: Vec<Case>, tell: impl Fn(usize, Case, Held) + Sync) {
        let labs = std::env::var("SWEEP_LABS")
            .ok()
            .and_then(|labs| labs.parse().ok())
            // A case waits most of its time, the more so the faster the product was built.
            .unwrap_or_else(|| if cfg!(debug_assertions) { 2 } else { 8 } * std::thread::available_parallelism().map_or(2, usize::from))
            .min(cases.len());
        let todo = Mutex::new(cases.into_iter().enumerate().collect::<Vec<_>>().into_iter());
        std::thread::scope(|scope| {
            for _ in 0..labs {
                scope.spawn(|| {
                    let mut lab = None;
                    for tried in 0.. {
                        let next = todo.lock().unwrap().next();
                        let Some((index, case)) = next else { return };
                        lab = lab.filter(|_| tried % LAB_LASTS != 0);
                        if let Some(held) = self.one(&case, &mut lab) {
                            tell(index, case, held);
                        }
                    }
                });
            }
        });
    }

    /// Tries one case. After one that failed its lab's world is no measure any more: the next case gets a new one.
    fn one(&self, case: &Case, lab: &mut Option<LabProcess>) -> Option<Held> {
        let folder = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let running = lab.take().unwrap_or_else(|| LabProcess::start(&["--time-scale", TIME_SCALE, "--world", self.workspace.world()]));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trial::attempt(case, self.workspace.path(), &running, folder.path())));
        let result = result.unwrap_or_else(|_| Err("the test itself panicked".to_owned()));
        let line = Line::new(case, begun.elapsed(), &result);
        match result {
            Ok(held) => {
                *lab = Some(running);
                let is_kept = std::env::var_os("SWEEP_KEEP").is_some();
                let line = if is_kept { line.kept_in(&keep(folder, &self.kept, case)) } else { line };
                self.table.lock().unwrap().add(line);
                Some(held)
            }
            Err(_) => {
                let kept = keep(folder, &self.kept, case);
                self.table.lock().unwrap().add(line.kept_in(&kept));
                None
            }
        }
    }
}

/// The cases that held in the sweep whose output `SWEEP_DONE` names.
fn done() -> BTreeSet<String> {
    let Some(file) = std::env::var_os("SWEEP_DONE") else { return BTreeSet::new() };
    let text = std::fs::read_to_string(file).expect("SWEEP_DONE: the output of a sweep");
    let held = text.lines().filter(|line| line.starts_with("ok"));
    // What is before a case's own words is as wide as the table; what may follow is in brackets.
    held.filter_map(|line| Some(line.split_once(" s  ")?.1.split_once(' ')?.1.split("  (").next()?.trim().to_owned())).collect()
}

/// Moves the files of a case to where they can be looked at.
fn keep(folder: tempfile::TempDir, kept: &Path, case: &Case) -> PathBuf {
    let place = kept.join(case.to_string().replace([' ', '/', ':'], "_"));
    std::fs::create_dir_all(kept).unwrap();
    let _ = std::fs::remove_dir_all(&place);
    let from = folder.keep();
    // On another file system they stay where they are.
    if std::fs::rename(&from, &place).is_ok() { place } else { from }
}

#[expect(clippy::print_stdout, reason = "a program for people")]
fn say(line: &str) {
    println!("{line}");
}
