//! Every hostility of the lab against both clients, at a read and at a change: what they make of it, how often they ask, and that nothing
//! takes effect twice.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lifeboat::clouds::{aliyun, aws};
use lifeboat::lab::serve::{Lab, Options};
use lifeboat::model::lab::{Count, FaultRule, Skew, Trouble};
use lifeboat::model::time::Span;
use lifeboat::ports::calls::{Call, CallSink, DEADLINE, observed};
use lifeboat::ports::compute::{Compute, Selector};
use lifeboat::ports::gate::Gate;
use lifeboat::ports::objects::ObjectStore;
use lifeboat::ports::sync::Sync;
use lifeboat::ports::{Cloud, CloudError, Kind};
use serde_json::{Value, json};

use crate::common::{LabProcess, folder, get, last_json, lifeboat, path, run, text};

const AWS_STANDBY: [&str; 2] = ["i-0a11febe0a7500001", "i-0a11febe0a7500002"];
const AWS_IMAGE: &str = "ami-0a11febe0a7000001";
const ALIYUN_IMAGE: &str = "m-bp1lifeboat0shop00001";
const ALIYUN_STANDBY: &str = "checkout";

/// A hang costs this much, so it is short; everything else is far below it.
const SHORT: Duration = Duration::from_secs(2);

#[derive(Clone)]
enum Client {
    Aws(aws::Aws),
    Aliyun(aliyun::Aliyun),
}

impl Client {
    async fn connect(lab: &Lab, cloud: Cloud, timeout: Duration) -> Self {
        let endpoints = lab.endpoints();
        let (id, secret) = (endpoints.access_key_id.clone(), endpoints.secret_access_key.clone());
        match cloud {
            Cloud::Aws => {
                let mut settings = aws::Settings::new("us-east-1", Gate::default());
                settings.endpoint = Some(endpoints.aws.clone());
                settings.timeout = timeout;
                settings.credentials = Some(aws::StaticKeys { access_key_id: id, secret_access_key: secret, session_token: None });
                Self::Aws(aws::Aws::connect(settings).await)
            }
            Cloud::Aliyun => {
                let mut settings = aliyun::Settings::new("cn-hangzhou", Gate::default());
                settings.endpoint = Some(endpoints.aliyun.clone());
                settings.oss_endpoint = Some(endpoints.oss.clone());
                settings.timeout = timeout;
                settings.credentials = Some(aliyun::StaticKeys { access_key_id: id, secret_access_key: secret, session_token: None });
                Self::Aliyun(aliyun::Aliyun::connect(settings))
            }
        }
    }

    /// One call that reads.
    async fn read(&self) -> Result<(), CloudError> {
        match self {
            Self::Aws(aws) => aws.launch_permissions(AWS_IMAGE).await.map(drop),
            Self::Aliyun(aliyun) => aliyun.launch_permissions(ALIYUN_IMAGE).await.map(drop),
        }
    }

    /// One call that changes and carries no token.
    async fn change(&self, ids: &[String]) -> Result<(), CloudError> {
        self.compute().start(ids).await?.into_values().next().map_or(Ok(()), Err)
    }

    fn compute(&self) -> &dyn Compute {
        match self {
            Self::Aws(aws) => aws,
            Self::Aliyun(aliyun) => aliyun,
        }
    }

    fn objects(&self) -> &dyn ObjectStore {
        match self {
            Self::Aws(aws) => aws,
            Self::Aliyun(aliyun) => aliyun,
        }
    }
}

#[derive(Default)]
struct Journal(Mutex<Vec<Call>>);

impl CallSink for Journal {
    fn record(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }
}

/// What a call came to, and how many attempts it took.
async fn attempts<T>(call: impl Future<Output = Result<T, CloudError>>) -> (Result<T, CloudError>, usize) {
    let journal = Arc::new(Journal::default());
    let result = observed(journal.clone(), call).await;
    let attempts = journal.0.lock().unwrap().len();
    (result, attempts)
}

fn lab() -> Lab {
    Lab::start(Options { scale: 10.0, ..Options::default() }).unwrap()
}

