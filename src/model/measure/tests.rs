//! The sample runs measured by hand, and the rules at their edges.

use serde_json::json;

use super::*;
use crate::model::event::probe::ProbeKind;
use crate::model::event::run::{Awaited, Lack, Lacking};
use crate::model::event::samples::{self, Script, t};
use crate::model::event::step::StepKind;
use crate::model::event::{Event, RunEvent};
use crate::model::failure::{Failure, FailureKind};
use crate::model::interval::MILLISECOND;
use crate::model::plan::{Mode, ProbeState, Stage, Verdict};

pub(super) fn measured(events: &[Event]) -> (RunState, Measures) {
    let state = RunState::from_events(events).unwrap();
    let measures = Measures::of(&state);
    (state, measures)
}

/// The verdict of a run without its last event.
pub(super) fn verdict_of(events: &[Event]) -> (Verdict, Vec<String>) {
    let cut =
        if matches!(events.last().unwrap().body, crate::model::event::Body::Run(RunEvent::Ended { .. })) { events.len() - 1 } else { events.len() };
    verdict(&events[..cut])
}

fn likely_length(measured: Measured) -> i64 {
    match measured {
        Measured::Known(length) => length.likely,
        Measured::AtLeast(_) => panic!("it ended"),
    }
}

pub(super) const fn ms(millis: i64) -> i64 {
    millis * MILLISECOND
}

#[test]
fn the_shift_is_seen_by_its_share_and_by_name_servers() {
    let (_, measures) = measured(&samples::shifted());
    let traffic = measures.traffic.unwrap();
    // The last reading below 95 % was sent at 15.792 s, the first of 95 % done at 16.105 s; all of it from 17 s on.
    assert_eq!(measures.instants.moved, Some(Moment::between(t(15_792), t(16_105))));
    assert_eq!((traffic.moved, traffic.drained), (measures.instants.moved, Some(Moment::between(t(16_097), t(17_000)))));
    assert!(traffic.has_moved());
    let split = measures.split.unwrap();
    assert_eq!(split.total(), likely_length(measures.outages["storefront"].duration()), "the phases still sum to the recovery time");
    let spread = &measures.propagations["names"];
    let millis = |server: &str| spread.servers[server].map(|took| [took.lo / 1_000_000, took.hi / 1_000_000]);
    assert_eq!(millis("ns1.example.com 192.0.2.1:53"), Some([0, 1000]));
    assert_eq!(millis("198.18.0.53:53"), Some([1992, 2305]));
    assert_eq!(millis("198.18.0.54:53"), None);
    assert_eq!((spread.ttl_s, spread.stale(), spread.beyond_ttl()), (Some(60), 1, Some(1)));
}

#[test]
fn a_replica_has_caught_up_some_time_after_the_last_change() {
    let (_, measures) = measured(&samples::success());
    // The lag was good again between 19.492 s and 20 s; the last change was accepted at 13.8 s.
    assert_eq!(measures.caught_up("orders"), Some(Length::new(ms(5692), ms(6200))));
    assert_eq!(measures.caught_up("storefront"), None, "it is no replica");
}

#[test]
fn recovery_time_runs_from_raw_edge_to_raw_edge() {
    let (state, measures) = measured(&samples::success());
    let outage = measures.outages["storefront"];
    assert_eq!(outage.down, Moment::between(t(4605), t(5010)));
    assert_eq!(outage.up, Some(Moment::between(t(17_605), t(18_010))));
    assert_eq!(outage.rta(), Measured::Known(Length::new(ms(12_595), ms(13_405))));
    assert_eq!(measures.outages.keys().collect::<Vec<_>>(), ["orders", "storefront"], "checkout stayed good");
    assert_eq!(
        services_json(&state, &measures),
        json!({"storefront": {
            "down": ["2026-11-22T23:27:15.605000000Z", "2026-11-22T23:27:16.010000000Z"],
            "up": ["2026-11-22T23:27:28.605000000Z", "2026-11-22T23:27:29.010000000Z"],
            "rta_ms": [12595, 13405],
            "clients": ["resolves-anew"],
            "vantage_points": 1,
            "rta_with_caches_ms": 73405
        }})
    );
}

