//! The AWS client against a real moto server, which `tests/run` starts and fills with `tests/moto/seed.py`; then the same against the lab.
//!
//! `LIFEBOAT_MOTO` is the server's address, `LIFEBOAT_MOTO_IDS` the JSON object of the ids there (`"lab": true` in the lab's). Without them
//! every test here fails: it is only run when asked for by name. Each test leaves what it changed as it was, so their order does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lifeboat::clouds::aws::{Aws, Route, RouteState, RouteTarget, Settings, StaticKeys};
use lifeboat::model::destination::Destination;
use lifeboat::ports::Kind;
use lifeboat::ports::calls::{Call, CallSink, observed};
use lifeboat::ports::compute::{Compute, MachineState, Power, Rest, Selector};
use lifeboat::ports::dns::{Dns, Names};
use lifeboat::ports::gate::Gate;
use lifeboat::ports::objects::ObjectStore;
use serde_json::Value;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run tests/run, which starts moto"))
}

async fn moto() -> Aws {
    let mut settings = Settings::new("us-east-1", Gate::default());
    settings.endpoint = Some(variable("LIFEBOAT_MOTO"));
    settings.account = Some("111122223333".into());
    settings.credentials = Some(StaticKeys {
        access_key_id: "LIFEBOATLAB000000001".into(),
        secret_access_key: "lab-secret-not-for-real-clouds".into(),
        session_token: None,
    });
    Aws::connect(settings).await
}

fn ids() -> Value {
    serde_json::from_str(&variable("LIFEBOAT_MOTO_IDS")).unwrap()
}

fn is_lab() -> bool {
    ids()["lab"] == true
}

fn id(name: &str) -> String {
    ids()[name].as_str().unwrap().to_owned()
}

fn list(name: &str) -> Vec<String> {
    let mut list: Vec<String> = ids()[name].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    list.sort();
    list
}

#[derive(Default)]
struct Journal(Mutex<Vec<Call>>);

impl CallSink for Journal {
    fn record(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }
}

#[tokio::test]
async fn the_account_is_checked_against_the_environment() {
    assert_eq!(moto().await.check_account().await.unwrap(), "111122223333");
}

#[tokio::test]
async fn weights_shift_in_one_batch_and_back() {
    let aws = moto().await;
    let zone = aws.zone("example.com.").await.unwrap();
    let shop = ["shop.example.com".to_owned()];
    let read = async || aws.names(&zone, Names::These(&shop)).await.unwrap();
    let before = read().await;
    let shown: Vec<(&str, u32, u32, usize)> =
        before[0].records.iter().map(|record| (record.label.as_str(), record.weight, record.ttl, record.values.len())).collect();
    assert_eq!(shown, [("aliyun", 100, 5, 2), ("aws", 0, 5, 2)]);

    let mut swapped = before.clone();
    swapped[0].records.iter_mut().for_each(|record| record.weight = 100 - record.weight);
    let journal = Arc::new(Journal::default());
    let changes = observed(journal.clone(), aws.change(&zone, &swapped)).await.unwrap();
    assert_eq!(read().await, swapped);
    // moto's changes are in sync at once, the lab's after a while.
    assert!(is_lab() != aws.in_sync(&changes[0]).await.unwrap());
    eventually("the change is in sync", async || aws.in_sync(&changes[0]).await.unwrap()).await;
    {
        let calls = journal.0.lock().unwrap();
        let changes: Vec<&Call> = calls.iter().filter(|call| call.mutating).collect();
        assert_eq!(changes.len(), 1, "{calls:?}");
        assert_eq!(
            (changes[0].operation.as_str(), changes[0].outcome.as_str(), changes[0].region.as_str()),
            ("route53:ChangeResourceRecordSets", "ok", "global")
        );
    }

    // Asked again, nothing is sent and nothing has to spread.
    let journal = Arc::new(Journal::default());
    assert_eq!(observed(journal.clone(), aws.change(&zone, &swapped)).await.unwrap(), []);
    assert!(journal.0.lock().unwrap().iter().all(|call| !call.mutating));

    aws.change(&zone, &before).await.unwrap();
    assert_eq!(read().await, before);
}