fn rule(cloud: Cloud, calls: &str, does: Trouble) -> FaultRule {
    FaultRule { cloud: Some(cloud), calls: calls.to_owned(), ..FaultRule::new(does) }
}

async fn standby(client: &Client) -> Vec<String> {
    match client {
        Client::Aws(_) => AWS_STANDBY.map(str::to_owned).to_vec(),
        Client::Aliyun(aliyun) => {
            let tags = [("role", ALIYUN_STANDBY), ("posture", "standby")].map(|(key, value)| (key.to_owned(), value.to_owned()));
            let machines = aliyun.find(&Selector { tags: tags.into(), ..Selector::default() }).await.unwrap();
            machines.into_iter().map(|machine| machine.id).collect()
        }
    }
}

/// How often the lab carried out starts.
fn starts(lab: &Lab, cloud: Cloud) -> u64 {
    let service = if cloud == Cloud::Aws { "ec2" } else { "ecs" };
    let series = (cloud.to_string(), service.to_owned(), "StartInstances".to_owned(), "OK".to_owned());
    lab.world().lock().counters.api_calls.get(&series).copied().unwrap_or(0)
}

/// What is expected of one call: success or the kind of error and whether it is ambiguous; attempts; effects.
type Expected = (Result<(), (Kind, bool)>, usize, u64);

const fn done(attempts: usize) -> Expected {
    (Ok(()), attempts, 1)
}

const fn failed(kind: Kind, ambiguous: bool, effects: u64) -> Expected {
    (Err((kind, ambiguous)), 1, effects)
}

/// What goes wrong, how often, and what comes of it: at a read, at a change on AWS, at a change on Alibaba Cloud.
fn table() -> Vec<(Trouble, u32, Expected, Expected, Expected)> {
    use Kind::{Denied as No, Malformed as Broken, Timeout as Late, Transport as Line, Unavailable as Failed};
    let row = |does, count, read, change: Expected| (does, count, read, change, change);
    vec![
        row(Trouble::Throttle, 2, done(3), done(3)),
        row(Trouble::ServerError, 1, done(2), failed(Failed, true, 0)),
        row(Trouble::ResetBefore, 1, done(2), failed(Line, true, 0)),
        row(Trouble::ResetAfter, 1, done(2), failed(Line, true, 1)),
        row(Trouble::HangBefore, 1, done(2), failed(Late, true, 0)),
        row(Trouble::HangAfter, 1, done(2), failed(Late, true, 1)),
        row(Trouble::Slow, 1, done(1), done(1)),
        (Trouble::Truncate, 1, done(2), failed(Broken, true, 1), failed(Line, true, 1)),
        (Trouble::Malformed, 1, done(2), failed(Broken, true, 1), failed(Line, true, 1)),
        row(Trouble::FalseSuccess, 1, done(2), failed(Failed, true, 0)),
        row(Trouble::ExpiredCredentials, 1, done(2), done(2)),
        row(Trouble::Denied, 1, failed(No, false, 0), failed(No, false, 0)),
        row(Trouble::ClockSkew, 2, done(2), done(2)),
    ]
}

