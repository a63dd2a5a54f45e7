//! Against both providers in memory.

use super::fake::{FakeDns, record};
use super::*;

fn shift(json: &str) -> ShiftWeight {
    serde_json::from_str(json).unwrap()
}

fn side(dns: &FakeDns) -> Side<'_> {
    Side { dns, servers: dns, progress: &|_| {} }
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

fn alidns() -> FakeDns {
    FakeDns::alidns(&[record("aliyun", "1", 100, true), record("aliyun", "2", 100, true), record("aws", "3", 1, false), record("aws", "4", 1, false)])
}

async fn run(action: &ShiftWeight, dns: &FakeDns) -> (Vec<WeightedRecord>, Applied<Output>) {
    let planned = action.plan_on(dns).await.unwrap();
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
    let before = action.plan_on(&dns).await.unwrap().before;
    *dns.records.lock().unwrap() = vec![record("aliyun", "1", 50, true), record("aws", "2", 50, true)];
    action.apply_on(&side(&dns), &before, &|| {}).await.unwrap();
    assert_eq!(*dns.sets.lock().unwrap(), [[(50, true), (50, true)], [(90, true), (10, true)], [(100, true), (0, true)]]);
}

#[tokio::test]
async fn a_shift_cut_off_between_its_stages_is_undone() {
    let dns = FakeDns::route53(&[record("aliyun", "1", 0, true), record("aws", "2", 100, true)]);
    let before = back_in_stages().plan_on(&dns).await.unwrap().before;
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
    let planned = over().plan_on(&dns).await.unwrap();
    assert!(planned.calls.iter().all(|call| !call.mutating) && planned.targets.iter().all(|target| target.change.is_empty()));
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_waited_for_and_so_is_one_that_was_just_put_back() {
    for dns in [alidns(), FakeDns::route53(&[record("aliyun", "1", 100, true), record("aws", "2", 0, true)])] {
        let before = over().plan_on(&dns).await.unwrap().before;
        let current = over().read(&dns).await.unwrap();
        dns.set_weights("", "", &target(&dns, &current, &over().to).unwrap()).await.unwrap();
        assert_eq!(dns.looks(), 0);
        let applied = over().apply_on(&side(&dns), &before, &|| {}).await.unwrap();
        assert!(!applied.already && dns.looks() > 2, "the name servers are asked until they answer it");
        dns.set_weights("", "", &before).await.unwrap();
        assert_eq!(over().undo_on(&side(&dns), &before).await.unwrap(), Undone::Already);
        assert!(dns.looks() > 2);
        assert_eq!(dns.sets.lock().unwrap().len(), 2, "nothing is sent again");
    }
}

#[tokio::test]
async fn weights_switched_off_and_records_deleted_by_someone_else_are_a_conflict() {
    let dns = alidns();
    let (before, _) = run(&over(), &dns).await;
    dns.records.lock().unwrap().clear();
    let error = over().undo_on(&side(&dns), &before).await.unwrap_err();
    assert!(matches!(&error, ActionError::Conflict { found, .. } if found == "no such record"), "{error}");
}
