//! The client against a server that answers as it is told, and the captured requests and answers of the official SDK.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::call::Answer;
use super::*;
use crate::ports::calls::{Call, CallSink, observed, within};
use crate::ports::compute::{Compute, MachineState, Selector};
use crate::ports::dns::{Dns as _, NameRecords, Names};
use crate::ports::objects::ObjectStore as _;
use crate::ports::sync::{JobState, Sync as _};
use crate::ports::{Cloud, CloudError, Kind};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

// ---- captured requests and answers

#[derive(Debug, Deserialize)]
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) access_key_id: String,
    pub(super) access_key_secret: String,
    pub(super) request: Captured,
    signing: Option<Signing>,
    response: Option<Captive>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Captured {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

#[derive(Debug, Deserialize)]
struct Signing {
    algorithm: String,
}

#[derive(Debug, Deserialize)]
struct Captive {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: String,
}

impl Vector {
    /// The headers that were sent, in lower case.
    pub(super) fn headers(&self) -> BTreeMap<String, String> {
        self.request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
    }

    /// The query that was sent, decoded.
    fn query(&self) -> BTreeMap<String, String> {
        decoded(&self.request.target)
    }
}

fn decoded(target: &str) -> BTreeMap<String, String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn vector(name: &str) -> Vector {
    let path = format!("{}/tests/vectors/aliyun/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All vectors signed with `algorithm`.
pub(super) fn vectors(algorithm: &str) -> Vec<Vector> {
    let folder = format!("{}/tests/vectors/aliyun", env!("CARGO_MANIFEST_DIR"));
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    names.map(|name| vector(&name)).filter(|vector| vector.signing.as_ref().is_some_and(|signing| signing.algorithm == algorithm)).collect()
}

/// The answer of a vector; one without was answered with nothing.
pub(super) fn answer_of(name: &str) -> Answer {
    let response = vector(name).response.unwrap_or(Captive { status: 200, headers: BTreeMap::new(), body: String::new() });
    let pairs = response.headers.iter().map(|(name, value)| (HeaderName::try_from(name.as_str()).unwrap(), HeaderValue::from_str(value).unwrap()));
    Answer { status: response.status, headers: pairs.collect::<HeaderMap>(), body: Bytes::from(response.body) }
}

// ---- a server that does as it is told

enum Act {
    /// Status, body.
    Answer(u16, String),
    /// Refuses, with a wish when to come again (milliseconds).
    Later(u64),
    /// Reads the request and closes the connection.
    Break,
    /// Reads the request and never answers.
    Hang,
}

fn ok(body: &str) -> Act {
    Act::Answer(200, body.to_owned())
}

/// The captured answer of a vector.
fn like(name: &str) -> Act {
    let response = vector(name).response.unwrap();
    Act::Answer(response.status, response.body)
}

/// Serves the acts in order, one connection each; gives the requests' heads.
async fn server(acts: Vec<Act>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut held, mut heads) = (Vec::new(), Vec::new());
        for act in acts {
            let (mut stream, _) = listener.accept().await.unwrap();
            heads.push(read_request(&mut stream).await);
            match act {
                Act::Answer(status, body) => {
                    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                    stream.write_all(head.as_bytes()).await.unwrap();
                }
                Act::Later(millis) => {
                    let body = vector("err-400-throttling-with-retry-after").response.unwrap().body;
                    let head =
                        format!("HTTP/1.1 400 X\r\ncontent-length: {}\r\nx-acs-retry-after: {millis}\r\nconnection: close\r\n\r\n{body}", body.len());
                    stream.write_all(head.as_bytes()).await.unwrap();
                }
                Act::Break => drop(stream),
                Act::Hang => held.push(stream),
            }
        }
        if !held.is_empty() {
            std::future::pending::<()>().await;
        }
        heads
    });
    (url, task)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let length =
            text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse::<usize>().unwrap()));
        if let Some(end) = text.find("\r\n\r\n")
            && (bytes.len() >= end + 4 + length.unwrap_or(0) || read == 0)
        {
            return text;
        }
    }
}