#[tokio::test]
async fn every_hostility_at_a_read_and_at_a_change_of_both_clouds() {
    let lab = lab();
    let of_one = async |cloud: Cloud| {
        let mut wrong = Vec::new();
        for (does, count, read, aws_change, aliyun_change) in table() {
            let ids = standby(&Client::connect(&lab, cloud, SHORT).await).await[..1].to_vec();
            let delay = (does == Trouble::Slow).then(|| Span::from_millis(100));
            for (calls, expected) in [("*:DescribeImage*", read), ("*:StartInstances", if cloud == Cloud::Aws { aws_change } else { aliyun_change })]
            {
                // What one client has learnt of the clocks another does not know.
                let client = Client::connect(&lab, cloud, SHORT).await;
                let is_change = calls == "*:StartInstances";
                lab.faults().add(vec![FaultRule { count: Count::Times(count), delay, ..rule(cloud, calls, does) }]);
                let before = starts(&lab, cloud);
                let (result, attempts) = if is_change { attempts(client.change(&ids)).await } else { attempts(client.read()).await };
                let shown = result.as_ref().err().map(ToString::to_string);
                let found = result.map_err(|error| (error.kind, error.ambiguous));
                let effects = if is_change { starts(&lab, cloud) - before } else { expected.2 };
                if (found, attempts, effects) != expected {
                    wrong.push(format!("{cloud} {does} {calls}: {found:?} {attempts} {effects}, not {expected:?}; {shown:?}"));
                }
            }
        }
        wrong
    };
    let (aws, aliyun) = tokio::join!(of_one(Cloud::Aws), of_one(Cloud::Aliyun));
    assert!(aws.is_empty() && aliyun.is_empty(), "{}", [aws, aliyun].concat().join("\n"));
    let idle = lab.faults().view();
    for row in idle.as_array().unwrap() {
        assert_eq!(row["fired"], row["count"], "every rule fired as often as it may: {row}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn a_wish_to_wait_is_obeyed_and_one_beyond_the_deadline_ends_the_call_at_once() {
    let lab = lab();
    for cloud in [Cloud::Aws, Cloud::Aliyun] {
        let client = Client::connect(&lab, cloud, Duration::from_secs(20)).await;
        let throttle = |seconds| FaultRule { retry_after: Some(Span::from_secs(seconds)), ..rule(cloud, "*:DescribeImage*", Trouble::Throttle) };
        lab.faults().add(vec![throttle(2)]);
        let begun = Instant::now();
        let (result, attempts_made) = attempts(client.read()).await;
        result.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(2), "{cloud}: {:?}", begun.elapsed());
        assert_eq!(attempts_made, 2, "{cloud}");

        lab.faults().add(vec![throttle(60)]);
        let begun = Instant::now();
        let (result, attempts_made) = attempts(client.read()).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.retry, error.retry_after, attempts_made), (Kind::Throttled, true, Some(Duration::from_secs(60)), 1), "{cloud}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{cloud}: it does not wait for what comes too late");
    }
    lab.stop().await;
}

#[tokio::test]
async fn what_never_ends_ends_with_the_last_attempt_and_says_why() {
    let lab = lab();
    for cloud in [Cloud::Aws, Cloud::Aliyun] {
        for (does, kind, effect) in [(Trouble::Throttle, Kind::Throttled, "throttl"), (Trouble::ServerError, Kind::Unavailable, "Internal")] {
            lab.faults().clear();
            lab.faults().add(vec![FaultRule { count: Count::Forever, ..rule(cloud, "*", does) }]);
            let client = Client::connect(&lab, cloud, DEADLINE).await;
            let (result, attempts_made) = attempts(client.read()).await;
            let error = result.unwrap_err();
            assert_eq!((error.kind, error.ambiguous), (kind, false), "{cloud} {does}: {error}");
            // Whoever is asked to slow down comes again for as long as there is time; a service in trouble is left alone after a few attempts.
            let most = if kind == Kind::Throttled { usize::MAX } else { 4 };
            assert!((3..=most).contains(&attempts_made), "{cloud} {does} {effect}: {attempts_made}");
        }
    }
    lab.stop().await;
}

