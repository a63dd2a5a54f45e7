//! What keys mean while a run goes on, and what the line at the foot says. No terminal here: keys in, orders and texts out.

use std::time::{Duration, Instant};

use crate::engine::clock::RunClock;
use crate::model::order::Order;
use crate::model::plan::{self, Ungraceful};
use crate::model::state::{FAULT, RunState, Status, StepState};
use crate::model::time::Span;
use crate::ops::control::{Interrupt, questions};

/// How long what became of an order is shown.
const SHOWN: Duration = Duration::from_secs(5);
/// The longest reason that can be typed.
const LONGEST: usize = 200;

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Tab,
    Escape,
    Backspace,
}

impl Key {
    /// The keys of what a terminal sent at once. Arrows and other sequences mean nothing here.
    pub(super) fn all(bytes: &[u8]) -> Vec<Self> {
        match bytes {
            [0x1b] => vec![Self::Escape],
            [0x1b, ..] => Vec::new(),
            _ => String::from_utf8_lossy(bytes).chars().filter_map(Self::of).collect(),
        }
    }

    fn of(c: char) -> Option<Self> {
        Some(match c {
            '\r' | '\n' => Self::Enter,
            '\t' => Self::Tab,
            '\u{8}' | '\u{7f}' => Self::Backspace,
            c if c.is_control() || c == char::REPLACEMENT_CHARACTER => return None,
            c => Self::Char(c),
        })
    }
}

/// The prompt of whoever sits in front of a run.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    mode: Mode,
    interrupts: Interrupts,
    said: Option<(String, Instant)>,
}

#[derive(Debug, Default)]
enum Mode {
    #[default]
    Idle,
    /// `y` gives this order.
    Sure(Order),
    /// A step is picked, to be done without or to be tried again.
    Pick { retry: bool, at: usize },
    /// The reason is typed.
    Why { order: Order, text: String },
    /// Ctrl-C was pressed once.
    Interrupted,
}

impl Prompt {
    /// A key was pressed; may give an order with its reason.
    pub(super) fn pressed(&mut self, key: Key, state: &RunState) -> Option<(Order, String)> {
        self.said = None;
        match (std::mem::take(&mut self.mode), key) {
            (Mode::Idle, Key::Char(c)) => self.idle(c, state),
            (Mode::Sure(order), Key::Char('y')) => Some((order, asked())),
            (Mode::Pick { retry, at }, key) => self.pick(retry, at, key, state),
            (Mode::Why { order, text }, key) => self.why(order, text, key),
            (Mode::Interrupted, Key::Char('a')) => Some((Order::Abort, asked())),
            (Mode::Interrupted, Key::Char('q')) => Some((Order::Stop, asked())),
            (Mode::Interrupted, Key::Char('c') | Key::Escape) => {
                self.interrupts = Interrupts::default();
                None
            }
            (Mode::Interrupted, _) => {
                self.mode = Mode::Interrupted;
                None
            }
            (Mode::Idle | Mode::Sure(_), _) => None,
        }
    }

    fn idle(&mut self, c: char, state: &RunState) -> Option<(Order, String)> {
        let question = questions(state).next();
        match (c, question) {
            ('p', _) => return Some((if state.is_paused() { Order::Unpause } else { Order::Pause }, String::new())),
            ('y', Some(question)) => return Some((Order::Answer { step: question.step, yes: true }, String::new())),
            ('n', Some(question)) => self.mode = Mode::Why { order: Order::Answer { step: question.step, yes: false }, text: String::new() },
            ('u', _) => self.mode = Mode::Sure(Order::Ungraceful),
            ('q', _) => self.mode = Mode::Sure(Order::Stop),
            ('a', _) => self.mode = Mode::Sure(Order::Abort),
            ('s', _) if skippable(state).is_empty() => self.say("there is no step to do without"),
            ('s', _) => self.mode = Mode::Pick { retry: false, at: 0 },
            ('r', _) => match failed(state).as_slice() {
                [] => self.say("no step has failed"),
                [step] => return Some((Order::Retry { step: step.clone() }, String::new())),
                _ => self.mode = Mode::Pick { retry: true, at: 0 },
            },
            _ => {}
        }
        None
    }

