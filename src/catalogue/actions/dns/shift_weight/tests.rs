//! Against both providers in memory.

use super::fake::{FakeDns, record};
use super::*;
use crate::engine::foreseen::NOTHING;
use crate::model::target::{Location, Target};

fn shift(json: &str) -> ShiftWeight {
    serde_json::from_str(json).unwrap()
}

fn side(dns: &FakeDns) -> Side<'_> {
    Side { dns, servers: dns, progress: &|_| {} }
}

fn location() -> Location {
    Location { cloud: crate::ports::Cloud::Aliyun, account: None, region: None }
}

fn over() -> ShiftWeight {
    shift(r#"{"zone": "example.cn", "record": "shop", "to": {"aws": 100, "aliyun": 0}}"#)
}

fn back_in_stages() -> ShiftWeight {
    shift(
        r#"{"zone": "example.cn", "record": "shop", "to": {"aws": 0, "aliyun": 100},
            "stages": [{"to": {"aws": 50, "aliyun": 50}, "hold": "20ms"}]}"#,
    )
}

/// One name with these records.
fn named(records: Vec<WeightedRecord>) -> Vec<NameRecords> {
    vec![NameRecords { name: "shop.example.cn".to_owned(), records, ..NameRecords::default() }]
}

fn zone() -> Zone {
    Zone { id: "Z1".to_owned(), name: "example.cn".to_owned(), private: false }
}

fn alidns() -> FakeDns {
    FakeDns::alidns(&[record("aliyun", "1", 100, true), record("aliyun", "2", 100, true), record("aws", "3", 1, false), record("aws", "4", 1, false)])
}

async fn run(action: &ShiftWeight, dns: &FakeDns) -> (Before, Applied<Output>) {
    let planned = action.plan_on(dns, "example.cn", &location(), &NOTHING).await.unwrap();
    let applied = action.apply_on(&side(dns), &planned.before, &|| {}).await.unwrap();
    (planned.before, applied)
}

#[tokio::test]
async fn over_and_back_and_undone_is_exactly_as_before_on_both_providers() {
    for dns in [alidns(), FakeDns::route53(&[record("aliyun", "1", 100, true), record("aws", "2", 0, true)])] {
        let start = dns.now();
        let (before, applied) = run(&over(), &dns).await;
        assert!(!applied.already);
        assert!(applied.output.addresses.iter().all(|address| !address.ends_with(".1")), "{:?}", applied.output);
        run(&back_in_stages(), &dns).await;
        over().undo_on(&side(&dns), &before).await.unwrap();
        assert_eq!(dns.now(), start);
        assert_eq!(over().undo_on(&side(&dns), &before).await.unwrap(), Undone::Already);
    }
}

#[tokio::test]
async fn a_paused_record_is_not_served_for_the_sake_of_its_weight() {
    let dns = FakeDns::alidns(&[record("aliyun", "1", 100, true), record("aws", "2", 7, false)]);
    let (before, _) = run(&over(), &dns).await;
    run(&back_in_stages(), &dns).await;
    let sets = dns.sets.lock().unwrap().len();
    assert_eq!(over().undo_on(&side(&dns), &before).await.unwrap(), Undone::Already);
    assert_eq!((dns.sets.lock().unwrap().len(), dns.now()), (sets, vec![(100, true), (1, false)]));
}

#[tokio::test]
async fn stages_come_one_after_another_and_are_held() {
    let dns = FakeDns::route53(&[record("aliyun", "1", 0, true), record("aws", "2", 100, true)]);
    let start = tokio::time::Instant::now();
    run(&back_in_stages(), &dns).await;
    assert_eq!(*dns.sets.lock().unwrap(), [[(50, true), (50, true)], [(100, true), (0, true)]]);
    assert!(start.elapsed() >= std::time::Duration::from_millis(20));
}

#[tokio::test]
async fn another_attempt_goes_on_from_the_stage_that_was_reached() {
    let action = shift(
        r#"{"zone": "example.cn", "record": "shop", "to": {"aws": 0, "aliyun": 100},
            "stages": [{"to": {"aws": 90, "aliyun": 10}}, {"to": {"aws": 50, "aliyun": 50}}, {"to": {"aws": 10, "aliyun": 90}}]}"#,
    );
    let dns = FakeDns::route53(&[record("aliyun", "1", 0, true), record("aws", "2", 100, true)]);
    let before = action.plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap().before;
    *dns.records.lock().unwrap() = vec![record("aliyun", "1", 50, true), record("aws", "2", 50, true)];
    action.apply_on(&side(&dns), &before, &|| {}).await.unwrap();
    assert_eq!(*dns.sets.lock().unwrap(), [[(50, true), (50, true)], [(90, true), (10, true)], [(100, true), (0, true)]]);
}

