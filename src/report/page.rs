//! What every section needs: the facts at hand, and the words, numbers and moments as the language writes them.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Inline, Line, Value, code, line, text};
use super::labels::Label;
use super::numbers::{self, Zones};
use crate::model::event::Event;
use crate::model::interval::Length;
use crate::model::measure::{self, Measured, Measures, StandingChange};
use crate::model::phrases::phrase;
use crate::model::plan::{Mode, Plan, ProbePlan, StepPlan};
use crate::model::realism::Exercise;
use crate::model::state::{FAULT, RunState, Start};
use crate::model::text::Lang;
use crate::model::time::{Span, Timestamp};

/// A run, as the sections of its report see it.
pub(super) struct Page<'a> {
    pub(super) lang: Lang,
    pub(super) state: &'a RunState,
    pub(super) start: &'a Start,
    pub(super) plan: &'a Plan,
    pub(super) measures: &'a Measures,
    pub(super) events: &'a [Event],
    /// The hash of the journal's last event; may be empty.
    pub(super) head_hash: &'a str,
    pub(super) zones: Zones,
    /// What the run changed and what stands at its end.
    pub(super) standing: Vec<StandingChange>,
    /// The places in it, by the keys of the steps.
    standing_at: BTreeMap<String, usize>,
    /// Keys of what is not put back.
    pub(super) held: BTreeSet<&'a str>,
}

impl<'a> Page<'a> {
    pub(super) fn new(lang: Lang, state: &'a RunState, start: &'a Start, measures: &'a Measures, events: &'a [Event], head_hash: &'a str) -> Self {
        let zones = Zones::new(&start.plan.zone, start.at, state.at.unwrap_or(start.at));
        let standing = measure::standing(state);
        let standing_at = standing.iter().enumerate().map(|(place, one)| (one.step.clone(), place)).collect();
        let held = state.held().into_iter().collect();
        Self { lang, state, start, plan: &start.plan, measures, events, head_hash, zones, standing, standing_at, held }
    }

    pub(super) const fn t(&self, label: Label) -> &'static str {
        label.text(self.lang)
    }

    /// When the run ended, or the last that is known of it.
    pub(super) fn end(&self) -> Timestamp {
        self.state.ended.as_ref().map(|end| end.at).or(self.state.at).unwrap_or(self.start.at)
    }

    pub(super) fn probe_plan(&self, id: &str) -> Option<&'a ProbePlan> {
        self.plan.probes.iter().find(|probe| probe.id == id)
    }

    pub(super) fn step_plan(&self, key: &str) -> Option<&'a StepPlan> {
        self.state.planned(key)
    }

    pub(super) fn is_emergency(&self) -> bool {
        self.plan.mode == Mode::Emergency
    }

    /// What kind of exercise it was, a word of `exercise.type`; nothing where nobody said.
    pub(super) fn exercise(&self) -> Option<&'static str> {
        self.plan.exercise().map(Exercise::word)
    }
}

/// Names and sentences.
impl Page<'_> {
    /// A probe by its title and id.
    pub(super) fn probe_name(&self, id: &str) -> Line {
        let title = self.probe_plan(id).map_or("", |probe| probe.title.get(self.lang));
        if title.is_empty() || title == id { code(id) } else { line![text(title), " ", code(id)] }
    }

    /// A probe's title, else its id, without markup.
    pub(super) fn probe_title<'s>(&'s self, id: &'s str) -> &'s str {
        self.probe_plan(id).map(|probe| probe.title.get(self.lang)).filter(|title| !title.is_empty()).unwrap_or(id)
    }

    /// What stands of a step.
    pub(super) fn standing_of(&self, key: &str) -> Option<&StandingChange> {
        let place = self.standing_at.get(key)?;
        self.standing.get(*place)
    }

    /// A step by its title and key; the fault is no step of a runbook and has no title.
    pub(super) fn step_name(&self, key: &str) -> Line {
        let title = if key == FAULT { "" } else { self.step_plan(key).map_or("", |step| step.title.get(self.lang)) };
        if title.is_empty() { code(key) } else { line![text(title), " ", code(key)] }
    }

    /// A probe or a step.
    pub(super) fn subject(&self, subject: &str) -> Line {
        if self.step_plan(subject).is_some() { self.step_name(subject) } else { self.probe_name(subject) }
    }

    /// A sentence of the journal in the language of the report, where its shape is known.
    pub(super) fn sentence(&self, journalled: &str) -> Line {
        text(&phrase(journalled, self.lang))
    }

    /// What is said, and behind a colon how, if anything is said of that.
    pub(super) fn said(&self, label: Label, how: &str) -> Line {
        if how.is_empty() { self.t(label).into() } else { line![self.t(label), self.colon(), self.sentence(how)] }
    }

    /// What stands where nothing is known.
    pub(super) fn not_recorded(&self) -> Line {
        self.t(Label::NotRecorded).into()
    }

    /// How many changes stand, in words.
    pub(super) fn stand(&self, count: usize) -> Line {
        match self.lang {
            Lang::En if count == 1 => line![self.count(count), " change stands"],
            Lang::En => line![self.count(count), " changes stand"],
            Lang::Zh => line![self.count(count), " 项变更仍然保留"],
        }
    }
}

