//! What an event says to a person who watches: its subject and one line, in the language of the locale.

use std::fmt::Write;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::event::probe::ProbeKind;
use crate::model::event::run::{Awaited, Difference, all_of};
use crate::model::event::step::{Found, StepKind};
use crate::model::event::{Body, Event, RunEvent};
use crate::model::guard::{Decision, Outcome};
use crate::model::interval::MILLISECOND;
use crate::model::measure::{Measured, Measures, VANTAGE_POINTS};
use crate::model::phrases::phrase;
use crate::model::plain;
use crate::model::plan::{ClientModel, Mode, Plan, ProbePlan, ProbeState, Stage, Verdict};
use crate::model::state::{FAULT, RunState, Status, StepWord};
use crate::model::target::Target;
use crate::model::text::{Lang, span_in as span};

/// Declares the fixed texts of the screen: a name, its English, its Chinese.
macro_rules! phrases {
    ($($name:ident: $en:literal, $zh:literal;)+) => {
        /// A fixed text of the screen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Phrase { $($name),+ }

        impl Phrase {
            /// The text in `lang`.
            pub(super) const fn text(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Self::$name, Lang::En) => $en, (Self::$name, Lang::Zh) => $zh,)+
                }
            }
        }
    };
}

phrases! {
    Fault: "fault", "故障";
    ByHand: "TO BE DONE BY HAND", "需人工操作";
    Approval: "WAITS FOR APPROVAL", "等待批准";
    Mend: "FAILED, waits for you", "失败，等待处理";
    Slow: "SLOW", "偏慢";
    Over: "over", "已结束";
    AtTarget: "at the target", "已到目标侧";
    Down: "down", "中断";
    Bad: "bad", "异常";
    Good: "good", "正常";
    Missed: "MISSED", "已超时";
    ComingBack: "coming back", "恢复中";
    NotKnown: "not known yet", "尚未知";
    OtherProbes: "other probes", "其他探针";
    Ended: "ended", "已结束";
    Starting: "starting", "启动中";
    OutOf: "of", "/";
    PhaseDetect: "detect", "检测";
    PhaseDecide: "decide", "决策";
    PhaseAct: "act", "执行";
    PhaseSpread: "spread", "传播";
    PhaseSettle: "settle", "稳定";
}

impl Phrase {
    /// `5 of 8`.
    pub(super) fn of(lang: Lang, part: u32, all: u32) -> String {
        match lang {
            Lang::En => format!("{part} of {all}"),
            Lang::Zh => format!("{part}/{all}"),
        }
    }

    /// `attempt 2/3`.
    pub(super) fn attempt(lang: Lang, attempt: u32, of: u32) -> String {
        match lang {
            Lang::En => format!("attempt {attempt}/{of}"),
            Lang::Zh => format!("第 {attempt}/{of} 次尝试"),
        }
    }

    /// `all 8`.
    pub(super) fn all(lang: Lang, count: usize) -> String {
        match lang {
            Lang::En => format!("all {count}"),
            Lang::Zh => format!("全部 {count} 项"),
        }
    }

    /// `5 more lines`.
    pub(super) fn more(lang: Lang, lines: usize) -> String {
        match lang {
            Lang::En => format!("{lines} more lines"),
            Lang::Zh => format!("另有 {lines} 行"),
        }
    }
}

/// The one in `lang`.
fn pick(lang: Lang, en: impl Into<String>, zh: impl Into<String>) -> String {
    match lang {
        Lang::En => en.into(),
        Lang::Zh => zh.into(),
    }
}

/// Between two parts of a line.
const fn colon(lang: Lang) -> &'static str {
    match lang {
        Lang::En => ": ",
        Lang::Zh => "：",
    }
}

/// Names one after another.
fn joined(lang: Lang, names: &[String]) -> String {
    names.join(pick(lang, ", ", "、").as_str())
}

/// How much an event matters to somebody who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Only when asked for.
    Detail,
    /// The normal course.
    Course,
    /// Must not be missed.
    Trouble,
}

/// What an event says: its subject and one or more lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) weight: Weight,
    pub(super) subject: String,
    pub(super) lines: Vec<String>,
}