#[test]
fn phases_sum_to_the_midpoint_of_the_recovery_time() {
    let (_, measures) = measured(&samples::success());
    let split = measures.split.unwrap();
    assert_eq!(split.parts, [602_500_000, ms(20), ms(8370), ms(2300), 1_707_500_000]);
    assert_eq!(split.total(), ms(13_000));
    assert!(!split.open);
    assert_eq!(measures.primary.as_deref(), Some("storefront"));
}

#[test]
fn exposure_is_the_largest_lag_after_the_fault_plus_what_could_go_unseen() {
    let (_, measures) = measured(&samples::success());
    let exposure = measures.exposures["orders"];
    // Read as 2.4 s by a reading that was sent at 6.992 s; the next one was done at 7.5 s.
    assert_eq!(exposure.peak, Length { lo: ms(2400), hi: ms(2908), likely: ms(2650) });
    assert_eq!((exposure.last_ms, exposure.counts.missing, exposure.before_fault), (300, Some(0), false));
}

#[test]
fn availability_counts_until_the_recovery_was_over() {
    let (_, measures) = measured(&samples::success());
    let storefront = measures.availability["storefront"];
    assert_eq!((storefront.tally.good, storefront.tally.bad, storefront.tally.late), (75, 65, 1));
    assert_eq!((storefront.lo_ppm, storefront.hi_ppm), (535_714, 535_714));
    assert!(measures.availability["orders"].lo_ppm < measures.availability["orders"].hi_ppm, "one sample could not tell");
}

#[test]
fn instants_of_a_run_that_went_well() {
    let (_, measures) = measured(&samples::success());
    let instants = measures.instants;
    assert_eq!(instants.fault, Some(Moment::between(t(4150), t(5300))));
    assert_eq!(instants.detected, Some(Moment::exact(t(5410))));
    assert_eq!(instants.acted, Some(Moment::exact(t(13_800))));
    assert_eq!(instants.verified, Some(Moment::exact(t(28_020))));
    assert_eq!(instants.normal, Some(Moment::exact(t(34_800))));
}

#[test]
fn a_run_that_went_well_passes() {
    assert_eq!(verdict_of(&samples::success()), (Verdict::Pass, Vec::new()));
}

#[test]
fn a_service_that_came_back_with_the_healed_fault_was_not_recovered() {
    let (state, measures) = measured(&samples::failure());
    let outage = measures.outages["storefront"];
    assert_eq!(outage.rta(), Measured::AtLeast(ms(66_100 - 5010)));
    assert!(measures.split.as_ref().unwrap().open);
    assert_eq!(services_json(&state, &measures)["storefront"]["rta_ms"], json!([62_590, 63_405]), "the outage itself is known");
    let (verdict, reasons) = verdict_of(&samples::failure());
    assert_eq!(verdict, Verdict::Fail);
    assert_eq!(
        reasons,
        [
            "objective missed: RTO of storefront",
            "objective missed: RPO of orders",
            "step failover/start-standby failed: ec2:StartInstances was refused: UnauthorizedOperation | no\npermission",
            "failover/share-image is not put back: image ami-1 was changed by someone else: expected shared with 444455556666, found private; left as it is",
        ]
    );
}

#[test]
fn an_abort_is_no_failure_while_nothing_was_missed() {
    assert_eq!(verdict_of(&samples::aborted()), (Verdict::Aborted, vec!["stopped by signal: interrupted from the keyboard".to_owned()]));
    let (_, measures) = measured(&samples::aborted());
    assert_eq!(measures.outages["storefront"].clock, 8_400_000, "another process took over: twice 4.2 ms");
}

