//! stub
use crate::model::event::Event;
use crate::model::text::Lang;

pub fn charts(_events: &[Event]) -> Vec<(String, String)> {
    vec![]
}

pub fn render(_events: &[Event], _head: &str, _lang: Lang) -> String {
    String::new()
}