/// What `event` says; nothing for events of a newer Lifeboat.
pub(super) fn said(event: &Event, state: &RunState, lang: Lang) -> Option<Message> {
    let (weight, subject, line) = match &event.body {
        Body::Run(body) => return run(body, state, lang),
        Body::Step(body) => {
            let (weight, line) = step(&body.step, &body.kind, state, lang)?;
            (weight, body.step.clone(), line)
        }
        Body::Probe(body) => {
            let (weight, line) = probe(&body.probe, &body.kind, state, lang)?;
            (weight, body.probe.clone(), line)
        }
    };
    Some(Message { weight, subject, lines: vec![one_line(&line)] })
}

fn run(event: &RunEvent, state: &RunState, lang: Lang) -> Option<Message> {
    let because = |why: &str| if why.is_empty() { String::new() } else { format!("{}{}", colon(lang), phrase(why, lang)) };
    let (weight, line) = match event {
        RunEvent::Started { plan, .. } => {
            let heading = heading(plan, lang);
            (Weight::Course, pick(lang, format!("{heading}, run {}", state.run), format!("{heading}，运行 {}", state.run)))
        }
        RunEvent::Resumed { to, .. } => {
            (Weight::Trouble, pick(lang, format!("taken over by this process to {to}"), format!("由本进程接管，目的 {to}")))
        }
        RunEvent::Stage { stage } => (Weight::Course, stage_line(*stage, state, lang)),
        RunEvent::Decided { by, basis } => {
            let basis = phrase(basis, lang);
            (Weight::Course, pick(lang, format!("failover decided by {by}: {basis}"), format!("{by} 决定切换：{basis}")))
        }
        RunEvent::StopRequested { abort: true, why, by } => {
            let why = phrase(why, lang);
            (Weight::Trouble, pick(lang, format!("abort ({by}): {why}; putting back begins"), format!("中止（{by}）：{why}；开始还原")))
        }
        RunEvent::StopRequested { abort: false, why, by } => {
            let why = phrase(why, lang);
            (Weight::Trouble, pick(lang, format!("stop ({by}): {why}; nothing more is started"), format!("停止（{by}）：{why}；不再启动新步骤")))
        }
        RunEvent::Guarded { decisions, again } => {
            // Whoever overrode a guard at the start knows it when it decides again.
            let is_news = |decision: &&Decision| decision.outcome != Outcome::Allows && !(*again && decision.overridden.is_some());
            let lines: Vec<String> = decisions.iter().filter(is_news).map(|decision| guard_line(decision, lang)).collect();
            return (!lines.is_empty()).then(|| Message { weight: Weight::Trouble, subject: pick(lang, "guard", "守卫规则"), lines });
        }
        RunEvent::Ordered { order, by, why } => {
            let order = order.to_string();
            let order = phrase(&order, lang);
            (Weight::Trouble, pick(lang, format!("{order} ({by}){}", because(why)), format!("{order}（{by}）{}", because(why))))
        }
        RunEvent::LeaseRenewed { until } => (Weight::Detail, pick(lang, format!("the fault may stand until {until}"), format!("故障租约至 {until}"))),
        RunEvent::Snapshot { .. } => return None,
        RunEvent::Baseline { same, differences } if differences.is_empty() => {
            let count = same.len();
            (
                Weight::Course,
                pick(lang, format!("{count} of {count} snapshots read as before the run"), format!("{count}/{count} 份快照与运行前一致")),
            )
        }
        RunEvent::Baseline { differences, .. } => {
            let line = |one: &Difference| {
                let (step, what, before, after) = (&one.step, phrase(&one.what, lang), &one.before, phrase(&one.after, lang));
                one_line(&if one.is_unread() {
                    pick(lang, format!("NOT KNOWN TO BE AS BEFORE: {step}: {after}"), format!("无法确认是否复原：{step}：{after}"))
                } else {
                    pick(
                        lang,
                        format!("NOT AS BEFORE: {step} {what}: {before} → {after}"),
                        format!("与运行前不一致：{step} {what}：{before} → {after}"),
                    )
                })
            };
            return Some(Message { weight: Weight::Trouble, subject: pick(lang, "run", "运行"), lines: differences.iter().map(line).collect() });
        }
        RunEvent::Kept { same, moved } if moved.is_empty() => {
            let count = same.len();
            let zh = format!("保留的 {count} 个步骤读数均与变更后一致");
            (Weight::Course, pick(lang, format!("{count} of {count} steps that stay read as they were made"), zh))
        }
        RunEvent::Kept { moved, .. } => {
            let lines = moved.iter().map(|one| {
                let Difference { step, what, before, after } = one;
                one_line(&if one.is_unread() {
                    pick(lang, format!("NOT KNOWN TO BE STILL THERE: {step}: {after}"), format!("无法确认是否仍在：{step}：{after}"))
                } else {
                    pick(
                        lang,
                        format!("NOT AS IT WAS MADE: {step} {what}: {before} → {after}"),
                        format!("与变更后不一致：{step} {what}：{before} → {after}"),
                    )
                })
            });
            return Some(Message { weight: Weight::Trouble, subject: pick(lang, "run", "运行"), lines: lines.collect() });
        }
        RunEvent::Forecast(forecast) => {
            let at_risk = forecast.recovery.as_ref().is_some_and(crate::model::forecast::Recovery::is_at_risk);
            let said = forecast.to_string();
            (if at_risk { Weight::Trouble } else { Weight::Course }, phrase(&said, lang).into_owned())
        }
        RunEvent::Samples(kept) => {
            let (rows, file) = (kept.rows, &kept.file);
            (Weight::Detail, pick(lang, format!("{rows} single samples in {file}"), format!("{file} 中有 {rows} 个样本")))
        }
        RunEvent::Note { text } => (Weight::Trouble, phrase(text, lang).into_owned()),
        RunEvent::Unseen { awaited, within, lacking } => {
            let (en, zh) = if *awaited == Awaited::Source { ("; going on", "；继续") } else { ("", "") };
            let (what, within, why) = (awaited.to_string(), span(*within, lang), all_of(lacking));
            let (what, why) = (phrase(&what, lang), phrase(&why, lang));
            (Weight::Trouble, pick(lang, format!("{what} {within}: {why}{en}"), format!("{what} {within}：{why}{zh}")))
        }
        RunEvent::Ended { verdict, reasons } => {
            let mut lines = vec![pick(lang, format!("verdict: {}", verdict_word(*verdict)), format!("结论：{}", verdict_word_zh(*verdict)))];
            lines.extend(reasons.iter().map(|reason| one_line(&phrase(reason, lang))));
            lines.extend(outages(state, lang));
            let weight = if *verdict == Verdict::Pass { Weight::Course } else { Weight::Trouble };
            return Some(Message { weight, subject: pick(lang, "run", "运行"), lines });
        }
    };
    Some(Message { weight, subject: pick(lang, "run", "运行"), lines: vec![one_line(&line)] })
}