#[test]
fn the_time_between_a_crash_and_its_abort_is_nobodys_outage() {
    let mut events = samples::success();
    // The process is gone while the service is down; an hour later somebody aborts.
    let back = events.iter().position(|event| matches!(&event.body, crate::model::event::Body::Probe(probe) if matches!(&probe.kind, crate::model::event::probe::ProbeKind::Edge { to: ProbeState::Good, .. }))).unwrap();
    events.truncate(back);
    let mut taken = events.last().unwrap().clone();
    (taken.seq, taken.epoch, taken.at) = (taken.seq + 1, 2, t(3_600_000));
    taken.body =
        crate::model::event::Body::Run(RunEvent::Resumed { to: "resume".to_owned(), by: String::new(), patience: None, tool: String::new() });
    events.push(taken);
    let last = RunState::from_events(&events[..back]).unwrap().at.unwrap();
    let (state, measures) = measured(&events);
    let Measured::AtLeast(lo) = measures.outages["storefront"].rta() else { panic!("it is not over") };
    assert!(lo <= last.nanos_since(t(0)), "{lo}");
    let leftovers = leftovers(&state).into_iter().map(|(step, why)| Reason::Leftover { step, why });
    let (_, reasons) = judge(&state, &measures);
    assert_eq!(reasons, leftovers.collect::<Vec<_>>(), "nothing but what is not put back yet");
}

#[test]
fn an_abort_does_not_hide_a_missed_objective() {
    let mut events = samples::failure();
    let stop = RunEvent::StopRequested { abort: true, why: "enough".to_owned(), by: "signal".to_owned() };
    let at = events.iter().position(|event| matches!(event.body, crate::model::event::Body::Run(RunEvent::Stage { stage: Stage::Cleanup }))).unwrap();
    let mut inserted = events[at].clone();
    inserted.body = crate::model::event::Body::Run(stop);
    events.insert(at, inserted);
    for (index, event) in events.iter_mut().enumerate() {
        event.seq = index as u64 + 1;
    }
    assert_eq!(verdict_of(&events).0, Verdict::Fail);
}

#[test]
fn an_emergency_counts_from_the_declared_beginning() {
    let (_, measures) = measured(&samples::emergency());
    let outage = measures.outages["storefront"];
    assert_eq!(outage.basis, Basis::Declared);
    // Declared at 23:20:00, seven minutes and eleven seconds before the start, by somebody's clock: twice 4.2 ms are between it and this one.
    assert_eq!(outage.rta(), Measured::Known(Length::new(ms(431_000 + 15_605), ms(431_000 + 16_010)).widened(8_400_000)));
    assert_eq!(verdict_of(&samples::emergency()).0, Verdict::Fail, "the RTO is 60 s");
}

/// A drill up to the end of the stage `verify` in which the storefront's samples are what `edges` says.
pub(super) fn drill(plan: serde_json::Value, script: impl FnOnce(&mut Script)) -> Vec<Event> {
    let mut run = Script::new(serde_json::from_value(plan).unwrap());
    run.at(10).stage(Stage::SteadyState).at(1000).changed("storefront", ProbeState::Good, "200").changed("checkout", ProbeState::Good, "200");
    run.at(2000).stage(Stage::Inject).started("fault", 1).at(2010).intended("fault", "x", json!({}), json!({}), Vec::new());
    run.at(2100).applied("fault", 1, None, false).stage(Stage::Detect);
    script(&mut run);
    run.events
}

pub(super) fn plain_plan() -> serde_json::Value {
    let mut plan = serde_json::to_value(samples::plan(Mode::Rehearse)).unwrap();
    plan["objectives"] = json!({"storefront": {"rto": "60s"}});
    plan
}

pub(super) fn recover(run: &mut Script, up: u64) {
    run.stage(Stage::Decide).run(RunEvent::Decided { by: "automation".to_owned(), basis: String::new() }).stage(Stage::Failover);
    run.edge("storefront", ProbeState::Good, up - 200, up, "200").at(up + 800).changed("storefront", ProbeState::Good, "200").stage(Stage::Verify);
    run.at(up + 10_100).tally("storefront", 10, up + 10_100, [70, 20, 0, 0]).stage(Stage::Cleanup).undone(
        "fault",
        (crate::model::call::Cloud::Aws, "x:Y"),
        false,
    );
}

