//! Everything that can be done to a run, from the journal of one that nothing was done to: each event and each call by its name and number.

use std::collections::BTreeMap;

use lifeboat::journal::crash;
use lifeboat::model::event::probe::ProbeKind;
use lifeboat::model::event::step::StepKind;
use lifeboat::model::event::{Body, Event, ProbeEvent, StepEvent};

use crate::case::{Case, DISKS, Hardship, Recovery};

/// What goes wrong with a call for good, and what passes.
const FOR_GOOD: [&str; 2] = ["denied", "server-error"];
const PASSING: [&str; 4] = ["reset-before", "reset-after", "hang-after", "throttle"];

/// How many calls a trouble spoils; `None`: all from then on. A throttle ends before a step's time does, within which it is waited for.
pub(crate) fn how_many(does: &str) -> Option<u32> {
    match does {
        "throttle" => Some(6),
        _ if FOR_GOOD.contains(&does) => None,
        _ => Some(1),
    }
}

/// A case for every point at which the run's process can die, taken up in both ways by turns.
pub(crate) fn crashes(subject: &str, events: &[Event]) -> Vec<Case> {
    let by = [Recovery::Abort, Recovery::Resume].into_iter().cycle();
    points(events).into_iter().zip(by).map(|(at, by)| Case::new(subject, Hardship::Crash { at, by, again: None })).collect()
}

/// A case for every event at which the disk can fail: where an event has to be on stable storage it is full, read-only, and gone; elsewhere it fails in each
/// way by turns.
pub(crate) fn disks(subject: &str, events: &[Event]) -> Vec<Case> {
    let (mut by, mut turn) = ([Recovery::Abort, Recovery::Resume].into_iter().cycle(), DISKS.into_iter().cycle());
    let mut cases = Vec::new();
    for (at, body) in named(events) {
        let ways: Vec<&str> = if body.is_durable() { DISKS[..3].to_vec() } else { turn.by_ref().take(1).collect() };
        for (way, by) in ways.into_iter().zip(by.by_ref()) {
            cases.push(Case::new(subject, Hardship::Crash { at: format!("{way}:{at}"), by, again: None }));
        }
    }
    cases
}

/// A case for every point at which the process that took up the run of `case` can die as well.
pub(crate) fn crashes_again(case: &Case, events: &[Event]) -> Vec<Case> {
    let Hardship::Crash { at, by, .. } = &case.hardship else { return Vec::new() };
    let own: Vec<Event> = events.iter().filter(|event| event.epoch == 2).cloned().collect();
    let crash = |again| Hardship::Crash { at: at.clone(), by: *by, again: Some(again) };
    points(&own).into_iter().map(|again| Case::new(&case.subject, crash(again))).collect()
}

/// A case for everything that can go wrong with every call: those that change something in every way, those that only read in one of each sort.
pub(crate) fn troubles(subject: &str, events: &[Event]) -> Vec<Case> {
    let mut count: BTreeMap<&str, u32> = BTreeMap::new();
    let mut cases = Vec::new();
    for event in events {
        let Body::Step(StepEvent { kind: StepKind::Call { call }, .. }) = &event.body else { continue };
        let nth = count.entry(&call.operation).or_default();
        *nth += 1;
        let (for_good, passing) = if call.mutating { (&FOR_GOOD[..], &PASSING[..]) } else { (&FOR_GOOD[..1], &PASSING[..1]) };
        // The same read again and again is waiting for an effect.
        if call.mutating || *nth <= 3 {
            let trouble = |does: &&str| Hardship::Trouble { does: (*does).to_owned(), call: call.operation.clone(), nth: *nth };
            cases.extend(for_good.iter().chain(passing).map(|does| Case::new(subject, trouble(does))));
        }
    }
    cases
}

/// The points that these events of one process have, in order.
fn points(events: &[Event]) -> Vec<String> {
    named(events).into_iter().flat_map(|(name, body)| ways(body).iter().map(move |when| format!("{when}:{name}"))).collect()
}

/// These events of one process by name and number. Nothing follows from a reading or a count: three of each probe, at the end, stand for all.
fn named(events: &[Event]) -> Vec<(String, &Body)> {
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    let mut readings: BTreeMap<String, Vec<(String, &Body)>> = BTreeMap::new();
    let mut named = Vec::new();
    for event in events {
        let name = crash::name(&serde_json::to_value(event).unwrap());
        let nth = count.entry(name.clone()).or_default();
        *nth += 1;
        let one = (format!("{name}#{nth}"), &event.body);
        match &event.body {
            Body::Probe(ProbeEvent { kind: ProbeKind::Reading { .. } | ProbeKind::Tally { .. }, .. }) => readings.entry(name).or_default().push(one),
            _ => named.push(one),
        }
    }
    for all in readings.into_values() {
        let mut few = vec![0, all.len() / 2, all.len() - 1];
        few.dedup();
        named.extend(few.into_iter().map(|at| all[at].clone()));
    }
    named
}

/// The ways in which a process can die around an event.
fn ways(body: &Body) -> &'static [&'static str] {
    match body {
        _ if body.is_durable() => &["before", "after", "torn", "lost"],
        // A change that was made and not yet told of, or told of and nothing more.
        Body::Step(event) if matches!(&event.kind, StepKind::Call { call } if call.mutating) => &["before", "after"],
        _ => &["before"],
    }
}