/// `windows: outside Tue-Thu 10:00-16:00; overridden by ann: …`.
fn guard_line(decision: &Decision, lang: Lang) -> String {
    let (guard, detail) = (&decision.guard, phrase(&decision.detail, lang));
    let overridden = decision.overridden.as_ref().map(|own| {
        let why = phrase(&own.why, lang);
        pick(lang, format!("; overridden by {}: {why}", own.by), format!("；放行人 {}：{why}", own.by))
    });
    let word = match (decision.outcome, lang) {
        (Outcome::Warns, Lang::En) => "warns",
        (Outcome::Warns, Lang::Zh) => "警告",
        (_, Lang::En) => "refuses",
        (_, Lang::Zh) => "拒绝",
    };
    one_line(&format!("{guard} {word}{}{detail}{}", colon(lang), overridden.unwrap_or_default()))
}

/// `Alibaba Cloud region outage: rehearsal in lab`.
pub(crate) fn heading(plan: &Plan, lang: Lang) -> String {
    let title = plan.title.get(lang);
    let title = if title.is_empty() { &plan.name } else { title };
    let (en, zh) = match plan.mode {
        Mode::Rehearse => ("rehearsal", "预演"),
        Mode::Drill => ("drill", "演练"),
        Mode::Emergency if plan.is_simulated() => ("EMERGENCY, rehearsed", "应急（预演）"),
        Mode::Emergency => ("EMERGENCY", "应急"),
    };
    pick(lang, format!("{title}: {en} in {}", plan.environment), format!("{title}：{} 环境{zh}", plan.environment))
}