pub(super) fn down(run: &mut Script, at: u64) {
    run.edge("storefront", ProbeState::Bad, at - 200, at, "refused").at(at + 400).changed("storefront", ProbeState::Bad, "refused");
}

#[test]
fn a_bound_that_crosses_the_objective_is_inconclusive() {
    let mut plan = plain_plan();
    plan["objectives"]["storefront"]["rto"] = json!("10s");
    let run = |up| {
        drill(plan.clone(), |run| {
            down(run, 2500);
            recover(run, up);
        })
    };
    // RTA is up - 2500 ± 200 ms.
    assert_eq!(verdict_of(&run(12_300)).0, Verdict::Pass);
    assert_eq!(verdict_of(&run(12_301)).0, Verdict::Inconclusive, "its upper bound is 10.001 s");
    assert_eq!(verdict_of(&run(12_700)).0, Verdict::Inconclusive);
    assert_eq!(verdict_of(&run(12_701)), (Verdict::Fail, vec!["objective missed: RTO of storefront".to_owned()]));
}

#[test]
fn a_fault_that_nobody_saw_is_inconclusive() {
    let events = drill(plain_plan(), |run| {
        run.at(62_100).run(RunEvent::StopRequested { abort: true, why: "storefront did not go bad within 60s".to_owned(), by: "engine".to_owned() });
        run.stage(Stage::Cleanup).undone("fault", (crate::model::call::Cloud::Aws, "x:Y"), false);
    });
    assert_eq!(verdict_of(&events), (Verdict::Inconclusive, vec!["the fault was injected but storefront never went bad".to_owned()]));
}

#[test]
fn a_single_bad_sample_is_no_outage_and_flapping_is_one() {
    let events = drill(plain_plan(), |run| {
        // One bad sample, then enough good ones; then two bad, one good, and down.
        run.edge("storefront", ProbeState::Bad, 2200, 2400, "slow").edge("storefront", ProbeState::Good, 2400, 2600, "200");
        run.edge("storefront", ProbeState::Bad, 4000, 4200, "refused").edge("storefront", ProbeState::Good, 4400, 4600, "200");
        down(run, 4800);
        recover(run, 9000);
    });
    let (_, measures) = measured(&events);
    assert_eq!(measures.outages["storefront"].down, Moment::between(t(4000), t(4200)));
    assert_eq!(verdict_of(&events).0, Verdict::Pass);
}

#[test]
fn a_second_outage_before_the_end_belongs_to_the_first() {
    let events = drill(plain_plan(), |run| {
        down(run, 2500);
        run.stage(Stage::Decide).stage(Stage::Failover);
        run.edge("storefront", ProbeState::Good, 4000, 4200, "200").at(5000).changed("storefront", ProbeState::Good, "200");
        down(run, 6000);
        run.edge("storefront", ProbeState::Good, 8800, 9000, "200").at(9800).changed("storefront", ProbeState::Good, "200").stage(Stage::Verify);
        run.at(19_200).stage(Stage::Cleanup);
    });
    let (_, measures) = measured(&events);
    assert_eq!(measures.outages["storefront"].rta(), Measured::Known(Length::new(ms(6300), ms(6700))));
}

#[test]
fn a_recovery_that_was_not_stable_fails() {
    let events = drill(plain_plan(), |run| {
        down(run, 2500);
        recover(run, 5000);
        let verify =
            run.events.iter_mut().filter(|event| matches!(event.body, crate::model::event::Body::Run(RunEvent::Stage { stage: Stage::Cleanup })));
        // The stage ends three seconds after the edge instead of ten.
        verify.for_each(|event| event.at = t(8000));
    });
    assert_eq!(verdict_of(&events), (Verdict::Fail, vec!["the service was not stable again within the time allowed".to_owned()]));
}

