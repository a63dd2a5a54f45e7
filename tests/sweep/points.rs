//! Every point at which a process can die, from the journal of one that did not: each event by its name and number.

use std::collections::BTreeMap;

use lifeboat::journal::crash;
use lifeboat::model::event::probe::ProbeKind;
use lifeboat::model::event::step::StepKind;
use lifeboat::model::event::{Body, Event, ProbeEvent};

use crate::case::{Case, Recovery};

/// The points that these events of one process have, in order.
pub(crate) fn points(events: &[Event]) -> Vec<String> {
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    let mut readings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut points = Vec::new();
    for event in events {
        let name = crash::name(&serde_json::to_value(event).unwrap());
        let nth = count.entry(name.clone()).or_default();
        *nth += 1;
        let event_name = format!("{name}#{nth}");
        match &event.body {
            // Nothing follows from a reading or a count: three of each probe stand for all.
            Body::Probe(ProbeEvent { kind: ProbeKind::Reading { .. } | ProbeKind::Tally { .. }, .. }) => {
                readings.entry(name).or_default().push(event_name)
            }
            _ => points.extend(ways(&event.body).iter().map(|when| format!("{when}:{event_name}"))),
        }
    }
    let few = |all: Vec<String>| [0, all.len() / 2, all.len() - 1].map(|at| format!("before:{}", all[at]));
    points.extend(readings.into_values().flat_map(few));
    points.dedup();
    points
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

/// A case for every point of a drill, taken up in both ways by turns.
pub(crate) fn crashes(scenario: &str, events: &[Event]) -> Vec<Case> {
    let by = [Recovery::Abort, Recovery::Resume].into_iter().cycle();
    let case = |(crash, by)| Case { crash: Some(crash), by, ..Case::undisturbed(scenario) };
    points(events).into_iter().zip(by).map(case).collect()
}

/// A case for every point of the process that took up the run of `case`: it dies as well.
pub(crate) fn crashes_again(case: &Case, events: &[Event]) -> Vec<Case> {
    let own: Vec<Event> = events.iter().filter(|event| event.epoch == 2).cloned().collect();
    points(&own).into_iter().map(|again| Case { again: Some(again), ..case.clone() }).collect()
}