/// A stage in one or two words.
pub(super) const fn stage_word(stage: Stage, lang: Lang) -> &'static str {
    match (stage, lang) {
        (Stage::SteadyState, Lang::En) => "steady state",
        (Stage::SteadyState, Lang::Zh) => "稳态",
        (Stage::Inject, Lang::En) => "inject",
        (Stage::Inject, Lang::Zh) => "注入",
        (Stage::Detect, Lang::En) => "detect",
        (Stage::Detect, Lang::Zh) => "检测",
        (Stage::Decide, Lang::En) => "decide",
        (Stage::Decide, Lang::Zh) => "决策",
        (Stage::Failover, Lang::En) => "failover",
        (Stage::Failover, Lang::Zh) => "切换",
        (Stage::Verify, Lang::En) => "verify",
        (Stage::Verify, Lang::Zh) => "验证",
        (Stage::Failback, Lang::En) => "failback",
        (Stage::Failback, Lang::Zh) => "回切",
        (Stage::Cleanup, Lang::En) => "cleanup",
        (Stage::Cleanup, Lang::Zh) => "清理",
    }
}

fn stage_line(stage: Stage, state: &RunState, lang: Lang) -> String {
    let plan = state.plan();
    match stage {
        Stage::SteadyState => pick(lang, "waiting for the steady state", "等待稳态"),
        Stage::Inject => pick(lang, "steady; injecting the fault", "已达稳态；注入故障"),
        Stage::Detect => match plan.and_then(|plan| plan.detect.as_ref()) {
            None => pick(lang, "waiting for detection", "等待检测"),
            Some(detect) => pick(lang, format!("waiting for {} to go bad", detect.probe), format!("等待 {} 出现异常", detect.probe)),
        },
        Stage::Decide => pick(lang, "deciding", "决策"),
        Stage::Failover => pick(lang, "failing over", "执行切换"),
        Stage::Verify => match plan.and_then(|plan| plan.recovered.as_ref()) {
            None => pick(lang, "verifying the recovery", "验证恢复情况"),
            Some(recovered) => {
                let (probes, stable) = (joined(lang, &recovered.probes), span(recovered.stable_for, lang));
                pick(lang, format!("waiting for {probes} to stay good for {stable}"), format!("等待 {probes} 持续正常 {stable}"))
            }
        },
        Stage::Failback => pick(lang, "recovered; taking the fault out and going back", "已恢复；解除故障并回切"),
        Stage::Cleanup => pick(lang, "putting back what is left", "还原其余变更"),
    }
}

/// One line for each service that was down.
fn outages(state: &RunState, lang: Lang) -> Vec<String> {
    let measures = Measures::of(state);
    let Some(plan) = state.plan() else { return Vec::new() };
    let line = |probe: &ProbePlan| {
        let outage = measures.outages.get(&probe.id)?;
        let rto = plan.objectives.get(&probe.id).and_then(|objective| objective.rto);
        if !probe.service && rto.is_none() {
            return None;
        }
        let id = &probe.id;
        let limit = rto.map(|rto| pick(lang, format!(" (RTO {rto})"), format!("（RTO {}）", span(rto, lang)))).unwrap_or_default();
        Some(match outage.rta() {
            Measured::Known(rta) => {
                // Bounds are rounded outwards.
                let (likely, lo, hi) = (seconds(rta.likely), seconds(rta.lo - TENTH / 2), seconds(rta.hi + TENTH / 2 - 1));
                let cached = match measures.rta_with_caches(&probe.id) {
                    Some(Measured::Known(bound)) if !probe.clients.is_empty() => {
                        let bound = seconds(bound.hi + TENTH / 2 - 1);
                        pick(lang, format!("; users who keep names ≤ {bound} s"), format!("；缓存域名的用户 ≤ {bound} 秒"))
                    }
                    _ => String::new(),
                };
                let seen = seen_by(probe, lang);
                pick(
                    lang,
                    format!("{id} recovered in {likely} s ({lo}–{hi}){limit}{seen}{cached}"),
                    format!("{id} 用时 {likely} 秒（{lo}–{hi}）恢复{limit}{seen}{cached}"),
                )
            }
            Measured::AtLeast(lo) => {
                let (lo, seen) = (seconds(lo - TENTH / 2), seen_by(probe, lang));
                pick(lang, format!("{id} was down for at least {lo} s{limit}{seen}"), format!("{id} 中断至少 {lo} 秒{limit}{seen}"))
            }
        })
    };
    plan.probes.iter().filter_map(line).collect()
}