/// Punctuation.
impl Page<'_> {
    /// A colon or what stands for it: Chinese sets its own, without a blank.
    pub(super) const fn colon(&self) -> &'static str {
        self.lang.colon()
    }

    /// A colon at the end of a title.
    pub(super) fn last_colon(&self) -> &'static str {
        self.colon().trim_end()
    }

    pub(super) const fn comma(&self) -> &'static str {
        match self.lang {
            Lang::En => ", ",
            Lang::Zh => "，",
        }
    }

    pub(super) const fn semicolon(&self) -> &'static str {
        match self.lang {
            Lang::En => "; ",
            Lang::Zh => "；",
        }
    }

    pub(super) const fn full_stop(&self) -> &'static str {
        match self.lang {
            Lang::En => ". ",
            Lang::Zh => "。",
        }
    }

    /// `(what)` with the brackets of the language and what keeps them from the word before.
    pub(super) fn bracketed(&self, what: impl Into<Line>) -> Line {
        match self.lang {
            Lang::En => line![" (", what, ")"],
            Lang::Zh => line!["（", what, "）"],
        }
    }
}

/// Values as they are written, and what they are.
impl Page<'_> {
    /// A number of things.
    pub(super) fn count<N: ToString + TryInto<u64>>(&self, count: N) -> Inline {
        let shown = count.to_string();
        Inline::Shown(shown, count.try_into().ok().map(Value::Count))
    }

    /// A word of a fixed list as the language says it.
    pub(super) fn word(&self, word: &'static str, label: Label) -> Inline {
        Inline::Shown(self.t(label).to_owned(), Some(Value::Word(word)))
    }

    /// A moment in UTC, without saying so.
    pub(super) fn utc(&self, at: Timestamp) -> Inline {
        Inline::Shown(self.zones.utc(at), Some(Value::Time(at)))
    }

    /// A moment in UTC that says so.
    pub(super) fn at_utc(&self, at: Timestamp) -> Line {
        line![self.utc(at), " UTC"]
    }

    /// A moment in the plan's zone, beside one in UTC.
    pub(super) fn zoned(&self, at: Timestamp) -> Inline {
        Inline::Shown(self.zones.zoned(at), None)
    }

    /// Heads of the two columns of times.
    pub(super) fn zone_heads(&self) -> [Inline; 2] {
        self.zones.heads(self.start.at).map(|head| Inline::Shown(head, None))
    }

    /// A length that is known exactly, in nanoseconds.
    pub(super) fn length(&self, nanos: i64) -> Inline {
        self.length_in(nanos, numbers::unit(nanos))
    }

    /// A length that is known exactly, in nanoseconds, shown in steps of `unit`.
    pub(super) fn length_in(&self, nanos: i64, unit: i64) -> Inline {
        Inline::Shown(numbers::length_in(nanos, unit, self.lang), Some(Value::exactly(nanos)))
    }

    /// A length by its likeliest value and its bounds.
    pub(super) fn interval(&self, length: Length) -> Inline {
        Inline::Shown(numbers::interval(length, self.lang), Some(length.into()))
    }

    /// The likeliest value of a length, whose bounds stand elsewhere.
    pub(super) fn likeliest(&self, length: Length) -> Inline {
        Inline::Shown(numbers::length(length.likely, self.lang), Some(length.into()))
    }

    /// A length as people write one: `90s`.
    pub(super) fn span(&self, span: Span) -> Inline {
        let nanos = i64::try_from(span.duration().as_nanos()).unwrap_or(i64::MAX);
        Inline::Shown(span.to_string(), Some(Value::exactly(nanos)))
    }

    /// `(event 15)`.
    pub(super) fn event_number(&self, seq: u64) -> Line {
        self.bracketed(line![self.t(Label::EventNumber), " ", self.count(seq)])
    }

    /// The bounds of a length.
    pub(super) fn bounds(&self, length: Length) -> Inline {
        Inline::Shown(numbers::bounds(length, self.lang), Some(length.into()))
    }

    /// An upper bound, in nanoseconds.
    pub(super) fn upper(&self, nanos: i64) -> Inline {
        Inline::Shown(numbers::upper(nanos, self.lang), Some(Value::Length { likely: None, lo: None, hi: Some(nanos) }))
    }

    pub(super) fn measured(&self, measured: Measured) -> Inline {
        let value = match measured {
            Measured::Known(length) => length.into(),
            Measured::AtLeast(lo) => Value::Length { likely: None, lo: Some(lo), hi: None },
        };
        Inline::Shown(numbers::measured(measured, self.lang), Some(value))
    }

    /// A share between two bounds in parts of a million: one number where they are equal.
    pub(super) fn share(&self, lo: u64, hi: u64) -> Inline {
        let (from, to, sign) = (numbers::percent(lo), numbers::percent(hi), numbers::percent_sign(self.lang));
        Inline::Shown(if from == to { format!("{from}{sign}") } else { format!("{from}–{to}{sign}") }, Some(Value::Share { lo, hi }))
    }
}

/// What stands for nothing.
pub(super) fn dash() -> Line {
    "–".into()
}
