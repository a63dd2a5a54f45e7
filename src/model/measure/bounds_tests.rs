//! What is said of a run that cannot all be known: bounds that hold, missing samples, caches, other clocks.

use serde_json::{Value, json};

use super::tests::{down, drill, measured, ms, plain_plan, recover, verdict_of};
use super::*;
use crate::model::call::Cloud;
use crate::model::event::Event;
use crate::model::event::RunEvent;
use crate::model::event::probe::ProbeKind;
use crate::model::event::samples::{Script, t};
use crate::model::plan::{ClientModel, ProbeState, Verdict};
use crate::model::target::{Change, Target, TargetKind};

/// A plan with these objectives.
fn asking(objectives: Value) -> Value {
    let mut plan = plain_plan();
    plan["objectives"] = objectives;
    plan
}

/// Samples counted from `from` to `to`: so many good, bad and unknown ones, the last that could tell sent at `told`, the last that could not at `untold`.
fn counted(run: &mut Script, probe: &str, (from, to): (u64, u64), [good, bad, unknown]: [u64; 3], told: u64, untold: Option<u64>) {
    let (told, untold) = (Some(t(told)), untold.map(t));
    run.probe(probe, ProbeKind::Tally { from: t(from), to: t(to), good, bad, unknown, late: 0, missed: 0, told, untold });
}

/// A step that changed something, accepted and in effect at these moments.
fn changed(run: &mut Script, step: &str, uses: &str, before: Value, targets: Vec<Target>, [begun, accepted, seen]: [u64; 3]) {
    run.at(begun).started(step, 1).intended(step, uses, json!({}), before, targets).at(seen).applied(step, 1, Some(accepted - begun), false);
}

fn record() -> Vec<Target> {
    vec![Target::outside(TargetKind::Record, "shop.example.com. aws").changing(Change::between("weight 0", "100"))]
}

/// Read at `at`, by a request sent 8 ms before.
fn lag(run: &mut Script, at: u64, value: Value) {
    run.at(at).reading("orders", ProbeState::Good, value);
}

/// The exposure of `orders` in a drill with its fault at 2.01 s, given up at 12 s, in which these values were read.
fn exposed(readings: &[(u64, Value)]) -> (Exposure, Vec<Criterion>) {
    let events = drill(asking(json!({"orders": {"rpo": "3s"}})), |run| {
        down(run, 2500);
        for (at, value) in readings.iter().filter(|(at, _)| *at <= 12_000) {
            lag(run, *at, value.clone());
        }
        run.at(12_000).stage(Stage::Cleanup);
        for (at, value) in readings.iter().filter(|(at, _)| *at > 12_000) {
            lag(run, *at, value.clone());
        }
    });
    let (_, measures) = measured(&events);
    (measures.exposures["orders"], measures.criteria)
}

/// Seconds since the start of the run, as a store tells them.
fn when(ms: u64) -> Value {
    json!(t(ms))
}

#[test]
fn the_upper_bound_of_a_lag_is_what_it_can_have_grown_to_until_the_next_reading() {
    // Every half a second, but for 3 s in which this process was stopped.
    let readings: Vec<(u64, Value)> = [1500, 2000, 2500, 5500, 6000, 11_992].map(|at| (at, json!({"lag_ms": 0}))).to_vec();
    let (exposure, criteria) = exposed(&readings);
    assert_eq!((exposure.peak.lo, exposure.peak.hi), (0, ms(6000)), "from 5.992 s, when one was sent, to 11.992 s, when the next was done");
    assert_eq!((criteria[0].judgement, criteria[0].doubt), (Judgement::Indeterminate, Some(Doubt::Samples)), "they would have met it in time");
    // The likeliest is still near what was read.
    assert_eq!(exposure.peak.likely, ms(250));
}