/// As which clients a probe saw it; nothing for what is none.
fn seen_by(probe: &ProbePlan, lang: Lang) -> String {
    let words = probe.clients.iter().map(|model| match (model, lang) {
        (ClientModel::ResolvesAnew, Lang::En) => "resolves anew",
        (ClientModel::ResolvesAnew, Lang::Zh) => "每次重新解析",
        (ClientModel::KeepsNames, Lang::En) => "keeps names",
        (ClientModel::KeepsNames, Lang::Zh) => "缓存域名",
        (ClientModel::KeepsConnections, Lang::En) => "keeps connections",
        (ClientModel::KeepsConnections, Lang::Zh) => "保持连接",
    });
    let words = words.collect::<Vec<_>>().join(pick(lang, " or ", "或").as_str());
    if words.is_empty() {
        return words;
    }
    pick(lang, format!(", seen from {VANTAGE_POINTS} place by a client that {words}"), format!("，由 {VANTAGE_POINTS} 处{words}的客户端所见"))
}

pub(super) const TENTH: i64 = 100 * MILLISECOND;

/// Rounded to tenths; what is negative is zero.
pub(super) fn seconds(nanos: i64) -> String {
    let tenths = (nanos.max(0) + TENTH / 2) / TENTH;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn step(key: &str, kind: &StepKind, state: &RunState, lang: Lang) -> Option<(Weight, String)> {
    let of = state.step(key);
    let title = || title(state, key, lang).map(|title| format!("{}{title}", colon(lang))).unwrap_or_default();
    let failed = |failure: &crate::model::failure::Failure| phrase(&failure.to_string(), lang).into_owned();
    let step_word = |word: StepWord| word.text(lang).to_owned();
    Some(match kind {
        StepKind::Started { attempt: 1 } => (Weight::Course, pick(lang, "started", "开始") + &title()),
        StepKind::Started { attempt } => (Weight::Course, pick(lang, format!("attempt {attempt} started"), format!("第 {attempt} 次尝试开始"))),
        StepKind::Intended { uses, targets, .. } => {
            let targets = listed(targets, lang);
            (Weight::Course, pick(lang, format!("{uses} on {targets}"), format!("{uses} 作用于 {targets}")))
        }
        StepKind::Call { call } => {
            let id = call.request_id.as_deref().map(|id| format!(", request {id}")).unwrap_or_default();
            (Weight::Detail, format!("{} {} in {} ms{id}", call.operation, call.outcome, call.elapsed_ms))
        }
        StepKind::Progress { text } => (Weight::Course, phrase(text, lang).into_owned()),
        StepKind::Warned { text } => {
            let text = phrase(text, lang);
            (Weight::Trouble, pick(lang, format!("warning: {text}"), format!("警告：{text}")))
        }
        StepKind::Asked { question } => {
            let people = question.approvers;
            let who = if people > 1 { pick(lang, format!(" ({people} people)"), format!("（{people} 人）")) } else { String::new() };
            let what = (if question.manual { Phrase::ByHand } else { Phrase::Approval }).text(lang);
            (Weight::Trouble, format!("{what}{who}{}{}", colon(lang), question.text))
        }
        StepKind::Answered { yes, by, note, simulated, witness } => {
            let note = if note.is_empty() { String::new() } else { format!("{}{note}", colon(lang)) };
            let (yes_en, yes_zh) = if *yes { ("yes", "同意") } else { ("no", "拒绝") };
            let (as_en, as_zh) = if *simulated { (", simulated", "，模拟") } else { ("", "") };
            let by = &match (&witness.key, &witness.user) {
                (Some(_), _) => pick(lang, format!("{by} (signed)"), format!("{by}（已签名）")),
                (None, Some(user)) if user != by => {
                    pick(lang, format!("{by} (so called; from user {user})"), format!("{by}（自称；实际来自用户 {user}）"))
                }
                _ => by.clone(),
            };
            (Weight::Course, pick(lang, format!("{yes_en} by {by}{as_en}{note}"), format!("{by} {yes_zh}{as_zh}{note}")))
        }
        StepKind::Found { done, detail } => {
            let what = match done {
                Found::Done => pick(lang, "was done", "已完成"),
                Found::NotDone => pick(lang, "was not done", "未完成"),
                Found::Unknown => pick(lang, "cannot be told whether it was done", "无法判断是否完成"),
            };
            (Weight::Course, format!("{what}{}{}", colon(lang), phrase(detail, lang)))
        }
        StepKind::AttemptFailed { attempt, failure, retry_in_ms } => {
            let again = retry_in_ms.map_or_else(String::new, |ms| {
                let wait = seconds(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(MILLISECOND));
                pick(lang, format!("; again in {wait} s"), format!("；{wait} 秒后重试"))
            });
            let why = failed(failure);
            (Weight::Trouble, pick(lang, format!("attempt {attempt} failed: {why}{again}"), format!("第 {attempt} 次尝试失败：{why}{again}")))
        }
        StepKind::Applied { already: true, .. } if of.is_some_and(|step| step.intent.is_some()) => (Weight::Course, step_word(StepWord::Already)),
        StepKind::Applied { .. } => {
            let took = of
                .and_then(|step| step.ended.zip(step.started))
                .map(|(ended, started)| seconds(ended.nanos_since(started).max(0)))
                .map(|took| pick(lang, format!(" in {took} s"), format!("，用时 {took} 秒")))
                .unwrap_or_default();
            (Weight::Course, step_word(StepWord::of(Status::Applied, key == FAULT)) + &took)
        }
        StepKind::Failed { failure } => (Weight::Trouble, format!("{}{}{}", StepWord::Failed.loud(lang), colon(lang), failed(failure))),
        StepKind::Skipped { why } => (Weight::Course, format!("{}{}{}", step_word(StepWord::NotRun), colon(lang), phrase(why, lang))),
        StepKind::Undoing { attempt: 1 } => (Weight::Course, step_word(StepWord::of(Status::Undoing, key == FAULT))),
        StepKind::Undoing { attempt } => {
            (Weight::Course, pick(lang, format!("attempt {attempt} to put it back"), format!("第 {attempt} 次尝试还原")))
        }
        StepKind::Undone { already: true } => (Weight::Course, pick(lang, "already as before", "已与之前一致")),
        StepKind::Undone { .. } => (Weight::Course, step_word(StepWord::of(Status::Undone, key == FAULT))),
        StepKind::Irrevocable { what, .. } => {
            let what = joined(lang, what);
            (Weight::Course, pick(lang, format!("cannot be undone: {what}"), format!("无法撤销：{what}")))
        }
        StepKind::NotUndone => {
            let what = of.map(|step| joined(lang, &step.irrevocable)).unwrap_or_default();
            (Weight::Trouble, pick(lang, format!("CANNOT BE UNDONE: {what}"), format!("无法撤销：{what}")))
        }
        StepKind::UndoFailed { failure } => {
            let why = failed(failure);
            (Weight::Trouble, format!("{}{}{why}", StepWord::LeftOver.loud(lang), colon(lang)))
        }
        StepKind::Accepted { by, why, there, .. } => {
            let (why, there) = (phrase(why, lang), phrase(there, lang));
            (Weight::Trouble, pick(lang, format!("accepted as it is by {by} because {why}; {there}"), format!("{by} 接受现状，理由：{why}；{there}")))
        }
    })
}

/// The targets with what changes; a few, and how many more.
pub(crate) fn listed(targets: &[Target], lang: Lang) -> String {
    const SHOWN: usize = 3;
    if targets.is_empty() {
        return pick(lang, "nothing in particular", "无特定对象");
    }
    let one = |target: &Target| target.change.as_ref().map_or_else(|| target.to_string(), |change| format!("{target} ({change})"));
    let mut line = joined(lang, &targets.iter().take(SHOWN).map(one).collect::<Vec<_>>());
    if targets.len() > SHOWN {
        let more = targets.len() - SHOWN;
        // Writing to a string cannot fail.
        let _ = write!(line, "{}", pick(lang, format!(" and {more} more"), format!(" 等，另有 {more} 个")));
    }
    line
}

fn probe(id: &str, kind: &ProbeKind, state: &RunState, lang: Lang) -> Option<(Weight, String)> {
    let said = |word: String, detail: &str| format!("{word}{}{}", colon(lang), phrase(detail, lang));
    Some(match kind {
        ProbeKind::Edge { to: ProbeState::Bad, detail, .. } => (Weight::Course, said(pick(lang, "first bad sample", "首个异常样本"), detail)),
        ProbeKind::Edge { to: ProbeState::Good, detail, .. } => (Weight::Course, said(pick(lang, "first good sample", "首个正常样本"), detail)),
        ProbeKind::Changed { state: ProbeState::Bad, detail } => (Weight::Course, said(pick(lang, "BAD", "异常"), detail)),
        ProbeKind::Changed { state: ProbeState::Good, detail } => (Weight::Course, said(pick(lang, "good", "正常"), detail)),
        ProbeKind::Reading { value, .. } => (Weight::Detail, pick(lang, format!("read {value}"), format!("读数 {value}"))),
        ProbeKind::Tally { good, bad, unknown, .. } => {
            let now = state.probes.get(id).and_then(|standing| standing.confirmed);
            let now = now.map_or_else(|| pick(lang, "unknown", "未知"), |state| state_word(state, lang).to_owned());
            let line = pick(
                lang,
                format!("{good} good, {bad} bad, {unknown} unknown; now {now}"),
                format!("正常 {good}，异常 {bad}，未知 {unknown}；当前 {now}"),
            );
            (Weight::Detail, line)
        }
    })
}

const fn state_word(state: ProbeState, lang: Lang) -> &'static str {
    match state {
        ProbeState::Good => Phrase::Good.text(lang),
        ProbeState::Bad => Phrase::Bad.text(lang),
    }
}