#[test]
fn an_objective_of_a_service_that_stayed_up_is_met() {
    let mut plan = plain_plan();
    plan["objectives"]["checkout"] = json!({"rto": "60s"});
    let events = drill(plan, |run| {
        down(run, 2500);
        run.tally("checkout", 10, 2900, [14, 0, 0, 0]);
        recover(run, 5000);
    });
    let (_, measures) = measured(&events);
    let checkout = measures.criteria.iter().find(|criterion| criterion.subject == "checkout").unwrap();
    assert_eq!((checkout.judgement, checkout.no_impact), (Judgement::Met, true));
}

#[test]
fn an_unreached_steady_state_aborts_and_a_refused_fault_is_inconclusive() {
    let mut run = Script::new(samples::plan(Mode::Rehearse));
    run.at(10).stage(Stage::SteadyState).at(30_000).run(RunEvent::StopRequested {
        abort: true,
        why: "no steady state".to_owned(),
        by: "engine".to_owned(),
    });
    run.stage(Stage::Cleanup);
    assert_eq!(verdict_of(&run.events), (Verdict::Aborted, vec!["the steady state was not reached, nothing was injected".to_owned()]));
    let mut run = Script::new(samples::plan(Mode::Rehearse));
    run.at(10).stage(Stage::SteadyState).stage(Stage::Inject).started("fault", 1);
    let failure = Failure::new(FailureKind::NoTargets, "no vSwitch in vpc-bp1");
    run.step("fault", crate::model::event::step::StepKind::Failed { failure }).stage(Stage::Cleanup);
    assert_eq!(verdict_of(&run.events), (Verdict::Inconclusive, vec!["the fault was not injected: no vSwitch in vpc-bp1".to_owned()]));
}

#[test]
fn what_is_missing_after_the_recovery_fails_unless_it_is_in_flight() {
    use ProbeState::{Bad, Good};
    // What the replica's probe reads before the fault is taken out, which is the last change, and afterwards.
    let run = |before: &[ProbeState], after: &[ProbeState], confirmed: ProbeState, output: serde_json::Value| {
        let mut plan = plain_plan();
        plan["failover"]["steps"] = json!([plan["failover"]["steps"][0]]);
        let events = drill(plan, |run| {
            let read = |run: &mut Script, from: u64, states: &[ProbeState]| {
                for (at, state) in (from..).step_by(1000).zip(states) {
                    run.at(at).reading("orders", *state, json!({"lag_ms": 700, "missing": 2}));
                }
            };
            down(run, 2500);
            run.changed("orders", Good, "").stage(Stage::Decide).stage(Stage::Failover).started("failover/share-image", 1);
            run.step("failover/share-image", crate::model::event::step::StepKind::Applied { attempt: 1, output, already: false, accepted_ms: None });
            run.edge("storefront", Good, 4800, 5000, "200").at(5800).changed("storefront", Good, "200").stage(Stage::Verify);
            read(run, 15_000, before);
            run.at(15_900).tally("storefront", 10, 15_900, [70, 20, 0, 0]).stage(Stage::Cleanup).undone(
                "fault",
                (crate::model::call::Cloud::Aws, "x:Y"),
                false,
            );
            read(run, 17_000, after);
            if confirmed == Bad {
                run.edge("orders", Bad, 17_100, 18_000, "").changed("orders", Bad, "");
            }
        });
        verdict_of(&events)
    };
    let lost = ["objective missed: nothing missing of orders"];
    assert_eq!(run(&[Good], &[], Good, json!({})).0, Verdict::Pass, "two are on their way");
    assert_eq!(run(&[Bad], &[], Good, json!({})).1, lost);
    assert_eq!(run(&[], &[Good, Bad], Good, json!({})).0, Verdict::Pass, "they are younger than the last change, and one sample confirms nothing");
    assert_eq!(run(&[Good], &[Bad], Good, json!({})).1, lost, "what was good before the last change says nothing of what follows");
    assert_eq!(run(&[], &[Good, Bad], Bad, json!({})).1, [lost[0], "the steady state did not return: orders is bad at the end"]);
    assert_eq!(run(&[Good], &[], Good, json!({"missing": 0, "doubled": 1})).1, ["objective missed: nothing doubled of failover/share-image"]);
}