#[test]
fn a_reading_without_its_source_is_none_and_while_blind_the_bound_grows() {
    let blind = |at: u64| (at, json!({"lag_ms": 0, "source_read": false}));
    let seen = |at: u64, newest: u64, contiguous: u64, lag: u64| {
        (at, json!({"lag_ms": lag, "source_read": true, "source_newest": when(newest), "mirror_contiguous": when(contiguous)}))
    };
    let (exposure, criteria) = exposed(&[seen(2000, 1900, 1900, 0), blind(2500), blind(6000), blind(11_500)]);
    // Up to the end, from the commit of the newest that both had; twice 4.2 ms are between the clocks.
    assert_eq!((exposure.peak.lo, exposure.peak.hi), (0, ms(12_000 - 1900) + 8_400_000));
    assert_eq!((criteria[0].judgement, criteria[0].doubt), (Judgement::Indeterminate, Some(Doubt::Samples)));
    assert!(exposure.before_fault);
    // A mirror that cannot be read is no reading either.
    let (exposure, _) = exposed(&[seen(2000, 1900, 1900, 0), (3000, json!({"lag_ms": null, "mirror_read": false}))]);
    assert_eq!(exposure.peak.hi, ms(12_000 - 1900) + 8_400_000);
    // Read again once the fault is out: its newest is as old as before, so nothing was committed that the mirror lacked for longer.
    let (exposure, criteria) = exposed(&[seen(2000, 1900, 1900, 0), blind(2500), blind(11_500), seen(12_500, 2300, 2300, 0)]);
    assert_eq!((exposure.peak.hi, criteria[0].judgement), (ms(400), Judgement::Met));
    // It holds what was committed long after.
    let (exposure, criteria) = exposed(&[seen(2000, 1900, 1900, 0), blind(2500), blind(11_500), seen(12_500, 9900, 9900, 0)]);
    assert_eq!((exposure.peak.hi, criteria[0].judgement), (ms(8000), Judgement::Indeterminate));
    // What is known of the source's newest is lacking at least.
    let (exposure, _) =
        exposed(&[seen(2000, 1900, 1900, 0), (2500, json!({"lag_ms": null, "source_read": false, "lag_at_least_ms": 300})), blind(11_500)]);
    assert_eq!((exposure.peak.lo, exposure.before_fault), (ms(300), false));
    // The probe itself found out what was lacking while nobody could read.
    let (exposure, criteria) =
        exposed(&[seen(2000, 1900, 1900, 0), blind(11_500), (12_500, json!({"lag_ms": 0, "source_read": true, "unseen_ms": 700}))]);
    assert_eq!((exposure.peak.hi, criteria[0].judgement), (ms(700), Judgement::Met));
    let (exposure, criteria) = exposed(&[
        seen(2000, 1900, 1900, 0),
        blind(7500),
        (11_500, json!({"lag_ms": 0, "source_read": true, "unseen_ms": 8300, "unseen_at_least_ms": 4530})),
    ]);
    assert_eq!(
        (exposure.peak.lo, exposure.peak.hi, criteria[0].judgement),
        (ms(4530), ms(8300), Judgement::NotMet),
        "no pass: it was behind for 4.53 s at least"
    );
}

#[test]
fn nothing_read_since_the_fault_proves_no_lag() {
    let (exposure, criteria) = exposed(&[(2000, json!({"lag_ms": 4000})), (13_000, json!({"lag_ms": 0}))]);
    assert_eq!((exposure.peak.lo, exposure.before_fault), (0, true), "what it lacked before may have come in time");
    assert_eq!(exposure.peak.hi, ms(4000 + 12_000 - 1992));
    assert_eq!(criteria[0].judgement, Judgement::Indeterminate);
    // Nor is anything known of the time between the fault and the first reading of all.
    let (exposure, _) = exposed(&[(9000, json!({"lag_ms": 0})), (9500, json!({"lag_ms": 0})), (12_100, json!({"lag_ms": 0}))]);
    assert_eq!(exposure.peak.hi, ms(9000 - 2010));
}

