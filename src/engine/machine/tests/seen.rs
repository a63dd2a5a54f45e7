//! What is seen of a service counts when it was sent after the last change, and only then.

use super::*;
use crate::model::event::run::{Awaited, Lack};
use crate::model::state::Unseen;

fn sampled_every(seconds: u64, id: &str) -> ProbePlan {
    ProbePlan {
        while_bad: None,
        id: id.into(),
        title: Text::default(),
        uses: "toy".into(),
        with: json!({}),
        every: Span::from_secs(seconds),
        timeout: Span::from_secs(1),
        bad_after: 1,
        good_after: 1,
        service: true,
        on_duty: false,
        clients: Default::default(),
    }
}

/// Detected by `p`; `q`, with a sample every 20 s, says whether it recovered.
fn two_probes(steps: Vec<StepPlan>) -> Plan {
    let mut plan = plan(steps);
    plan.probes = vec![sampled_every(1, "p"), sampled_every(20, "q")];
    plan.recovered = Some(Recovered { probes: vec!["q".into()], stable_for: Span::from_secs(5), timeout: Span::from_secs(60) });
    plan
}

impl Rig {
    /// Up to the moment the failover begins, at 5 s. Of the `silent` no sample is sent after the first.
    fn begins(plan: Plan, silent: &[&'static str]) -> Self {
        let mut rig = Self::new(plan);
        rig.feed(Input::Start);
        ["q", "p"].into_iter().for_each(|probe| rig.shows(probe, ProbeState::Good));
        rig.at(3);
        rig.silent = silent.to_vec();
        rig.now = 5;
        rig.probe(ProbeState::Bad);
        rig
    }

    fn lacks(&self) -> Vec<(Awaited, &str, Lack, &str)> {
        let of = |unseen: &'_ Unseen| unseen.of;
        self.state.unseen.iter().flat_map(|unseen| unseen.lacking.iter().map(move |one| (of(unseen), &*one.probe, one.why, &*one.detail))).collect()
    }
}

#[test]
fn a_probe_that_was_good_before_the_last_change_counts_from_its_next_good_sample_on() {
    let mut rig = Rig::begins(two_probes(vec![step("a", &[])]), &["q"]);
    assert!(rig.log.ends_with(&["Verify".to_owned(), "ask q after 5".to_owned()]), "{:?}", rig.log);
    (6..20).for_each(|now| rig.at(now));
    assert!(rig.undone().is_empty(), "since before the fault says nothing: {:?}", rig.log);
    rig.silent.clear();
    (20..25).for_each(|now| rig.at(now));
    assert!(rig.undone().is_empty(), "stable for 5 s from its first good sample on: {:?}", rig.log);
    rig.at(25);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
}

#[test]
fn a_good_sample_that_was_told_before_anybody_asked_for_it_counts() {
    let mut rig = Rig::new(two_probes(vec![step("a", &[]), StepPlan { uses: "toy.read".into(), ..step("b", &["a"]) }]));
    rig.hang.push("failover/b");
    rig.feed(Input::Start);
    ["q", "p"].into_iter().for_each(|probe| rig.shows(probe, ProbeState::Good));
    rig.at(3);
    rig.silent.push("q");
    rig.now = 5;
    rig.probe(ProbeState::Bad);
    // Confirmed, and therefore told, while the last step still reads; the samples in a row began before the last change.
    rig.now = 6;
    let good =
        Streak { first_sent: Duration::from_secs(4), since: Duration::from_secs(4), ..Streak::of(Duration::from_secs(6), Duration::from_secs(6)) };
    rig.show("q", Standing { state: Some(ProbeState::Good), since: Duration::from_secs(6), good: Some(good), ..Standing::default() });
    rig.feed(Input::Applied("failover/b".into(), Ok(Applied::changed(json!({}))), None));
    rig.at(10);
    assert!(rig.undone().is_empty());
    rig.at(11);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
}

#[test]
fn a_runbook_that_only_reads_recovers_nothing_from_a_fault_that_stands() {
    let note = StepPlan { uses: "toy.read".into(), ..step("note", &[]) };
    let mut rig = Rig::begins(two_probes(vec![note]), &["q"]);
    (6..20).for_each(|now| rig.at(now));
    rig.now = 20;
    rig.shows("q", ProbeState::Bad);
    (21..65).for_each(|now| rig.at(now));
    assert!(rig.undone().is_empty());
    rig.at(65);
    assert_eq!(rig.undone(), ["fault"]);
    assert_eq!(rig.lacks(), [(Awaited::Recovery, "q", Lack::Bad, "Bad")]);
}

#[test]
fn what_cannot_be_read_since_the_fault_is_not_recovered_and_what_sends_no_sample_neither() {
    let mut rig = Rig::begins(two_probes(vec![step("a", &[])]), &[]);
    rig.blinds("q");
    (6..66).for_each(|now| rig.at(now));
    assert_eq!(rig.lacks(), [(Awaited::Recovery, "q", Lack::Unread, "no such host")]);

    let mut rig = Rig::begins(two_probes(vec![step("a", &[])]), &["q"]);
    (6..66).for_each(|now| rig.at(now));
    assert_eq!(rig.lacks(), [(Awaited::Recovery, "q", Lack::Unsampled, "20s")]);
}

#[test]
fn a_sample_that_could_not_tell_begins_the_stable_time_anew() {
    let mut rig = Rig::begins(plan(vec![step("a", &[])]), &[]);
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.at(14);
    rig.blinds("p");
    rig.at(20);
    assert!(rig.undone().is_empty());
    rig.now = 21;
    rig.probe(ProbeState::Good);
    (22..26).for_each(|now| rig.at(now));
    assert!(rig.undone().is_empty());
    rig.at(26);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
}

#[test]
fn a_service_of_which_the_last_samples_have_no_answer_yet_is_not_stable() {
    let mut plan = two_probes(vec![step("a", &[])]);
    plan.recovered = Some(Recovered { probes: vec!["p".into()], stable_for: Span::from_secs(5), timeout: Span::from_secs(60) });
    let mut rig = Rig::begins(plan, &[]);
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.silent.push("p");
    rig.at(15);
    assert!(rig.undone().is_empty() && rig.log.contains(&"ask p after 14".to_owned()), "{:?}", rig.log);
    rig.silent.clear();
    rig.at(16);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
}

#[test]
fn an_undo_that_breaks_the_service_is_not_seen_in_what_was_good_before_it() {
    let mut rig = Rig::begins(plan(vec![step("a", &[])]), &[]);
    rig.hang.push("undo failover/a");
    rig.now = 10;
    rig.probe(ProbeState::Good);
    (11..16).for_each(|now| rig.at(now));
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
    rig.at(17);
    rig.silent.push("p");
    rig.feed(Input::Undone("failover/a".into(), Ok(Undone::Restored)));
    assert!(!rig.machine.has_ended() && rig.log.contains(&"ask p after 17".to_owned()), "{:?}", rig.log);
    rig.now = 18;
    rig.probe(ProbeState::Bad);
    (19..48).for_each(|now| rig.at(now));
    assert_eq!(rig.lacks(), [(Awaited::Normal, "p", Lack::Bad, "Bad")]);
    assert!(rig.machine.has_ended());
}

#[test]
fn the_source_side_is_back_when_a_sample_sent_after_the_fault_says_so() {
    let mut plan = two_probes(vec![step("a", &[])]);
    plan.recovered = Some(Recovered { probes: vec!["p".into()], stable_for: Span::from_secs(5), timeout: Span::from_secs(60) });
    plan.source = Some(Source { probes: vec!["q".into()], timeout: Span::from_secs(30) });
    let mut rig = Rig::begins(plan, &["q"]);
    rig.now = 10;
    rig.probe(ProbeState::Good);
    (11..36).for_each(|now| rig.at(now));
    assert_eq!(rig.undone(), ["fault"], "`q` was good before the fault and has said nothing since it was taken out");
    rig.silent.clear();
    rig.at(36);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
    assert_eq!(rig.lacks(), []);
}

#[test]
fn a_failover_that_stays_is_looked_at_once_more_after_the_fault_is_out() {
    let mut rig = Rig::begins(Plan { leave: true, ..plan(vec![step("a", &[])]) }, &[]);
    rig.hang.push("undo fault");
    rig.now = 10;
    rig.probe(ProbeState::Good);
    (11..17).for_each(|now| rig.at(now));
    rig.silent.push("p");
    rig.feed(Input::Undone("fault".into(), Ok(Undone::Restored)));
    assert!(!rig.machine.has_ended());
    rig.now = 17;
    rig.probe(ProbeState::Bad);
    (18..77).for_each(|now| rig.at(now));
    assert_eq!(rig.lacks(), [(Awaited::Normal, "p", Lack::Bad, "Bad")]);
    assert!(rig.machine.has_ended());
}

fn watched(is: ProbeState, plan: Plan) -> Plan {
    Plan { stop_conditions: vec![StopCondition { probe: "q".into(), is, lasts: Span::from_secs(30) }], ..plan }
}

#[test]
fn nothing_is_injected_while_a_stop_condition_holds_or_cannot_be_read() {
    let stopped = |prepare: fn(&mut Rig), is: ProbeState, at: u64| {
        let mut rig = Rig::new(watched(is, plan(vec![step("a", &[])])));
        rig.feed(Input::Start);
        rig.probe(ProbeState::Good);
        prepare(&mut rig);
        (1..=at).for_each(|now| rig.at(now));
        assert!(!rig.log.iter().any(|line| line.starts_with("fault")), "{:?}", rig.log);
        let stop = rig.state.stops.first().expect("it is stopped");
        assert!(stop.abort && stop.by == "stop-condition");
        stop.why.clone()
    };
    let already = "probe q is bad already, for which this run would be stopped; nothing was injected";
    assert_eq!(stopped(|rig| rig.shows("q", ProbeState::Bad), ProbeState::Bad, 3), already);
    assert_eq!(stopped(|rig| rig.shows("q", ProbeState::Good), ProbeState::Good, 3), already.replace("bad", "good"));
    let unwatched = "so that nobody watches what this run is to be stopped for";
    assert_eq!(stopped(|_| {}, ProbeState::Bad, 30), format!("probe q has not answered yet, {unwatched}; nothing was injected"));
    let unread = stopped(|rig| rig.blinds("q"), ProbeState::Bad, 30);
    assert_eq!(unread, format!("probe q cannot be read (no such host), {unwatched}; nothing was injected"), "a first number may be late");
}

#[test]
fn a_stop_condition_that_is_clear_late_is_waited_for_and_one_that_goes_blind_stops_the_run() {
    let mut rig = Rig::new(watched(ProbeState::Bad, plan(vec![step("a", &[])])));
    rig.hang.push("failover/a");
    rig.feed(Input::Start);
    rig.probe(ProbeState::Good);
    (1..10).for_each(|now| rig.at(now));
    assert!(!rig.log.contains(&"fault intended".to_owned()));
    rig.shows("q", ProbeState::Good);
    assert!(rig.log.contains(&"fault intended".to_owned()), "{:?}", rig.log);
    rig.now = 12;
    rig.probe(ProbeState::Bad);
    rig.blinds("q");
    (13..42).for_each(|now| rig.at(now));
    assert!(rig.undone().is_empty());
    rig.at(42);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
    assert!(rig.state.stops[0].why.starts_with("probe q cannot be read for 30s (no such host)"), "{:?}", rig.state.stops);
}

#[test]
fn the_snapshot_is_read_when_it_is_steady_and_again_if_that_was_not_for_long() {
    let mut rig = Rig::new(plan(vec![step("a", &[])]));
    rig.hang.push("read fault");
    rig.feed(Input::Start);
    rig.probe(ProbeState::Bad);
    rig.at(2);
    let reads = |rig: &Rig| rig.log.iter().filter(|line| line.starts_with("read ")).count();
    assert_eq!(reads(&rig), 0, "somebody else's fault is nobody's baseline");
    rig.probe(ProbeState::Good);
    rig.at(5);
    assert_eq!(reads(&rig), 2, "fault and step");
    rig.now = 6;
    rig.probe(ProbeState::Bad);
    rig.answer_reading("fault");
    assert!(rig.state.snapshot.is_empty(), "it was not steady any more when it was read");
    rig.now = 8;
    rig.probe(ProbeState::Good);
    rig.hang.clear();
    rig.at(11);
    assert_eq!(reads(&rig), 4);
    let known: Vec<&String> = rig.state.snapshot.iter().map(|(key, _)| key).collect();
    assert_eq!(known, ["failover/a", "fault"]);
}

#[test]
fn what_the_way_back_did_to_something_of_its_own_is_compared_too() {
    let each = ForEach { items: json!(["x", "y"]), concurrency: 1 };
    let back = StepPlan { for_each: Some(each), ..step("b", &[]) };
    let mut rig = Rig::begins(Plan { failback: Some(book(vec![back])), ..plan(vec![step("a", &[])]) }, &[]);
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.differs.push("failback/b[1]");
    (11..60).for_each(|now| rig.at(now));
    let found = rig.state.baseline.as_ref().expect("it was compared");
    assert_eq!(found.same, ["failback/b[0]", "failover/a", "fault"]);
    assert_eq!(found.differences.iter().map(|one| one.step.as_str()).collect::<Vec<_>>(), ["failback/b[1]"]);
}
