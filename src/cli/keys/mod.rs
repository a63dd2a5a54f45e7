//! What keys mean while a run goes on, and what the line at the foot says. No terminal here: keys in, orders and texts out.

use std::time::{Duration, Instant};

use crate::engine::clock::RunClock;
use crate::model::order::Order;
use crate::model::phrases::phrase;
use crate::model::plan::{self, Ungraceful};
use crate::model::state::{FAULT, RunState, Status, StepState};
use crate::model::text::{Lang, span_in};
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
#[derive(Debug)]
pub(super) struct Prompt {
    lang: Lang,
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
    Pick { retry: bool, step: String },
    /// The reason is typed.
    Why { order: Order, text: String },
    /// Ctrl-C was pressed once.
    Interrupted,
}

impl Prompt {
    /// A prompt that speaks `lang`.
    pub(super) fn new(lang: Lang) -> Self {
        Self { lang, mode: Mode::Idle, interrupts: Interrupts::default(), said: None }
    }

    /// A key was pressed; may give an order with its reason.
    pub(super) fn pressed(&mut self, key: Key, state: &RunState) -> Option<(Order, String)> {
        self.said = None;
        match (std::mem::take(&mut self.mode), key) {
            (Mode::Idle, Key::Char(c)) => self.idle(c, state),
            // What leads users back whether the source side is well or not needs a reason.
            (Mode::Sure(Order::Abort), Key::Char('y')) if is_emergency(state) => {
                self.mode = Mode::Why { order: Order::Abort, text: String::new() };
                None
            }
            (Mode::Sure(order), Key::Char('y')) => Some((order, asked())),
            (Mode::Pick { retry, step }, key) => self.pick(retry, &step, key, state),
            (Mode::Why { order, text }, key) => self.why(order, text, key),
            (Mode::Interrupted, Key::Char('a')) if is_emergency(state) => {
                self.mode = Mode::Sure(Order::Abort);
                None
            }
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
            ('s', _) => match skippable(state).first() {
                None => self.say("there is no step to do without", "没有可跳过的步骤"),
                Some(step) => self.mode = Mode::Pick { retry: false, step: step.clone() },
            },
            ('r', _) => match failed(state).as_slice() {
                [] => self.say("no step has failed", "没有失败的步骤"),
                [step] => return Some((Order::Retry { step: step.clone() }, String::new())),
                [step, ..] => self.mode = Mode::Pick { retry: true, step: step.clone() },
            },
            _ => {}
        }
        None
    }

    /// The steps go on while one is picked: the question keeps the one it names, wherever that stands among them by now.
    fn pick(&mut self, retry: bool, step: &str, key: Key, state: &RunState) -> Option<(Order, String)> {
        let steps = if retry { failed(state) } else { skippable(state) };
        let Some(at) = steps.iter().position(|other| other == step) else {
            self.say(&format!("{step} went on meanwhile"), &format!("{step} 状态已变化"));
            return None;
        };
        let step = step.to_owned();
        match key {
            Key::Tab | Key::Char(' ') => self.mode = Mode::Pick { retry, step: steps[(at + 1) % steps.len()].clone() },
            Key::Enter if retry => return Some((Order::Retry { step }, String::new())),
            Key::Enter => self.mode = Mode::Why { order: Order::Skip { step }, text: String::new() },
            Key::Escape | Key::Char('n') => {}
            _ => self.mode = Mode::Pick { retry, step },
        }
        None
    }

    fn why(&mut self, order: Order, mut text: String, key: Key) -> Option<(Order, String)> {
        match key {
            Key::Enter if text.trim().is_empty() && matches!(order, Order::Skip { .. }) => {
                self.say("doing without a step needs a reason", "跳过步骤须说明理由");
            }
            Key::Enter if text.trim().is_empty() && order == Order::Abort => {
                self.say("putting back what serves users needs a reason", "还原正在服务用户的变更须说明理由");
            }
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
            self.say(&why, &phrase(&why, self.lang));
        }
    }

    fn say(&mut self, en: &str, zh: &str) {
        self.said = Some((text_in(self.lang, en, zh), Instant::now()));
    }

