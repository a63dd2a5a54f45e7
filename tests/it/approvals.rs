//! Approvals and manual steps: answered beforehand, on the terminal, from another one, by nobody.

use serde_json::json;

use crate::common::{folder, last_json, text, until};
use crate::pty::Terminal;
use crate::workplace::{UNJUDGED, Workplace, said, starter};

const GO: &str = "{ id: go, title: { en: Go ahead, zh: 批准切换 }, uses: approval, with: { text: May the shop move?, approvers: 2, of: [STARTER, bob, eve] }, timeout: 2m }";
const HAND: &str = "{ id: hand, uses: manual, needs: [go], with: { text: Throw the switch }, timeout: 2m }";
const START: &str =
    "{ id: start, uses: aws.ec2.start-instances, needs: [hand], with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }";

fn place() -> Workplace {
    Workplace::with_steps(&[&GO.replace("STARTER", &starter()), HAND, START])
}

const EXECUTE: [&str; 4] = ["execute", "over.yaml", "--env", "lab"];

/// The emergency on a terminal.
fn on_a_terminal(place: &Workplace, more: &[&str]) -> Terminal {
    let mut terminal = Terminal::run(&place.command(&[&EXECUTE[..], &["--lab", place.lab.control()], more].concat()));
    terminal.await_after(0, "When did the disruption begin?");
    terminal.type_in("\n");
    terminal.await_after(0, "Begin? y yes");
    terminal.type_in("y\n");
    terminal
}

#[test]
fn without_a_terminal_and_without_answers_nothing_begins() {
    let place = place();
    let execute = |approvals: &[&str]| {
        let given = approvals.iter().flat_map(|one| ["--approve", one]);
        place.see_through(&EXECUTE.into_iter().chain(given).collect::<Vec<_>>())
    };
    let unanswered = "there is no terminal to answer on; nothing was changed";
    said(&execute(&[]), 64, &["failover/go, failover/hand will ask", unanswered, "--approve STEP=NAME"]);
    let own = format!("go={}", starter());
    for too_few in
        [&["go=bob", "hand"][..], &["go=bob", "go=bob", "hand"], &["go=bob", &own, "hand"], &["go", "go=bob", "hand"], &["go=bob", "go=carl", "hand"]]
    {
        said(&execute(too_few), 64, &["failover/go will ask", unanswered]);
    }
    said(&execute(&["go=bob", "go=eve"]), 64, &["failover/hand will ask", unanswered]);
    said(&execute(&["go=", "hand"]), 64, &["--approve go=: a name is missing"]);
    said(&execute(&["failover/goo=bob"]), 64, &["no step `failover/goo` asks anything", "did you mean `failover/go`?"]);
    assert!(place.runs().is_empty());
    place.is_as_before();
}