#[test]
fn times_that_are_told_in_steps_and_by_other_clocks_are_that_much_less_certain() {
    let every = |value: Value| (4..25).map(|half| (half * 500, value.clone())).collect::<Vec<_>>();
    let (exposure, _) = exposed(&every(json!({"lag_ms": 2000, "resolution_ms": 1000})));
    assert_eq!((exposure.peak.lo, exposure.peak.hi), (ms(1000), ms(3508)));
    let (exposure, _) = exposed(&every(json!({"lag_ms": 2000, "resolution_ms": 1, "age_ms": 2000})));
    assert_eq!((exposure.peak.lo, exposure.peak.hi), (ms(1999) - 8_400_000, ms(2509) + 8_400_000), "somebody else's clock, twice 4.2 ms");

    let outage = |value: Value| {
        let events = drill(asking(json!({"orders": {"rto": "30s"}})), |run| {
            run.changed("orders", ProbeState::Good, "newest 0.4 s old");
            lag(run, 2200, value.clone());
            run.edge("orders", ProbeState::Bad, 5000, 5500, "newest 3.4 s old").at(6000).changed("orders", ProbeState::Bad, "old");
            run.edge("orders", ProbeState::Good, 7000, 7500, "newest 0.4 s old").at(8000).changed("orders", ProbeState::Good, "new");
            run.at(12_000).stage(Stage::Cleanup);
        });
        let (_, measures) = measured(&events);
        (measures.rta("orders").unwrap(), measures.since_fault("orders").unwrap())
    };
    let length = |lo: i64, hi: i64| Measured::Known(Length::new(lo, hi));
    // From raw edge to raw edge 1.5 to 2.5 s; from the fault, which began between 2.01 and 2.1 s, 4.9 to 5.49 s.
    assert_eq!(outage(json!({"age": 400})), (length(ms(1500), ms(2500)), length(ms(4900), ms(5490))));
    let wider = ms(1000) + 8_400_000;
    let (rta, since_fault) = outage(json!({"age_ms": 400, "resolution_ms": 1000}));
    assert_eq!(rta, length(ms(1500) - wider, ms(2500) + wider));
    assert_eq!(since_fault, length(ms(4900) - wider, ms(5490) + wider));
}

#[test]
fn what_a_person_declared_is_by_another_clock() {
    use crate::model::event::samples;
    let (_, measures) = measured(&samples::emergency());
    let outage = measures.outages["storefront"];
    assert_eq!((outage.basis, outage.clock), (Basis::Declared, 8_400_000));
}

#[test]
fn only_what_was_seen_to_be_bad_is_said_to_have_lasted() {
    // Down from 2.3–3.3 s on: a request hung. Given up at 12 s; the last sample that was answered had been sent at 10.9 s.
    let run = |up: Option<[u64; 2]>, told: u64| {
        let events = drill(plain_plan(), |run| {
            run.edge("storefront", ProbeState::Bad, 2300, 3300, "no answer within 1s").at(3700).changed("storefront", ProbeState::Bad, "no answer");
            run.stage(Stage::Decide).stage(Stage::Failover).at(12_000);
            counted(run, "storefront", (10, 12_000), [12, 40, 0], told, None);
            run.stage(Stage::Cleanup);
            if let Some([lo, hi]) = up {
                run.edge("storefront", ProbeState::Good, lo, hi, "200").at(hi + 800).changed("storefront", ProbeState::Good, "200");
            }
        });
        measured(&events).1
    };
    for (up, told, proved) in [
        (None, 10_900, 10_900 - 3300),
        // It came back right after the recovery was given up, or right before: the last bad sample had been sent at 11.6 s.
        (Some([11_600, 12_400]), 11_600, 11_600 - 3300),
        // It was bad for long after.
        (Some([20_600, 20_900]), 11_900, 12_000 - 3300),
    ] {
        let measures = run(up, told);
        assert_eq!(measures.rta("storefront"), Some(Measured::AtLeast(ms(proved))), "{up:?}");
        let split = measures.split.unwrap();
        assert!(split.open && split.total() > split.proved.unwrap(), "{up:?}: the sum runs from the likeliest beginning to the end of looking");
        assert_eq!(split.proved, Some(ms(proved)), "{up:?}");
    }
}