#[tokio::test]
async fn zones_and_names_that_are_not_there() {
    let aws = moto().await;
    assert_eq!(aws.zone("example.net.").await.unwrap_err().kind, Kind::NotFound);
    let zone = aws.zone("Example.COM").await.unwrap();
    assert_eq!(aws.zone(&zone.id).await.unwrap(), zone, "by its id, too");
    let mut nobody = aws.names(&zone, Names::These(&["nobody.example.com".to_owned()])).await.unwrap();
    assert_eq!(nobody[0].records, []);
    nobody[0].records = aws.names(&zone, Names::These(&["shop.example.com".to_owned()])).await.unwrap().remove(0).records;
    assert_eq!(aws.change(&zone, &nobody).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn standby_instances_start_become_healthy_and_stop() {
    let aws = moto().await;
    let tags = BTreeMap::from([("role".to_owned(), "storefront".to_owned()), ("posture".to_owned(), "standby".to_owned())]);
    let standby = Selector { ids: vec![], tags };
    let found = aws.find(&standby).await.unwrap();
    let mut names: Vec<_> = found.iter().map(|machine| (machine.name.as_str(), machine.state)).collect();
    names.sort_by_key(|(name, ..)| *name);
    assert_eq!(names, [("storefront-aws-1", MachineState::Stopped), ("storefront-aws-2", MachineState::Stopped)]);
    let machines: Vec<String> = found.into_iter().map(|machine| machine.id).collect();
    assert_eq!(machines, list("storefront"));

    aws.dry_run_start(&machines).await.unwrap();
    assert!(aws.start(&machines).await.unwrap().is_empty());
    settle(&aws, &standby, MachineState::Running).await;
    assert!(aws.start(&machines).await.unwrap().is_empty());
    eventually("the instances are healthy", async || aws.ailing(&machines).await.unwrap().is_empty()).await;
    assert!(aws.obstacles(&machines, Power::Stop).await.unwrap().is_empty());
    assert!(aws.stop(&machines, Rest::Kept).await.unwrap().is_empty());
    settle(&aws, &standby, MachineState::Stopped).await;
}

async fn settle(aws: &Aws, which: &Selector, state: MachineState) {
    let all = async || aws.find(which).await.unwrap().iter().all(|machine| machine.state == state);
    eventually(&format!("the instances are {state:?}"), all).await;
}

/// Waits for a condition; fails when it does not come within half a minute.
async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_id_that_does_not_exist_is_an_error_and_no_selector_is_refused() {
    let aws = moto().await;
    let ghost = Selector { ids: vec!["i-0123456789abcdef0".into()], ..Selector::default() };
    let error = aws.find(&ghost).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (Kind::NotFound, Some("InvalidInstanceID.NotFound")));
    let error = aws.start(&ghost.ids).await.unwrap().remove(&ghost.ids[0]).unwrap();
    assert_eq!((error.kind, error.ambiguous), (Kind::NotFound, false));
    assert_eq!(aws.find(&Selector::default()).await.unwrap_err().kind, Kind::Invalid);
}

#[tokio::test]
async fn an_image_is_shared_and_taken_back() {
    let (aws, image) = (moto().await, id("image"));
    let standby = BTreeSet::from(["444455556666".to_owned()]);
    let none = BTreeSet::new();
    assert_eq!(aws.launch_permissions(&image).await.unwrap(), none);
    aws.modify_launch_permissions(&image, &standby, &none).await.unwrap();
    aws.modify_launch_permissions(&image, &standby, &none).await.unwrap();
    assert_eq!(aws.launch_permissions(&image).await.unwrap(), standby);
    aws.modify_launch_permissions(&image, &none, &standby).await.unwrap();
    assert_eq!(aws.launch_permissions(&image).await.unwrap(), none);
    // Reading an unknown image makes moto fail inside; changing one does not.
    assert_eq!(aws.modify_launch_permissions("ami-0123456789abcdef0", &standby, &none).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn a_route_is_replaced_deleted_and_made_again() {
    let (aws, table, block) = (moto().await, id("table"), "10.20.0.0/16".parse::<Destination>().unwrap());
    let database = RouteTarget::NetworkInterface(id("interface"));
    let spare = RouteTarget::NetworkInterface(id("spare"));
    let before = aws.route(&table, &block).await.unwrap().unwrap();
    let expected = Route {
        destination: block.to_string(),
        target: database.clone(),
        state: RouteState::Active,
        origin: "CreateRoute".into(),
        instance: before.instance.clone(),
    };
    assert_eq!(before, expected);

    aws.replace_route(&table, &block, &spare).await.unwrap();
    let broken = aws.route(&table, &block).await.unwrap().unwrap();
    // moto never says `blackhole`.
    assert_eq!((broken.target, broken.state), (spare.clone(), if is_lab() { RouteState::Blackhole } else { RouteState::Active }));
    aws.delete_route(&table, &block).await.unwrap();
    assert_eq!(aws.route(&table, &block).await.unwrap(), None);
    assert_eq!(aws.replace_route(&table, &block, &spare).await.unwrap_err().kind, Kind::NotFound);
    aws.create_route(&table, &block, &database).await.unwrap();
    assert_eq!(aws.route(&table, &block).await.unwrap().unwrap(), before);

    let local = aws.route(&table, &"10.10.0.0/16".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((local.target, local.origin.as_str()), (RouteTarget::Local, "CreateRouteTable"));
    assert_eq!(aws.route("rtb-0123456789abcdef0", &block).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn interfaces_say_whether_they_are_attached() {
    let aws = moto().await;
    let database = aws.interface(&id("interface")).await.unwrap();
    assert_eq!((database.attached, database.instance), (true, Some(id("database"))));
    assert_eq!(database.subnet, id("subnet_data"));
    assert!(!aws.interface(&id("spare")).await.unwrap().attached);
    assert_eq!(aws.interface("eni-0123456789abcdef0").await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn objects_are_written_listed_page_by_page_read_and_removed() {
    let (aws, bucket) = (moto().await, "shop-orders-mirror");
    for order in 1..=3 {
        aws.put(bucket, &format!("client/{order:012}"), Bytes::from(format!("{{\"order\":{order}}}"))).await.unwrap();
    }
    let all = aws.list(bucket, "client/", "").await.unwrap();
    assert_eq!(
        all.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(),
        ["client/000000000001", "client/000000000002", "client/000000000003"]
    );
    // The MD5 of {"order":1}
    assert_eq!((all[0].etag.len(), all[0].size), (32, 11));
    assert!(all[0].etag.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let later = aws.list(bucket, "client/", "client/000000000001").await.unwrap();
    assert_eq!(later, all[1..]);
    assert_eq!(aws.get(bucket, "client/000000000002").await.unwrap(), "{\"order\":2}");
    for object in &all {
        aws.delete(bucket, &object.key).await.unwrap();
    }
    aws.delete(bucket, "client/000000000001").await.unwrap();
    assert_eq!(aws.list(bucket, "client/", "").await.unwrap(), []);
    assert_eq!(aws.get(bucket, "client/000000000001").await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(aws.list("no-such-bucket", "", "").await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn more_than_a_page_of_anything_is_read_to_its_end() {
    let (aws, bucket) = (moto().await, "shop-assets");
    let keys: Vec<String> = (0..1003).map(|number| format!("many/{number:05}")).collect();
    for chunk in keys.chunks(20) {
        let puts = chunk.iter().map(|key| aws.put(bucket, key, Bytes::new()));
        futures_util::future::try_join_all(puts).await.unwrap();
    }
    let listed: Vec<String> = aws.list(bucket, "many/", "").await.unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(listed, keys);
}