fn client(url: &str, timeout: Duration, gate: Gate) -> Aliyun {
    let mut settings = Settings::new("cn-hangzhou", gate);
    settings.endpoint = Some(url.to_owned());
    settings.oss_endpoint = Some(url.to_owned());
    settings.timeout = timeout;
    settings.credentials = Some(StaticKeys { access_key_id: "LTAItest".into(), secret_access_key: "s3cr3t".into(), session_token: None });
    Aliyun::connect(settings)
}

#[derive(Default)]
struct Journal(Mutex<Vec<Call>>);

impl CallSink for Journal {
    fn record(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }
}

impl Journal {
    fn lines(&self) -> Vec<String> {
        let calls = self.0.lock().unwrap();
        calls.iter().map(|call| format!("{} {} {}", call.attempt, call.outcome, call.request_id.as_deref().unwrap_or("-"))).collect()
    }
}

/// What `act` gives, what the journal heard, and the heads of the requests when all acts were played.
async fn run<T>(
    acts: Vec<Act>,
    timeout: Duration,
    act: impl AsyncFnOnce(Aliyun) -> Result<T, CloudError>,
) -> (Result<T, CloudError>, Vec<String>, Vec<String>) {
    let waits = acts.iter().any(|act| matches!(act, Act::Hang));
    let (url, task) = server(acts).await;
    let journal = Arc::new(Journal::default());
    let result = observed(journal.clone(), act(client(&url, timeout, Gate::default()))).await;
    let heads = if waits { Vec::new() } else { tokio::time::timeout(LONG, task).await.expect("every act is played").unwrap() };
    (result, journal.lines(), heads)
}

/// Starts two machines, the change that most of these tests make.
async fn start(aliyun: &Aliyun) -> Result<(), CloudError> {
    Compute::start(aliyun, &ids()).await?.into_values().next().map_or(Ok(()), Err)
}

fn ids() -> Vec<String> {
    vec!["i-bp1a".to_owned(), "i-bp1b".to_owned()]
}

const BOTH_STARTED: &str = r#"{"RequestId":"R1","InstanceResponses":{"InstanceResponse":[
    {"InstanceId":"i-bp1a","Code":"200","Message":"success","PreviousStatus":"Stopped","CurrentStatus":"Starting"},
    {"InstanceId":"i-bp1b","Code":"200","Message":"success","PreviousStatus":"Stopped","CurrentStatus":"Starting"}]}}"#;

// ---- what is sent