    fn pick(&mut self, retry: bool, at: usize, key: Key, state: &RunState) -> Option<(Order, String)> {
        let steps = if retry { failed(state) } else { skippable(state) };
        // Steps go on while one is picked.
        let step = steps.get(at % steps.len().max(1))?.clone();
        match key {
            Key::Tab | Key::Char(' ') => self.mode = Mode::Pick { retry, at: (at + 1) % steps.len() },
            Key::Enter if retry => return Some((Order::Retry { step }, String::new())),
            Key::Enter => self.mode = Mode::Why { order: Order::Skip { step }, text: String::new() },
            Key::Escape | Key::Char('n') => {}
            _ => self.mode = Mode::Pick { retry, at },
        }
        None
    }

    fn why(&mut self, order: Order, mut text: String, key: Key) -> Option<(Order, String)> {
        match key {
            Key::Enter if text.trim().is_empty() && matches!(order, Order::Skip { .. }) => self.say("doing without a step needs a reason"),
            Key::Enter => return Some((order, text.trim().to_owned())),
            Key::Escape => {}
            key => {
                match key {
                    Key::Char(c) if text.len() < LONGEST => text.push(c),
                    Key::Backspace => drop(text.pop()),
                    _ => {}
                }
                self.mode = Mode::Why { order, text };
            }
        }
        None
    }

    /// Ctrl-C. `typing`: whether somebody can type an answer.
    pub(super) fn interrupted(&mut self, typing: bool, state: &RunState) -> Interrupt {
        let meaning = self.interrupts.press(typing, is_ending(state));
        self.mode = if meaning == Interrupt::Ask { Mode::Interrupted } else { Mode::Idle };
        meaning
    }

    /// What became of the last order.
    pub(super) fn answered(&mut self, answer: Result<(), String>) {
        if let Err(why) = answer {
            self.say(&why);
        }
    }

    fn say(&mut self, text: &str) {
        self.said = Some((text.to_owned(), Instant::now()));
    }

    /// The line at the foot.
    pub(super) fn line(&mut self, state: &RunState) -> String {
        if state.start.is_none() || state.ended.is_some() {
            return String::new();
        }
        self.said.take_if(|(_, since)| since.elapsed() > SHOWN);
        let ending = is_ending(state);
        match &self.mode {
            Mode::Interrupted if ending => "Ctrl-C again leaves at once, with things as they are · c goes on".into(),
            Mode::Interrupted => "c go on · a abort: put all back · q stop: leave it · Ctrl-C aborts".into(),
            Mode::Sure(Order::Abort) if state.mode() == Some(plan::Mode::Emergency) => {
                "abort: everything is put back, users too, whether the source side is well or not? y yes · n no".into()
            }
            Mode::Sure(Order::Abort) => "abort and put everything back? y yes · n no".into(),
            Mode::Sure(Order::Stop) => "stop, and leave what the steps did as it is? y yes · n no".into(),
            Mode::Sure(_) => "give the source side up? y yes · n no".into(),
            Mode::Pick { retry, at } => {
                let steps = if *retry { failed(state) } else { skippable(state) };
                let word = if *retry { "try again" } else { "do without" };
                let Some(step) = steps.get(at % steps.len().max(1)) else { return String::new() };
                format!("{word} {step}? Enter yes · Tab next of {} · Esc no", steps.len())
            }
            Mode::Why { order, text } => format!("{order}, because: {text}_"),
            Mode::Idle => {
                if let Some((said, _)) = &self.said {
                    return said.clone();
                }
                if self.interrupts.level > 1 {
                    return "everything is ending · Ctrl-C again leaves at once".into();
                }
                idle_line(state, ending)
            }
        }
    }
}