#[test]
fn a_service_down_from_the_first_sample_has_only_a_lower_bound() {
    let mut plan = samples::plan(Mode::Emergency);
    plan.since = None;
    let mut events = samples::emergency();
    let Event { body: crate::model::event::Body::Run(RunEvent::Started { plan: started, .. }), .. } = &mut events[0] else { panic!("starts") };
    **started = plan;
    let (_, measures) = measured(&events);
    assert_eq!(measures.outages["storefront"].rta(), Measured::AtLeast(ms(15_605)), "from the start of the run: it was down before");
    assert_eq!(verdict_of(&events).0, Verdict::Inconclusive);
}

#[test]
fn good_samples_too_few_to_end_an_outage_do_not_begin_it_either() {
    let mut plan = samples::plan(Mode::Emergency);
    plan.since = None;
    let run = |good_after: u32| {
        let mut plan = plan.clone();
        plan.probes.iter_mut().for_each(|probe| probe.good_after = good_after);
        let mut run = Script::new(plan);
        run.at(20).stage(Stage::Failover).edge("storefront", ProbeState::Bad, 100, 180, "refused");
        // One good sample in between; its edges say how many of the other kind came before them.
        run.edge("storefront", ProbeState::Good, 300, 390, "200")
            .probe("storefront", ProbeKind::Edge { to: ProbeState::Bad, lo: t(300), hi: t(500), likely: None, after: 1, detail: "refused".into() });
        run.at(900).changed("storefront", ProbeState::Bad, "refused");
        run.edge("storefront", ProbeState::Good, 5000, 5100, "200").at(6000).changed("storefront", ProbeState::Good, "200").stage(Stage::Verify);
        run.end()
    };
    let (_, measures) = measured(&run(5));
    let outage = measures.outages["storefront"];
    assert_eq!((outage.basis, outage.rta()), (Basis::AlreadyDown, Measured::AtLeast(ms(5000))));
    let (_, measures) = measured(&run(1));
    assert_eq!(measures.outages["storefront"].basis, Basis::Edge, "one is enough: it came back, and went down while the run looked");
}

#[test]
fn what_was_waited_for_in_vain_is_no_pass_and_is_named() {
    let run = |of: Awaited, why: Lack| {
        let lacking = vec![Lacking { probe: "orders".into(), why, detail: "denied".into() }];
        let unseen = RunEvent::Unseen { awaited: of, within: crate::model::time::Span::from_secs(60), lacking };
        let written = serde_json::to_string(&crate::model::event::Body::Run(unseen.clone())).unwrap();
        assert_eq!(serde_json::from_str::<crate::model::event::Body>(&written).unwrap(), crate::model::event::Body::Run(unseen.clone()));
        let events = drill(plain_plan(), |run| {
            down(run, 2500);
            if of == Awaited::Recovery {
                run.stage(Stage::Decide).run(RunEvent::Decided { by: "automation".to_owned(), basis: String::new() }).stage(Stage::Failover);
                run.edge("storefront", ProbeState::Good, 4800, 5000, "200").at(5800).changed("storefront", ProbeState::Good, "200");
                run.stage(Stage::Verify).at(15_100).run(unseen.clone()).tally("storefront", 10, 15_100, [70, 20, 0, 0]);
                run.stage(Stage::Cleanup).undone("fault", (crate::model::call::Cloud::Aws, "x:Y"), false);
            } else {
                recover(run, 5000);
                run.run(unseen.clone());
            }
        });
        let (_, measures) = measured(&events);
        assert_eq!(measures.instants.verified.is_some(), of == Awaited::Normal);
        verdict_of(&events)
    };
    let one = |verdict, text: &str| (verdict, vec![text.to_owned()]);
    assert_eq!(
        run(Awaited::Recovery, Lack::Unread),
        one(Verdict::Inconclusive, "whether the service recovered was not seen: orders could not be read (denied)")
    );
    assert_eq!(
        run(Awaited::Recovery, Lack::Bad),
        one(Verdict::Fail, "the service was not stable again within the time allowed: orders is bad (denied)")
    );
    assert_eq!(
        run(Awaited::Normal, Lack::Unsampled),
        one(
            Verdict::Inconclusive,
            "whether the steady state returned was not seen: orders has no sample sent after the last change (one every denied)"
        )
    );
    assert_eq!(run(Awaited::Normal, Lack::Bad), one(Verdict::Fail, "the steady state did not return: orders is bad at the end"));
}