#[test]
fn answers_given_beforehand_are_recorded_by_name_and_reported() {
    let place = place();
    let output = place.see_through(&[&EXECUTE[..], &["--approve", "failover/go=bob", "--approve", "go=eve", "--approve", "hand"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answers: Vec<_> = place.all("answered").into_iter().map(|line| (line["step"].clone(), line["by"].clone(), line["note"].clone())).collect();
    let beforehand = |step: &str, by: &str| (json!(step), json!(by), json!("given beforehand"));
    assert_eq!(answers, [beforehand("failover/go", "bob"), beforehand("failover/go", "eve"), beforehand("failover/hand", &starter())]);
    assert_eq!(place.await_step("failover/go", "applied")["output"], json!({ "by": ["bob", "eve"] }));
    let (english, chinese) = (place.report("report.en.md"), place.report("report.zh.md"));
    assert!(
        english.contains("**People.**")
            && english.contains("● approved: Go ahead `failover/go` | `eve` (so called; it came from user `")
            && english.contains("| given beforehand"),
        "{english}"
    );
    assert!(chinese.contains("**人员。**") && chinese.contains("● 批准：批准切换 `failover/go` | `eve`（自称；实际来自用户 `"), "{chinese}");
    assert!(english.contains("waiting for people: 0.0") && english.contains("machine time: "), "{english}");
    place.take_back();
}

#[test]
fn a_rehearsal_answers_itself_and_says_so() {
    let place = place();
    let output = place.see_through(&["drill", "drill.yaml"]);
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    place.is_as_before();
    let answers = place.all("answered");
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|line| line["simulated"] == true && line["by"] == "rehearsal"), "{answers:?}");
    assert!(place.report("report.en.md").contains("● approved (simulated): Go ahead"));
    assert!(place.report("report.zh.md").contains("● 批准（模拟）：批准切换"));
}

#[test]
fn approvers_answer_from_their_own_terminals_and_whoever_started_it_does_not_count() {
    let place = place();
    let mut terminal = on_a_terminal(&place, &[]);
    place.await_step("failover/go", "asked");
    terminal.await_text("y yes · n no   failover/go: May the shop move?");
    terminal.type_and_see("y", &format!("{} started the run: failover/go needs somebody else's word", starter()));
    said(&place.ctl(&["answer", "go", "yes", "--as", "mallory"]), 69, &[&format!("only {}, bob, eve may answer failover/go", starter())]);
    said(&place.ctl(&["answer", "hand", "yes"]), 69, &["failover/hand asks nothing; these do: failover/go"]);
    place.order(&["answer", "go", "yes", "--reason", "seen the graphs"]);
    said(&place.ctl(&["answer", "go", "yes"]), 69, &["bob has answered failover/go already"]);
    let status = text(&place.ctl(&["status"]).stdout);
    assert!(status.contains("failover/go waits for approval, 2 people: May the shop move? (so far bob)"), "{status}");
    assert!(status.contains(&format!("lifeboat ctl {} answer failover/go yes", place.run_id())), "{status}");
    place.order(&["answer", "failover/go", "yes", "--as", "eve"]);
    place.await_step("failover/hand", "asked");
    terminal.await_text("y done · n no   failover/hand: Throw the switch");
    terminal.type_in("y");
    assert_eq!(terminal.end(), Some(0), "{}", terminal.shown());
    let by: Vec<_> = place.all("answered").into_iter().map(|line| line["by"].clone()).collect();
    assert_eq!(by, [json!("bob"), json!("eve"), json!(starter())], "who does not count is not on record");
    assert!(place.report("report.en.md").contains(&format!("`bob` (so called; it came from user `{}`) | seen the graphs", starter())));
    place.take_back();
}

#[test]
fn a_no_ends_it_with_who_said_it_and_why() {
    let place = place();
    let mut terminal = on_a_terminal(&place, &["--approve", "go=bob", "--approve", "go=eve"]);
    place.await_step("failover/hand", "asked");
    terminal.await_text("y done · n no");
    terminal.type_and_see("n", "no to failover/hand, because: _");
    terminal.type_and_see("the switch is locked", "because: the switch is locked_");
    terminal.type_in("\r");
    assert_eq!(terminal.end(), Some(2), "{}", terminal.shown());
    assert_eq!(place.await_step("failover/hand", "failed")["failure"]["message"], format!("{} said no: the switch is locked", starter()));
    assert!(!place.has("failover/start", "started"));
    for (report, no) in [("report.en.md", "▲ said no"), ("report.zh.md", "▲ 拒绝")] {
        let report = place.report(report);
        assert!(report.contains(no) && report.contains("the switch is locked"), "{report}");
    }
    place.is_as_before();
}

#[test]
fn nobody_answering_in_time_fails_the_step() {
    let place = Workplace::with_steps(&["{ id: go, uses: approval, with: { text: Now? }, timeout: 1s }"]);
    let mut terminal = on_a_terminal(&place, &[]);
    assert_eq!(terminal.end(), Some(2), "{}", terminal.shown());
    assert_eq!(place.await_step("failover/go", "failed")["failure"]["message"], "not done within 1s");
    said(&place.ctl(&["answer", "go", "yes"]), 69, &["is not running"]);
    assert!(place.report("report.en.md").contains("▲ nobody answered in time"));
}

#[test]
fn who_has_answered_an_interrupted_run_is_not_asked_again_when_it_goes_on() {
    let place = place();
    let mut terminal = on_a_terminal(&place, &[]);
    place.await_step("failover/go", "asked");
    place.order(&["answer", "go", "yes"]);
    terminal.kill();
    let nowhere = folder();
    said(&place.run(&["resume", "latest", "--reports", nowhere.path().to_str().unwrap()]), 64, &["there is no run yet"]);
    said(&place.run(&["resume", "latest", "--approve", "start"]), 64, &["no step `start` asks anything"]);
    let output = place.run(&["resume", "latest", "--approve", "go=eve", "--approve", "hand", "--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(last_json(&output)["verdict"], "pass", "what it started runs");
    until("the answers", || (place.all("answered").len() == 4).then_some(()));
    assert_eq!(place.await_step("failover/go", "applied")["output"], json!({ "by": ["bob", "eve"] }));
    let report = place.report("report.en.md");
    assert!(report.contains(&format!("Took over to go on | `{}`", starter())) && report.contains("run by nobody"), "{report}");
    place.take_back();
}
