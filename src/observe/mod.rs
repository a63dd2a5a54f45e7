//! stub
use crate::model::event::Event;
use crate::model::plan::Plan;
use crate::model::state::RunState;

pub trait Observer {
    fn event(&mut self, event: &Event, state: &RunState);
    fn tick(&mut self, _state: &RunState) {}
    fn finish(&mut self, _state: &RunState) {}
}

struct Raw;

impl Observer for Raw {
    fn event(&mut self, event: &Event, _: &RunState) {
        let line = serde_json::to_string(&event.body).unwrap_or_default();
        eprintln!("{} {}", event.at, line.chars().take(220).collect::<String>());
    }
}

pub fn for_output(_plan: &Plan, _terminal: bool, _color: bool, _json: bool) -> Box<dyn Observer + Send> {
    Box::new(Raw)
}
