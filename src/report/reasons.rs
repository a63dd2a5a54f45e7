//! Reasons of a verdict in the language of the report. The journal holds them in English; one that this version would write the same way is translated, any other is quoted.

use super::Page;
use super::markdown::{code, text};
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
            Reason::Leftover { step, why } => format!("{} is not put back: {}", self.step_name(step), text(why)),
            Reason::NotNormal { probe } => format!("the steady state did not return: {} is bad at the end", self.probe_name(probe)),
            Reason::NoImpact { probe } => format!("the fault was injected but {} never went bad", self.probe_name(probe)),
            Reason::Indeterminate { measure, subject } => {
                format!("cannot be told: {measure}, {}, lies inside the bounds of the measurement", self.subject(subject))
            }
            Reason::NotTested { measure, subject } => format!("not tested: {measure}, {}", self.subject(subject)),
            Reason::Unseen { measure, subject } => format!(
                "cannot be told: {measure}, {}: too many samples are missing; had all of them been bad, it would not be met",
                self.subject(subject)
            ),
            Reason::RecoveryUnseen { probe } => format!(
                "cannot be told: whether {} stayed good: too many samples are missing, some of them after its recovery",
                self.probe_name(probe)
            ),
            Reason::ImpactUnseen { probe } => {
                format!("cannot be told: whether {} went bad: too many samples are missing", self.probe_name(probe))
            }
            Reason::NotRecovered
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
            Reason::StepFailed { step, why } => format!("步骤失败：{}：{}", self.step_name(step), text(why)),
            Reason::NotRecovered => "业务未在允许时间内恢复稳定".to_owned(),
            Reason::Leftover { step, why } => format!("未能还原：{}：{}", self.step_name(step), text(why)),
            Reason::NotNormal { probe } => format!("稳态未恢复：结束时 {} 异常", self.probe_name(probe)),
            Reason::Stopped { by, why } => format!("被 {} 停止：{}", code(by), text(why)),
            Reason::NoSteadyState => "未达到稳态，未注入任何故障".to_owned(),
            Reason::Unfinished => "恢复完成之前运行已结束".to_owned(),
            Reason::NoFault { why } => format!("故障未注入：{}", text(why)),
            Reason::NoImpact { probe } => format!("故障已注入，但 {} 始终未见异常", self.probe_name(probe)),
            Reason::Indeterminate { measure, subject } => {
                format!("无法判定：{}，{}，目标落在测量区间之内", measure_zh(*measure), self.subject(subject))
            }
            Reason::NotTested { measure, subject } => format!("未测试：{}，{}", measure_zh(*measure), self.subject(subject)),
            Reason::Unseen { measure, subject } => {
                format!("无法判定：{}，{}：缺失样本过多；若均为失败样本，则目标未达成", measure_zh(*measure), self.subject(subject))
            }
            Reason::RecoveryUnseen { probe } => format!("无法判定 {} 是否保持正常：缺失样本过多，且部分在恢复之后", self.probe_name(probe)),
            Reason::ImpactUnseen { probe } => format!("无法判定 {} 是否异常：缺失样本过多", self.probe_name(probe)),
            Reason::Earlier { text: earlier } => text(earlier),
        }
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
