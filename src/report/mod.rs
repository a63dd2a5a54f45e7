//! Reports in Markdown and their pictures, made from a journal's events alone: the same events give the same bytes, on any machine, at any time.
//!
//! Nothing here measures: [`Measures`] does. Nothing here asks for the time, the environment or a file.

mod baseline;
mod changes;
mod chart;
mod controls;
mod course;
mod data;
mod fields;
mod guards;
mod kept;
mod labels;
mod lag;
mod lease;
mod markdown;
mod numbers;
mod people;
mod reasons;
mod results;
mod steps;
mod svg;
mod tail;
mod traffic;

use fields::{Field, Written};
use labels::Label;
use markdown::{code, text};
use numbers::Zones;

use crate::model::event::Event;
use crate::model::measure::{self, Measures, Standing};
use crate::model::phrases::phrase;
use crate::model::plain;
use crate::model::plan::{Mode, Plan, ProbePlan, StepPlan};
use crate::model::realism::Exercise;
use crate::model::state::{RunState, Start};
use crate::model::text::Lang;
use crate::model::time::Timestamp;

/// The report of a run in one language. `head_hash` is the hash of the journal's last event. Runs that failed, were aborted or have not ended get the same report.
#[must_use]
pub fn render(events: &[Event], head_hash: &str, lang: Lang) -> String {
    let state = match RunState::from_events(events) {
        Ok(state) => state,
        Err(error) => return format!("# {}\n\n{}\n", Label::DrillReport.text(lang), text(&error.to_string())),
    };
    let Some(start) = state.start.as_ref() else { return format!("# {}\n\n{}\n", Label::DrillReport.text(lang), Label::NotRecorded.text(lang)) };
    let measures = Measures::of(&state);
    let page = Page::new(lang, &state, start, &measures, events);
    let mut out = String::with_capacity(16 * 1024);
    page.results(&mut out);
    page.guards(&mut out);
    page.course(&mut out);
    page.people(&mut out);
    page.changes(&mut out);
    page.lease(&mut out);
    page.baseline(&mut out);
    page.kept(&mut out);
    page.probes(&mut out);
    page.data(&mut out);
    page.failback(&mut out);
    // What is covered and what is missing follows from what was written: these two come last, wherever they stand.
    let mut proof = String::new();
    page.proof(&mut proof, head_hash);
    page.controls(&mut out);
    page.missing(&mut out);
    out.push_str(&proof);
    // One line break at the end.
    out.truncate(out.trim_end().len());
    out.push('\n');
    // Whoever wrote a title or a reason has no say about how the rest is read.
    plain::shown(&out).into_owned()
}

/// The pictures of a run, in both languages: file name and SVG. The reports refer to them by these names.
#[must_use]
pub fn charts(events: &[Event]) -> Vec<(String, String)> {
    let Ok(state) = RunState::from_events(events) else { return Vec::new() };
    let Some(start) = state.start.as_ref() else { return Vec::new() };
    let measures = Measures::of(&state);
    let of = |lang: Lang| {
        let page = Page::new(lang, &state, start, &measures, events);
        let mut charts = vec![(page.file("timeline"), page.timeline())];
        charts.extend(page.waterfall().map(|svg| (page.file("waterfall"), svg)));
        charts.extend(page.share().map(|svg| (page.file("share"), svg)));
        charts.extend(page.lag().map(|svg| (page.file("lag"), svg)));
        charts
    };
    [Lang::En, Lang::Zh].into_iter().flat_map(of).collect()
}

/// Everything a section needs.
struct Page<'a> {
    lang: Lang,
    state: &'a RunState,
    start: &'a Start,
    plan: &'a Plan,
    measures: &'a Measures,
    events: &'a [Event],
    zones: Zones,
    /// What the run changed and what stands at its end.
    standing: Vec<Standing>,
    /// The fields that were written.
    written: Written,
}

impl<'a> Page<'a> {
    fn new(lang: Lang, state: &'a RunState, start: &'a Start, measures: &'a Measures, events: &'a [Event]) -> Self {
        let zones = Zones::new(&start.plan.zone, start.at, state.at.unwrap_or(start.at));
        Self { lang, state, start, plan: &start.plan, measures, events, zones, standing: measure::standing(state), written: Written::default() }
    }

    const fn t(&self, label: Label) -> &'static str {
        label.text(self.lang)
    }

    /// When the run ended, or the last that is known of it.
    fn end(&self) -> Timestamp {
        self.state.ended.as_ref().map(|end| end.at).or(self.state.at).unwrap_or(self.start.at)
    }

    fn file(&self, name: &str) -> String {
        let lang = match self.lang {
            Lang::En => "en",
            Lang::Zh => "zh",
        };
        format!("{name}.{lang}.svg")
    }

    fn probe_plan(&self, id: &str) -> Option<&'a ProbePlan> {
        self.plan.probes.iter().find(|probe| probe.id == id)
    }

    /// A probe by its title and id.
    fn probe_name(&self, id: &str) -> String {
        let title = self.probe_plan(id).map_or("", |probe| probe.title.get(self.lang));
        if title.is_empty() || title == id { code(id) } else { format!("{} {}", text(title), code(id)) }
    }

    fn step_plan(&self, key: &str) -> Option<&'a StepPlan> {
        self.plan.step(key)
    }

    /// A step by its title and key.
    fn step_name(&self, key: &str) -> String {
        let title = self.step_plan(key).map_or("", |step| step.title.get(self.lang));
        if title.is_empty() { code(key) } else { format!("{} {}", text(title), code(key)) }
    }

    /// A sentence of the journal in the language of the report, where its shape is known.
    fn sentence(&self, journalled: &str) -> String {
        text(&phrase(journalled, self.lang))
    }

    /// A colon or what stands for it: Chinese sets its own, without a blank.
    const fn colon(&self) -> &'static str {
        match self.lang {
            Lang::En => ": ",
            Lang::Zh => "：",
        }
    }

    /// `(what)` with the brackets of the language.
    fn bracketed(&self, what: &str) -> String {
        match self.lang {
            Lang::En => format!(" ({what})"),
            Lang::Zh => format!("（{what}）"),
        }
    }

    fn is_emergency(&self) -> bool {
        self.plan.mode == Mode::Emergency
    }

    /// What kind of exercise it was, a word of `exercise.type`; nothing where nobody said.
    fn exercise(&self) -> Option<&'static str> {
        self.plan.exercise().map(Exercise::word)
    }

    /// Notes that `field` is written, if `value` says something; gives the value back.
    fn holding(&self, field: Field, value: String) -> String {
        if !value.is_empty() {
            self.written.add(field);
        }
        value
    }

    /// How many changes stand, in words.
    fn stand(&self, count: usize) -> String {
        match self.lang {
            Lang::En if count == 1 => "1 change stands".to_owned(),
            Lang::En => format!("{count} changes stand"),
            Lang::Zh => format!("{count} 项变更仍然保留"),
        }
    }
}

#[cfg(test)]
mod claims;
#[cfg(test)]
mod tests;