#[test]
fn a_failover_left_on_purpose_is_no_leftover_but_a_fault_always_is() {
    let mut plan = plain_plan();
    plan["leave"] = json!(true);
    let run = |heal: bool| {
        drill(plan.clone(), |run| {
            down(run, 2500);
            run.stage(Stage::Decide).stage(Stage::Failover).started("failover/share-image", 1);
            run.intended("failover/share-image", "x", json!({}), json!({}), Vec::new()).applied("failover/share-image", 1, None, false);
            run.edge("storefront", ProbeState::Good, 4800, 5000, "200").at(5800).changed("storefront", ProbeState::Good, "200").stage(Stage::Verify);
            run.at(15_200).tally("storefront", 10, 15_200, [70, 20, 0, 0]).stage(Stage::Cleanup);
            if heal {
                run.undone("fault", (crate::model::call::Cloud::Aws, "x:Y"), false);
            }
        })
    };
    assert_eq!(verdict_of(&run(true)), (Verdict::Pass, Vec::new()));
    assert_eq!(verdict_of(&run(false)), (Verdict::Fail, vec!["fault is not put back: nothing put it back".to_owned()]));
}

#[test]
fn a_steady_state_that_did_not_return_fails() {
    let events = drill(plain_plan(), |run| {
        down(run, 2500);
        recover(run, 5000);
        down(run, 20_000);
    });
    assert_eq!(verdict_of(&events), (Verdict::Fail, vec!["the steady state did not return: storefront is bad at the end".to_owned()]));
}

#[test]
fn a_verdict_stands_when_the_run_is_taken_up_again() {
    for (mut events, expected) in [(samples::success(), Verdict::Pass), (samples::failure(), Verdict::Fail)] {
        let mut again = events.last().unwrap().clone();
        again.seq += 1;
        again.epoch += 1;
        again.body =
            crate::model::event::Body::Run(RunEvent::Resumed { to: "abort".to_owned(), by: String::new(), patience: None, tool: String::new() });
        events.push(again);
        assert_eq!(verdict_of(&events).0, expected);
    }
}

#[test]
fn items_that_were_cut_off_do_not_fail_their_step() {
    use crate::model::event::step::StepKind;
    let run = |kind| {
        let mut script = Script::new(samples::plan(Mode::Rehearse));
        script.at(10).stage(Stage::Failover).started("failover/start-standby", 1).started("failover/start-standby[0]", 1);
        script.run(RunEvent::StopRequested { abort: true, why: "SIGTERM".to_owned(), by: "signal".to_owned() });
        script.step("failover/start-standby[0]", StepKind::Failed { failure: Failure::new(kind, "no") });
        script.step("failover/start-standby", StepKind::Failed { failure: Failure::new(FailureKind::Check, "1 of 1 items failed") });
        script.stage(Stage::Cleanup);
        verdict_of(&script.events)
    };
    assert_eq!(run(FailureKind::Cancelled).0, Verdict::Aborted);
    assert_eq!(run(FailureKind::Cloud), (Verdict::Fail, vec!["step failover/start-standby[0] failed: no".to_owned()]));
}

#[test]
fn every_prefix_can_be_measured_and_judged() {
    for events in [samples::success(), samples::failure(), samples::aborted(), samples::emergency()] {
        for end in 0..=events.len() {
            let (state, measures) = measured(&events[..end]);
            let _ = judge(&state, &measures);
            if let (Some(split), Some(Measured::Known(rta))) = (&measures.split, measures.primary.as_ref().and_then(|id| measures.rta(id))) {
                assert_eq!(split.total(), rta.likely, "the phases sum to the recovery time");
            }
        }
    }
}

