//! Reasons of a verdict in the language of the report. The journal holds them in English: a reason that this version of Lifeboat would write in the same words is translated, any other is
//! quoted.

use crate::model::event::run::{Lack, Lacking};
use crate::model::measure::{Measure, Reason, judge};
use crate::model::text::Lang;
use crate::report::document::{Line, code, line, text};
use crate::report::labels::Label;
use crate::report::page::Page;

impl Page<'_> {
    /// The journalled reasons, or before the end those that would be.
    pub(super) fn reasons(&self) -> Vec<Line> {
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

    fn reason(&self, reason: &Reason) -> Line {
        match self.lang {
            Lang::En => self.reason_en(reason),
            Lang::Zh => self.reason_zh(reason),
        }
    }

    fn reason_en(&self, reason: &Reason) -> Line {
        match reason {
            Reason::Missed { measure, subject } => line!["objective missed: ", text(&measure.to_string()), ", ", self.subject(subject)],
            Reason::StepFailed { step, why } => line![self.step_name(step), " failed: ", text(why)],
            Reason::Accepted { step, why } => line!["what is there of ", self.step_name(step), " is ", text(why)],
            Reason::Leftover { step, why } => line![self.step_name(step), " is not put back: ", text(why)],
            Reason::NotNormal { probe } => line!["the steady state did not return: ", self.probe_name(probe), " is bad at the end"],
            Reason::NoImpact { probe } => line!["the fault was injected but ", self.probe_name(probe), " never went bad"],
            Reason::Indeterminate { measure, subject } => {
                line!["cannot be told: ", text(&measure.to_string()), ", ", self.subject(subject), ", lies inside the bounds of the measurement"]
            }
            Reason::NotTested { measure, subject } => line!["not tested: ", text(&measure.to_string()), ", ", self.subject(subject)],
            Reason::StillDown { probe } => line![self.probe_name(probe), " was down and still is"],
            Reason::DidWithout { step, by } => line!["the runbook was not tested as written: ", code(by), " did without ", self.step_name(step)],
            Reason::Moved { step, why } => line!["what ", self.step_name(step), " made was changed since: ", text(why)],
            Reason::NotReadAgain { step, why } => {
                line!["not known whether what ", self.step_name(step), " made is still there: ", text(why)]
            }
            Reason::WentDown { probe } => line![self.probe_name(probe), " was down when the failover was taken back, or is since"],
            Reason::Unseen { measure, subject } => line![
                "cannot be told: ",
                text(&measure.to_string()),
                ", ",
                self.subject(subject),
                ": too many samples are missing; had all of them been bad, it would not be met"
            ],
            Reason::RecoveryUnsure { probe } => line![
                "cannot be told: whether ",
                self.probe_name(probe),
                " stayed good: too many samples are missing, some of them after its recovery"
            ],
            Reason::ImpactUnseen { probe } => {
                line!["cannot be told: whether ", self.probe_name(probe), " went bad: too many samples are missing"]
            }
            Reason::NotRecovered { lacking } if lacking.is_empty() => text(&reason.to_string()),
            Reason::NotRecovered { lacking } => line!["the service was not stable again within the time allowed: ", self.lacking(lacking)],
            Reason::RecoveryUnseen { lacking } => line!["whether the service recovered was not seen: ", self.lacking(lacking)],
            Reason::NormalUnseen { lacking } => line!["whether the steady state returned was not seen: ", self.lacking(lacking)],
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

    fn reason_zh(&self, reason: &Reason) -> Line {
        match reason {
            Reason::Missed { measure, subject } => line!["未达成目标：", measure_zh(*measure), "，", self.subject(subject)],
            Reason::Accepted { step, why } => line![self.step_name(step), self.colon(), self.sentence(why)],
            Reason::StepFailed { step, why } => line!["步骤失败：", self.step_name(step), "：", self.sentence(why)],
            Reason::NotRecovered { lacking } if lacking.is_empty() => "业务未在允许时间内恢复稳定".into(),
            Reason::NotRecovered { lacking } => line!["业务未在允许时间内恢复稳定：", self.lacking(lacking)],
            Reason::RecoveryUnseen { lacking } => line!["未能观测到业务是否恢复：", self.lacking(lacking)],
            Reason::NormalUnseen { lacking } => line!["未能观测到稳态是否恢复：", self.lacking(lacking)],
            Reason::Leftover { step, why } => line!["未能还原：", self.step_name(step), "：", self.sentence(why)],
            Reason::Moved { step, why } => line![self.step_name(step), " 所做的变更此后被改动：", self.sentence(why)],
            Reason::NotReadAgain { step, why } => line!["无法确认 ", self.step_name(step), " 所做的变更是否仍在：", self.sentence(why)],
            Reason::WentDown { probe } => line!["撤回切换时 ", self.probe_name(probe), " 中断，或此后处于中断"],
            Reason::NotNormal { probe } => line!["稳态未恢复：结束时 ", self.probe_name(probe), " 异常"],
            Reason::Stopped { by, why } => line!["被 ", code(by), " 停止：", self.sentence(why)],
            Reason::NoSteadyState => "未达到稳态，未注入任何故障".into(),
            Reason::Unfinished => "恢复完成之前运行已结束".into(),
            Reason::NoFault { why } => line!["故障未注入：", self.sentence(why)],
            Reason::NoImpact { probe } => line!["故障已注入，但 ", self.probe_name(probe), " 始终未见异常"],
            Reason::Indeterminate { measure, subject } => {
                line!["无法判定：", measure_zh(*measure), "，", self.subject(subject), "，目标落在测量区间之内"]
            }
            Reason::NotTested { measure, subject } => line!["未测试：", measure_zh(*measure), "，", self.subject(subject)],
            Reason::NoObjective => "无判定依据：未设定 RTO 或 RPO".into(),
            Reason::NoDetection => "未测试故障是否被发现：演练场景未写 `detect`".into(),
            Reason::NoRecovery => "未测试恢复：演练场景未写 `recovered`".into(),
            Reason::NothingDown => "无可判定之事：没有探针被确认中断".into(),
            Reason::StillDown { probe } => line![self.probe_name(probe), " 曾中断且仍未恢复"],
            Reason::NothingDone => "切换步骤无一成功".into(),
            Reason::NothingRun => "切换步骤均未运行".into(),
            Reason::NothingChanged => "切换未做出任何变更：应做变更的步骤均失败".into(),
            Reason::DidWithout { step, by } => line!["未按预案原文测试：", code(by), " 跳过了 ", self.step_name(step)],
            Reason::Unseen { measure, subject } => {
                line!["无法判定：", measure_zh(*measure), "，", self.subject(subject), "：缺失样本过多；若均为失败样本，则目标未达成"]
            }
            Reason::RecoveryUnsure { probe } => line!["无法判定 ", self.probe_name(probe), " 是否保持正常：缺失样本过多，且部分在恢复之后"],
            Reason::ImpactUnseen { probe } => line!["无法判定 ", self.probe_name(probe), " 是否异常：缺失样本过多"],
            Reason::Earlier { text: earlier } => text(earlier),
        }
    }

    /// What probes showed instead of what was waited for.
    pub(super) fn lacking(&self, lacking: &[Lacking]) -> Line {
        let one = |Lacking { probe, why, detail }: &Lacking| {
            let said = match why {
                Lack::Bad => self.word("bad", Label::LackBad),
                Lack::Brief => self.word("good_too_briefly", Label::LackBrief),
                Lack::Unread => self.word("unread", Label::LackUnread),
                Lack::Unsampled => self.word("unsampled", Label::LackUnsampled),
            };
            let detail = match why {
                _ if detail.is_empty() => Line::default(),
                Lack::Unsampled => self.bracketed(line![self.t(Label::LackEvery), " ", self.sentence(detail)]),
                _ => self.bracketed(self.sentence(detail)),
            };
            line![self.probe_name(probe), " ", said, detail]
        };
        Line::join(lacking.iter().map(one), self.semicolon())
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