#[test]
fn a_run_that_moved_no_traffic_has_no_spread() {
    let run = |change: fn(&mut Script)| {
        let mut plan = serde_json::to_value(crate::model::event::samples::plan(Mode::Rehearse)).unwrap();
        plan["objectives"] = json!({});
        plan["probes"].as_array_mut().unwrap().push(json!({"id": "names", "uses": "dns", "with": {}, "every": "1s", "timeout": "2s", "bad_after": 3,
            "good_after": 3, "service": false}));
        let events = drill(plan, |run| {
            let servers = |new: bool| json!({"servers": {"192.0.2.1:53": {"as_expected": new, "ttl_s": 60}}});
            run.at(2050).reading("names", ProbeState::Bad, servers(false));
            down(run, 2500);
            run.at(3000).stage(Stage::Decide).run(RunEvent::Decided { by: "automation".to_owned(), basis: String::new() }).stage(Stage::Failover);
            change(run);
            run.edge("storefront", ProbeState::Good, 13_800, 14_000, "200").at(14_800).changed("storefront", ProbeState::Good, "200");
            run.at(16_000).reading("names", ProbeState::Good, servers(true)).stage(Stage::Verify).at(25_000).stage(Stage::Cleanup);
        });
        let (_, measures) = measured(&events);
        (measures.split.unwrap().parts.map(|part| part / 1_000_000), measures.propagations.contains_key("names"), measures.instants)
    };
    // Machines are started, accepted at 4 s and up at 11.26 s: it is acting until then.
    let (parts, spread, instants) = run(|run| {
        changed(
            run,
            "failover/start-standby",
            "aws.ec2.start-instances",
            json!([]),
            vec![Target::outside(TargetKind::Instance, "i-1").changing(Change::between("stopped", "running"))],
            [3100, 4000, 11_260],
        );
    });
    assert_eq!((parts[2], parts[3], parts[4]), (8260, 0, 13_900 - 11_260));
    assert!(!spread && instants.shifted.is_none());
    // The same, and DNS in parallel, accepted at 4.5 s and in sync at 12 s.
    let (parts, spread, instants) = run(|run| {
        changed(
            run,
            "failover/start-standby",
            "aws.ec2.start-instances",
            json!([]),
            vec![Target::outside(TargetKind::Instance, "i-1").changing(Change::between("stopped", "running"))],
            [3100, 4000, 11_260],
        );
        changed(run, "failover/shift-dns", "dns.shift-weight", json!([{"ttl": 5}]), record(), [4400, 4500, 12_000]);
    });
    assert_eq!((parts[2], parts[3], parts[4]), (8260, 12_000 - 11_260, 13_900 - 12_000));
    assert!(spread && instants.shifted == Some(Moment::exact(t(4500))));
    // A route leads elsewhere too, though no name does.
    let (parts, spread, _) = run(|run| {
        changed(
            run,
            "failover/shift-dns",
            "aws.ec2.replace-route",
            json!({}),
            vec![Target::outside(TargetKind::Route, "rtb-1 10.20.0.0/16").changing(Change::between("eni-1", "eni-2"))],
            [4400, 4500, 9000],
        );
    });
    assert_eq!((parts[2], parts[3], spread), (1500, 4500, false));
    // What a command of the user's own does nobody knows: servers that give the new answer say that it was DNS.
    let (parts, spread, _) = run(|run| {
        changed(
            run,
            "failover/shift-dns",
            "exec",
            json!({}),
            vec![Target::outside(TargetKind::Command, "move.sh").changing(Change::read("run"))],
            [4400, 4500, 4600],
        );
    });
    assert_eq!((parts[3], spread), (0, true));
}

/// A recovery at `up` of which `unknown` samples could not tell, the last of them sent at `untold`.
fn with_unknown(rto: &str, up: u64, unknown: u64, untold: u64) -> (Verdict, Vec<String>) {
    let events = drill(asking(json!({"storefront": {"rto": rto}})), |run| {
        down(run, 2500);
        recover(run, up);
        // Of the counts until the end: what `recover` counted is as good.
        let mut index = 0;
        while index < run.events.len() {
            let event = &mut run.events[index];
            if let crate::model::event::Body::Probe(probe) = &mut event.body
                && let ProbeKind::Tally { unknown: count, untold: last, .. } = &mut probe.kind
            {
                (*count, *last) = (unknown, (unknown > 0).then(|| t(untold)));
            }
            index += 1;
        }
    });
    verdict_of(&events)
}

#[test]
fn missing_samples_count_only_where_the_worst_of_them_would_change_the_judgement() {
    // 10 of 100 are missing: had all been bad, 2 s more.
    assert_eq!(with_unknown("60s", 5000, 10, 4000), (Verdict::Pass, Vec::new()));
    assert_eq!(with_unknown("4700ms", 5000, 10, 4000), (Verdict::Pass, Vec::new()), "2.7 s and 2 s are 4.7 s");
    assert_eq!(
        with_unknown("4699ms", 5000, 10, 4000),
        (
            Verdict::Inconclusive,
            vec!["cannot be told: RTO of storefront: too many samples are missing; had all of them been bad, it would not be met".to_owned()]
        )
    );
    // What is missed with all that was seen is missed.
    assert_eq!(with_unknown("1s", 5000, 10, 4000).0, Verdict::Fail);
    // What lies inside the bounds anyway does so for that reason.
    assert_eq!(with_unknown("2500ms", 5000, 10, 4000).1, ["cannot be told: RTO of storefront lies inside the bounds of the measurement"]);
    // Up to 5 % nobody minds.
    assert_eq!(with_unknown("2700ms", 5000, 4, 4000), (Verdict::Pass, Vec::new()));
}

