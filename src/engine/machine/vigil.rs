//! The probes that a run waits for together, until all have been good for long enough. Which of them lack that is kept: one is looked at again when it has said
//! something, when its time has come, or when something was changed, and not whenever another has said something.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::seen::Proof;
use super::table::looked_at;
use super::{Machine, Moment};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaiting {
    /// The steady state, before anything is changed.
    SteadyState,
    /// The service, after the failover.
    Recovery,
    /// The source side, once the fault is out.
    Source,
    /// The service, once the fault is out and the failover stays.
    WhatStays,
    /// What is normal, once everything is put back.
    Normal,
}

/// The probes that are waited for.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    of: Option<Awaiting>,
    probes: Vec<String>,
    /// For how long each must have been good.
    span: Duration,
    places: BTreeMap<String, Vec<usize>>,
    /// What samples had to come after when they were looked at.
    changed: Moment,
    /// Those to be looked at again.
    news: BTreeSet<usize>,
    /// Those that have not been good for long enough.
    lacking: BTreeSet<usize>,
    /// When each of these has been, if nothing else is heard of it until then.
    at: BTreeMap<usize, Moment>,
    /// The same by the moment.
    due: BTreeSet<(Moment, usize)>,
}

impl Vigil {
    fn begin(of: Awaiting, probes: Vec<String>, span: Duration) -> Self {
        let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, probe) in probes.iter().enumerate() {
            places.entry(probe.clone()).or_default().push(place);
        }
        Self { of: Some(of), news: (0..probes.len()).collect(), probes, span, places, ..Self::default() }
    }

    /// A probe has said something.
    pub(super) fn note(&mut self, probe: &str) {
        self.news.extend(self.places.get(probe).into_iter().flatten());
    }

    /// Those to be looked at again at `now`.
    fn take_news(&mut self, changed: Moment, now: Moment) -> BTreeSet<usize> {
        if std::mem::replace(&mut self.changed, changed) != changed {
            self.news.extend(0..self.probes.len());
        }
        let due = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, place)| *place);
        self.news.extend(due);
        std::mem::take(&mut self.news)
    }

    fn found(&mut self, place: usize, proof: &Proof) {
        if let Some(at) = self.at.remove(&place) {
            self.due.remove(&(at, place));
        }
        if let Proof::At(at) = *proof {
            self.at.insert(place, at);
            self.due.insert((at, place));
        }
        match proof {
            Proof::Is => self.lacking.remove(&place),
            Proof::At(_) | Proof::Sample(_) | Proof::Lacks => self.lacking.insert(place),
        };
    }
}

impl Machine {
    /// Whether every probe that is waited for has been good for long enough since the last change; asks to be told when that may come true.
    pub(super) fn are_good(&mut self, awaited: Awaiting) -> bool {
        let mut vigil = std::mem::take(&mut self.vigil);
        if vigil.of != Some(awaited) {
            let (probes, span) = self.awaited(awaited);
            vigil = Vigil::begin(awaited, probes, span);
        }
        for place in vigil.take_news(self.changed(), self.now) {
            looked_at(1);
            let proof = self.proof(&vigil.probes[place], vigil.span);
            vigil.found(place, &proof);
        }
        if let Some((at, _)) = vigil.due.first() {
            self.wake_at(*at);
        }
        let are_good = vigil.lacking.is_empty();
        self.vigil = vigil;
        are_good
    }

    /// Which probes must be good, and for how long.
    fn awaited(&self, awaited: Awaiting) -> (Vec<String>, Duration) {
        let plan = &self.plan;
        let found = match awaited {
            Awaiting::SteadyState => plan.steady_state.as_ref().map(|steady| (steady.probes.clone(), steady.hold.duration())),
            Awaiting::Recovery => plan.recovered.as_ref().map(|recovered| (recovered.probes.clone(), recovered.stable_for.duration())),
            Awaiting::Source => plan.source.as_ref().map(|source| (source.probes.clone(), Duration::ZERO)),
            Awaiting::WhatStays => plan.recovered.as_ref().map(|recovered| (recovered.probes.clone(), Duration::ZERO)),
            Awaiting::Normal => self.normality().map(|steady| (steady.probes, steady.hold.duration())),
        };
        found.unwrap_or_default()
    }
}
