//! Reasons of a verdict in the language of the report. The journal holds them in English; one that this version would write the same way is translated, any other is quoted.

use super::Page;
use super::labels::Label;
use super::markdown::{code, text};
use crate::model::event::run::{Lack, Lacking};
use crate::model::measure::{Measure, Reason, judge};
use crate::model::text::Lang;

impl Page<'_> {
    /// The journalled reasons, or before the end those that would be.
    pub(super) fn reasons(&self) -> Vec<String> {
        let (_, judged) = judge(self.state, self.measures);
        match &self.state.ended {
            Some(end) => end
                .reasons
                .iter()
                .map(|journalled| match judged.iter().find(|reason| reason.to_string() == *journalled) {
                    Some(reason) => self.reason(reason),
                    None => text(journalled),
                })
                .collect(),
            None => Vec::new(),
        }
    }

    fn reason(&self, reason: &Reason) -> String {
        match self.lang {
            Lang::En => self.reason_en(reason),
            Lang::Zh => self.reason_zh(reason),
        }
    }

    fn reason_en(&self, reason: &Reason) -> String {
        match reason {
            Reason::Missed { measure, subject } => format!("objective missed: {measure}, {}", self.subject(subject)),
            Reason::StepFailed { step, why } => format!("{} failed: {}", self.step_name(step), text(why)),
            Reason::Accepted { step, why } => format!("what is there of {} is {}", self.step_name(step), text(why)),
            Reason::Leftover { step, why } => format!("{} is not put back: {}", self.step_name(step), text(why)),
            Reason::NotNormal { probe } => format!("the steady state did not return: {} is bad at the end", self.probe_name(probe)),
            Reason::NoImpact { probe } => format!("the fault was injected but {} never went bad", self.probe_name(probe)),
            Reason::Indeterminate { measure, subject } => {
                format!("cannot be told: {measure}, {}, lies inside the bounds of the measurement", self.subject(subject))
            }
            Reason::NotTested { measure, subject } => format!("not tested: {measure}, {}", self.subject(subject)),
            Reason::StillDown { probe } => format!("{} was down and still is", self.probe_name(probe)),
            Reason::DidWithout { step, by } => format!("the runbook was not tested as written: {} did without {}", code(by), self.step_name(step)),
            Reason::Moved { step, why } => format!("what {} made was changed since: {}", self.step_name(step), text(why)),
            Reason::NotReadAgain { step, why } => {
                format!("not known whether what {} made is still there: {}", self.step_name(step), text(why))
            }
            Reason::WentDown { probe } => format!("{} was down when the failover was taken back, or is since", self.probe_name(probe)),
            Reason::Unseen { measure, subject } => format!(
                "cannot be told: {measure}, {}: too many samples are missing; had all of them been bad, it would not be met",
                self.subject(subject)
            ),
            Reason::RecoveryUnsure { probe } => format!(
                "cannot be told: whether {} stayed good: too many samples are missing, some of them after its recovery",
                self.probe_name(probe)
            ),
            Reason::ImpactUnseen { probe } => {
                format!("cannot be told: whether {} went bad: too many samples are missing", self.probe_name(probe))
            }
            Reason::NotRecovered { lacking } if lacking.is_empty() => text(&reason.to_string()),
            Reason::NotRecovered { lacking } => format!("the service was not stable again within the time allowed: {}", self.lacking(lacking)),
            Reason::RecoveryUnseen { lacking } => format!("whether the service recovered was not seen: {}", self.lacking(lacking)),
            Reason::NormalUnseen { lacking } => format!("whether the steady state returned was not seen: {}", self.lacking(lacking)),
            Reason::NoObjective
            | Reason::NoDetection
            | Reason::NoRecovery
            | Reason::NothingDown
            | Reason::NothingDone
            | Reason::NothingRun
            | Reason::NothingChanged
            | Reason::Stopped { .. }
            | Reason::NoSteadyState
            | Reason::Unfinished
            | Reason::NoFault { .. }
            | Reason::Earlier { .. } => text(&reason.to_string()),
        }
    }

    fn reason_zh(&self, reason: &Reason) -> String {
        match reason {
            Reason::Missed { measure, subject } => format!("未达成目标：{}，{}", measure_zh(*measure), self.subject(subject)),
            Reason::Accepted { step, why } => format!("{}{}{}", self.step_name(step), self.colon(), self.sentence(why)),
            Reason::StepFailed { step, why } => format!("步骤失败：{}：{}", self.step_name(step), self.sentence(why)),
            Reason::NotRecovered { lacking } if lacking.is_empty() => "业务未在允许时间内恢复稳定".to_owned(),
            Reason::NotRecovered { lacking } => format!("业务未在允许时间内恢复稳定：{}", self.lacking(lacking)),
            Reason::RecoveryUnseen { lacking } => format!("未能观测到业务是否恢复：{}", self.lacking(lacking)),
            Reason::NormalUnseen { lacking } => format!("未能观测到稳态是否恢复：{}", self.lacking(lacking)),
            Reason::Leftover { step, why } => format!("未能还原：{}：{}", self.step_name(step), self.sentence(why)),
            Reason::Moved { step, why } => format!("{} 所做的变更此后被改动：{}", self.step_name(step), self.sentence(why)),
            Reason::NotReadAgain { step, why } => format!("无法确认 {} 所做的变更是否仍在：{}", self.step_name(step), self.sentence(why)),
            Reason::WentDown { probe } => format!("撤回切换时 {} 中断，或此后处于中断", self.probe_name(probe)),
            Reason::NotNormal { probe } => format!("稳态未恢复：结束时 {} 异常", self.probe_name(probe)),
            Reason::Stopped { by, why } => format!("被 {} 停止：{}", code(by), self.sentence(why)),
            Reason::NoSteadyState => "未达到稳态，未注入任何故障".to_owned(),
            Reason::Unfinished => "恢复完成之前运行已结束".to_owned(),
            Reason::NoFault { why } => format!("故障未注入：{}", self.sentence(why)),
            Reason::NoImpact { probe } => format!("故障已注入，但 {} 始终未见异常", self.probe_name(probe)),
            Reason::Indeterminate { measure, subject } => {
                format!("无法判定：{}，{}，目标落在测量区间之内", measure_zh(*measure), self.subject(subject))
            }
            Reason::NotTested { measure, subject } => format!("未测试：{}，{}", measure_zh(*measure), self.subject(subject)),
            Reason::NoObjective => "无判定依据：未设定 RTO 或 RPO".to_owned(),
            Reason::NoDetection => "未测试故障是否被发现：演练场景未写 `detect`".to_owned(),
            Reason::NoRecovery => "未测试恢复：演练场景未写 `recovered`".to_owned(),
            Reason::NothingDown => "无可判定之事：没有探针被确认中断".to_owned(),
            Reason::StillDown { probe } => format!("{} 曾中断且仍未恢复", self.probe_name(probe)),
            Reason::NothingDone => "切换步骤无一成功".to_owned(),
            Reason::NothingRun => "切换步骤均未运行".to_owned(),
            Reason::NothingChanged => "切换未做出任何变更：应做变更的步骤均失败".to_owned(),
            Reason::DidWithout { step, by } => format!("未按预案原文测试：{} 跳过了 {}", code(by), self.step_name(step)),
            Reason::Unseen { measure, subject } => {
                format!("无法判定：{}，{}：缺失样本过多；若均为失败样本，则目标未达成", measure_zh(*measure), self.subject(subject))
            }
            Reason::RecoveryUnsure { probe } => format!("无法判定 {} 是否保持正常：缺失样本过多，且部分在恢复之后", self.probe_name(probe)),
            Reason::ImpactUnseen { probe } => format!("无法判定 {} 是否异常：缺失样本过多", self.probe_name(probe)),
            Reason::Earlier { text: earlier } => text(earlier),
        }
    }

    /// What probes showed instead of what was waited for.
    pub(super) fn lacking(&self, lacking: &[Lacking]) -> String {
        let one = |Lacking { probe, why, detail }: &Lacking| {
            let said = match why {
                Lack::Bad => self.t(Label::LackBad),
                Lack::Brief => self.t(Label::LackBrief),
                Lack::Unread => self.t(Label::LackUnread),
                Lack::Unsampled => self.t(Label::LackUnsampled),
            };
            let detail = match why {
                _ if detail.is_empty() => String::new(),
                Lack::Unsampled => self.bracketed(&format!("{} {}", self.t(Label::LackEvery), self.sentence(detail))),
                _ => self.bracketed(&self.sentence(detail)),
            };
            format!("{} {said}{detail}", self.probe_name(probe))
        };
        lacking.iter().map(one).collect::<Vec<_>>().join(if self.lang == Lang::En { "; " } else { "；" })
    }

    /// A probe or a step.
    pub(super) fn subject(&self, subject: &str) -> String {
        if self.step_plan(subject).is_some() { self.step_name(subject) } else { self.probe_name(subject) }
    }
}

const fn measure_zh(measure: Measure) -> &'static str {
    match measure {
        Measure::Rto => "RTO",
        Measure::RtoCached => "RTO（保留 DNS 应答的用户）",
        Measure::Rpo => "RPO",
        Measure::Missing => "无缺失",
        Measure::Doubled => "无重复",
    }
}
