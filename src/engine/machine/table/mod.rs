//! The steps in motion, and what is known of them without looking at each: which run, which wait for what, which are taken back, how many of a `for_each` have ended.
//!
//! [`Steps::set`] alone changes the status of a step, and everything that is counted follows from that. So no input of a run costs more than the steps that it
//! touches, however many there are (`machine/growth.rs`).

mod parked;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Index;

use self::parked::Ready;
pub(super) use self::step::{Status, Step};
use super::resume::Look;
use super::{FAULT, Moment};
use crate::model::ids::{Part, parent_of};
use crate::model::state::undo::{Changes, Intended};

/// The steps in motion by their keys.
#[derive(Debug, Default)]
pub(super) struct Steps {
    all: BTreeMap<String, Step>,
    /// Keys in the order of the runbook files: what is skipped is recorded in this order.
    order: Vec<String>,
    /// Steps whose needs are satisfied, in the order in which that happened.
    ready: Ready,
    /// The places, in the order of the files, of those that have not begun or are between two attempts.
    to_run: BTreeSet<usize>,
    /// Those of which something is waited for.
    moving: BTreeSet<String>,
    running: BTreeSet<String>,
    looking: BTreeSet<String>,
    /// Those of them that are looked at again, by the moment.
    looks: BTreeSet<(Moment, String)>,
    /// Between two attempts, by the moment of the next; the fault is no step of a runbook and not among them.
    backoffs: BTreeSet<(Moment, String)>,
    /// Between two attempts to undo.
    undo_backoffs: BTreeSet<String>,
    /// Failed, and waiting for a person.
    asking: BTreeSet<String>,
    /// Those of which something may have arrived late.
    late: BTreeSet<String>,
    /// Steps of runbooks that are being planned or applied.
    busy: usize,
    /// For how many steps a runbook still waits.
    open: [usize; 2],
    /// What is on record to have been changed.
    changes: Changes,
}

impl Steps {
    pub(super) fn get(&self, key: &str) -> Option<&Step> {
        looked_at(1);
        self.all.get(key)
    }

    /// A step, to change what nobody counts.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Step> {
        looked_at(1);
        self.all.get_mut(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.all.contains_key(key)
    }

    /// Where a step is.
    pub(super) fn status(&self, key: &str) -> Option<&Status> {
        self.get(key).map(Step::status)
    }

    /// Whether it is there and has this status.
    pub(super) fn is(&self, key: &str, status: &Status) -> bool {
        self.status(key) == Some(status)
    }

