//! The Alibaba client against the lab: two programs that share no code and have only the vendor's protocol in common.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lifeboat::clouds::aliyun::{AclEntry, Aliyun, Policy, Settings, StaticKeys};
use lifeboat::lab::serve::{Lab, Options};
use lifeboat::ports::Kind;
use lifeboat::ports::compute::{Compute as _, MachineState, Rest, Selector};
use lifeboat::ports::dns::{Dns, Names};
use lifeboat::ports::gate::Gate;
use lifeboat::ports::objects::ObjectStore as _;
use lifeboat::ports::sync::{JobState, Sync};

const VPC: &str = "vpc-bp1lifeboat0shop00001";
const VSWITCH: &str = "vsw-bp1lifeboat0app000001";
const IMAGE: &str = "m-bp1lifeboat0shop00001";

/// A lab whose world runs ten times as fast, and a client of its Alibaba half.
fn start() -> (Lab, Aliyun) {
    let lab = Lab::start(Options { scale: 10.0, ..Options::default() }).unwrap();
    let aliyun = Aliyun::connect(settings(&lab));
    (lab, aliyun)
}

pub(crate) fn settings(lab: &Lab) -> Settings {
    let endpoints = lab.endpoints();
    let mut settings = Settings::new("cn-hangzhou", Gate::default());
    settings.account = Some("1234567890123456".to_owned());
    settings.endpoint = Some(endpoints.aliyun.clone());
    settings.oss_endpoint = Some(endpoints.oss.clone());
    settings.credentials = Some(StaticKeys {
        access_key_id: endpoints.access_key_id.clone(),
        secret_access_key: endpoints.secret_access_key.clone(),
        session_token: None,
    });
    settings
}

/// Waits until `condition` holds; half a minute at most.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited half a minute in vain: {what}");
}

fn standby() -> Selector {
    Selector {
        tags: BTreeMap::from([("role".to_owned(), "checkout".to_owned()), ("posture".to_owned(), "standby".to_owned())]),
        ..Selector::default()
    }
}

#[tokio::test]
async fn the_account_is_checked_and_wrong_keys_are_refused() {
    let (lab, aliyun) = start();
    assert_eq!(aliyun.check_account().await.unwrap(), "1234567890123456");
    let mut other = settings(&lab);
    other.account = Some("6543210987654321".to_owned());
    assert_eq!(Aliyun::connect(other).check_account().await.unwrap_err().kind, Kind::Denied);
    for change in [|keys: &mut StaticKeys| keys.secret_access_key.push('x'), |keys: &mut StaticKeys| keys.access_key_id.push('x')] {
        let mut wrong = settings(&lab);
        change(wrong.credentials.as_mut().unwrap());
        let aliyun = Aliyun::connect(wrong);
        assert_eq!(aliyun.account().await.unwrap_err().kind, Kind::Denied);
        assert_eq!(aliyun.list("shop-orders", "", "").await.unwrap_err().kind, Kind::Denied);
    }
    lab.stop().await;
}

#[tokio::test]
async fn standby_machines_start_and_stop() {
    let (lab, aliyun) = start();
    let machines = aliyun.find(&standby()).await.unwrap();
    assert_eq!(machines.iter().map(|machine| machine.state).collect::<Vec<_>>(), [MachineState::Stopped; 2]);
    let ids: Vec<String> = machines.into_iter().map(|machine| machine.id).collect();
    aliyun.dry_run_start(&ids).await.unwrap();
    aliyun.instance_statuses(&ids).await.unwrap().values().for_each(|status| assert_eq!(status, "Stopped"));
    aliyun_start(&aliyun, &ids).await;
    aliyun_start(&aliyun, &ids).await;
    until("both run", async || aliyun.find(&standby()).await.unwrap().iter().all(|machine| machine.state == MachineState::Running)).await;
    assert!(aliyun.stop(&ids, Rest::Kept).await.unwrap().is_empty());
    assert!(aliyun.stop(&ids, Rest::Kept).await.unwrap().is_empty());
    until("both are stopped", async || aliyun.find(&standby()).await.unwrap().iter().all(|machine| machine.state == MachineState::Stopped)).await;
    let error = aliyun.find(&Selector { ids: vec!["i-bp1nobody".to_owned()], ..Selector::default() }).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    lab.stop().await;
}