fn target(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

#[tokio::test]
async fn requests_carry_the_parameters_the_official_sdk_sends() {
    let entry = |name: &str| AclEntry { name: name.to_owned(), ..AclEntry::everything(super::Policy::Drop, "") };
    let check = |name: &str, head: &str, dropped: &[&str]| {
        let vector = vector(name);
        let (mut ours, mut theirs) = (decoded(target(head)), vector.query());
        for parameter in dropped {
            assert!(ours.remove(*parameter).is_some() | theirs.remove(*parameter).is_some(), "{name}: {parameter}");
        }
        // Its booleans are Python's.
        theirs.values_mut().filter(|value| matches!(value.as_str(), "True" | "False")).for_each(|value| *value = value.to_ascii_lowercase());
        assert_eq!(ours, theirs, "{name}");
        let header = |name: &str| head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned));
        let sent = vector.headers();
        assert_eq!(header("x-acs-action"), Some(sent["x-acs-action"].to_ascii_lowercase()));
        assert_eq!(header("x-acs-version"), Some(sent["x-acs-version"].clone()));
    };
    let (result, _, heads) = run(vec![ok(BOTH_STARTED)], LONG, async |aliyun| start(&aliyun).await).await;
    result.unwrap();
    check("ecs-start-instances", &heads[0], &["DryRun"]);

    let (result, _, heads) = run(vec![like("vpc-update-network-acl-entries")], LONG, async |aliyun| {
        aliyun.set_network_acl_entries("nacl-bp1", &[entry("drill")], &[entry("drill")], "drill-0001-step-05").await
    })
    .await;
    result.unwrap();
    check("vpc-update-network-acl-entries", &heads[0], &[]);

    let (result, _, heads) = run(vec![like("vpc-associate-network-acl")], LONG, async |aliyun| {
        aliyun.associate_network_acl("nacl-quarantine", &["vsw-bp1".to_owned()], "drill-0001-step-06").await
    })
    .await;
    result.unwrap();
    check("vpc-associate-network-acl", &heads[0], &[]);

    let (result, _, heads) = run(vec![like("ecs-modify-image-share-permission")], LONG, async |aliyun| {
        let one = |account: &str| BTreeSet::from([account.to_owned()]);
        aliyun.modify_launch_permissions("m-bp1", &one("1234567890123456"), &one("6543210987654321")).await
    })
    .await;
    result.unwrap();
    check("ecs-modify-image-share-permission", &heads[0], &[]);

    let (result, _, heads) = run(vec![like("dts-suspend-dts-job")], LONG, async |aliyun| aliyun.suspend("i03e3zty16i****").await).await;
    result.unwrap();
    check("dts-suspend-dts-job", &heads[0], &["DtsInstanceId", "SynchronizationDirection"]);
}

#[tokio::test]
async fn keys_and_addresses_that_cannot_be_sent_are_refused_without_being_quoted() {
    let mut settings = Settings::new("cn-hangzhou", Gate::default());
    settings.endpoint = Some("not an address".to_owned());
    settings.credentials = Some(StaticKeys { access_key_id: "a".into(), secret_access_key: "s3cr3t".into(), session_token: Some("t0\nken".into()) });
    let error = Aliyun::connect(settings.clone()).account().await.unwrap_err();
    assert_eq!(error.kind, Kind::Unconfigured, "{error}");
    settings.endpoint = Some("http://127.0.0.1:9".to_owned());
    let error = Aliyun::connect(settings).account().await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    assert!(!error.to_string().contains("t0"), "{error}");

    let aliyun = client("http://127.0.0.1:9", SHORT, Gate::default());
    assert_eq!(aliyun.get("shop-orders", "a/../b").await.unwrap_err().kind, Kind::Invalid);
    assert_eq!(aliyun.get("Shop/Orders", "a").await.unwrap_err().kind, Kind::Invalid);
    let error = aliyun.modify_launch_permissions("m-1", &BTreeSet::from(["all".to_owned()]), &BTreeSet::new()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
}

// ---- what answers mean

#[tokio::test]
async fn captured_answers_are_read() {
    let (result, _, _) = run(vec![like("ecs-describe-instances")], LONG, async |aliyun| {
        aliyun.find(&Selector { ids: vec!["i-bp1a".to_owned()], ..Selector::default() }).await
    })
    .await;
    let machines = result.unwrap();
    assert_eq!((machines[0].id.as_str(), machines[0].name.as_str(), machines[0].state), ("i-bp1a", "web-1", MachineState::Running));

    let (result, _, _) = run(vec![like("ecs-describe-instance-status")], LONG, async |aliyun| aliyun.instance_statuses(&ids()).await).await;
    assert_eq!(result.unwrap()["i-bp1b"], "Starting");

    let (result, _, _) = run(vec![like("vpc-describe-network-acl-attributes")], LONG, async |aliyun| aliyun.network_acl("nacl-bp1").await).await;
    let acl = result.unwrap();
    assert_eq!(acl.vswitches, [("vsw-bp1".to_owned(), "BINDED".to_owned())]);
    assert_eq!((acl.ingress.len(), &acl.ingress[0].policy, acl.egress.len()), (1, &super::Policy::Accept, 0));

    let (result, _, _) = run(vec![like("dts-describe-dts-job-detail")], LONG, async |aliyun| aliyun.job("i03e3zty16i****").await).await;
    let job = result.unwrap();
    assert_eq!((job.state, job.delay_ms), (JobState::Running, Some(420)));

    let (result, _, _) = run(vec![like("alidns-describe-domain-records"), ok(SWITCHED_ON)], LONG, async |aliyun| look_up(&aliyun).await).await;
    let found = result.unwrap();
    assert_eq!(found[0].records.iter().map(|record| (record.weight, record.enabled)).collect::<Vec<_>>(), [(100, true), (1, false)]);

    let (result, _, _) = run(vec![like("ecs-describe-image-share-permission")], LONG, async |aliyun| aliyun.launch_permissions("m-bp1").await).await;
    assert_eq!(result.unwrap(), BTreeSet::from(["1234567890123456".to_owned()]));

    let (result, _, _) = run(vec![like("sts-get-caller-identity")], LONG, async |aliyun| aliyun.account().await).await;
    assert_eq!(result.unwrap(), "1234567890123456");
}

#[tokio::test]
async fn a_failure_inside_a_success_is_a_failure() {
    let (result, calls, _) = run(vec![like("dts-business-failure-http200")], LONG, async |aliyun| aliyun.job("nope").await).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (Kind::NotFound, Some("DTS.Msg.JobNotExist")));
    assert_eq!(calls, ["1 DTS.Msg.JobNotExist 473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"]);

    // The second of the two runs already, which is as asked.
    let (result, _, _) = run(vec![like("ecs-start-instances")], LONG, async |aliyun| start(&aliyun).await).await;
    result.unwrap();
    let stock = BOTH_STARTED.replacen("\"200\"", "\"OperationDenied.NoStock\"", 1);
    let (result, calls, _) = run(vec![ok(&stock)], LONG, async |aliyun| start(&aliyun).await).await;
    let error = result.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_deref(), error.ambiguous),
        (Kind::Unavailable, Some("OperationDenied.NoStock"), false),
        "the one without stock did nothing; the other was done"
    );
    assert_eq!(calls, ["1 ok R1"]);
}