fn idle_line(state: &RunState, ending: bool) -> String {
    if let Some(question) = questions(state).next() {
        let what = if question.manual { "done" } else { "yes" };
        return format!("y {what} · n no   {}: {}", question.step, question.text);
    }
    if ending {
        return String::new();
    }
    if let Some((step, left)) = to_be_mended(state) {
        let then =
            if state.mode() == Some(plan::Mode::Emergency) { "the run ends there, and `lifeboat resume` goes on" } else { "everything is put back" };
        return format!("r retry · s do without {step}, which failed · {left} left, then {then}");
    }
    let mut words = vec![if state.is_paused() { "PAUSED: p goes on" } else { "p pause" }, "s skip"];
    if !failed(state).is_empty() {
        words.push("r retry");
    }
    if can_be_ungraceful(state) {
        words.push("u give the source up");
    }
    words.extend(["q stop", "a abort"]);
    words.join(" · ")
}

/// The step that waits for a person the longest, and for how long it still does.
fn to_be_mended(state: &RunState) -> Option<(&str, Span)> {
    let patience = state.plan()?.limits.patience.duration();
    let waits = |(key, step): (&str, &StepState)| step.ended.filter(|_| state.waits_to_be_mended(key)).map(|at| at.plus(patience));
    let ordered = state.ordered();
    let (until, key) = ordered.into_iter().filter_map(|(key, step)| Some((waits((key, step))?, key))).min()?;
    Some((key, Span::from_secs(until.since(RunClock::start().now()).as_secs())))
}

fn asked() -> String {
    "asked for at the terminal".into()
}

fn is_ending(state: &RunState) -> bool {
    state.stop().is_some() || state.resumed.last().is_some_and(|taken| taken.to == "abort")
}

/// Steps that a person may do without: those in trouble first, then what runs, then what waits.
fn skippable(state: &RunState) -> Vec<String> {
    let rank = |status| match status {
        Status::Retrying | Status::Failed => Some(0),
        Status::Running => Some(1),
        Status::Pending => Some(2),
        _ => None,
    };
    let may_be = |(key, step): &(&str, &StepState)| is_one(state, key) && (step.status != Status::Failed || state.waits_to_be_mended(key));
    let mut steps: Vec<(i32, &str)> = state.ordered().into_iter().filter(may_be).filter_map(|(key, step)| Some((rank(step.status)?, key))).collect();
    steps.sort_by_key(|(rank, _)| *rank);
    steps.into_iter().map(|(_, key)| key.to_owned()).collect()
}

/// Steps of which an attempt has failed: they wait for the next one, or for a person.
fn failed(state: &RunState) -> Vec<String> {
    let is_failed = |(key, step): &(&str, &StepState)| is_one(state, key) && (step.status == Status::Retrying || state.waits_to_be_mended(key));
    state.ordered().into_iter().filter(is_failed).map(|(key, _)| key.to_owned()).collect()
}

/// Whether `key` is a step that can be steered: not the fault, and not one that stands for its items.
fn is_one(state: &RunState, key: &str) -> bool {
    key != FAULT && state.items(key).next().is_none()
}

fn can_be_ungraceful(state: &RunState) -> bool {
    let differs = |step: &crate::model::plan::StepPlan| matches!(step.ungraceful, Some(Ungraceful::Skip | Ungraceful::With(_)));
    !state.is_ungraceful()
        && state.plan().is_some_and(|plan| plan.failover.steps.iter().chain(plan.failback.iter().flat_map(|book| &book.steps)).any(differs))
}

/// How often Ctrl-C was pressed: the first asks, the second ends the run, the third leaves it. Where nobody can answer, the first ends it too.
#[derive(Debug, Default)]
struct Interrupts {
    level: u8,
}

impl Interrupts {
    const fn press(&mut self, typing: bool, ending: bool) -> Interrupt {
        let (level, meaning) = match (self.level, typing, ending) {
            (0, _, true) => (2, Interrupt::Ask),
            (0, true, false) => (1, Interrupt::Ask),
            (0, false, false) => (1, Interrupt::End),
            (1, ..) => (2, Interrupt::End),
            _ => (2, Interrupt::Leave),
        };
        self.level = level;
        meaning
    }
}

#[cfg(test)]
mod tests;