/// Starting what starts already is as asked.
async fn aliyun_start(aliyun: &Aliyun, ids: &[String]) {
    assert!(lifeboat::ports::compute::Compute::start(aliyun, ids).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_acl_cuts_the_vswitch_off_and_its_undo_leaves_the_world_as_it_was() {
    let (lab, aliyun) = start();
    let before = lab.world().lock().view()["network_acls"].clone();
    let vswitches = aliyun.vswitches(VPC).await.unwrap();
    let cut_off: Vec<String> = vswitches.iter().filter(|vswitch| vswitch.acl.is_none()).map(|vswitch| vswitch.id.clone()).collect();
    assert_eq!(cut_off, [VSWITCH]);

    let id = aliyun.create_network_acl(VPC, "drill", "t-create").await.unwrap();
    assert_eq!(aliyun.create_network_acl(VPC, "drill", "t-create").await.unwrap(), id, "the same token makes one ACL");
    let deny = [AclEntry::everything(Policy::Drop, "drill")];
    aliyun.set_network_acl_entries(&id, &deny, &deny, "t-entries").await.unwrap();
    aliyun.associate_network_acl(&id, &cut_off, "t-associate").await.unwrap();
    until("associated", async || aliyun.network_acl(&id).await.unwrap().status == "Available").await;
    let acl = aliyun.network_acl(&id).await.unwrap();
    assert_eq!((acl.vpc.as_str(), acl.name.as_str(), &acl.ingress[..], &acl.egress[..]), (VPC, "drill", &deny[..], &deny[..]));
    assert_eq!(acl.vswitches, [(VSWITCH.to_owned(), "BINDED".to_owned())]);
    assert_eq!(aliyun.vswitch(VSWITCH).await.unwrap().acl.as_ref(), Some(&id));
    assert!(aliyun.network_acls(VPC).await.unwrap().iter().any(|found| (&found.id, &found.name) == (&acl.id, &acl.name)));
    assert!(!lab.world().lock().services["storefront"].up, "packets follow");

    let error = aliyun.delete_network_acl(&id).await.unwrap_err();
    assert_eq!((error.kind, error.ambiguous), (Kind::Conflict, false));
    aliyun.unassociate_network_acl(&id, &cut_off, "t-unassociate").await.unwrap();
    until("taken off", async || aliyun.network_acl(&id).await.unwrap().vswitches.is_empty()).await;
    aliyun.delete_network_acl(&id).await.unwrap();
    assert_eq!(aliyun.network_acl(&id).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(aliyun.vswitches(VPC).await.unwrap(), vswitches);
    assert_eq!(lab.world().lock().view()["network_acls"], before);
    assert!(lab.world().lock().services["storefront"].up);
    lab.stop().await;
}

#[tokio::test]
async fn traffic_is_shifted_in_shares_and_back_exactly() {
    let (lab, aliyun) = start();
    let zone = aliyun.zone("Example.CN.").await.unwrap();
    let shop = ["shop.example.cn".to_owned()];
    let read = async || aliyun.names(&zone, Names::These(&shop)).await.unwrap();
    let before = read().await;
    assert_eq!(
        before[0].records.iter().map(|record| (record.label.as_str(), record.weight, record.enabled)).collect::<Vec<_>>(),
        [("aliyun", 100, true), ("aliyun", 100, true), ("aws", 1, false), ("aws", 1, false),]
    );
    for (aws, alibaba) in [(10, 90), (100, 0), (50, 50), (0, 100)] {
        let mut wanted = read().await;
        for record in &mut wanted[0].records {
            *record = aliyun.weighed(record, if record.label == "aws" { aws } else { alibaba });
        }
        assert_eq!(aliyun.change(&zone, &wanted).await.unwrap(), [], "nothing tells how far it is");
        assert_eq!(read().await, wanted, "{aws}/{alibaba}");
    }
    assert_eq!(read().await, before, "staged back is exactly back");
    let elsewhere = aliyun.zone("example.net").await.unwrap();
    assert_eq!(aliyun.names(&elsewhere, Names::These(&shop)).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(aliyun.zone("no-such-id").await.unwrap_err().kind, Kind::NotFound);
    lab.stop().await;
}

#[tokio::test]
async fn jobs_are_suspended_and_started() {
    let (lab, aliyun) = start();
    let job = "dtsorders-primary";
    assert_eq!(aliyun.job(job).await.unwrap().state, JobState::Running);
    aliyun.suspend(job).await.unwrap();
    until("suspended", async || aliyun.job(job).await.unwrap().state == JobState::Paused).await;
    let error = aliyun.suspend(job).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Conflict, true), "{error}");
    // What is on its way when it is suspended is still written: until then it refuses to start.
    until("started", async || Sync::start(&aliyun, job).await.inspect_err(|error| assert!(error.retry, "{error}")).is_ok()).await;
    until("synchronising", async || aliyun.job(job).await.unwrap().state == JobState::Running).await;
    assert_eq!(aliyun.job("nothing").await.unwrap_err().kind, Kind::NotFound);
    lab.stop().await;
}

#[tokio::test]
async fn images_are_shared_ten_accounts_a_call() {
    let (lab, aliyun) = start();
    let accounts: BTreeSet<String> = (0..13).map(|number| format!("20000000000000{number:02}")).collect();
    aliyun.modify_launch_permissions(IMAGE, &accounts, &BTreeSet::new()).await.unwrap();
    assert_eq!(aliyun.launch_permissions(IMAGE).await.unwrap(), accounts);
    aliyun.modify_launch_permissions(IMAGE, &BTreeSet::new(), &accounts).await.unwrap();
    assert!(aliyun.launch_permissions(IMAGE).await.unwrap().is_empty());
    lab.stop().await;
}

#[tokio::test]
async fn objects_are_written_listed_read_and_removed() {
    let (lab, aliyun) = start();
    let (bucket, key) = ("shop-orders", "drill/心跳 a+b&c.json");
    aliyun.put(bucket, key, "{\"t\":1}".into()).await.unwrap();
    assert_eq!(aliyun.get(bucket, key).await.unwrap(), "{\"t\":1}");
    let head = aliyun.head(bucket, key).await.unwrap();
    assert_eq!(head["content-length"], "7");
    let listed = aliyun.list(bucket, "drill/", "").await.unwrap();
    assert_eq!(listed.iter().map(|object| (object.key.as_str(), object.size)).collect::<Vec<_>>(), [(key, 7)]);
    assert_eq!(head["etag"].trim_matches('"').to_lowercase(), listed[0].etag);
    let orders = aliyun.list(bucket, "orders/", "orders/000000000002").await.unwrap();
    assert_eq!(orders[0].key, "orders/000000000003");
    aliyun.delete(bucket, key).await.unwrap();
    aliyun.delete(bucket, key).await.unwrap();
    assert_eq!(aliyun.get(bucket, key).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(aliyun.head(bucket, key).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(aliyun.list("nobodys-bucket", "", "").await.unwrap_err().kind, Kind::NotFound);
    lab.stop().await;
}