#[test]
fn a_recovery_is_in_doubt_only_by_samples_that_are_missing_after_it() {
    let said = "cannot be told: whether storefront stayed good: too many samples are missing, some of them after its recovery";
    assert_eq!(with_unknown("60s", 5000, 10, 14_900), (Verdict::Inconclusive, vec![said.to_owned()]), "it had to stay good until 15.1 s");
    assert_eq!(with_unknown("60s", 5000, 10, 5200).0, Verdict::Pass, "good for 10 s after");
}

#[test]
fn a_fault_that_a_blind_probe_did_not_see_may_have_been_there() {
    let events = drill(plain_plan(), |run| {
        counted(run, "storefront", (10, 62_100), [10, 0, 290], 4000, Some(62_000));
        run.at(62_100).run(RunEvent::StopRequested { abort: true, why: "storefront did not go bad within 60s".to_owned(), by: "engine".to_owned() });
        run.stage(Stage::Cleanup).undone("fault", (Cloud::Aws, "x:Y"), false);
    });
    let said = "cannot be told: whether storefront went bad: too many samples are missing";
    assert_eq!(verdict_of(&events), (Verdict::Inconclusive, vec![said.to_owned()]));
}

/// A recovery in 2.3 to 2.7 s with a change of DNS whose records say these TTLs.
fn with_ttls(target: &str, records: Option<Value>) -> (Criterion, Vec<Event>) {
    let events = drill(asking(json!({"storefront": {"rto": "60s", "rto_cached": target}})), |run| {
        down(run, 2500);
        if let Some(before) = records.clone() {
            changed(run, "failover/shift-dns", "dns.shift-weight", before, record(), [3500, 3600, 4000]);
        }
        recover(run, 5000);
    });
    let (_, measures) = measured(&events);
    (measures.criteria.into_iter().find(|criterion| criterion.measure == Measure::RtoCached).unwrap(), events)
}

#[test]
fn users_with_caches_come_back_at_most_the_longest_ttl_later() {
    let records = || Some(json!([{"label": "aws", "ttl": 60}, {"label": "aliyun", "ttl": 300}]));
    for (target, judgement) in [
        ("303s", Judgement::Met),
        ("302700ms", Judgement::Met),
        ("302500ms", Judgement::Indeterminate),
        ("3s", Judgement::Indeterminate),
        ("2s", Judgement::NotMet),
    ] {
        assert_eq!(with_ttls(target, records()).0.judgement, judgement, "{target}");
    }
    // Whose answers had been kept for almost as long as they may be was back with the service: only the upper bound is later.
    let (criterion, events) = with_ttls("2s", records());
    assert_eq!(criterion.measured, Some(Measured::Known(Length::new(ms(2300), ms(302_700)).most_likely(ms(2500)))));
    let reasons = verdict_of(&events).1;
    assert!(reasons.contains(&"objective missed: RTO with caches of storefront".to_owned()), "{reasons:?}");
    // A failover that changes no name leaves nobody's cache wrong.
    assert_eq!(with_ttls("3s", None).0.judgement, Judgement::Met);
    // A TTL that nobody read bounds nothing.
    assert_eq!(with_ttls("1h", Some(json!([{"label": "aws"}]))).0.judgement, Judgement::NotTested);
}

#[test]
fn a_plan_says_as_which_clients_its_probes_ask() {
    let (state, measures) = measured(&crate::model::event::samples::success());
    assert_eq!(services_json(&state, &measures)["storefront"]["clients"], json!(["resolves-anew"]));
    let plan = state.plan().unwrap();
    let clients = |id: &str| &plan.probes.iter().find(|probe| probe.id == id).unwrap().clients;
    assert!(clients("storefront").contains(&ClientModel::ResolvesAnew) && clients("orders").is_empty());
}