#[tokio::test]
async fn what_stands_at_one_of_its_stages_is_known_for_its_own() {
    for (aliyun, aws, midway) in [(50, 50, vec![0, 1]), (50, 100, vec![0]), (0, 100, vec![]), (40, 60, vec![])] {
        let dns = FakeDns::route53(&[record("aliyun", "1", aliyun, true), record("aws", "2", aws, true)]);
        let planned = back_in_stages().plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap();
        assert_eq!(planned.midway.into_iter().collect::<Vec<_>>(), midway, "{aliyun} and {aws}");
    }
}

#[tokio::test]
async fn a_shift_cut_off_between_its_stages_is_undone() {
    let dns = FakeDns::route53(&[record("aliyun", "1", 0, true), record("aws", "2", 100, true)]);
    let before = back_in_stages().plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap().before;
    *dns.records.lock().unwrap() = vec![record("aliyun", "1", 50, true), record("aws", "2", 50, true)];
    assert_eq!(back_in_stages().undo_on(&side(&dns), &before).await.unwrap(), Undone::Restored);
    assert_eq!(dns.now(), [(0, true), (100, true)]);
}

#[tokio::test]
async fn someone_elses_weights_are_left_alone() {
    let dns = alidns();
    let (before, _) = run(&over(), &dns).await;
    dns.records.lock().unwrap()[3].weight = 33;
    let left = dns.now();
    assert!(matches!(over().undo_on(&side(&dns), &before).await.unwrap_err(), ActionError::Conflict { .. }));
    assert_eq!(dns.now(), left);
}

