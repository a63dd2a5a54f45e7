//! The changes of a run, found by their keys, by what they act on, and by how far taking them back is: no question about one of them costs more than those that
//! it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{FAULT, Intended, TakingBack};
use crate::model::ids::whole;
use crate::model::target::Target;

/// A change that is on record.
#[derive(Clone, Debug)]
pub struct Change {
    /// Key of its step.
    pub key: String,
    /// How far taking it back is.
    pub back: TakingBack,
    /// The names of what it acts on, in order, each once.
    targets: Vec<Arc<str>>,
    /// Until when something that was sent for it may still arrive although it was put back, in the time of the run.
    late: Option<Duration>,
}

impl Change {
    /// Whether it acts on the thing of this name.
    pub(super) fn acts_on(&self, target: &str) -> bool {
        self.targets.binary_search_by(|own| (**own).cmp(target)).is_ok()
    }

    /// Whether it acts on something that the other acts on.
    pub(super) fn shares(&self, other: &Self) -> bool {
        let (few, many) = if self.targets.len() <= other.targets.len() { (self, other) } else { (other, self) };
        few.targets.iter().any(|target| many.acts_on(target))
    }

    /// Whether it acts on something, and on nothing that the other does not act on.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        !self.targets.is_empty() && self.targets.iter().all(|target| other.acts_on(target))
    }
}

/// The changes that act on one thing.
#[derive(Clone, Debug, Default)]
struct On {
    /// Their places, ascending.
    all: Vec<usize>,
    /// The places of those that were put back, but the fault's.
    back: BTreeSet<usize>,
    /// The places of those of which something may still arrive.
    late: BTreeSet<usize>,
}

/// The changes of a run in the order of their intents.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    all: Vec<Change>,
    places: BTreeMap<String, usize>,
    on: BTreeMap<Arc<str>, On>,
    not_begun: BTreeSet<usize>,
    under_way: BTreeSet<usize>,
    /// Those of which something may still arrive although they were put back.
    late: BTreeSet<usize>,
    /// The same by the moment until which it may.
    arrivals: BTreeSet<(Duration, usize)>,
    /// By the whole step, as all items of a `for_each` are needed by the same.
    failed: BTreeMap<String, BTreeSet<usize>>,
    /// The first place of each of these steps.
    first_failed: BTreeSet<(usize, String)>,
    /// The fault, also where undo only has to know what it had broken.
    fault: Option<Change>,
}

impl Changes {
    /// Takes the next intent down.
    pub fn push(&mut self, intended: Intended<'_>) {
        let place = self.all.len();
        let targets: Vec<Arc<str>> = Target::keys(intended.targets).into_iter().map(|name| self.on(name, place)).collect();
        let change = Change { key: intended.key.to_owned(), back: intended.back, targets, late: None };
        if intended.key == FAULT {
            self.fault = Some(change.clone());
        }
        self.places.insert(change.key.clone(), place);
        self.all.push(change);
        self.file(place);
    }

    fn on(&mut self, name: String, place: usize) -> Arc<str> {
        let name: Arc<str> = self.on.get_key_value(name.as_str()).map_or_else(|| name.into(), |(known, _)| known.clone());
        self.on.entry(name.clone()).or_default().all.push(place);
        name
    }

    /// Takes the fault down that is not among the changes: undo has to know what it had broken.
    pub fn remember_the_fault(&mut self, fault: Intended<'_>) {
        if !self.has(FAULT) {
            let targets = Target::keys(fault.targets).into_iter().map(Into::into).collect();
            self.fault = Some(Change { key: FAULT.to_owned(), back: fault.back, targets, late: None });
        }
    }

    /// Notes how far taking a change back is. Of what is no change there is nothing to note.
    pub fn set_back(&mut self, key: &str, back: TakingBack) {
        if key == FAULT
            && let Some(fault) = &mut self.fault
        {
            fault.back = back;
        }
        let Some(&place) = self.places.get(key) else { return };
        if self.all[place].back == back {
            return;
        }
        self.unfile(place);
        self.all[place].back = back;
        self.file(place);
    }

    /// Notes until when something that was sent for a change may still arrive although it was put back. Of what is no change there is nothing to note.
    pub fn set_late(&mut self, key: &str, late: Option<Duration>) {
        let Some(&place) = self.places.get(key) else { return };
        let before = std::mem::replace(&mut self.all[place].late, late);
        if before == late {
            return;
        }
        if let Some(before) = before {
            self.arrivals.remove(&(before, place));
        }
        self.arrivals.extend(late.map(|late| (late, place)));
        let put = |places: &mut BTreeSet<usize>| if late.is_some() { places.insert(place) } else { places.remove(&place) };
        put(&mut self.late);
        for target in &self.all[place].targets {
            if let Some(on) = self.on.get_mut(target) {
                put(&mut on.late);
            }
        }
    }

    /// Puts a change where it is found by how far taking it back is.
    fn file(&mut self, place: usize) {
        let Change { key, back, targets, .. } = &self.all[place];
        match back {
            TakingBack::NotBegun => drop(self.not_begun.insert(place)),
            TakingBack::UnderWay => drop(self.under_way.insert(place)),
            TakingBack::Failed => {
                let key = whole(key).to_owned();
                self.refile_failed(&key, |places| places.insert(place));
            }
            TakingBack::Done if key != FAULT => {
                for target in targets {
                    if let Some(on) = self.on.get_mut(target) {
                        on.back.insert(place);
                    }
                }
            }
            TakingBack::Done | TakingBack::Accepted => {}
        }
    }