#[tokio::test]
async fn of_a_batch_that_is_done_in_part_the_rest_is_named_and_asking_again_continues() {
    let lab = lab();
    for cloud in [Cloud::Aws, Cloud::Aliyun] {
        let client = Client::connect(&lab, cloud, DEADLINE).await;
        let ids = standby(&client).await;
        let last = ids.last().unwrap();
        lab.faults().add(vec![rule(cloud, "*:StartInstances", Trouble::Partial)]);
        let refused = client.compute().start(&ids).await.unwrap();
        let is_off = |id: &String| lab.world().lock().instances[id].state == lifeboat::lab::world::state::InstanceState::Stopped;
        assert!(!is_off(&ids[0]), "{cloud}: what was done stays done");
        if cloud == Cloud::Aws {
            // EC2 does not tell which: each half was asked again, and the trouble had passed.
            assert!(refused.is_empty() && !is_off(last), "{refused:?}");
        } else {
            assert_eq!(refused.keys().collect::<Vec<_>>(), [last]);
            let error = &refused[last];
            assert_eq!((error.kind, error.ambiguous, error.retry), (Kind::Unavailable, true, true), "{error}");
            assert!(is_off(last));
        }
        client.change(&ids).await.unwrap();
        assert!(!is_off(last), "{cloud}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn stale_reads_tell_of_the_world_before_the_change() {
    let lab = lab();
    let stale = |cloud, calls: &str| FaultRule { count: Count::Forever, age: Some(Span::from_secs(3)), ..rule(cloud, calls, Trouble::Stale) };
    lab.faults().add(vec![stale(Cloud::Aws, "ec2:DescribeImage*"), stale(Cloud::Aliyun, "ecs:DescribeImage*"), stale(Cloud::Aliyun, "vpc:*")]);
    let accounts = BTreeSet::from(["444455556666".to_owned()]);
    let Client::Aws(aws) = Client::connect(&lab, Cloud::Aws, DEADLINE).await else { unreachable!() };
    aws.modify_launch_permissions(AWS_IMAGE, &accounts, &BTreeSet::new()).await.unwrap();
    let seen = aws.launch_permissions(AWS_IMAGE).await.unwrap();
    assert!(!seen.contains("444455556666"), "not yet: {seen:?}");
    let Client::Aliyun(aliyun) = Client::connect(&lab, Cloud::Aliyun, DEADLINE).await else { unreachable!() };
    let acl = aliyun.create_network_acl("vpc-bp1lifeboat0shop00001", "new", "t-1").await.unwrap();
    assert_eq!(aliyun.network_acl(&acl).await.unwrap_err().kind, Kind::NotFound, "right after it was made");
    let begun = Instant::now();
    loop {
        let known = aws.launch_permissions(AWS_IMAGE).await.unwrap().contains("444455556666") && aliyun.network_acl(&acl).await.is_ok();
        if known {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "seen at last");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    lab.stop().await;
}

#[tokio::test]
async fn a_clock_that_stays_wrong_is_named() {
    let lab = lab();
    for cloud in [Cloud::Aws, Cloud::Aliyun] {
        // It jumps on between the two attempts.
        let skew = |minutes: u64| FaultRule {
            skew: Some(Skew::ahead(Span::from_secs(minutes * 60))),
            ..rule(cloud, "*:DescribeImage*", Trouble::ClockSkew)
        };
        lab.faults().add(vec![skew(30), skew(90)]);
        let client = Client::connect(&lab, cloud, DEADLINE).await;
        let (result, attempts_made) = attempts(client.read()).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.ambiguous, attempts_made), (Kind::Denied, false, 2), "{cloud}: {error}");
        assert!(error.message.contains("this machine's clock is 1h") && error.message.contains("behind the service's"), "{cloud}: {error}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn object_stores_and_jobs_are_no_exception() {
    let lab = lab();
    for cloud in [Cloud::Aws, Cloud::Aliyun] {
        let client = Client::connect(&lab, cloud, SHORT).await;
        let (bucket, store) = (if cloud == Cloud::Aws { "shop-assets" } else { "shop-orders" }, client.objects());
        for does in [Trouble::Malformed, Trouble::Truncate, Trouble::FalseSuccess, Trouble::Throttle, Trouble::ResetAfter, Trouble::ClockSkew] {
            lab.faults()
                .add(vec![FaultRule { count: Count::Times(if does == Trouble::ClockSkew { 2 } else { 1 }), ..rule(cloud, "*:ListObjects*", does) }]);
            let (result, attempts_made) = attempts(store.list(bucket, "", "")).await;
            let listed = result.unwrap_or_else(|error| panic!("{cloud} {does}: {error}"));
            assert!(!listed.is_empty(), "{cloud} {does}: a broken list is no short list");
            assert_eq!(attempts_made, 2, "{cloud} {does}");
        }
        lab.faults().clear();
        store.put(bucket, "hostile", "1234567890".into()).await.unwrap();
        lab.faults().add(vec![rule(cloud, "*:GetObject", Trouble::Truncate)]);
        assert_eq!(store.get(bucket, "hostile").await.unwrap(), "1234567890", "{cloud}");
        lab.faults().add(vec![rule(cloud, "*:GetObject", Trouble::Truncate)]);
        assert_eq!(store.piece(bucket, "hostile", 3, 10).await.unwrap(), "4567890", "{cloud}");
        assert_eq!(store.piece(bucket, "hostile", 10, 10).await.unwrap(), "", "{cloud}");
        for (from, size) in [(0, 20), (30, 40)] {
            assert_eq!(store.piece(bucket, "hostile", from, size).await.unwrap_err().kind, Kind::Conflict, "{cloud}: it has shrunk");
        }
        lab.faults().add(vec![rule(cloud, "*:PutObject", Trouble::FalseSuccess)]);
        let error = store.put(bucket, "hostile", "2".into()).await.unwrap_err();
        assert_eq!((error.kind, error.ambiguous), (Kind::Unavailable, true), "{cloud}: {error}");
        lab.faults().clear();
        assert_eq!(store.get(bucket, "hostile").await.unwrap(), "1234567890", "{cloud}: nothing was written");
    }
    let Client::Aliyun(aliyun) = Client::connect(&lab, Cloud::Aliyun, SHORT).await else { unreachable!() };
    lab.faults().add(vec![rule(Cloud::Aliyun, "dts:SuspendDtsJob", Trouble::FalseSuccess)]);
    let error = aliyun.suspend("dtsorders-primary").await.unwrap_err();
    assert_eq!((error.kind, error.ambiguous, error.code.as_deref()), (Kind::Unavailable, true, Some("InternalError")), "{error}");
    assert_eq!(lab.world().lock().jobs["dtsorders-primary"].status, "Synchronizing");
    lab.stop().await;
}

#[tokio::test]
async fn the_lab_ends_while_calls_hang() {
    let lab = lab();
    lab.faults().add(vec![FaultRule { count: Count::Forever, ..FaultRule::new(Trouble::HangAfter) }]);
    let client = Client::connect(&lab, Cloud::Aliyun, Duration::from_secs(60)).await;
    let call = tokio::spawn(async move { client.read().await });
    let begun = Instant::now();
    while lab.faults().view()[0]["fired"] == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the call arrived");
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(Duration::from_secs(20), lab.stop()).await.expect("nothing keeps it");
    assert_eq!(call.await.unwrap().unwrap_err().kind, Kind::Transport);
}

/// Keys that expire in the middle of a run while their files have others by then: the run goes on with those.
#[test]
fn keys_that_expire_in_a_run_are_looked_for_anew() {
    let (lab, folder) = (LabProcess::start(&["--time-scale", "10"]), folder());
    let about: Value = serde_json::from_str(&get(lab.control(), "/environment")).unwrap();
    let files = |id: &Value, secret: &Value| {
        let (id, secret) = (id.as_str().unwrap(), secret.as_str().unwrap());
        let aws = format!("[drill]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        let profile = json!({ "name": "drill", "mode": "AK", "access_key_id": id, "access_key_secret": secret });
        (aws, json!({ "current": "drill", "profiles": [profile] }).to_string())
    };
    let (aws, aliyun) = files(&about["access_key_id"], &about["secret_access_key"]);
    let (next_aws, next_aliyun) = files(&about["next_key"]["access_key_id"], &about["next_key"]["secret_access_key"]);
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(".aws/credentials", &aws);
    write(".aliyun/config.json", &aliyun);
    write("next/aws", &next_aws);
    write("next/aliyun", &next_aliyun);
    let endpoint = |name: &str| about[name].as_str().unwrap().to_owned();
    write(
        "lifeboat.yaml",
        &format!(
            "lifeboat: 1\nenvironments:\n  ours:\n    aws: {{ profile: drill, region: us-east-1, account: \"111122223333\", endpoint: \"{}\" }}\n    \
             aliyun: {{ profile: drill, region: cn-hangzhou, account: \"1234567890123456\", endpoint: \"{}\", oss_endpoint: \"{}\" }}\n",
            endpoint("aws"),
            endpoint("aliyun"),
            endpoint("oss")
        ),
    );
    write(
        "rotate.yaml",
        r#"lifeboat: 1
kind: runbook
title: Keys expire
steps:
  - { id: first-aws, uses: aws.ec2.start-instances, with: { instances: { ids: [i-0a11febe0a7c00001] } } }
  - { id: first-aliyun, uses: aliyun.ecs.start-instances, with: { instances: { tags: { role: storefront, posture: active } } } }
  - { id: rotate, needs: [first-aws, first-aliyun], uses: exec, with: { command: [sh, -c, "cp next/aws .aws/credentials && cp next/aliyun .aliyun/config.json"] } }
  - { id: then-aws, needs: [rotate], uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } } }
  - { id: then-aliyun, needs: [rotate], uses: aliyun.ecs.start-instances, with: { instances: { tags: { role: checkout, posture: standby } } } }
"#,
    );
    put(
        lab.control(),
        "/faults",
        &json!([{ "does": "expired-credentials", "calls": "*:StartInstances", "cloud": "aws", "count": "forever" },
                                          { "does": "expired-credentials", "calls": "*:StartInstances", "cloud": "aliyun", "count": "forever" }]),
    );
    let mut command = lifeboat();
    let home = folder.path().to_owned();
    command.current_dir(folder.path()).env("HOME", home).args(["execute", "rotate.yaml", "--env", "ours", "--output", "json"]);
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let rules: Value = serde_json::from_str(&get(lab.control(), "/faults")).unwrap();
    assert_eq!((&rules[0]["fired"], &rules[1]["fired"]), (&json!(1), &json!(1)), "refused once, then asked with the next key: {rules}");
    let journal = std::fs::read_to_string(path(&last_json(&output)["journal"])).unwrap();
    for secret in [&about["secret_access_key"], &about["next_key"]["secret_access_key"]] {
        assert!(!journal.contains(secret.as_str().unwrap()));
    }
}

#[test]
fn an_environment_brings_its_faults_and_a_wrong_rule_is_refused() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    let project = "lifeboat: 1\nenvironments:\n  bad-day:\n    kind: lab\n    lab: { faults: [{ does: throttle, calls: \"ec2:DescribeInstances\", count: 2 }] }\n";
    std::fs::write(folder.path().join("lifeboat.yaml"), project).unwrap();
    let runbook = "lifeboat: 1\nkind: runbook\ntitle: Start\nsteps:\n  - { id: start, uses: aws.ec2.start-instances, with: { instances: { ids: [i-0a11febe0a7c00001] } } }\n";
    std::fs::write(folder.path().join("start.yaml"), runbook).unwrap();
    for _ in 0..2 {
        let output = run(lifeboat().current_dir(folder.path()).args(["plan", "start.yaml", "--env", "bad-day", "--lab", lab.control()]));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let rules: Value = serde_json::from_str(&get(lab.control(), "/faults")).unwrap();
        assert_eq!(rules.as_array().unwrap().len(), 1, "the same rules are not there twice: {rules}");
        assert_eq!(rules[0]["fired"], 2, "{rules}");
    }
    let refused = put(lab.control(), "/faults", &json!({ "does": "slow", "retry_after": "2s" }));
    assert!(refused.contains(" 400 ") && refused.contains("`retry_after` is a setting of `throttle` and `server-error`, not of `slow`"), "{refused}");
    assert!(get(lab.control(), "/truth").contains("\"does\":\"throttle\""));
}

/// The answer to `PUT base/path`, with its head.
fn put(base: &str, path: &str, body: &Value) -> String {
    use std::io::{Read as _, Write as _};
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let body = body.to_string();
    write!(stream, "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