#[tokio::test]
async fn already_as_asked_makes_no_change() {
    let dns = alidns();
    run(&over(), &dns).await;
    let (_, applied) = run(&over(), &dns).await;
    assert!(applied.already);
    assert_eq!(dns.sets.lock().unwrap().len(), 1);
    let planned = over().plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap();
    assert!(planned.calls.iter().all(|call| !call.mutating) && !planned.targets.iter().any(Target::changes));
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_waited_for_and_so_is_one_that_was_just_put_back() {
    for dns in [alidns(), FakeDns::route53(&[record("aliyun", "1", 100, true), record("aws", "2", 0, true)])] {
        let before = over().plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap().before;
        let (wanted, _) = over().wanted(&dns, &before.names, &over().0.to).unwrap();
        dns.change(&zone(), &wanted).await.unwrap();
        assert_eq!(dns.looks(), 0);
        let applied = over().apply_on(&side(&dns), &before, &|| {}).await.unwrap();
        assert!(!applied.already && dns.looks() > 2, "the name servers are asked until they answer it");
        dns.change(&zone(), &before.names).await.unwrap();
        assert_eq!(over().undo_on(&side(&dns), &before).await.unwrap(), Undone::Already);
        assert!(dns.looks() > 2);
        assert_eq!(dns.sets.lock().unwrap().len(), 2, "nothing is sent again");
    }
}

#[tokio::test]
async fn of_several_batches_those_that_an_attempt_before_has_sent_are_waited_for_too() {
    let six = |label: &str, id: &str, weight| WeightedRecord { kind: "AAAA".into(), ..record(label, id, weight, true) };
    let dns = FakeDns::route53(&[record("aliyun", "1", 100, true), record("aws", "2", 0, true), six("aliyun", "1", 100), six("aws", "2", 0)]);
    let before = over().plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap().before;
    (dns.records.lock().unwrap()[0].weight, dns.records.lock().unwrap()[1].weight) = (0, 100);
    over().apply_on(&side(&dns), &before, &|| {}).await.unwrap();
    assert_eq!(dns.now(), [(0, true), (100, true), (0, true), (100, true)]);
    assert_eq!(dns.looks(), 4, "three until the second is in sync, and one at what the name servers answer of the first");
}

#[tokio::test]
async fn weights_switched_off_and_records_deleted_by_someone_else_are_a_conflict() {
    let dns = alidns();
    let (before, _) = run(&over(), &dns).await;
    dns.records.lock().unwrap().clear();
    let error = over().undo_on(&side(&dns), &before).await.unwrap_err();
    assert!(matches!(&error, ActionError::Conflict { found, .. } if found == "no such record"), "{error}");
}

#[tokio::test]
async fn weights_that_are_off_are_switched_on_and_off_again() {
    let off = |label: &str, id: &str, enabled| WeightedRecord { weighted: false, ..record(label, id, 1, enabled) };
    let dns = FakeDns::alidns(&[off("aliyun", "1", true), off("aws", "2", false)]);
    let (before, _) = run(&over(), &dns).await;
    assert!(dns.records.lock().unwrap().iter().all(|record| record.weighted));
    assert_eq!(dns.now(), [(1, false), (100, true)]);
    assert_eq!(over().undo_on(&side(&dns), &before).await.unwrap(), Undone::Restored);
    assert_eq!(*dns.records.lock().unwrap(), [off("aliyun", "1", true), off("aws", "2", false)]);
}

#[tokio::test]
async fn many_names_are_one_change_and_are_looked_up_at_once() {
    for (names, moved) in [
        (r#""records": ["shop", "pay.example.cn."]"#, ["shop.example.cn", "pay.example.cn"]),
        (r#""matching": "*""#, ["shop.example.cn", "pay.example.cn"]),
    ] {
        let dns = FakeDns::route53(&[record("aliyun", "1", 100, true), record("aws", "2", 0, true)]);
        let action = shift(&format!(r#"{{"zone": "example.cn", {names}, "to": {{"aws": 100, "aliyun": 0}}}}"#));
        let planned = action.plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap();
        assert_eq!(*dns.looked_up.lock().unwrap(), 1, "{names}");
        assert_eq!(planned.targets.len(), 4, "{names}: {:?}", planned.targets);
        let applied = action.apply_on(&side(&dns), &planned.before, &|| {}).await.unwrap();
        assert_eq!(*dns.names_set.lock().unwrap(), [moved.map(str::to_owned)], "{names}");
        assert_eq!(applied.output.names, moved, "{names}");
        assert_eq!(action.undo_on(&side(&dns), &planned.before).await.unwrap(), Undone::Restored);
        assert_eq!(dns.names_set.lock().unwrap().len(), 2, "{names}: back as one, too");
    }
}

#[tokio::test]
async fn a_set_that_draws_its_shares_already_keeps_its_weights() {
    let six = |label: &str, id: &str, weight| WeightedRecord { kind: "AAAA".into(), ..record(label, id, weight, true) };
    let dns = FakeDns::route53(&[record("aliyun", "1", 0, true), record("aws", "2", 255, true), six("aliyun", "1", 7), six("aws", "2", 0)]);
    let planned = over().plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap();
    let changes: Vec<&str> = planned.targets.iter().map(|target| target.change.as_ref().map_or("", Change::text)).collect();
    assert_eq!(changes, ["", "", "7 → 0", "0 → 100"]);
    over().apply_on(&side(&dns), &planned.before, &|| {}).await.unwrap();
    assert_eq!(dns.now(), [(0, true), (255, true), (0, true), (100, true)]);
}

#[tokio::test]
async fn a_locked_record_is_told_before_anything_is_changed() {
    let dns = FakeDns::alidns(&[WeightedRecord { locked: true, ..record("aliyun", "1", 100, true) }, record("aws", "2", 1, false)]);
    let error = over().plan_on(&dns, "example.cn", &location(), &NOTHING).await.unwrap_err();
    assert!(error.to_string().contains("A aliyun (1) is locked"), "{error}");
    // A lock on what stays as it is is nobody's business.
    let dns = FakeDns::alidns(&[record("aliyun", "1", 100, true), WeightedRecord { locked: true, ..record("aws", "2", 1, false) }]);
    let stay = shift(r#"{"zone": "example.cn", "record": "shop", "to": {"aws": 0, "aliyun": 100}}"#);
    assert!(stay.plan_on(&dns, "example.cn", &location(), &NOTHING).await.is_ok());
}

#[test]
fn exactly_one_way_of_naming_names_is_written() {
    let parse = |json: &str| serde_json::from_str::<ShiftWeight>(json).map_err(|error| error.to_string());
    let with = |names: &str| parse(&format!(r#"{{"zone": "example.cn", {names} "to": {{"aws": 100, "aliyun": 0}}}}"#));
    for names in [r#""record": "shop","#, r#""records": ["shop", "pay"],"#, r#""matching": "app-*","#] {
        with(names).unwrap();
    }
    assert!(with("").unwrap_err().contains("missing field `record`"));
    assert!(with(r#""record": "shop", "matching": "*","#).unwrap_err().contains("exclude each other"));
    assert!(with(r#""record": "shop", "sides": {"azure": ["x"]},"#).unwrap_err().contains("`azure` of `sides` gets nothing"));
}

#[test]
fn patterns_are_held_against_names_inside_the_zone_and_whole_ones() {
    let check = |pattern: &str, name: &str, expected: bool| assert_eq!(fits(pattern, name, "example.com"), expected, "{pattern} {name}");
    check("*", "shop.example.com", true);
    check("*", "example.com", true);
    check("app-*", "app-1.example.com", true);
    check("app-*", "shop.example.com", false);
    check("*.eu", "shop.eu.example.com", true);
    check("*.example.com.", "shop.example.com", true);
    check("@", "example.com", true);
    check("shop", "shop.example.com", true);
}

#[test]
fn the_state_kept_for_undo_tells_the_ttl_of_every_name() {
    let mut names = named(vec![record("aliyun", "1", 100, true), WeightedRecord { kind: "AAAA".into(), ttl: 60, ..record("aws", "2", 1, true) }]);
    names.push(NameRecords { name: "pay.example.cn".into(), records: vec![record("aws", "3", 1, true)], ..NameRecords::default() });
    let before = serde_json::to_value(Before { zone: zone(), names }).unwrap();
    let ttls = crate::model::dns::ttls_before(&before);
    assert_eq!(ttls, [("pay.example.cn".to_owned(), 5), ("shop.example.cn".to_owned(), 60)].into());
}