#[test]
fn what_was_changed_by_others_fails_an_emergency_and_what_was_not_read_is_in_doubt() {
    let (verdict, reasons) = verdict_of(&samples::put_back_by_others());
    assert_eq!(verdict, Verdict::Fail);
    let moved = "what failover/shift-dns made was changed since: record shop.example.com. aws was 100, is weight 0";
    assert!(reasons.iter().any(|reason| reason == moved), "{reasons:?}");

    let mut events = samples::put_back_by_others();
    for event in &mut events {
        match &mut event.body {
            crate::model::event::Body::Run(RunEvent::Started { plan, .. }) => plan.objectives.clear(),
            crate::model::event::Body::Run(RunEvent::Kept { moved, .. }) => moved.retain(crate::model::event::run::Difference::is_unread),
            _ => {}
        }
    }
    let (verdict, reasons) = verdict_of(&events);
    assert_eq!(verdict, Verdict::Inconclusive);
    let reason = "not known whether what failover/start-standby made is still there: cannot be read: no answer";
    assert!(reasons.iter().any(|doubt| doubt == reason), "{reasons:?}");
}

#[test]
fn nothing_is_put_back_that_was_accepted_and_never_seen() {
    let unseen = |seen: bool, undo_calls: bool| {
        let mut script = Script::new(samples::plan(Mode::Emergency));
        script.at(20).stage(Stage::Failover);
        script.at(30).started("failover/shift-dns", 1).at(40).intended("failover/shift-dns", "x", json!({}), json!({}), Vec::new());
        script.at(50).call("failover/shift-dns", crate::model::call::Cloud::Aws, "ec2:CreateRoute", true);
        let kind = if seen { FailureKind::NoEffect } else { FailureKind::Timeout };
        let failure = Failure::new(kind, "not done within 15s");
        script.at(60).step("failover/shift-dns", StepKind::AttemptFailed { attempt: 1, failure: failure.clone(), retry_in_ms: None });
        script.step("failover/shift-dns", StepKind::Failed { failure });
        for attempt in [1, 2] {
            script.at(70).step("failover/shift-dns", StepKind::Undoing { attempt });
            if undo_calls {
                script.call("failover/shift-dns", crate::model::call::Cloud::Aws, "ec2:DeleteRoute", true);
            }
            script.step("failover/shift-dns", StepKind::Undone { already: !undo_calls });
        }
        leftovers(&RunState::from_events(&script.events).unwrap())
    };
    assert!(unseen(false, false)[0].1.contains("look for yourself"), "blind to it when it was made, blind to it now");
    assert!(unseen(true, false).is_empty(), "its effect was seen, and went back by itself");
    assert!(unseen(false, true).is_empty(), "it was found after all, and undone");
}

/// An emergency that passed and was taken back, during which the storefront said this.
fn taken_back(said: &[ProbeState]) -> (Verdict, Vec<String>) {
    let mut plan = samples::plan(Mode::Emergency);
    plan.objectives.clear();
    let mut script = Script::new(plan);
    script.run(RunEvent::Ended { verdict: Verdict::Pass, reasons: Vec::new() });
    script.at(1000).run(RunEvent::Resumed { to: "abort".to_owned(), by: "mei".to_owned(), patience: None, tool: String::new() });
    for (index, state) in said.iter().enumerate() {
        script.at(2000 + 1000 * index as u64).changed("storefront", *state, "as seen");
    }
    verdict(&script.events)
}

#[test]
fn a_service_that_goes_down_with_what_is_taken_back_is_no_pass() {
    use ProbeState::{Bad, Good};
    let reason = "storefront was down when the failover was taken back, or is since";
    for said in [&[Good, Bad][..], &[Good, Bad, Good], &[Bad]] {
        assert_eq!(taken_back(said), (Verdict::Fail, vec![reason.to_owned()]), "{said:?}");
    }
    for said in [&[Good][..], &[Bad, Good], &[]] {
        assert_eq!(taken_back(said).0, Verdict::Pass, "{said:?}: what it had come to stands");
    }
}