#[tokio::test]
async fn wrong_shapes_are_malformed_and_after_a_change_ambiguous() {
    for name in ["err-200-unwrapped-list", "err-200-null-fields", "err-200-unknown-field"] {
        let (result, calls, _) = run(vec![like(name)], LONG, async |aliyun| start(&aliyun).await).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.ambiguous), (Kind::Malformed, true), "{name}: {error}");
        assert!(calls[0].starts_with("1 malformed"), "{calls:?}");
    }
    let half = r#"{"RequestId":"R1","InstanceResponses":{"InstanceResponse":[{"InstanceId":"i-bp1a","Code":"200"}]}}"#;
    let (result, _, _) = run(vec![ok(half)], LONG, async |aliyun| start(&aliyun).await).await;
    assert!(result.unwrap_err().message.contains("i-bp1b"));
}

#[tokio::test]
async fn an_instance_that_does_not_exist_is_missed() {
    let (result, _, _) = run(vec![like("ecs-describe-instances")], LONG, async |aliyun| {
        aliyun.find(&Selector { ids: vec!["i-bp1a".to_owned(), "i-gone".to_owned()], ..Selector::default() }).await
    })
    .await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(error.message.contains("i-gone"));
}

// ---- what is sent again

#[tokio::test]
async fn reads_are_repeated_and_every_attempt_is_recorded() {
    let acts = vec![like("err-503-throttling"), like("err-502-html"), like("sts-get-caller-identity")];
    let (result, calls, heads) = run(acts, LONG, async |aliyun| aliyun.account().await).await;
    assert_eq!(result.unwrap(), "1234567890123456");
    let id = "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E";
    assert_eq!(calls, [format!("1 Throttling {id}"), "2 transport -".to_owned(), format!("3 ok {id}")]);
    let nonce = |head: &str| head.lines().find(|line| line.starts_with("x-acs-signature-nonce")).unwrap().to_owned();
    assert_ne!(nonce(&heads[0]), nonce(&heads[1]), "each attempt is signed anew");
}

