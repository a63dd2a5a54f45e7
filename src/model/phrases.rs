//! What the journal says in English, said in Chinese.
//!
//! Journals hold one language, so that two people who read one journal read the same words. Screens and reports for readers of Chinese look each sentence
//! up here, by its shape: `{0}` stands for a part that is looked up in turn, `{0,}` for a list of such parts. What is not here, such as an answer of a
//! cloud or of a program, stays as it was said.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::text::{Lang, span_in};
use super::time::Span;

/// How deep parts within parts are looked up.
const DEEPEST: u32 = 4;
/// Longer texts are answers of others, and stay as they are.
const LONGEST: usize = 2000;

/// English and Chinese, the more particular shape before the more general.
const PHRASES: &[(&str, &str)] = &[
    // What the run says of itself
    ("the fault is active", "故障已生效"),
    ("the runbook was started by hand", "应急预案由人工启动"),
    ("probe {0} is bad", "探针 {0} 异常"),
    (
        "probe {0} is {1} already, for which this run would be stopped; nothing was injected",
        "探针 {0} 已处于{1}状态，本次运行本应因此停止；未注入任何故障",
    ),
    (
        "probe {0} has not answered yet, so that nobody watches what this run is to be stopped for; nothing was injected",
        "探针 {0} 尚无应答，停止条件无人监视；未注入任何故障",
    ),
    (
        "probe {0} cannot be read ({1}), so that nobody watches what this run is to be stopped for; nothing was injected",
        "探针 {0} 无法读取（{1}），停止条件无人监视；未注入任何故障",
    ),
    (
        "probe {0} is not known to be well ({1}), so that nobody watches what this run is to be stopped for; nothing was injected",
        "探针 {0} 是否正常未知（{1}），停止条件无人监视；未注入任何故障",
    ),
    (
        "probe {0} cannot be read for {1} ({2}), so that nobody watches what this run is to be stopped for",
        "探针 {0} 持续 {1} 无法读取（{2}），停止条件无人监视",
    ),
    ("probe {0} has been {1} for {2}", "探针 {0} 持续{1} {2}"),
    ("probe {0} did not notice the fault within {1}", "探针 {0} 在 {1} 内未发现故障"),
    ("the steady state was not reached within {0}: {1}", "{0} 内未达到稳态：{1}"),
    ("{0} repaired what the fault had broken; undoing it would only bring the harm back", "{0} 修复了故障造成的损坏；撤销只会使损坏重现"),
    ("{0} needs it and could not be put back", "{0} 依赖此步骤且未能还原"),
    ("the recovery was not seen within", "以下时间内未观测到恢复："),
    ("the source side was not seen to be back within", "以下时间内未观测到源侧恢复："),
    ("the steady state was not seen to return within", "以下时间内未观测到稳态恢复："),
    ("{0} was not good for long enough ({1})", "{0} 正常持续时间不足（{1}）"),
    ("{0} was not good for long enough", "{0} 正常持续时间不足"),
    ("{0} is bad ({1})", "{0} 异常（{1}）"),
    ("{0} could not be read ({1})", "{0} 无法读取（{1}）"),
    ("{0} could not be read", "{0} 无法读取"),
    ("{0} has no sample sent after the last change (one every {1})", "{0} 在最后变更之后没有样本（每 {1} 一次）"),
    ("{0} has no sample sent after the last change", "{0} 在最后变更之后没有样本"),
    ("the fault could not be injected", "无法注入故障"),
    ("the fault must not be injected now: {0}", "此刻不得注入故障：{0}"),
    ("whether the fault may be injected cannot be decided: {0}", "无法判定可否注入故障：{0}"),
    ("the failover runbook did not finish", "切换预案未能完成"),
    ("the run's budget of {0} is spent", "运行时间预算 {0} 已用尽"),
    ("the lease of the fault ran out", "故障租约到期"),
    ("the fault has stood for its limit of {0}", "故障已达上限 {0}"),
    ("the lease of the fault could not be renewed: {0}", "故障租约无法续期：{0}"),
    ("the lease of the fault was ended: {0}", "故障租约已被终止：{0}"),
    ("the journal cannot be written: {0}", "日志无法写入：{0}"),
    ("the journal can be written again; until then nothing was changed but the fault taken out", "日志恢复写入；此前除解除故障外未做任何变更"),
    ("the forecast leaves run {0} out: {1}", "预测未采用运行 {0}：{1}"),
    ("journal.jsonl, event {0}: {1}", "journal.jsonl 第 {0} 条事件：{1}"),
    ("plan.json: {0}", "plan.json：{0}"),
    (
        "made by Lifeboat {0} in version {1} of the format of {2}; this Lifeboat, {3}, reads up to {4}",
        "由 Lifeboat {0} 以 {2} 格式 {1} 版写成；本 Lifeboat {3} 最高可读 {4} 版",
    ),
    ("no space can be set aside for the journal: {0}", "无法为日志预留空间：{0}"),
    ("no more space can be set aside for the journal: {0}", "无法再为日志预留空间：{0}"),
    ("not sent: the journal cannot be written", "未发送：日志无法写入"),
    (
        "{0}; its first {1} events are used, all of it is kept in {2}; {3}; because: {4}",
        "{0}；采用其前 {1} 条事件，原文全部保存在 {2}；{3}；原因：{4}",
    ),
    ("no marks of it were found", "未发现其标记"),
    ("by its marks: {0}", "依据其标记：{0}"),
    ("somebody took the fault out while nobody ran the run", "运行无人接管期间，故障已被他人解除"),
    ("the run is ending", "运行即将结束"),
    ("its condition is false", "其条件不成立"),
    ("cut off because the run is ending", "因运行即将结束而中止"),
    ("cut off", "已中止"),
    ("not tried again: {0}", "不再重试：{0}"),
    ("{0} of {1} items failed, {2} did not run", "{1} 项中 {0} 项失败，{2} 项未执行"),
    ("{0} of {1} items failed", "{1} 项中 {0} 项失败"),
    ("all of its {0} items were done without", "其 {0} 项均未执行"),
    (
        "{0} has ended, and something that it left running still holds its output: only what was printed until then counts",
        "{0} 已结束，但其遗留的进程仍占用输出管道：仅结束前的输出有效",
    ),
    ("accepted by {0} because {1}; {2}", "由 {0} 接受现状，理由：{1}；{2}"),
    ("{0} was {1}, is {2}", "{0} 原为 {1}，现为 {2}"),
    ("what is there could not be read: {0}", "现状无法读取：{0}"),
    ("nothing of the run can go on any more; left: {0}", "运行已无法继续；剩余：{0}"),
    ("nothing matches what the step should act on", "没有与该步骤匹配的对象"),
    ("asked for at the terminal", "终端操作"),
    // Variables that weaken what is promised
    ("{0} is set, and is heeded in labs only", "已设置 {0}，但仅在模拟环境中生效"),
    ("{0} is set: {1}", "已设置 {0}：{1}"),
    ("calls to {0} go to {1}", "对 {0} 的调用发往 {1}"),
    ("calls may go through {0}", "调用可能经由 {0}"),
    ("AWS is trusted by the certificates of that file", "以该文件中的证书信任 AWS"),
    ("locks and levers of environments are kept in that folder first", "环境的锁与停止开关优先存放在该目录"),
    ("hosts are trusted by the certificates of that file", "以该文件中的证书信任主机"),
    ("hosts are trusted by the certificates of that folder", "以该目录中的证书信任主机"),
    ("whether this machine is inside of what a fault cuts off is not asked of AWS", "不向 AWS 查询本机是否位于故障将切断的范围内"),
    // What steps are at, and what is found of them after a takeover
    ("{0} of {1} running and healthy; {2}", "{1} 台中 {0} 台运行且健康；{2}"),
    ("{0} of {1} running and healthy", "{1} 台中 {0} 台运行且健康"),
    ("{0} of {1} running; {2}", "{1} 台中 {0} 台运行；{2}"),
    ("{0} of {1} running", "{1} 台中 {0} 台运行"),
    ("{0} of {1} stopped; {2}", "{1} 台中 {0} 台已停止；{2}"),
    ("{0} of {1} stopped", "{1} 台中 {0} 台已停止"),
    ("{0} of {1} accepted", "{1} 台中 {0} 台已受理"),
    ("everything is as it was to be made", "均已是所要的状态"),
    ("everything is as it was before", "均与此前一致"),
    ("it is on its way: there is nothing left to ask for, only to wait for", "变更已在途中：无需再请求，仅需等待"),
    ("it is partly done, and the rest is as it was before", "部分完成，其余与此前一致"),
    ("it is partly done, or somebody else changed it", "部分完成，或已被他人更改"),
    ("{0} was changed by someone else: expected {1}, found {2}; left as it is", "{0} 已被他人更改：应为 {1}，实为 {2}；保持原样"),
    // Marks of faults
    ("its marks cannot be signed: {0}", "无法为其标记签名：{0}"),
    ("the mark on {0}", "{0} 上的标记"),
    ("that of run {0}", "运行 {0} 的标记"),
    ("no mark", "无标记"),
    ("one that this run has not written", "并非由本次运行写入的标记"),
    // Orders of people
    ("paused", "已暂停"),
    ("going on", "继续"),
    ("doing without {0}", "跳过 {0}"),
    ("trying {0} again", "重试 {0}"),
    ("the source side is given up", "放弃源侧"),
    ("yes to {0}", "同意 {0}"),
    ("no to {0}", "拒绝 {0}"),
    // Forecasts
    ("no recovery time can be foreseen from {0}; never done there: {1,}", "无法由{0}预估恢复时间；从未在该环境执行：{1,}"),
    ("no recovery time can be foreseen from {0}", "无法由{0}预估恢复时间"),
    (
        "the recovery takes {0} by the medians of {1}, {2} by the 90th percentiles; RTO {3} is at risk, most at {4}",
        "据{1}，恢复时间中位数为 {0}，第 90 百分位为 {2}；RTO {3} 有风险，风险最大的步骤：{4}",
    ),
    (
        "the recovery takes {0} by the medians of {1}, {2} by the 90th percentiles; RTO {3} is out of reach, most at {4}",
        "据{1}，恢复时间中位数为 {0}，第 90 百分位为 {2}；RTO {3} 难以达成，风险最大的步骤：{4}",
    ),
    (
        "the recovery takes {0} by the medians of {1}, {2} by the 90th percentiles; RTO {3}",
        "据{1}，恢复时间中位数为 {0}，第 90 百分位为 {2}；RTO {3}",
    ),
    ("the recovery takes {0} by the medians of {1}, {2} by the 90th percentiles", "据{1}，恢复时间中位数为 {0}，第 90 百分位为 {2}"),
    ("{0} earlier runs in {1}", "{1} 中 {0} 次历史运行"),
    ("{0} earlier run in {1}", "{1} 中 {0} 次历史运行"),
    // Guards
    ("the credentials for {0} belong to account {1}, the environment names {2}", "{0} 的凭据属于账号 {1}，环境声明的是 {2}"),
    ("the environment names no account for {0}", "环境未声明 {0} 的账号"),
    ("the {0} account cannot be checked: {1}", "无法核对 {0} 账号：{1}"),
    ("in an emergency the cloud that is silent may be the one that fails", "应急时无应答的云可能正是故障方"),
    ("{0} of {1} approvals by other people: {2,}", "他人批准 {0}/{1}：{2,}"),
    ("{0} of {1} approvals by other people; not counted: {2,}", "他人批准 {0}/{1}；未计入：{2,}"),
    ("{0} of {1} approvals by other people", "他人批准 {0}/{1}"),
    ("approved something else: {0}", "批准的是其他内容：{0}"),
    ("it is of {0}", "批准的是 {0}"),
    ("{0} was another", "{0} 与批准时不同"),
    ("{0} was not there", "批准时没有 {0}"),
    ("{0} is not there", "{0} 已不存在"),
    ("{0} (signed with {1})", "{0}（签名密钥 {1}）"),
    ("not signed by any of `approvers`", "没有 `approvers` 中任何人的签名"),
    ("in a user namespace the owner of a file proves nothing", "在用户命名空间中，文件属主不能作为凭据"),
    ("uid {0} is one of the subordinate ids of {1}", "uid {0} 是 {1} 的从属 id"),
    ("uid {0} is no user of this system", "uid {0} 不是本系统的用户"),
    ("uid {0} stands for every user that is not known here", "uid {0} 代表所有未知用户"),
    ("whoever starts the run cannot approve it", "启动者不能批准自己的运行"),
    ("inside {0}", "在 {0} 之内"),
    ("outside {0}; opens {1}", "在 {0} 之外；下次开放 {1}"),
    ("outside {0}", "在 {0} 之外"),
    ("none of {0} freezes holds", "{0} 个封网期均未生效"),
    ("none of 1 freeze holds", "1 个封网期未生效"),
    ("all {0} actions may be used", "{0} 个动作均可使用"),
    ("all 1 action may be used", "1 个动作可以使用"),
    ("{0} is denied by {1}", "{0} 被 {1} 禁止"),
    ("{0} is not allowed", "{0} 不在允许之列"),
    ("{0} names its region only during the run", "{0} 的区域在运行时才能确定"),
    ("no region is named", "未声明区域"),
    ("{0} does not carry {1}", "{0} 未带标签 {1}"),
    ("the tags of {0} cannot be read: {1}", "无法读取 {0} 的标签：{1}"),
    ("{0} things may be acted on; the most is {1}", "可能操作 {0} 个对象；上限 {1}"),
    ("1 thing may be acted on; the most is {0}", "可能操作 1 个对象；上限 {0}"),
    ("no fault is injected", "不注入故障"),
    ("the fault stands {0} at most", "故障最长 {0}"),
    ("the fault's limit is {0}; the longest is {1}", "故障上限为 {0}；最长允许 {1}"),
    ("the fault's lease is {0}; the longest is {1}", "故障租约为 {0}；最长允许 {1}"),
    ("no other fault stands", "无其他故障生效"),
    ("no other fault is known", "未知有其他故障"),
    ("the fault of run {0} may still stand", "运行 {0} 的故障可能仍在生效"),
    ("the name was given", "已输入环境名称"),
    ("the name {0} was not given", "未输入环境名称 {0}"),
    ("asks for the name {0}", "将要求输入环境名称 {0}"),
    // Samples
    ("answered in {0} ms", "{0} 毫秒内应答"),
    ("connected in {0} ms", "{0} 毫秒内连接成功"),
    ("TLS in {0} ms", "{0} 毫秒内完成 TLS 握手"),
    ("PONG in {0} ms", "{0} 毫秒内 PONG"),
    ("SERVING in {0} ms", "{0} 毫秒内 SERVING"),
    ("no answer within its timeout", "超时无应答"),
    ("no answer within {0}", "{0} 内无应答"),
    ("newest {0} s old, allowed {1}", "最新数据已有 {0} 秒，允许 {1}"),
    ("newest {0} s old", "最新数据已有 {0} 秒"),
    ("{0} s behind, {1} missing, allowed {2}", "落后 {0} 秒，缺失 {1}，允许 {2}"),
    ("{0} s behind, {1} missing", "落后 {0} 秒，缺失 {1}"),
    ("{0} s behind, allowed {1}", "落后 {0} 秒，允许 {1}"),
    ("{0} s behind", "落后 {0} 秒"),
    ("{0} bytes behind, allowed {1}", "落后 {0} 字节，允许 {1}"),
    ("{0} bytes behind", "落后 {0} 字节"),
    ("{0} of {1} answered by the target", "{1} 次请求中 {0} 次由目标侧应答"),
    ("{0} of {1} as expected", "{0}/{1} 符合预期"),
    ("{0} of {1} good", "{0}/{1} 正常"),
    ("the answer does not contain {0}", "应答不含 {0}"),
    ("the query gives {0} series, expected none", "查询得到 {0} 个序列，预期为空"),
    ("connection refused", "连接被拒绝"),
    ("connection reset", "连接被重置"),
    ("{0} in {1} ms, allowed {2}", "{0}，{1} 毫秒，允许 {2}"),
    ("{0} in {1} ms", "{0}，{1} 毫秒"),
    ("{0}, expected {1} among them", "{0}，预期包含 {1}"),
    ("{0}, expected only {1}", "{0}，预期仅为 {1}"),
    ("{0}, expected {1}", "{0}，预期 {1}"),
    // Verdicts
    ("there is nothing to judge by: no RTO and no RPO is set", "无判定依据：未设定 RTO 或 RPO"),
    ("whether the fault was noticed was not tested: the scenario has no `detect`", "未测试故障是否被发现：演练场景未写 `detect`"),
    ("recovery was not tested: the scenario has no `recovered`", "未测试恢复：演练场景未写 `recovered`"),
    ("there is nothing to judge: no probe was confirmed down", "无可判定之事：没有探针被确认中断"),
    ("no probe watched a service: judged by its steps alone", "没有探针观测业务：仅依据各步骤判定"),
    ("{0} was down and still is", "{0} 曾中断且仍未恢复"),
    ("{0} was down when the failover was taken back, or is since", "撤回切换时 {0} 中断，或此后处于中断"),
    ("no step of the failover succeeded", "切换步骤无一成功"),
    ("no step of the failover was run", "切换步骤均未运行"),
    ("the failover changed nothing: every step that was to change something failed", "切换未做出任何变更：应做变更的步骤均失败"),
    ("the runbook was not tested as written: {0} did without {1}", "未按预案原文测试：{0} 跳过了 {1}"),
    ("what {0} made was changed since: {1}", "{0} 所做的变更此后被改动：{1}"),
    ("not known whether what {0} made is still there: {1}", "无法确认 {0} 所做的变更是否仍在：{1}"),
    ("whether the service recovered was not seen: {0}", "未能观测到业务是否恢复：{0}"),
    ("whether the steady state returned was not seen: {0}", "未能观测到稳态是否恢复：{0}"),
    (
        "cannot be told: {0} of {1}: too many samples are missing; had all of them been bad, it would not be met",
        "无法判定：{1} 的 {0}：缺失样本过多；若均为失败样本，则目标未达成",
    ),
    (
        "cannot be told: whether {0} stayed good: too many samples are missing, some of them after its recovery",
        "无法判定 {0} 是否保持正常：缺失样本过多，且部分在恢复之后",
    ),
    ("cannot be told: whether {0} went bad: too many samples are missing", "无法判定 {0} 是否异常：缺失样本过多"),
    ("objective missed: {0} of {1}", "未达成目标：{1} 的 {0}"),
    ("step {0} failed: {1}", "步骤 {0} 失败：{1}"),
    ("the service was not stable again within the time allowed: {0}", "业务未在允许时间内恢复稳定：{0}"),
    ("the service was not stable again within the time allowed", "业务未在允许时间内恢复稳定"),
    ("{0} is not put back: {1}", "{0} 未能还原：{1}"),
    ("the steady state did not return: {0} is bad at the end", "稳态未恢复：结束时 {0} 异常"),
    ("stopped by {0}: {1}", "被 {0} 停止：{1}"),
    ("the steady state was not reached, nothing was injected", "未达到稳态，未注入任何故障"),
    ("the run ended before its recovery was over", "恢复完成之前运行已结束"),
    ("the fault was not injected: {0}", "故障未注入：{0}"),
    ("the fault was injected but {0} never went bad", "故障已注入，但 {0} 始终未见异常"),
    ("cannot be told: {0} of {1} lies inside the bounds of the measurement", "无法判定：{1} 的 {0} 落在测量区间之内"),
    ("not tested: {0} of {1}", "未测试：{1} 的 {0}"),
    ("RTO with caches", "RTO（保留 DNS 应答的用户）"),
    ("nothing missing", "无缺失"),
    ("nothing doubled", "无重复"),
    // Failures
    ("not done within {0}", "{0} 内未完成"),
    ("cannot be read: {0}", "无法读取：{0}"),
    ("nothing put it back", "未执行还原"),
    ("putting it back did not end", "还原未结束"),
    ("good", "正常"),
    ("bad", "异常"),
];