    /// All of them, in the order of their keys: for what is done once in a run.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Step)> {
        self.all.iter().inspect(|_| looked_at(1))
    }

    /// As [`Self::iter`], without the keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &Step> {
        self.iter().map(|(_, step)| step)
    }

    /// Adds a step behind all others.
    pub(super) fn add(&mut self, key: String, step: Step) {
        let place = Some(self.order.len());
        self.order.push(key.clone());
        self.insert(key, Step { place, ..step });
    }

    /// Puts a step in the place of what had its key.
    pub(super) fn insert(&mut self, key: String, step: Step) {
        looked_at(1);
        if let Some(before) = self.all.remove(&key) {
            self.uncount(&key, &before);
        }
        self.count(&key, &step);
        self.all.insert(key.clone(), step);
        self.note_late(&key);
    }

    /// Gives a step another one's place: `change` makes it of the one that is there.
    pub(super) fn replace(&mut self, key: &str, change: impl FnOnce(Step) -> Step) {
        looked_at(1);
        if let Some(before) = self.all.remove(key) {
            self.uncount(key, &before);
            let after = change(before);
            self.count(key, &after);
            self.all.insert(key.to_owned(), after);
            self.note_late(key);
        }
    }

    /// Changes where a step is.
    pub(super) fn set(&mut self, key: &str, status: Status) {
        let Some(step) = self.get(key).filter(|step| step.status != status) else { return };
        let (from, part, place, is_item) = (step.status.clone(), step.part, step.place, step.item.is_some());
        self.leave(key, &from, part, place);
        self.enter(key, &status, part, place);
        if from.taking_back() != status.taking_back() {
            self.changes.set_back(key, status.taking_back());
        }
        if is_item {
            self.count_item(key, Some(&from), Some(&status));
        }
        if let Some(step) = self.all.get_mut(key) {
            step.status = status;
        }
        self.note_late(key);
        if is_item {
            self.let_in(key);
        }
    }

    /// Until when something of a step may still arrive.
    pub(super) fn set_late(&mut self, key: &str, late: Option<Moment>) {
        let Some(step) = self.get_mut(key) else { return };
        step.late = late;
        match late {
            Some(_) => self.late.insert(key.to_owned()),
            None => self.late.remove(key),
        };
        self.note_late(key);
    }

    /// Lets whoever takes changes back know whether something of this one may still arrive.
    fn note_late(&mut self, key: &str) {
        if let Some(step) = self.all.get(key) {
            self.changes.set_late(key, step.comes_late());
        }
    }

    fn count(&mut self, key: &str, step: &Step) {
        self.enter(key, &step.status, step.part, step.place);
        if step.late.is_some() {
            self.late.insert(key.to_owned());
        }
        if step.item.is_some() {
            self.count_item(key, None, Some(&step.status));
        }
        self.changes.set_back(key, step.status.taking_back());
    }

    fn uncount(&mut self, key: &str, step: &Step) {
        self.leave(key, &step.status, step.part, step.place);
        self.late.remove(key);
        if step.item.is_some() {
            self.count_item(key, Some(&step.status), None);
        }
    }

    /// Files a step where those of its status are found.
    fn enter(&mut self, key: &str, status: &Status, part: Part, place: Option<usize>) {
        if status.is_to_run() {
            self.to_run.extend(place);
        }
        if status.is_moving() {
            self.moving.insert(key.to_owned());
        }
        if status.is_running() {
            self.running.insert(key.to_owned());
        }
        match status {
            Status::Looking => drop(self.looking.insert(key.to_owned())),
            Status::Backoff(at) if part != Part::Fault => drop(self.backoffs.insert((*at, key.to_owned()))),
            Status::UndoBackoff(_) => drop(self.undo_backoffs.insert(key.to_owned())),
            Status::Asking(_) => drop(self.asking.insert(key.to_owned())),
            _ => {}
        }
        if let Some(book) = book(part) {
            self.busy += usize::from(status.is_busy());
            self.open[book] += usize::from(status.is_open());
        }
    }

    fn leave(&mut self, key: &str, status: &Status, part: Part, place: Option<usize>) {
        if let Some(place) = place.filter(|_| status.is_to_run()) {
            self.to_run.remove(&place);
        }
        if status.is_moving() {
            self.moving.remove(key);
        }
        if status.is_running() {
            self.running.remove(key);
        }
        match status {
            Status::Looking => drop(self.looking.remove(key)),
            Status::Backoff(at) => drop(self.backoffs.remove(&(*at, key.to_owned()))),
            Status::UndoBackoff(_) => drop(self.undo_backoffs.remove(key)),
            Status::Asking(_) => drop(self.asking.remove(key)),
            _ => {}
        }
        if let Some(book) = book(part) {
            self.busy -= usize::from(status.is_busy());
            self.open[book] -= usize::from(status.is_open());
        }
    }

    /// Keeps count of what the items of a `for_each` are at.
    fn count_item(&mut self, key: &str, from: Option<&Status>, to: Option<&Status>) {
        let Some(counted) = parent_of(key).and_then(|parent| self.all.get_mut(parent)).map(|parent| &mut parent.counted) else { return };
        let change = |count: &mut usize, fits: fn(&Status) -> bool| {
            *count = (*count + usize::from(to.is_some_and(fits))).saturating_sub(usize::from(from.is_some_and(fits)));
        };
        change(&mut counted.unsettled, |status| !status.is_settled());
        change(&mut counted.in_room, Status::takes_room);
    }

    /// Lets the next item of the same `for_each` have its turn, if there is room for it and one waits.
    fn let_in(&mut self, key: &str) {
        let Some(parent) = parent_of(key).and_then(|parent| self.all.get_mut(parent)) else { return };
        if has_room(parent)
            && let Some((number, next)) = parent.parked.take()
        {
            self.ready.put(number, next);
        }
    }

    /// Has a step wait for its turn behind all others.
    pub(super) fn make_ready(&mut self, key: String) {
        self.ready.push(key);
    }

    /// Has the items of a `for_each` wait for their turn: in the row is only the one that comes next.
    pub(super) fn make_items_ready(&mut self, keys: &[String]) {
        let Some(parent) = keys.first().and_then(|key| parent_of(key)).and_then(|parent| self.all.get_mut(parent)) else { return };
        for key in keys {
            parent.parked.put(self.ready.number(), key.clone());
        }
        keys.first().into_iter().for_each(|key| self.let_in(key));
    }

    /// The next that may start at `now`. An item for which there is no room in its `for_each` waits there, with the number that it has.
    pub(super) fn next_ready(&mut self, now: Moment) -> Option<String> {
        while let Some((number, key)) = self.ready.take() {
            let Some(step) = self.get(&key) else { continue };
            let (is_due, is_item) = match step.status {
                Status::Backoff(at) => (now >= at, false),
                Status::Waiting => (true, step.item.is_some()),
                _ => (false, false),
            };
            match parent_of(&key).filter(|_| is_item).map(|parent| self.all.get_mut(parent)) {
                Some(None) => {}
                Some(Some(parent)) if !has_room(parent) => parent.parked.put(number, key),
                _ if is_due => return Some(key),
                // Nobody waits for it any more; whoever comes after it may.
                _ => self.let_in(&key),
            }
        }
        None
    }

    /// A step that had its turn may have left room for the next item.
    pub(super) fn had_its_turn(&mut self, key: &str) {
        self.let_in(key);
    }

    /// Has those whose next attempt is due wait for their turn.
    pub(super) fn ready_backoffs(&mut self, now: Moment) {
        while self.backoffs.first().is_some_and(|(at, _)| now >= *at)
            && let Some((_, key)) = self.backoffs.pop_first()
        {
            self.ready.push(key);
        }
    }

    /// Nothing waits for its turn any more.
    pub(super) fn clear_ready(&mut self) {
        self.ready.clear();
        self.backoffs.clear();
    }

    /// Nothing of an earlier runbook waits for its turn.
    pub(super) fn forget_the_row(&mut self) {
        self.ready.clear();
    }

    pub(super) const fn busy(&self) -> usize {
        self.busy
    }

    /// Whether nothing of a runbook runs or can still run.
    pub(super) fn is_over(&self, part: Part) -> bool {
        book(part).is_none_or(|book| self.open[book] == 0)
    }

    /// How many items of a `for_each` have not ended.
    pub(super) fn unsettled_items(&self, key: &str) -> usize {
        self.all.get(key).map_or(0, |step| step.counted.unsettled)
    }

    /// Keys of the steps of a part that have not begun or are between two attempts, in the order of the files.
    pub(super) fn to_run(&self, part: Part) -> Vec<String> {
        let keys = self.to_run.iter().filter_map(|place| self.order.get(*place));
        keys.filter(|key| self.get(key).is_some_and(|step| step.part == part)).cloned().collect()
    }

    /// Keys of those that have not ended, in the order of the files.
    pub(super) fn unsettled(&self) -> Vec<&str> {
        let open = |key: &&String| self.get(key).is_some_and(|step| !step.status.is_settled());
        self.order.iter().filter(open).map(String::as_str).collect()
    }

    /// Those of which something is waited for, by their keys.
    pub(super) fn moving(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.each(&self.moving)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.each(&self.running)
    }

    pub(super) fn looking(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.each(&self.looking)
    }

    /// What is seen of a step while a new owner looks at it.
    pub(super) fn set_look(&mut self, key: &str, look: Look) {
        let Some(step) = self.all.get_mut(key) else { return };
        let again = look.again;
        if let Some(before) = step.look.replace(look).and_then(|look| look.again) {
            self.looks.remove(&(before, key.to_owned()));
        }
        self.looks.extend(again.map(|at| (at, key.to_owned())));
    }

    /// Keys of those that are to be looked at again at `now`; each is told once.
    pub(super) fn due_looks(&mut self, now: Moment) -> Vec<String> {
        let mut due = BTreeSet::new();
        while self.looks.first().is_some_and(|(at, _)| now >= *at)
            && let Some((_, key)) = self.looks.pop_first()
        {
            if let Some(step) = self.all.get_mut(&key) {
                step.look.iter_mut().for_each(|look| look.again = None);
                if step.status == Status::Looking {
                    due.insert(key);
                }
            }
        }
        due.into_iter().collect()
    }

    pub(super) fn in_undo_backoff(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.each(&self.undo_backoffs)
    }

    pub(super) fn asking(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.each(&self.asking)
    }

    /// Those of which something may have arrived late.
    pub(super) fn with_late(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.each(&self.late)
    }

    fn each<'a>(&'a self, keys: &'a BTreeSet<String>) -> impl Iterator<Item = (&'a str, &'a Step)> {
        keys.iter().filter_map(|key| Some((key.as_str(), self.get(key)?)))
    }

    pub(super) fn is_any_running(&self) -> bool {
        !self.running.is_empty()
    }

    pub(super) fn is_any_moving(&self) -> bool {
        !self.moving.is_empty()
    }

    pub(super) fn is_any_looking(&self) -> bool {
        !self.looking.is_empty()
    }

    pub(super) fn is_any_asking(&self) -> bool {
        !self.asking.is_empty()
    }

    pub(super) fn is_any_in_undo_backoff(&self) -> bool {
        !self.undo_backoffs.is_empty()
    }

    /// Whether an undo runs.
    pub(super) fn is_any_undoing(&self) -> bool {
        self.running().any(|(_, step)| step.status == Status::Undoing)
    }

    /// What is on record to have been changed.
    pub(super) const fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Takes down that a step has recorded its intent.
    pub(super) fn intends(&mut self, key: &str) {
        if let Some(step) = self.all.get(key) {
            self.changes.push(Intended { key, targets: &step.targets, back: step.status.taking_back() });
        }
        self.note_late(key);
    }

    /// Takes the fault down that another owner has taken out: undo has to know what it had broken.
    pub(super) fn remember_the_fault(&mut self) {
        if let Some(step) = self.all.get(FAULT).filter(|step| step.before.is_some()) {
            self.changes.remember_the_fault(Intended { key: FAULT, targets: &step.targets, back: step.status.taking_back() });
        }
    }

    /// Leaves changes whose keys do not fit as they are.
    pub(super) fn keep_changes(&mut self, fits: impl Fn(&str) -> bool) {
        self.changes.retain(fits);
    }
}

impl Index<&str> for Steps {
    type Output = Step;

    fn index(&self, key: &str) -> &Step {
        &self.all[key]
    }
}

/// Where what is counted of the steps of a part is.
const fn book(part: Part) -> Option<usize> {
    match part {
        Part::Fault => None,
        Part::Failover => Some(0),
        Part::Failback => Some(1),
    }
}

/// Whether one more item of this `for_each` may run.
fn has_room(parent: &Step) -> bool {
    let limit = parent.plan.for_each.as_ref().map_or(1, |each| each.concurrency.max(1)) as usize;
    parent.counted.in_room < limit
}

/// How often a step, a stop condition or a probe was looked at, for the check that this grows with them and not with their product.
#[cfg(test)]
pub(super) fn looked_at(times: u64) {
    super::growth::LOOKS.with(|looks| looks.set(looks.get() + times));
}

#[cfg(not(test))]
pub(super) const fn looked_at(_: u64) {}