#[tokio::test]
async fn a_change_that_may_have_happened_is_not_repeated() {
    for (act, kind) in [
        (like("err-500-internal"), Kind::Unavailable),
        (like("err-502-html"), Kind::Transport),
        (ok(""), Kind::Transport),
        (Act::Break, Kind::Transport),
    ] {
        let (result, calls, _) = run(vec![act], LONG, async |aliyun| start(&aliyun).await).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.ambiguous), (kind, true), "{error}");
        assert_eq!(calls.len(), 1, "{calls:?}");
    }
    let (result, calls, _) = run(vec![Act::Hang], SHORT, async |aliyun| start(&aliyun).await).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.ambiguous), (Kind::Timeout, true));
    assert_eq!(calls, ["1 timeout -"]);
}

#[tokio::test]
async fn a_change_that_was_refused_or_never_sent_or_carries_a_token_is_repeated() {
    let acts = vec![like("err-400-throttling-user"), ok(BOTH_STARTED)];
    let (result, calls, _) = run(acts, LONG, async |aliyun| start(&aliyun).await).await;
    result.unwrap();
    assert_eq!(calls.len(), 2);

    let acts = vec![Act::Break, like("vpc-associate-network-acl")];
    let (result, calls, heads) = run(acts, LONG, async |aliyun| aliyun.associate_network_acl("nacl-1", &["vsw-1".to_owned()], "t1").await).await;
    result.unwrap();
    assert_eq!(calls[0], "1 transport -");
    assert_eq!(decoded(target(&heads[0])), decoded(target(&heads[1])), "the same token both times");

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let journal = Arc::new(Journal::default());
    let error = observed(journal.clone(), start(&client(&url, LONG, Gate::default()))).await.unwrap_err();
    assert_eq!((error.kind, error.ambiguous), (Kind::Transport, false), "{error}");
    assert_eq!(journal.lines().len(), 4);
}

#[tokio::test]
async fn throttling_lasts_as_long_as_the_step_and_no_longer() {
    let limited = || like("err-400-throttling-user");
    let acts = vec![limited(), limited(), limited(), limited(), limited(), ok(BOTH_STARTED)];
    let (result, calls, _) = run(acts, LONG, async |aliyun| within(tokio::time::Instant::now() + LONG, start(&aliyun)).await).await;
    result.unwrap();
    assert_eq!(calls.len(), 6, "more than any other failure is given: {calls:?}");

    let acts = vec![Act::Later(5000)];
    let (result, calls, _) = run(acts, LONG, async |aliyun| within(tokio::time::Instant::now() + SHORT, start(&aliyun)).await).await;
    assert_eq!((result.unwrap_err().kind, calls.len()), (Kind::Throttled, 1), "what the service said last");
}

#[tokio::test]
async fn the_vendors_wish_to_wait_is_kept_within_the_deadline() {
    let began = std::time::Instant::now();
    let (result, calls, _) = run(vec![Act::Later(700), like("sts-get-caller-identity")], LONG, async |aliyun| aliyun.account().await).await;
    result.unwrap();
    assert_eq!(calls.len(), 2);
    assert!(began.elapsed() >= Duration::from_millis(700), "waits of our own are shorter");

    let (result, calls, _) = run(vec![Act::Later(60_000)], LONG, async |aliyun| aliyun.account().await).await;
    assert_eq!((result.unwrap_err().kind, calls.len()), (Kind::Throttled, 1), "there is no time to wait that long");
}

