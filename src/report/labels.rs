//! Every fixed text of the reports and pictures, in both languages, in one table.
//!
//! Data is never translated: ids, digests and times are the same in both reports. What the journal says in sentences is looked up in `model::phrases`.

use crate::model::text::Lang;

/// Declares the labels: a name, its English, its Chinese.
macro_rules! labels {
    ($($name:ident: $en:literal, $zh:literal;)+) => {
        /// A fixed text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Label { $($name),+ }

        impl Label {
            /// The text in `lang`.
            pub(crate) const fn text(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Self::$name, Lang::En) => $en, (Self::$name, Lang::Zh) => $zh,)+
                }
            }

            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

labels! {
    // Titles
    DrillReport: "Failover drill report", "故障切换演练报告";
    EmergencyReport: "Failover report, emergency", "应急切换报告";
    EmergencyRehearsal: "Failover report, rehearsal of an emergency", "应急切换预演报告";
    SimulatedNote: "**Simulated.** The calls did not go to the clouds' own hosts. It shows that the procedure works as written; it does not show that production recovers in this time.", "**模拟** 调用目标并非云厂商自身地址。它说明应急预案按所写步骤可行，不说明生产环境能在该时间内恢复。";
    RehearsalNote: "**Rehearsal.** Two simulated clouds on one machine. It shows that the procedure works as written and how long its own steps take; it does not show that production recovers in this time.", "**预演** 在单机上的两个模拟云中进行。它说明应急预案按所写步骤可行及各步骤自身耗时，不说明生产环境能在该时间内恢复。";
    EmergencyNote: "**Emergency.** A real failover, not an exercise. No fault was injected and nothing is undone unasked.", "**应急** 真实切换，并非演练。未注入故障，未经要求不做任何撤销。";
    ResultsTitle: "Result against objectives", "目标达成情况";
    CourseTitle: "What happened", "过程";
    ChangesTitle: "What was changed and put back", "变更与还原";
    ProbesTitle: "Availability", "可用性";
    DataTitle: "Data", "数据";
    FailbackTitle: "Failback", "回切";
    ControlsTitle: "Controls", "控制项";
    MissingTitle: "Not recorded", "未记录事项";
    SourcesTitle: "Where the numbers come from", "数据来源";
    ProofTitle: "Proof", "可验证性";
    // Identity
    VerdictHead: "Verdict", "结论";
    Why: "Why", "理由";
    Tried: "What was tried", "演练内容";
    TriedEmergency: "What was done", "处置内容";
    HowReal: "How real", "真实程度";
    When: "When", "时间";
    Environment: "Environment", "环境";
    Scenario: "Scenario", "演练场景";
    Runbook: "Runbook", "应急预案";
    Operator: "Operator", "执行人";
    ToolVersion: "Tool", "工具";
    RunId: "Run", "运行编号";
    PlanDigest: "Plan digest", "方案摘要";
    PlanApproval: "Approval", "批准";
    Programme: "Programme", "演练计划";
    Simulated: "`simulated`: rehearsed in the lab, no production or staging system was touched", "`simulated`（模拟演练）：在实验环境预演，未触及生产或预发系统";
    RealDrill: "fault injected into a real environment; exercise type", "在真实环境中注入故障；演练类型";
    SimulatedHosts: "`simulated`: calls went to hosts that are not the clouds' own", "`simulated`（模拟演练）：调用目标并非云厂商自身地址";
    AsDeclared: "as declared for the environment", "由环境配置申报";
    NotCounted: "declared, and not counted", "申报但不予采信";
    RunbookAlone: "the runbook alone, no fault was injected", "仅执行应急预案，未注入故障";
    Locations: "Accounts and regions", "账号与区域";
    StopConditions: "Stop conditions", "停止条件";
    StateBad: "bad", "异常";
    StateGood: "good", "正常";
    NoExercise: "real failover, no exercise", "真实切换，非演练";
    Declared: "disruption declared to have begun at", "申报的中断开始时间";
    // Verdicts
    Pass: "PASS", "通过（PASS）";
    Fail: "FAIL", "未通过（FAIL）";
    Inconclusive: "INCONCLUSIVE", "无法判定（INCONCLUSIVE）";
    Aborted: "ABORTED", "已中止（ABORTED）";
    NotEnded: "not ended", "尚未结束";
    AllMet: "every objective met", "各项目标均达成";
    AllRestored: "every service that was down is restored", "中断的业务均已恢复";
    StepsDone: "every required step done", "必要步骤均完成";
    AllBack: "everything put back", "变更均已还原";
    AllBackButLasting: "everything put back but what cannot be undone", "除无法撤销者外变更均已还原";
    FailbackUntested: "failback not tested", "未测试回切";
    // Objectives
    BoundsRule: "In brackets are the bounds; they hold the time between two samples and the time an answer took. A target is met only if the **whole** interval meets it, missed only if the whole interval misses it.", "括号内为区间，已计入相邻两个样本之间的时间与应答时间。仅当 **整个** 区间满足目标时才判为达成，仅当整个区间不满足时才判为未达成。";
    NoObjectives: "No objectives are set.", "未设定目标。";
    Criterion: "Criterion", "判据";
    Mandatory: "Mandatory", "必达";
    Target: "Target", "目标";
    Measured: "Measured", "实测";
    SeenBy: "Seen by", "观察方式";
    ResolvesAnew: "a client that resolves anew", "每次重新解析的客户端";
    KeepsNames: "a client that keeps names", "保留域名应答的客户端";
    KeepsConnections: "a client that keeps connections", "保持连接的客户端";
    VantagePoints: "vantage point", "个观测点";
    WithCaches: "users who keep names", "保留域名应答的用户";
    FromFault: "from the fault", "自故障起";
    AnswersFor: "Users may keep the old answers of DNS for as long as the longest TTL before the change", "用户可在变更前最长 TTL 内继续使用旧的 DNS 应答";
    AnswersRule: "s. Users with old answers are led to the old side until then: for them the recovery time is at most its upper bound plus this time.", "秒。其间这些用户仍被引向原侧，其恢复时间上界为所测上界加此时长。";
    AnswersUnread: "Users may keep the old answers of DNS for their TTL, which was not read.", "用户可在 TTL 内继续使用旧的 DNS 应答；该 TTL 未读取。";
    AnswersLonger: "That is longer than the RTO of", "超过 RTO：";
    Result: "Result", "结果";
    Met: "● met", "● 达成";
    NotMet: "▲ not met", "▲ 未达成";
    Indeterminate: "◐ cannot be told", "◐ 无法判定";
    NotTested: "– not tested", "– 未测试";
    CriterionRto: "RTO, from disruption", "RTO（自中断起）";
    CriterionRtoCached: "RTO, users who keep names", "RTO（保留域名应答的用户）";
    CriterionRpo: "RPO, exposure at its worst", "RPO（最大数据风险）";
    CriterionMissing: "missing", "缺失";
    CriterionDoubled: "doubled", "重复";
    NoImpact: "stayed up", "未中断";
    AtLeast: "at least", "至少";
    RtaDeclared: "From the decision to restored service", "自决策至业务恢复";
    TrafficMoved: "From the change that moves traffic until 95 % of the requests were at the target", "自引导流量的变更至 95% 请求到达目标侧";
    TrafficDrained: "Until the old side was drained", "至原侧流量排空";
    OwnMoved: "From the change that moves traffic until 95 % of the tool's own samples were at the target", "自引导流量的变更至 95% 自发样本到达目标侧";
    OwnDrained: "Until all of the tool's own samples were", "至全部自发样本到达目标侧";
    OwnChart: "Share of the tool's own samples at the target", "目标侧自发样本占比";
    EvShifted: "traffic change accepted", "引导流量的变更已受理";
    EvMoved: "95 % at the target (t_95)", "95% 到达目标侧（t_95）";
    TrafficChart: "Share of the requests at the target", "目标侧请求占比";
    DnsSpread: "Spread of the DNS change", "DNS 变更传播";
    DnsServer: "Name server", "域名服务器";
    DnsTook: "New answer after", "生效用时";
    DnsStale: "no new answer", "无新应答";
    DnsSummary: "p50 / p95 / all", "p50 / p95 / 全部";
    DnsBeyond: "beyond twice the old TTL", "超过旧 TTL 两倍";
    DnsTtl: "old TTL", "旧 TTL";
    DnsOf: "Servers asked", "查询的服务器数";
    DnsRule: "Counted from when the provider had accepted the change to the first of three new answers in a row. These servers are a sample of those that users ask.", "自服务商接受变更起，至连续三次新应答中的首次。所查服务器仅为用户所用服务器的样本。";
    SustainedRun: "Sustained run on the other side", "备用侧持续运行";
    DetectionTime: "Detection time", "检测时间";
    DecisionTime: "Decision time", "决策时间";
    AlsoMeasured: "Also measured", "其他实测值";
    // Guards
    GuardsTitle: "Guards and overrides.", "守卫规则与人工放行。";
    GuardsLead: "How the guards of the environment decided before anything was changed.", "变更开始前，环境守卫规则的判定。";
    Guard: "Guard", "守卫规则";
    GuardSaid: "Decision", "判定";
    GuardGround: "On what ground", "依据";
    Overridden: "Overridden by, and why", "放行人与理由";
    GuardAllows: "● allows", "● 允许";
    GuardRefuses: "▲ refuses", "▲ 拒绝";
    GuardWarns: "◐ warns", "◐ 警告";
    // Timeline
    Number: "#", "序号";
    EventColumn: "Event", "事件";
    By: "By", "主体";
    Tool: "tool", "工具";
    ProbeWord: "probe", "探针";
    EvStarted: "Run started", "运行开始";
    EvSteady: "Steady state reached", "达到稳态";
    EvIntent: "Fault about to be injected", "即将注入故障";
    EvActive: "Fault active, its effect was seen", "故障生效，已观察到效果";
    EvFaultFailed: "Fault could not be injected", "故障注入失败";
    EvDown: "First bad sample", "首个失败样本";
    EvUp: "First good sample of the recovery", "恢复后的首个成功样本";
    EvBad: "Confirmed bad", "确认异常";
    EvGood: "Confirmed good", "确认恢复";
    UnseenRecovery: "Recovery not seen within", "未观测到业务恢复，等待时长";
    UnseenSource: "Source side not seen to be back within", "未观测到源端恢复，等待时长";
    UnseenNormal: "Return of the steady state not seen within", "未观测到稳态恢复，等待时长";
    LackBad: "is bad", "异常";
    LackBrief: "was not good for long enough", "持续正常的时间不足";
    LackUnread: "could not be read", "无法读取";
    LackUnsampled: "has no sample sent after the last change", "在最后一次变更之后没有样本";
    LackEvery: "one every", "采样间隔";
    LastGoodSent: "last good one sent", "最后成功样本发出于";
    LastBadSent: "last bad one sent", "最后失败样本发出于";
    EvDecided: "Failover decided", "决定切换";
    EvStepDone: "Step done", "步骤完成";
    EvStepAlready: "Step already as asked", "步骤已是目标状态";
    EvStepFailed: "Step failed", "步骤失败";
    EvVerified: "Recovery stable for as long as asked", "恢复已稳定达到要求时长";
    EvHealed: "Fault taken out and seen to be gone", "故障已解除并确认";
    EvHealFailed: "Fault could not be taken out", "故障未能解除";
    EvFailback: "Failback began", "开始回切";
    EvCleanup: "Putting back what is left", "还原剩余变更";
    EvUndone: "Put back", "已还原";
    EvUndoFailed: "Could not be put back", "未能还原";
    EvStop: "Stop requested", "要求停止";
    EvAbort: "Abort requested", "要求中止";
    EvResumed: "Taken over by another process", "由另一进程接管";
    EvEnded: "Run ended", "运行结束";
    Note: "Note", "备注";
    // People
    PeopleTitle: "People.", "人员。";
    PeopleLead: "Who answered, steered and took over, and how long the run waited for them.", "答复、操控与接管的人员，以及运行为其等待的时间。";
    Deed: "Deed", "行为";
    SaidColumn: "Said", "说明";
    WaitedColumn: "Waited", "等待";
    SignedWith: "signed with", "签名密钥";
    SaidByUser: "so called; it came from user", "自称；实际来自用户";
    DeedApproved: "● approved", "● 批准";
    DeedDidByHand: "● done by hand", "● 人工完成";
    DeedSaidNo: "▲ said no", "▲ 拒绝";
    DeedKeptSilent: "▲ nobody answered in time", "▲ 时限内无人答复";
    DeedPaused: "Paused", "暂停";
    DeedWentOn: "Went on", "继续";
    DeedSkipped: "Did without", "跳过";
    DeedRetried: "Tried again", "重试";
    DeedGaveSourceUp: "Gave the source side up", "放弃源端";
    DeedResumed: "Took over to go on", "接管并继续";
    DeedTookBack: "Took over to take everything back", "接管并还原";
    DeedAccepted: "accepted what is there", "接受现状";
    SimulatedMark: "simulated", "模拟";
    InAll: "In all", "总时长";
    WaitedForPeople: "waiting for people", "等待人员";
    RunByNobody: "run by nobody", "无人运行";
    MachineTime: "machine time", "机器时间";
    WaitedRule: "when several people are waited for, the time counts once", "同时等待多人的时间只计一次";
    // Phases
    PhasesLead: "Recovery time of", "恢复时间构成：";
    PhasesSum: "counted between the likeliest moments, so that the parts sum exactly to the measured recovery time; shown parts are rounded by largest remainder.", "按各时刻的最可能值计算，各部分之和恰等于实测恢复时间；显示值按最大余数法取整。";
    PhasesOpen: "The service was not restored by the failover; the phases end where the recovery was given up, and their sum is no measured time.", "业务未由切换恢复；各阶段止于放弃恢复的时刻，其总和并非实测时间。";
    Phase: "Phase", "阶段";
    PhaseEnds: "Ends when", "结束于";
    PhaseEndsAt: "Ends at (UTC)", "结束时刻（UTC）";
    TimeColumn: "Time", "用时";
    Share: "Share", "占比";
    Total: "Total", "合计";
    PhDetect: "Detect", "检测";
    PhDecide: "Decide", "决策";
    PhAct: "Act", "执行";
    PhSpread: "Spread", "生效";
    PhSettle: "Settle", "稳定";
    EndDetect: "the probe confirmed it (detected by Lifeboat's own probe, not by the monitoring on duty)", "探针确认异常（由 Lifeboat 自身探针检测，而非值班监控）";
    EndDetectOnDuty: "the alarm was seen to fire (detected by the monitoring on duty, whose state the probe reads)", "观察到告警触发（由值班监控检测，探针读取其状态）";
    EndDetectEmergency: "the run was started by a person", "人工启动本次运行";
    EndDecide: "the failover was decided", "决定切换";
    EndAct: "the change that moves traffic was accepted, and all other changes of the critical steps were in effect", "流量切换变更被接受，关键步骤的其他变更均已生效";
    EndActSeen: "the last change of the critical steps was seen in effect", "观察到关键步骤的最后一项变更生效";
    EndUnmoved: "nothing was changed that moves traffic", "未做流量切换变更";
    EndOwnMoved: "the target got at least 95 % of the tool's own samples from here on (t_95)", "目标侧自发样本占比自此不低于 95%（t_95）";
    EndMoved: "the target got at least 95 % of the requests from here on (t_95)", "目标侧请求占比自此不低于 95%（t_95）";
    EndSpread: "that change was seen in effect by its own step (share of traffic was not measured)", "该步骤确认变更生效（未测量流量占比）";
    EndSettle: "the first of the good samples", "恢复后的首个成功样本";
    EndOpen: "the recovery was given up", "放弃恢复";
    NoPhases: "No outage was measured, so there is nothing to split.", "未测得中断，无可拆分的恢复时间。";
    // Steps
    FailoverSteps: "Failover", "切换";
    FailbackSteps: "Failback", "回切";
    StepColumn: "Step", "步骤";
    ActionColumn: "Action", "动作";
    WaitColumn: "Wait", "等待";
    RunColumn: "Run", "执行";
    VerifyColumn: "Verify", "验证";
    EarlierColumn: "Earlier: median / p90 (runs)", "以往：中位数 / P90（次数）";
    CriticalPath: "Critical path", "关键路径";
    Attempts: "Attempts", "尝试";
    Critical: "Critical", "关键";
    Yes: "yes", "是";
    No: "no", "否";
    StepTimes: "Wait: from the moment from which only its turn kept the step from starting. Run: to the acceptance of the last change, retries included. Verify: until its effect was seen.", "等待：自前置条件满足起。执行：至最后一项变更被接受，含重试。验证：至观察到效果。";
    FailedAttempts: "Attempts that failed", "失败的尝试";
    Warnings: "Warnings", "警告";
    NotRunTitle: "What did not run", "未运行的内容";
    AllRan: "Every step of the plan was run.", "方案中的每个步骤均已运行。";
    // Changes
    FaultTitle: "Injected fault", "注入的故障";
    NoFaultPlanned: "No fault belongs to this run.", "本次运行不含故障注入。";
    FaultNotInjected: "The fault was not injected.", "故障未注入。";
    Field: "Item", "项目";
    Value: "Value", "值";
    FaultParameters: "Parameters", "参数";
    FaultTargets: "Targets", "对象";
    FaultIntent: "Intent on record before the first change", "首次变更前已记录意图";
    FaultActive: "Active, effect seen", "生效并已观察到效果";
    FaultUndo: "Taking out began", "开始解除";
    FaultUndone: "Taken out, former state seen again", "已解除，确认恢复原状";
    FaultHeld: "Stood for", "持续时间";
    FaultLease: "Longest it may stand (lease)", "最长允许持续时间（租期）";
    FaultCalls: "Request ids of its mutating calls", "其变更类调用的请求编号";
    EventNumber: "event", "事件";
    ChangedThings: "Changed by steps", "步骤所做变更";
    ChangeColumn: "Change", "变更";
    TargetColumn: "Target", "对象";
    PutBack: "Put back", "还原";
    BackYes: "● put back", "● 已还原";
    BackAccepted: "◐ accepted as it is", "◐ 已接受现状";
    BackAlready: "● already as before", "● 已是原状";
    BackFailed: "▲ left over", "▲ 未能还原";
    BackKept: "◐ stands (emergency)", "◐ 保留（应急）";
    BackLeft: "◐ stands, as asked", "◐ 按要求保留";
    BackStopped: "◐ stands (run stopped)", "◐ 保留（运行被停止）";
    BackImpossible: "▲ cannot be undone", "▲ 无法撤销";
    BackNothing: "– changed nothing", "– 未做变更";
    BackWay: "– is itself the way back", "– 本身即为回切";
    BackByFailback: "● by the failback", "● 由回切还原";
    BackOpen: "◐ not yet", "◐ 尚未";
    NothingChanged: "No step changed anything.", "没有步骤做出变更。";
    Leftovers: "Left over", "残留";
    InPlace: "Still in place", "仍然保留";
    NoLeftovers: "Nothing is left over.", "无残留。";
    SeeDifferences: "No step's change stands, but not everything reads as before the run: see the comparison.", "各步骤变更均未保留，但并非一切与运行前一致，见对比。";
    StandsLeftOver: "left over", "未能还原";
    StandsLasting: "cannot be undone", "无法撤销";
    StandsEmergency: "kept: in an emergency nothing is undone unasked", "保留：应急模式未经要求不做撤销";
    StandsAsked: "kept as asked (`--no-failback`)", "按要求保留（`--no-failback`）";
    StandsStopped: "kept: the run was stopped, and a stop undoes nothing", "保留：运行被停止，停止不做撤销";
    StandsNotYet: "not put back yet", "尚未还原";
    StandsAccepted: "not put back; accepted by", "未还原；已接受现状，接受人";
    StandsBecause: "because", "理由";
    EvNotUndone: "Cannot be undone", "无法撤销";
    KeptChanges: "What the failover changed is still in place: it was read once more before the verdict.", "切换所做变更仍然保留：判定前已再次读取。";
    KeptNotAll: "▲ Not everything that the failover changed is still as it made it, as far as could be read: see below.", "▲ 据再次读取，切换所做变更并非全部保持原样：见下文。";
    KeptUnread: "What the failover changed was not put back. Nobody has read it again since.", "切换所做变更未还原。此后未再次读取。";
    BackMoved: "▲ kept, but changed since", "▲ 保留，但此后被改动";
    KeptTitle: "What stays, read once more.", "保留内容的再次读取。";
    KeptLead: "Every change that stays was read again before the verdict, at", "判定前再次读取每项保留的变更，时间：";
    KeptSame: "steps whose things are as they were made", "与所做变更一致的步骤";
    KeptMoved: "steps with things that are not, or could not be read", "已被改动或无法读取的步骤";
    KeptMade: "Made by the step", "步骤所做";
    KeptNow: "Now", "当前";
    CallsTitle: "Mutating API calls", "变更类 API 调用";
    CallsLead: "Every attempt, with the request id by which CloudTrail and ActionTrail find it.", "含每次尝试，可按请求编号在 CloudTrail 与操作审计（ActionTrail）中查证。";
    NoCalls: "No mutating call was made.", "未发起变更类调用。";
    CallColumn: "Call", "调用";
    Region: "Region", "区域";
    RequestId: "Request id", "请求编号";
    Outcome: "Outcome", "结果";
    ForColumn: "For", "所属";
    UndoMark: "put back", "还原";
    // Lease
    LeaseTitle: "Lease of the fault.", "故障租期。";
    LeaseLead: "A fault stands no longer than its lease; the run renews it while it lives, and whoever finds it ended takes the fault out.", "故障存续不超过租期；运行存活期间续租，租期届满后由任一发现者解除故障。";
    LeaseGranted: "Granted, before the first change", "授予（首次变更之前）";
    LeaseLength: "Length", "租期长度";
    LeaseLimit: "never renewed beyond", "续租总上限";
    LeaseRenewed: "Renewed", "续租";
    LeaseNever: "not renewed", "未续租";
    LeaseUntil: "until", "有效至";
    LeaseEnd: "Ended", "结束";
    LeaseEnded: "the fault was taken out and its marks removed", "故障已解除，标记已移除";
    LeaseOut: "the fault was taken out at", "故障解除于";
    LeaseOpen: "the fault was not seen to be taken out", "未确认故障已解除";
    // Baseline
    BaselineTitle: "Comparison with the state before the run.", "与运行前状态的对比。";
    BaselineLead: "What the run was going to change was read before anything was changed, and again after everything was taken back, at", "变更前读取拟变更对象，全部还原后再次读取，时间：";
    BaselineOpen: "What was read before the run was not compared: the run did not come so far.", "运行前已读取的状态未作对比：运行未进行到该阶段。";
    BaselineSame: "steps whose things are as they were", "与原状一致的步骤";
    BaselineDiffer: "steps with differences", "存在差异的步骤";
    BaselineWhat: "What", "对象";
    BaselineBefore: "Before", "之前";
    BaselineAfter: "After", "之后";
    BaselineKind: "How it comes", "情况";
    BaselineConflict: "▲ conflict: changed by someone else, left as it is", "▲ 冲突：被他人更改，保持现状";
    BaselineLeft: "▲ left over by this run", "▲ 本次运行残留";
    BaselineOther: "▲ not as it was, though put back", "▲ 已还原但与原状不同";
    // Sources
    SourcesRule: "What each probe was asked, as the plan of this run has it: a secret stands there by its reference. Every figure above is computed from these samples and from the other events of the journal.", "各探针的查询内容，以本次运行的方案为准，其中密钥只以引用表示。上文每个数值均由这些样本与日志中的其他事件算得。";
    Asked: "What was asked", "查询内容";
    SampledFrom: "From (UTC)", "起（UTC）";
    SampledTo: "To (UTC)", "止（UTC）";
    SampleCount: "Samples", "样本数";
    // Probes
    Probe: "Probe", "探针";
    Kind: "Kind", "类型";
    Every: "Every", "间隔";
    Samples: "good / bad / unknown / not sent / late", "成功／失败／未知／未发送／延迟";
    AvailabilityColumn: "Availability", "可用率";
    Outage: "Outage", "中断";
    AvailabilityRule: "Availability: good samples over all that could tell, from the first sample to the end of the recovery; the lower bound counts those unknown or not sent as bad. Unweighted: traffic shares are not recorded.", "可用率：自首个样本至恢复阶段结束，成功样本数除以可判定样本数；下界将未知或未发送的样本计为失败。未按流量加权：流量占比未记录。";
    SloColumn: "SLO / window", "SLO / 窗口";
    BudgetColumn: "Error budget", "错误预算";
    SpentColumn: "Spent in this run", "本次消耗";
    SpentShare: "Of the budget", "占预算";
    BudgetRule: "Error budget: the time within the window in which the service may be bad. Spent: all of its outages in this run, whoever caused them. Whether drills count against the budget is for its policy to say.", "错误预算：窗口内允许业务异常的时间。消耗：本次运行中该业务全部中断之和，不论起因。演练是否计入预算由其政策决定。";
    StripLead: "Each character is", "每个字符代表";
    StripLegend: "█ bad · ░ good · blank: not known", "█ 异常 · ░ 正常 · 空白：未知";
    None: "none", "无";
    // Data
    NoData: "No probe measured how far a replica was behind.", "没有探针测量副本滞后。";
    Peak: "Largest lag (RPA)", "最大滞后（RPA）";
    PeakAt: "Read at (UTC)", "读取时刻（UTC）";
    CaughtUp: "Caught up after the last change", "最后变更后追平用时";
    LastLag: "Lag at the end", "结束时滞后";
    BehindAtEnd: "Not yet there at the end", "结束时尚未到达";
    BeforeFault: "read before the fault; afterwards nothing could be read", "读取于故障之前；其后无法读取";
    DataRule: "The lag is how much committed time the replica lacked, on the source's clock: from its newest to what it held without a gap; its upper bound is what it can have grown to until the next reading that succeeded.", "滞后指副本缺少的已提交时间跨度（源端最新数据至副本连续持有的数据），按源端时钟计；上界为其在下一次成功读取之前可能达到的值。";
    Counted: "Counted", "核对";
    Missing: "Missing", "缺失";
    Doubled: "Doubled", "重复";
    // Failback
    FailbackNone: "The plan has no failback.", "方案不含回切。";
    FailbackEmergency: "An emergency does not fail back by itself.", "应急模式不自动回切。";
    FailbackLeft: "Left out as asked.", "按要求未做回切。";
    FailbackNotReached: "Not reached.", "未进行到回切。";
    FailbackFrom: "Began", "开始";
    FailbackTo: "Ended", "结束";
    Known: "Known state at the end", "结束时的已知状态";
    KnownYes: "the steady state holds and nothing is left over", "稳态成立，无残留";
    KnownNo: "not reached", "未达到";
    // Controls
    ControlColumn: "Control", "控制项";
    Coverage: "Coverage", "覆盖";
    WhyNotComplete: "What is missing", "欠缺";
    CovPartial: "◐ evidence partial", "◐ 证据不完整";
    CovNone: "– not by this exercise", "– 本次演练不覆盖";
    CovComplete: "● evidence complete", "● 证据完整";
    ExerciseUnknown: "what kind of exercise this was is not recorded (`exercise:` of the environment)", "未记录演练方式（环境配置中的 `exercise:`）";
    WantsExercise: "wants an exercise of at least", "要求的演练方式至少为";
    ThisWas: "this was", "本次为";
    NoExerciseControl: "not an exercise; the record may support a review", "并非演练；记录可供复核";
    FieldsMissing: "not recorded", "未记录";
    NotJudged: "the verdict is neither pass nor fail", "结论既非通过也非未通过";
    NotForDrills: "a failover drill does not meet this control", "故障切换演练不满足该控制项";
    UnknownControl: "not known to this version", "本版本未收录";
    Unverified: "clause number not verified", "条款号未核实";
    NoControls: "The scenario names no control.", "演练场景未列出控制项。";
    ControlsRule: "A report supports a control; it does not by itself make an organisation compliant.", "报告可支持控制项，但其本身并不使组织合规。";
    // Not recorded
    NotRecorded: "not recorded", "未记录";
    MissingLead: "What an auditor asks for and this run does not hold. Each is kept outside, or belongs to a later stage of the programme.", "审计所需而本次运行未保存的内容，须另行留存或由后续工作补充。";
    // Proof
    Events: "Events", "事件";
    EventsGap: "no gap", "无断号";
    UnknownSamples: "unknown samples", "未知样本";
    HeadHash: "Journal head", "日志链头";
    ClockRow: "Clock", "时钟";
    ClockText: "all durations from one monotonic clock; bound of the error of the wall-clock timestamps", "时长均取自同一单调时钟；时间戳的挂钟误差上限";
    ClockTakeovers: "one such clock for each process, twice the bound added between them; times another process took over", "每个进程各有一个单调时钟，跨进程的时长另加两倍误差上限；被接管次数";
    Signature: "Signature, time stamp, locked copies", "签名、可信时间戳、锁定副本";
    Verify: "Check it", "自行验证";
    VerifyText: "`lifeboat report RUN` checks every link of the journal and makes this report again, byte for byte. By hand: `hash = SHA-256(\"drill-event/v1\\0\" ‖ JCS(event without hash))`, each `prev` is the hash before it, the last `hash` is the journal head.", "`lifeboat report RUN` 校验日志的每个链接，并逐字节重新生成本报告。手工验证：`hash = SHA-256(\"drill-event/v1\\0\" ‖ JCS(去掉 hash 的事件))`，每个 `prev` 为前一事件的 hash，最后一个 `hash` 即链头。";
    Definitions: "Definitions as run", "本次所用定义";
    SamplesKept: "Single samples of the probes", "探针的逐个样本";
    Sha256: "SHA-256", "SHA-256";
    File: "File", "文件";
    // Pictures
    TimelineChart: "Timeline", "时间线";
    LagChart: "Lag of the replicas", "副本滞后";
    WaterfallChart: "Recovery time split", "恢复时间构成";
    FaultMark: "fault", "故障";
    HealMark: "fault out", "故障解除";
    StableMark: "restored", "已恢复";
    DownMark: "still down", "仍中断";
    RtoLine: "RTO", "RTO 目标";
    NoOutageChart: "no outage was measured", "未测得中断";
    Seconds: "s", "秒";
    Milliseconds: "ms", "毫秒";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_says_something_in_both_languages() {
        for label in Label::ALL {
            let (en, zh) = (label.text(Lang::En), label.text(Lang::Zh));
            assert!(!en.is_empty() && !zh.is_empty(), "{label:?}");
            assert!(en.is_ascii() || en.chars().all(|c| !is_chinese(c)), "{label:?}: Chinese in the English text");
            assert!(zh.chars().any(is_chinese) || en == zh, "{label:?}: not translated");
            assert_eq!(en.matches("**").count(), zh.matches("**").count(), "{label:?}: emphasis differs");
            assert!(!zh.contains("。**") && !zh.contains("，**"), "{label:?}: punctuation inside the stars does not become bold");
        }
    }

    fn is_chinese(c: char) -> bool {
        ('\u{4e00}'..='\u{9fff}').contains(&c)
    }
}
