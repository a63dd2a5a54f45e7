//! The fields that auditors ask of a report. A section that writes a field says so of the line or table that holds it; the fields that no line and no table holds are listed as
//! *not recorded*.

use crate::model::text::Lang;

/// Whether a report needs a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Every report.
    Required,
    /// Where it applies.
    Conditional,
    /// Nobody insists.
    Optional,
}

/// Declares the fields: a name, its id in the controls, its level, what it holds in English and in Chinese.
macro_rules! fields {
    ($($name:ident: $id:literal, $level:ident, $en:literal, $zh:literal;)+) => {
        /// A field of a report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Field { $($name),+ }

        impl Field {
            /// All of them, in order.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As the controls call it.
            pub(super) const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),+ }
            }

            pub(super) const fn level(self) -> Level {
                match self { $(Self::$name => Level::$level),+ }
            }

            /// What it holds.
            pub(super) const fn text(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Self::$name, Lang::En) => $en, (Self::$name, Lang::Zh) => $zh,)+
                }
            }
        }
    };
}

fields! {
    ReportId: "report.id", Required, "Stable identifier of the report, never reused", "报告唯一编号，不得复用";
    ReportRevision: "report.revision", Required, "Revision number; a correction is a new revision that names the digest of the one it replaces", "修订号；更正须出新修订并写明被替代版本的摘要";
    ReportState: "report.state", Required, "Only a final report is evidence", "状态；仅 final 可作为证据";
    ReportGeneratedAt: "report.generated_at", Required, "When the report was rendered", "报告生成时刻";
    ReportTool: "report.tool", Required, "Tool name, version, build digest and configuration digest that produced the run and the report", "执行与生成工具的名称、版本、构建摘要、配置摘要";
    ReportClassification: "report.classification", Required, "Handling label; public, internal, confidential, restricted", "密级标识";
    ProgrammeId: "programme.id", Required, "Exercise programme (year plan) this drill belongs to", "所属演练计划（年度）";
    ProgrammeSequence: "programme.sequence", Required, "Gap-free number of the drill in the programme; cancelled and aborted drills keep their number", "演练流水号，连续不断号；取消和中止的演练也占号";
    ProgrammeCadence: "programme.cadence", Required, "Planned cadence and the due date of this drill, and whether it was held in time", "计划频次、应做日期与是否按期";
    ProgrammeCoverage: "programme.coverage", Conditional, "Critical services exercised so far this period over all critical services", "本期已演练关键业务数／关键业务总数";
    ScopeServices: "scope.services", Required, "Services and business functions exercised, with criticality from the BIA", "演练涉及的业务与系统，及业务影响分析给出的重要性";
    ScopeLocations: "scope.locations", Required, "Provider, account alias, region and zone of source and target; distance class", "源与目标的云厂商、账号别名、区域、可用区及异地等级";
    ScopeExclusions: "scope.exclusions", Required, "What was left out and why", "排除范围与理由";
    ScopeDataResidency: "scope.data_residency", Conditional, "Where personal or important data went during the drill and the legal basis for any cross-border move", "演练中个人信息与重要数据的去向及跨境依据";
    ScopeSystemGrade: "scope.system_grade", Conditional, "MLPS grade, filing number alias, CII yes/no", "等保级别、备案编号别名、是否关基";
    PlanRef: "plan.ref", Required, "Test plan: id, version, digest, title", "演练方案：编号、版本、摘要、标题";
    PlanBiaRef: "plan.bia_ref", Required, "BIA and risk assessment the objectives come from, with date", "目标所依据的业务影响分析与风险评估及日期";
    PlanObjectives: "plan.objectives", Required, "RTO, RPO, MTPD, minimum service level per service, as approved before the start and frozen by digest", "逐业务的 RTO、RPO、MTPD、最低服务水平；开始前批准并以摘要冻结";
    PlanSuccessCriteria: "plan.success_criteria", Required, "Each criterion: measure, operator, target, mandatory yes/no, decision rule", "成功判据：指标、运算符、目标、是否必达、判定规则";
    PlanStopConditions: "plan.stop_conditions", Required, "Guardrails that stop the drill by themselves and who may stop it by hand", "自动停止条件与有权人工中止者";
    PlanApproval: "plan.approval", Required, "Approver, role, time, change ticket; approver differs from executor", "批准人、角色、时间、变更单；批准人不得是执行人";
    PlanRunbooks: "plan.runbooks", Required, "Runbook id, version, digest, last review date of every runbook used", "所用应急预案／手册的编号、版本、摘要、最近评审日期";
    ScenarioKind: "scenario.kind", Required, "Scenario class", "场景类别";
    ScenarioNarrative: "scenario.narrative", Required, "What is assumed to have happened and why it is severe but plausible", "情景描述及其严重而合理的依据";
    ScenarioThreatBasis: "scenario.threat_basis", Conditional, "Risk or past incident the scenario comes from, with likelihood and magnitude", "场景来源的风险或历史事件，含可能性与影响";
    ScenarioKeyPersonAbsence: "scenario.key_person_absence", Conditional, "Whether a key person or supplier was assumed unavailable", "是否假定关键人员或供应商缺位";
    ScenarioFault: "scenario.fault", Required, "How the fault was made, its targets, command time, confirmed-active time and the check that confirmed it, removal time", "故障注入方式、目标、下发时刻、确认生效时刻与确认手段、解除时刻";
    ExerciseType: "exercise.type", Required, "What was really exercised; dry_run and simulated never satisfy a control that asks for a functional test", "真实演练方式；dry_run 与 simulated 不得用于要求实操的控制项";
    ExerciseAnnounced: "exercise.announced", Required, "Whether staff knew the date", "是否预先通知";
    ExerciseEnvironment: "exercise.environment", Required, "Environment touched", "演练环境";
    PeopleRoster: "people.roster", Required, "Role, person alias, organisation, site and shift of every participant and observer; planned against present", "参演与观察人员：角色、人员别名、单位、地点、班次；计划与实到";
    PeopleIndependence: "people.independence", Required, "Designer, executor, evaluator and approver are told apart; conflicts of interest declared", "设计、执行、评估、批准分离及利益冲突声明";
    PeopleTraining: "people.training", Optional, "Training records of those in recovery roles", "恢复岗位人员培训记录";
    ThirdPartyInvolvement: "third_party.involvement", Conditional, "Suppliers tested or relied on, what they did, and their own evidence", "参与或被依赖的第三方、其动作与证据";
    CommsLog: "comms.log", Required, "Notice, channel, audience, sent, acknowledged; includes call tree and crisis messages", "通知：渠道、对象、发出、确认；含呼叫树与危机沟通";
    CommsReportingClock: "comms.reporting_clock", Conditional, "Simulated or real regulatory reporting clock: start, deadline, done", "监管报告时限演练：起点、截止、完成";
    TimelineEvents: "timeline.events", Required, "Append-only, numbered, hash-chained events with actor, action, target, result and clock error", "只追加、连续编号、哈希链接的事件：主体、动作、对象、结果、时钟误差";
    TimelineClock: "timeline.clock", Required, "Time source, sync state and worst offset bound of every host that stamped an event", "各计时主机的时间源、同步状态与最大误差";
    MetricDetection: "metric.detection", Required, "First user-visible impact to first machine detection", "影响出现至首次自动检测";
    MetricDecision: "metric.decision", Required, "Detection to the authorised decision to fail over", "检测至授权切换决策";
    MetricRto: "metric.rto", Required, "Disruption to service restored, per service, against target", "中断至业务恢复（逐业务），对照目标";
    MetricRtoDeclared: "metric.rto_declared", Optional, "Decision to service restored, for contracts that count from declaration", "决策至恢复（按宣告起算的合同口径）";
    MetricRpo: "metric.rpo", Required, "Age of the newest recovered commit at the fault, and rows lost, per data set", "故障时刻与最后可恢复提交的时间差及丢失条数（逐数据集）";
    MetricSteps: "metric.steps", Required, "Per step: planned, wait, run, verify, retries, exit, actor, on the critical path or not", "逐步骤：计划、等待、执行、验证、重试、退出码、执行者、是否关键路径";
    MetricDns: "metric.dns", Conditional, "Authoritative sync, resolver panel p50/p95/max, time to 95 percent of traffic, tail beyond two TTLs", "权威同步、解析器样本 p50/p95/最大值、流量 95% 切换用时、超两倍 TTL 尾部";
    MetricAvailability: "metric.availability", Required, "Traffic-weighted availability in the drill window, low and high bound", "演练窗口内按流量加权可用率（上下界）";
    MetricErrorBudget: "metric.error_budget", Required, "Share of the SLO window's budget the drill spent", "演练消耗的错误预算占比";
    MetricCapacity: "metric.capacity", Conditional, "Headroom and latency at the target under full load, against the minimum service level", "目标站点满载余量与时延，对照最低服务水平";
    MetricSustained: "metric.sustained", Conditional, "How long the target carried production before failback", "回切前目标站点持续承载时长";
    MetricSync: "metric.sync", Conditional, "For a sync stop: peak lag, backlog, time to catch up, conflicts", "同步中断：峰值延迟、积压、追平用时、冲突数";
    IntegrityChecks: "integrity.checks", Required, "Reconciliations after recovery: counts, sums, checksums, marker gaps, duplicates, result", "恢复后核对：条数、合计、校验和、标记缺口、重复、结果";
    IntegrityBackup: "integrity.backup", Conditional, "Backup or snapshot used: id, time, copy location, restore result, sample size", "所用备份：编号、时间、存放地、恢复结果、抽样量";
    SecurityDuring: "security.during", Required, "Access, logging, encryption, WAF and key controls checked while running on the target; exceptions", "切换期间访问控制、日志、加密、WAF、密钥等控制的核查与例外";
    SecurityEmergencyAccess: "security.emergency_access", Conditional, "Break-glass use: who, when, why, closed", "应急授权使用：人员、时间、理由、收回";
    FailbackResult: "failback.result", Required, "Return to normal: start, end, result, known-state check, or why not done", "回切：起止、结果、已知状态核验，或未做理由";
    ResultVerdict: "result.verdict", Required, "Verdict by the frozen rule", "按冻结规则得出的结论";
    ResultCriteria: "result.criteria", Required, "Each criterion: MET, NOT_MET, INDETERMINATE, NOT_TESTED, with value and bounds", "逐判据结果及取值区间";
    ResultDeviations: "result.deviations", Required, "Departures from plan, who approved, effect", "偏离方案之处、批准人、影响";
    ResultRealImpact: "result.real_impact", Required, "Real customers, orders or data harmed, and whether it became an incident", "对真实客户、订单、数据的影响及是否转为事件";
    FindingsItems: "findings.items", Required, "Id, severity, what, root cause, action, owner, due, state, retest, or accepted risk with approver", "问题：编号、级别、描述、根因、措施、责任人、期限、状态、复测，或风险接受与批准人";
    FindingsCarried: "findings.carried", Required, "Findings of earlier drills still open, with age in days", "历次未关闭问题及天数";
    ReviewSignoffs: "review.signoffs", Required, "Executor, evaluator, service owner, risk or compliance, management: name alias, time, signature key", "签署：执行、评估、业务、风险合规、管理层：别名、时间、签名密钥";
    ReviewManagement: "review.management", Conditional, "Where the result went to management or the board, and when", "向管理层／董事会报告的记录与时间";
    ReviewPlanUpdates: "review.plan_updates", Required, "Plans, runbooks, training changed because of this drill, old and new digest", "因本次演练而修改的预案、手册、培训及新旧摘要";
    EvidenceManifest: "evidence.manifest", Required, "Every file: path, bytes, media type, SHA-256, origin, collected at, collector", "每个文件：路径、字节数、类型、SHA-256、来源、采集时间、采集者";
    EvidenceQueries: "evidence.queries", Required, "Exact query, parameters, source system, run time and row count behind every number", "每个数字所用的查询、参数、来源系统、执行时间、行数";
    EvidenceCompleteness: "evidence.completeness", Required, "First and last sequence number, count, gaps, unknown samples", "首末序号、数量、断号、未知样本";
    EvidenceSignatures: "evidence.signatures", Required, "Chain head, tree head, envelope, key ids, verification result", "链头、树头、签名信封、密钥标识、验证结果";
    EvidenceTimestamps: "evidence.timestamps", Conditional, "RFC 3161 tokens or log inclusion: authority, time, accuracy", "可信时间戳或日志收录：机构、时间、精度";
    EvidenceStorage: "evidence.storage", Required, "Copies with location, lock mode and retain-until date", "留存副本的位置、锁定模式与保留期限";
    RetentionRule: "retention.rule", Required, "Rule that sets the retention, end date, legal hold", "适用保留规则、到期日、法律保全";
    PrivacyMinimised: "privacy.minimised", Required, "Personal data left in the evidence and how it was masked", "证据中残留的个人信息及脱敏方式";
    ControlsCovered: "controls.covered", Required, "Control id, part covered, coverage full/partial, reason, unmet fields", "覆盖的控制项、覆盖部分、完全／部分、理由、缺失字段";
}

impl Field {
    /// The field that the controls call `id`.
    pub(super) fn named(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_name_of_its_own_and_both_languages() {
        assert_eq!(Field::ALL.len(), 73);
        for field in Field::ALL {
            assert_eq!(Field::named(field.id()), Some(*field));
            assert!(field.text(Lang::En).is_ascii() && !field.text(Lang::Zh).is_ascii(), "{}", field.id());
        }
        assert_eq!(Field::named("metric.luck"), None);
    }
}