    /// The line at the foot.
    pub(super) fn line(&mut self, state: &RunState) -> String {
        if state.start.is_none() || state.ended.is_some() {
            return String::new();
        }
        self.said.take_if(|(_, since)| since.elapsed() > SHOWN);
        let ending = is_ending(state);
        let say = |en: &str, zh: &str| text_in(self.lang, en, zh);
        match &self.mode {
            Mode::Interrupted if ending => {
                say("Ctrl-C again leaves at once, with things as they are · c goes on", "再按 Ctrl-C 立即离开，保持现状 · c 继续")
            }
            Mode::Interrupted if is_emergency(state) => say(
                "c go on · q stop: leave it as it is · a abort: put all back · Ctrl-C stops",
                "c 继续 · q 停止：保持现状 · a 中止：全部还原 · 再按 Ctrl-C 停止",
            ),
            Mode::Interrupted => say(
                "c go on · a abort: put all back · q stop: leave it · Ctrl-C aborts",
                "c 继续 · a 中止：全部还原 · q 停止：保持现状 · 再按 Ctrl-C 中止",
            ),
            Mode::Sure(Order::Abort) if is_emergency(state) => say(
                "y yes · n no: put all back, users too, even if the source side is down?",
                "y 是 · n 否：全部还原，用户也随之回到源侧，即使源侧异常？",
            ),
            Mode::Sure(Order::Abort) => say("abort and put everything back? y yes · n no", "中止并全部还原？y 是 · n 否"),
            Mode::Sure(Order::Stop) => say("stop, and leave what the steps did as it is? y yes · n no", "停止，步骤已做的变更保持现状？y 是 · n 否"),
            Mode::Sure(_) => say("give the source side up? y yes · n no", "放弃源侧？y 是 · n 否"),
            Mode::Pick { retry, step } => {
                let steps = if *retry { failed(state) } else { skippable(state) };
                let count = steps.len();
                if !steps.contains(step) {
                    return String::new();
                }
                let (word, zh) = if *retry { ("try again", "重试") } else { ("do without", "跳过") };
                say(
                    &format!("{word} {step}? Enter yes · Tab next of {count} · Esc no"),
                    &format!("{zh} {step}？Enter 是 · Tab 下一个（共 {count}）· Esc 否"),
                )
            }
            Mode::Why { order, text } => {
                let order = order.to_string();
                say(&format!("{order}, because: {text}_"), &format!("{}，理由：{text}_", phrase(&order, self.lang)))
            }
            Mode::Idle => {
                if let Some((said, _)) = &self.said {
                    return said.clone();
                }
                if self.interrupts.level > 1 {
                    return say("everything is ending · Ctrl-C again leaves at once", "正在结束 · 再按 Ctrl-C 立即离开");
                }
                idle_line(state, ending, self.lang)
            }
        }
    }
}

fn text_in(lang: Lang, en: &str, zh: &str) -> String {
    match lang {
        Lang::En => en.to_owned(),
        Lang::Zh => zh.to_owned(),
    }
}

fn idle_line(state: &RunState, ending: bool, lang: Lang) -> String {
    let say = |en: &'static str, zh: &'static str| if lang == Lang::Zh { zh } else { en };
    if let Some(question) = questions(state).next() {
        let what = if question.manual { say("done", "已完成") } else { say("yes", "同意") };
        return format!("y {what} · n {}   {}: {}", say("no", "拒绝"), question.step, question.text);
    }
    if ending {
        return String::new();
    }
    if let Some((step, left)) = to_be_mended(state) {
        let left = span_in(left, lang);
        let (then, then_zh) = if is_emergency(state) {
            ("it ends and `resume` goes on", "运行结束，可用 `resume` 继续")
        } else {
            ("it puts back what it can", "开始还原可还原的变更")
        };
        return text_in(
            lang,
            &format!("r retry · s skip · {left} left, then {then} · {step} failed"),
            &format!("r 重试 · s 跳过 · 剩余 {left}，之后{then_zh} · {step} 失败"),
        );
    }
    let mut words =
        vec![if state.is_paused() { say("PAUSED: p goes on", "已暂停：p 继续") } else { say("p pause", "p 暂停") }, say("s skip", "s 跳过")];
    if !failed(state).is_empty() {
        words.push(say("r retry", "r 重试"));
    }
    if can_be_ungraceful(state) {
        words.push(say("u give the source up", "u 放弃源侧"));
    }
    words.extend([say("q stop", "q 停止"), say("a abort", "a 中止")]);
    words.join(" · ")
}

fn is_emergency(state: &RunState) -> bool {
    state.mode() == Some(plan::Mode::Emergency)
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