/// `text` in `lang`, as far as its shape is known.
#[must_use]
pub fn phrase(text: &str, lang: Lang) -> Cow<'_, str> {
    match lang {
        Lang::En => Cow::Borrowed(text),
        Lang::Zh if text.len() > LONGEST => Cow::Borrowed(text),
        Lang::Zh => in_chinese(text, 0),
    }
}

fn in_chinese(text: &str, depth: u32) -> Cow<'_, str> {
    if let Ok(span) = text.parse::<Span>() {
        return Cow::Owned(span_in(span, Lang::Zh));
    }
    if depth > DEEPEST {
        return Cow::Borrowed(text);
    }
    for shape in shapes() {
        if let Some(parts) = shape.matched(text) {
            return Cow::Owned(shape.said(&parts, depth));
        }
    }
    // A place or a name, and what is said of it.
    for between in ["; ", ": "] {
        if let Some((first, rest)) = text.split_once(between) {
            let (one, other) = (in_chinese(first, depth + 1), in_chinese(rest, depth + 1));
            if one != first || other != rest {
                return Cow::Owned(format!("{one}{}{other}", if between == "; " { "；" } else { "：" }));
            }
        }
    }
    Cow::Borrowed(text)
}

/// A piece of a shape.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Text(&'static str),
    Part { number: usize, list: bool },
}

