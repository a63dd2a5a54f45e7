//! The reader of journals, and everything that is derived from one: state, measures, verdict, both reports, their pictures, the lines of a terminal.

use std::io;

use lifeboat::model::chain::{Chain, genesis, seal, verify};
use lifeboat::model::event::{Body, Event, RunEvent};
use lifeboat::model::measure::{Measures, integrity, leftovers, services_json, verdict};
use lifeboat::model::state::RunState;
use lifeboat::model::text::Lang;
use lifeboat::model::time::Timestamp;
use lifeboat::observe::{Lines, Observer as _};
use lifeboat::report::Report;
use serde_json::{Map, Value};

use super::lab::well_formed;

/// The most events of one input.
const MOST: usize = 200;

/// The plan of runs whose first line does not say one.
const STARTED: &str = include_str!("started.json");

/// Fields that hold a moment; a whole number in one means milliseconds since the run began.
const MOMENTS: [&str; 7] = ["at", "lo", "hi", "from", "to", "sent", "done"];

/// Lines: events as a journal has them. What every event has (`seq`, `run`, `id`, `owner`, `epoch`, `at`) may be left out.
pub fn journal(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(MOST).collect();
    // As it is: a stranger's file.
    let _ = verify("r", lines.iter().copied());
    let (events, state) = run(&lines);
    let chain = sealed(&events, data.len());
    assert_eq!(chain.events, events, "a journal is read back as it was written");
    assert_eq!(RunState::from_events(&events), Ok(state.clone()));
    derived(&events, &state, &chain.head);
}

/// The legal ones among the events that the lines tell.
fn run(lines: &[&[u8]]) -> (Vec<Event>, RunState) {
    let (mut events, mut state) = (Vec::new(), RunState::default());
    for line in [STARTED.as_bytes()].iter().chain(lines) {
        let Ok(Value::Object(fields)) = serde_json::from_slice(line) else { continue };
        let Ok(event) = serde_json::from_value::<Event>(whole(fields, &state)) else { continue };
        let is_start = matches!(event.body, Body::Run(RunEvent::Started { .. }));
        if is_start && events.len() == 1 {
            // A plan of its own takes the place of ours.
            (events, state) = (Vec::new(), RunState::default());
            let event = Event { seq: 1, ..event };
            if state.apply(&event).is_ok() {
                events.push(event);
            }
        } else if state.apply(&event).is_ok() {
            events.push(event);
        }
    }
    (events, state)
}

/// An event with what every event has.
fn whole(mut fields: Map<String, Value>, state: &RunState) -> Value {
    let began = state.start.as_ref().map_or(Timestamp::from_nanos(1_795_305_600_000_000_000), |start| start.at);
    for name in MOMENTS {
        if let Some(millis) = fields.get(name).and_then(Value::as_i64) {
            let at = Timestamp::from_nanos(began.as_nanos().saturating_add(millis.saturating_mul(1_000_000)));
            fields.insert(name.to_owned(), Value::String(at.to_string()));
        }
    }
    let later = Timestamp::from_nanos(state.at.unwrap_or(began).as_nanos().saturating_add(1_000_000_000));
    let takes_over = fields.get("event").is_some_and(|event| event == "resumed");
    let epoch = if takes_over { state.epoch.saturating_add(1) } else { state.epoch.max(1) };
    fields.insert("v".to_owned(), 1.into());
    fields.insert("seq".to_owned(), (state.seq + 1).into());
    fields.insert("run".to_owned(), "r".into());
    for (name, value) in [("id", Value::from("e")), ("owner", "o".into()), ("epoch", epoch.into()), ("at", later.to_string().into())] {
        fields.entry(name).or_insert(value);
    }
    fields.remove("prev");
    fields.remove("hash");
    Value::Object(fields)
}

/// The events in a chain, checked; and the chain with one byte changed, refused.
fn sealed(events: &[Event], seed: usize) -> Chain {
    let mut prev = genesis("r");
    let mut lines = Vec::new();
    for event in events {
        let (line, hash) = seal(event, &prev).expect("an event can be sealed");
        lines.push(line.into_bytes());
        prev = hash;
    }
    let chain = verify("r", lines.iter().map(Vec::as_slice)).expect("what was sealed is believed");
    if events.len() <= 16 {
        let index = seed % lines.len();
        let line = &mut lines[index];
        let at = (seed / 7) % line.len();
        line[at] ^= 1 << (seed % 7);
        let refused = verify("r", lines.iter().map(Vec::as_slice)).expect_err("an altered journal is refused");
        assert_eq!(refused.position, index as u64 + 1, "the altered event is named");
    }
    chain
}

/// Everything that shows a run.
fn derived(events: &[Event], state: &RunState, head: &str) {
    let measures = Measures::of(state);
    let _ = (verdict(events), leftovers(state), integrity(state), services_json(state, &measures).to_string(), state.held());
    let reported = Report::of(events, head);
    for lang in [Lang::En, Lang::Zh] {
        let report = reported.markdown(lang);
        assert!(report.starts_with("# ") && report.ends_with('\n') && report.contains(head), "{report}");
        let mut lines = Lines::new(io::sink(), lang).verbose();
        let mut shown = RunState::default();
        for event in events {
            shown.apply(event).expect("legal as before");
            lines.event(event, &shown);
        }
    }
    for (_, svg) in reported.pictures() {
        well_formed(&svg);
    }
    serde_json::from_str::<Value>(&reported.json()).expect("JSON for programs");
    assert!(reported.html(Lang::En).contains("</html>"));
}