#[tokio::test]
async fn a_call_cut_off_from_outside_still_leaves_a_record() {
    let (url, _task) = server(vec![Act::Hang]).await;
    let aliyun = client(&url, LONG, Gate::default());
    let journal = Arc::new(Journal::default());
    tokio::time::timeout(SHORT, observed(journal.clone(), start(&aliyun))).await.unwrap_err();
    let calls = journal.0.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].outcome.as_str(), calls[0].mutating, calls[0].region.as_str()), ("cancelled", true, "cn-hangzhou"));
}

/// The records that were captured do not tell whether weights count.
const SWITCHED_ON: &str = r#"{"TotalCount":1,"PageNumber":1,"PageSize":100,"SlbSubDomains":{"SlbSubDomain":[{"SubDomain":"www.example.com","Type":"A","Open":true,"RecordCount":2}]}}"#;

async fn look_up(aliyun: &Aliyun) -> Result<Vec<NameRecords>, CloudError> {
    let zone = aliyun.zone("Example.com.").await?;
    aliyun.names(&zone, Names::These(&["www.example.com".to_owned()])).await
}

#[tokio::test]
async fn a_closed_region_is_not_even_asked_but_dns_is() {
    let gate = Gate::default();
    gate.close(Cloud::Aliyun, "cn-hangzhou");
    let (url, task) = server(vec![like("alidns-describe-domain-records"), ok(SWITCHED_ON)]).await;
    let aliyun = client(&url, LONG, gate);
    assert_eq!(start(&aliyun).await.unwrap_err().kind, Kind::Gated);
    assert_eq!(aliyun.list("shop-orders", "", "").await.unwrap_err().kind, Kind::Gated);
    assert_eq!(aliyun.job("j").await.unwrap_err().kind, Kind::Gated);
    assert_eq!(aliyun.account().await.unwrap_err().kind, Kind::Gated);
    assert!(!task.is_finished());
    let journal = Arc::new(Journal::default());
    observed(journal.clone(), look_up(&aliyun)).await.unwrap();
    assert_eq!(journal.0.lock().unwrap()[0].region, "global");
}

#[tokio::test]
async fn objects_are_listed_over_pages_and_read() {
    let page = |keys: &[&str], next: Option<&str>| {
        let contents: String = keys
            .iter()
            .map(|key| {
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>\"5B3C\"</ETag><Size>3</Size></Contents>"
                )
            })
            .collect();
        let next = next.map_or_else(
            || "<IsTruncated>false</IsTruncated>".to_owned(),
            |token| format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"),
        );
        ok(&format!("<?xml version=\"1.0\"?><ListBucketResult>{next}{contents}</ListBucketResult>"))
    };
    let acts = vec![page(&["orders%2F1", "orders%2F%E5%BF%83%20b"], Some("T+1")), page(&["orders%2F3"], None)];
    let (result, calls, heads) = run(acts, LONG, async |aliyun| aliyun.list("shop-orders", "orders/", "orders/0").await).await;
    let keys: Vec<String> = result.unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(keys, ["orders/1", "orders/心 b", "orders/3"]);
    assert_eq!(calls.len(), 2);
    assert_eq!(decoded(target(&heads[1]))["continuation-token"], "T+1");
    assert!(heads[0].to_ascii_lowercase().contains("authorization: oss4-hmac-sha256 credential=ltaitest/"));

    let (result, _, heads) = run(vec![ok("{}")], LONG, async |aliyun| aliyun.get("src-bucket", "orders/2026/心跳 a+b.json").await).await;
    assert_eq!(result.unwrap(), "{}");
    assert_eq!(target(&heads[0]), vector("oss-get-object").request.target, "encoded as the official SDK does");
    let (result, _, _) = run(vec![like("oss-get-object-404")], LONG, async |aliyun| aliyun.get("src-bucket", "k").await).await;
    assert_eq!(result.unwrap_err().code.as_deref(), Some("NoSuchKey"));
}