#[derive(Debug)]
struct Shape {
    english: Vec<Piece>,
    chinese: Vec<Piece>,
}

fn shapes() -> &'static [Shape] {
    static SHAPES: OnceLock<Vec<Shape>> = OnceLock::new();
    SHAPES.get_or_init(|| PHRASES.iter().map(|(english, chinese)| Shape { english: pieces(english), chinese: pieces(chinese) }).collect())
}

fn pieces(mut text: &'static str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some((before, rest)) = text.split_once('{') {
        let Some((part, rest)) = rest.split_once('}') else { break };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let number = part.trim_end_matches(',').parse().unwrap_or_default();
        pieces.push(Piece::Part { number, list: part.ends_with(',') });
        text = rest;
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

impl Shape {
    /// The parts of `text` by number, if it has this shape: each as short as it can be, none empty.
    fn matched<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let mut parts = vec![""; self.english.len()];
        let mut rest = text;
        for (index, piece) in self.english.iter().enumerate() {
            match piece {
                Piece::Text(word) => rest = rest.strip_prefix(word)?,
                Piece::Part { number, .. } => {
                    let end = match self.english.get(index + 1) {
                        Some(Piece::Text(word)) if index + 2 == self.english.len() => rest.strip_suffix(word)?.len(),
                        Some(Piece::Text(word)) => rest.find(word)?,
                        _ => rest.len(),
                    };
                    let (part, after) = rest.split_at(end);
                    *parts.get_mut(*number).filter(|_| !part.is_empty())? = part;
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(parts)
    }

    fn said(&self, parts: &[&str], depth: u32) -> String {
        let part = |number: &usize| parts.get(*number).copied().unwrap_or_default();
        self.chinese.iter().fold(String::new(), |said, piece| match piece {
            Piece::Text(word) => said + word,
            Piece::Part { number, list: false } => said + &in_chinese(part(number), depth + 1),
            Piece::Part { number, list: true } => {
                let items: Vec<Cow<'_, str>> = part(number).split(", ").map(|item| in_chinese(item, depth + 1)).collect();
                said + &items.join("、")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_with_parts_in_parts_are_said_in_chinese() {
        for (english, chinese) in [
            ("probe storefront is bad", "探针 storefront 异常"),
            (
                "the service was not stable again within the time allowed: storefront is bad (connection refused); orders could not be read",
                "业务未在允许时间内恢复稳定：storefront 异常（连接被拒绝）；orders 无法读取",
            ),
            ("RTO with caches", "RTO（保留 DNS 应答的用户）"),
            ("127.0.0.1:8080: connection refused", "127.0.0.1:8080：连接被拒绝"),
            ("503 Service Unavailable in 3 ms", "503 Service Unavailable，3 毫秒"),
            ("2 of 3 good; pay: no answer within 1s", "2/3 正常；pay：1 秒 内无应答"),
            ("probe checkout has been bad for 1m30s", "探针 checkout 持续异常 1 分 30 秒"),
            ("5m", "5 分钟"),
            (
                "the mark on vpc vpc-1 was changed by someone else: expected that of run r-1, found one that this run has not written; left as it is",
                "vpc vpc-1 上的标记 已被他人更改：应为 运行 r-1 的标记，实为 并非由本次运行写入的标记；保持原样",
            ),
        ] {
            assert_eq!(phrase(english, Lang::Zh), chinese);
            assert_eq!(phrase(english, Lang::En), english);
        }
    }

    #[test]
    fn what_others_said_stays_as_it_was() {
        for text in ["", "InsufficientInstanceCapacity", "a: b", "probe  is bad", "{0} is bad {1}", &"x; ".repeat(900)] {
            assert_eq!(phrase(text, Lang::Zh), text);
        }
    }

    #[test]
    fn every_shape_has_the_same_parts_in_both_languages_and_is_found_by_itself() {
        for (index, (english, chinese)) in PHRASES.iter().enumerate() {
            let numbers = |text: &'static str| {
                let mut numbers: Vec<usize> =
                    pieces(text).iter().filter_map(|piece| if let Piece::Part { number, .. } = piece { Some(*number) } else { None }).collect();
                numbers.sort_unstable();
                numbers
            };
            assert_eq!(numbers(english), numbers(chinese), "{english}");
            let example = ["aa", "bb", "cc", "dd", "ee"].iter().enumerate().fold((*english).to_owned(), |text, (number, word)| {
                text.replace(&format!("{{{number}}}"), word).replace(&format!("{{{number},}}"), word)
            });
            let first = shapes().iter().position(|shape| shape.matched(&example).is_some());
            assert_eq!(first, Some(index), "{english} is hidden by {:?}", first.map(|first| PHRASES[first].0));
        }
    }
}