    fn unfile(&mut self, place: usize) {
        let Change { key, back, targets, .. } = &self.all[place];
        match back {
            TakingBack::NotBegun => drop(self.not_begun.remove(&place)),
            TakingBack::UnderWay => drop(self.under_way.remove(&place)),
            TakingBack::Failed => {
                let key = whole(key).to_owned();
                self.refile_failed(&key, |places| places.remove(&place));
            }
            TakingBack::Done if key != FAULT => {
                for target in targets {
                    if let Some(on) = self.on.get_mut(target) {
                        on.back.remove(&place);
                    }
                }
            }
            TakingBack::Done | TakingBack::Accepted => {}
        }
    }

    /// Changes which of the changes of a whole step were given up.
    fn refile_failed(&mut self, step: &str, change: impl FnOnce(&mut BTreeSet<usize>) -> bool) {
        let mut places = self.failed.remove(step).unwrap_or_default();
        if let Some(first) = places.first() {
            self.first_failed.remove(&(*first, step.to_owned()));
        }
        change(&mut places);
        if let Some(first) = places.first() {
            self.first_failed.insert((*first, step.to_owned()));
            self.failed.insert(step.to_owned(), places);
        }
    }

    /// Leaves out the changes whose keys do not fit: they stay as they are.
    pub fn retain(&mut self, fits: impl Fn(&str) -> bool) {
        if self.all.iter().all(|change| fits(&change.key)) {
            return;
        }
        let fault = self.fault.take();
        let all = std::mem::take(self).all;
        self.fault = fault;
        for change in all.into_iter().filter(|change| fits(&change.key)) {
            let place = self.all.len();
            change.targets.iter().for_each(|target| self.on.entry(target.clone()).or_default().all.push(place));
            let (key, late) = (change.key.clone(), change.late);
            self.places.insert(key.clone(), place);
            self.all.push(Change { late: None, ..change });
            self.file(place);
            self.set_late(&key, late);
        }
    }

    /// Whether there is a change of this key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// The place of the change of this key in the order of the intents.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<usize> {
        self.places.get(key).copied()
    }

    /// All of them in the order of the intents.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.all.iter().inspect(|_| looked_at())
    }

    pub(super) fn find(&self, key: &str) -> Option<(usize, &Change)> {
        let place = self.place(key)?;
        Some((place, self.at(place)))
    }

    fn at(&self, place: usize) -> &Change {
        looked_at();
        &self.all[place]
    }

    pub(super) fn fault(&self) -> Option<&Change> {
        self.fault.as_ref()
    }

    /// Those that nobody has tried to put back, the newest first.
    pub(super) fn not_begun(&self) -> impl Iterator<Item = &Change> {
        self.not_begun.iter().rev().map(|place| self.at(*place))
    }

    /// Those after this place that are being put back.
    pub(super) fn under_way_after(&self, place: usize) -> impl Iterator<Item = &Change> {
        self.under_way.range(place + 1..).map(|place| self.at(*place))
    }

    /// Those of which something may still arrive although they were put back, the last first.
    pub fn late(&self) -> impl Iterator<Item = &Change> {
        self.late.iter().rev().map(|place| self.at(*place))
    }

    /// The same, the one for which that is longest first, with the moment until which it may.
    pub fn arrivals(&self) -> impl Iterator<Item = (Duration, &Change)> {
        self.arrivals.iter().rev().map(|(late, place)| (*late, self.at(*place)))
    }

    /// Whether something may still arrive from a change after that of `key` that acts on something it acts on.
    #[must_use]
    pub fn is_something_late_over(&self, key: &str) -> bool {
        let Some((place, own)) = self.find(key) else { return false };
        own.targets.iter().filter_map(|target| self.on.get(target)).any(|on| on.late.range(place + 1..).next().is_some())
    }

    /// Keys of the whole steps of which changes were given up, with the place of the first of these, in their order.
    pub(super) fn failed_steps(&self) -> impl Iterator<Item = (usize, &str)> {
        self.first_failed.iter().inspect(|_| looked_at()).map(|(first, step)| (*first, step.as_str()))
    }

    /// The changes of a whole step that were given up, with their places.
    pub(super) fn failed(&self, step: &str) -> impl Iterator<Item = (usize, &Change)> {
        self.failed.get(step).into_iter().flatten().map(|place| (*place, self.at(*place)))
    }

    /// Those before this place that act on something that the change there acts on; one may come more than once.
    pub(super) fn beneath(&self, place: usize) -> impl Iterator<Item = &Change> {
        let on = self.all[place].targets.iter().filter_map(|target| self.on.get(target));
        on.flat_map(move |on| on.all.iter().take_while(move |other| **other < place)).map(|place| self.at(*place))
    }

    /// Whether something that a change came over, but a fault, was put back already.
    pub(super) fn is_over_what_is_back(&self, place: usize) -> bool {
        let mut on = self.all[place].targets.iter().filter_map(|target| self.on.get(target));
        on.any(|on| on.back.first().is_some_and(|first| *first < place))
    }

    /// Whether a change after that of `key` acts on the thing of this name and was not put back.
    #[must_use]
    pub fn is_acted_on_after(&self, key: &str, target: &str) -> bool {
        let (Some(place), Some(on)) = (self.place(key), self.on.get(target)) else { return false };
        on.all.iter().rev().take_while(|other| **other > place).any(|other| self.at(*other).back != TakingBack::Done)
    }
}

#[cfg(test)]
thread_local! {
    /// How often this thread has looked at a change, for the check that this grows with the changes and not with their product.
    pub(crate) static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn looked_at() {
    LOOKS.set(LOOKS.get() + 1);
}

#[cfg(not(test))]
const fn looked_at() {}