const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Aborted => "ABORTED",
    }
}

const fn verdict_word_zh(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "通过（PASS）",
        Verdict::Fail => "未通过（FAIL）",
        Verdict::Inconclusive => "无法判定（INCONCLUSIVE）",
        Verdict::Aborted => "已中止（ABORTED）",
    }
}

/// The title of the step with this key; none where nobody wrote one.
pub(super) fn title<'a>(state: &'a RunState, key: &str, lang: Lang) -> Option<&'a str> {
    state.planned(key).map(|step| step.title.get(lang)).filter(|title| !title.is_empty())
}

/// One line without anything that moves the cursor.
pub(super) fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if plain::acts(c) { ' ' } else { c }).collect();
    plain::shown(line.trim()).into_owned()
}

/// `text` in exactly `columns` columns: cut with an ellipsis, or filled with blanks. Chinese characters take two.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    let text = one_line(text);
    let width = text.width();
    if width <= columns {
        return text + &" ".repeat(columns - width);
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        cut.push(c);
    }
    if columns > 0 {
        cut.push('…');
        used += 1;
    }
    cut + &" ".repeat(columns.saturating_sub(used))
}

/// A time that runs: `4.2s` below a minute, then `1m04s`, then `1h02m`.
pub(super) fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}.{}s", span.subsec_millis() / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}
