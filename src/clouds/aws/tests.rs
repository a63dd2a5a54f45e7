//! What the client makes of servers that misbehave, and what it tells the journal about them. Each server is a script of answers on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Aws, Settings, StaticKeys};
use crate::ports::calls::{Call, CallSink, observed, within};
use crate::ports::compute::{Compute, Selector};
use crate::ports::dns::{ChangeId, Dns};
use crate::ports::gate::Gate;
use crate::ports::objects::ObjectStore;
use crate::ports::{Cloud, CloudError, Kind};

/// What the server does with one request.
enum Act {
    Answer(u16, &'static str),
    Break,
    Hang,
    /// An answer without an end.
    Endless,
}

const STARTED: &str = r#"<StartInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>req-ok</requestId><instancesSet><item><instanceId>i-1</instanceId></item></instancesSet></StartInstancesResponse>"#;
const NOTHING_FOUND: &str = r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>req-ok</requestId><reservationSet/></DescribeInstancesResponse>"#;
const LIMITED: &str = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors><RequestID>req-lim</RequestID></Response>";
const INTERNAL: &str = "<Response><Errors><Error><Code>InternalError</Code><Message>An internal error</Message></Error></Errors><RequestID>req-int</RequestID></Response>";
const WRONG_STATE: &str =
    "<Response><Errors><Error><Code>IncorrectInstanceState</Code><Message>not now</Message></Error></Errors><RequestID>req-st</RequestID></Response>";
const DRY_RUN: &str =
    "<Response><Errors><Error><Code>DryRunOperation</Code><Message>would have</Message></Error></Errors><RequestID>req-dry</RequestID></Response>";
const HTML: &str = "<html><body>502 Bad Gateway</body></html>";

/// Serves the acts in order, one request a connection, and gives its address. Ends with the test's runtime.
async fn server(acts: Vec<Act>) -> (String, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        let mut served = 0;
        for act in acts {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            served += 1;
            match act {
                Act::Answer(status, body) => {
                    let head =
                        format!("HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                    stream.write_all(head.as_bytes()).await.unwrap();
                    stream.write_all(body.as_bytes()).await.unwrap();
                }
                Act::Endless => {
                    let head = "HTTP/1.1 200 X\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n";
                    stream.write_all(head.as_bytes()).await.unwrap();
                    // Ends when the client has had enough.
                    while stream.write_all(&[b' '; 1 << 16]).await.is_ok() {}
                }
                Act::Break => drop(stream),
                Act::Hang => held.push(stream),
            }
        }
        if !held.is_empty() {
            std::future::pending::<()>().await;
        }
        served
    });
    (url, task)
}

async fn read_request(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text[..end]
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse::<usize>().unwrap()));
            if bytes.len() >= end + 4 + length.unwrap_or(0) || read == 0 {
                return;
            }
        }
    }
}

async fn client(url: &str, timeout: Duration, gate: Gate) -> Aws {
    let mut settings = Settings::new("us-east-1", gate);
    settings.endpoint = Some(url.to_owned());
    settings.credentials = Some(StaticKeys { access_key_id: "AKID".into(), secret_access_key: "secret".into(), session_token: None });
    settings.timeout = timeout;
    Aws::connect(settings).await
}

#[derive(Default)]
struct Journal(Mutex<Vec<Call>>);

impl CallSink for Journal {
    fn record(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }
}

/// Runs a call against the acts; gives its result and `attempt outcome request-id` of each attempt.
async fn run<T, F: AsyncFnOnce(Aws) -> Result<T, CloudError>>(acts: Vec<Act>, timeout: Duration, call: F) -> (Result<T, CloudError>, Vec<String>) {
    let (url, _task) = server(acts).await;
    let aws = client(&url, timeout, Gate::default()).await;
    let journal = Arc::new(Journal::default());
    let result = observed(journal.clone(), call(aws)).await;
    let calls = journal
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|call| format!("{} {} {}", call.attempt, call.outcome, call.request_id.as_deref().unwrap_or("-")))
        .collect();
    (result, calls)
}

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

async fn start(aws: Aws) -> Result<(), CloudError> {
    aws.start(&["i-1".to_owned()]).await?.into_values().next().map_or(Ok(()), Err)
}

async fn find(aws: Aws) -> Result<(), CloudError> {
    let selector = Selector { ids: vec!["i-1".into()], ..Selector::default() };
    aws.find(&selector).await.map(|machines| assert!(machines.is_empty()))
}

#[tokio::test]
async fn a_refused_connection_is_certain_to_have_done_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let error = start(client(&url, LONG, Gate::default()).await).await.unwrap_err();
    assert_eq!((error.kind, error.ambiguous, error.retry), (Kind::Transport, false, true), "{error}");
}

#[tokio::test]
async fn a_change_whose_connection_broke_is_not_repeated() {
    let (result, calls) = run(vec![Act::Break, Act::Answer(200, STARTED)], LONG, start).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.ambiguous), (Kind::Transport, true), "{error}");
    assert_eq!(calls, ["1 transport -"]);
}

#[tokio::test]
async fn a_change_without_answer_is_in_doubt_after_its_deadline() {
    let (result, calls) = run(vec![Act::Hang], SHORT, start).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.ambiguous), (Kind::Timeout, true), "{error}");
    assert_eq!(calls, ["1 timeout -"]);
}

#[tokio::test]
async fn a_change_that_failed_inside_the_service_is_in_doubt() {
    let (result, calls) = run(vec![Act::Answer(500, INTERNAL), Act::Answer(200, STARTED)], LONG, start).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.ambiguous, error.code.as_deref()), (Kind::Unavailable, true, Some("InternalError")), "{error}");
    assert_eq!(error.request_id.as_deref(), Some("req-int"));
    assert_eq!(calls, ["1 InternalError req-int"]);
}

#[tokio::test]
async fn a_throttled_change_is_repeated_and_every_attempt_recorded() {
    let acts = vec![Act::Answer(503, LIMITED), Act::Answer(503, LIMITED), Act::Answer(200, STARTED)];
    let (result, calls) = run(acts, LONG, start).await;
    result.unwrap();
    assert_eq!(calls, ["1 RequestLimitExceeded req-lim", "2 RequestLimitExceeded req-lim", "3 ok req-ok"]);
}

#[tokio::test]
async fn throttling_lasts_as_long_as_the_step_and_no_longer() {
    let limited = || Act::Answer(503, LIMITED);
    let acts = vec![limited(), limited(), limited(), limited(), Act::Answer(200, STARTED)];
    let (result, calls) = run(acts, LONG, async |aws| within(tokio::time::Instant::now() + LONG, start(aws)).await).await;
    result.unwrap();
    assert_eq!(calls.len(), 5, "more than any other failure is given: {calls:?}");

    let began = std::time::Instant::now();
    let acts = (0..20).map(|_| limited()).collect();
    let (result, calls) = run(acts, LONG, async |aws| within(tokio::time::Instant::now() + SHORT, start(aws)).await).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Throttled, Some("RequestLimitExceeded")), "what the service said last");
    assert!(began.elapsed() < LONG / 2 && !calls.is_empty());
}

#[tokio::test]
async fn a_read_is_repeated_whatever_broke() {
    let acts = vec![Act::Break, Act::Answer(502, HTML), Act::Answer(200, NOTHING_FOUND)];
    let (result, calls) = run(acts, LONG, find).await;
    result.unwrap();
    assert_eq!(calls, ["1 transport -", "2 malformed -", "3 ok req-ok"]);
}

#[tokio::test]
async fn a_read_in_vain_is_never_ambiguous() {
    let (result, _) = run(vec![Act::Hang, Act::Hang], SHORT, find).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.ambiguous, error.retry), (Kind::Timeout, false, true), "{error}");
}

#[tokio::test]
async fn a_refusal_keeps_the_vendors_words() {
    let (result, _) = run(vec![Act::Answer(400, WRONG_STATE)], LONG, start).await;
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "aws ec2:StartInstances: not now (IncorrectInstanceState) [request req-st]");
    assert_eq!((error.kind, error.ambiguous, error.retry), (Kind::Conflict, false, true));
}

#[tokio::test]
async fn an_answer_that_is_no_xml_is_malformed() {
    let (result, calls) = run(vec![Act::Answer(200, HTML)], LONG, start).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.ambiguous), (Kind::Malformed, true), "{error}");
    assert_eq!(calls, ["1 malformed -"]);
}

#[tokio::test]
async fn a_dry_run_that_would_work_is_success() {
    let (result, calls) = run(vec![Act::Answer(412, DRY_RUN)], LONG, async |aws: Aws| aws.dry_run_start(&["i-1".to_owned()]).await).await;
    result.unwrap();
    assert_eq!(calls, ["1 DryRunOperation req-dry"]);
}

#[tokio::test]
async fn a_call_cut_off_from_outside_still_leaves_a_record() {
    let (url, _task) = server(vec![Act::Hang]).await;
    let aws = client(&url, LONG, Gate::default()).await;
    let journal = Arc::new(Journal::default());
    tokio::time::timeout(SHORT, observed(journal.clone(), start(aws))).await.unwrap_err();
    let calls = journal.0.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].outcome.as_str(), calls[0].mutating, calls[0].region.as_str()), ("cancelled", true, "us-east-1"));
}

#[tokio::test]
async fn a_closed_region_is_not_even_asked_but_dns_is() {
    let gate = Gate::default();
    gate.close(Cloud::Aws, "us-east-1");
    let (url, task) = server(vec![Act::Answer(404, "")]).await;
    let aws = client(&url, LONG, gate).await;
    assert_eq!(start(aws.clone()).await.unwrap_err().kind, Kind::Gated);
    assert_eq!(aws.list("shop-orders", "", "").await.unwrap_err().kind, Kind::Gated);
    assert_eq!(aws.account().await.unwrap_err().kind, Kind::Gated);
    assert!(!task.is_finished());
    assert_eq!(aws.in_sync(&ChangeId("C1".into())).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(task.await.unwrap(), 1);
}

#[tokio::test]
async fn missing_credentials_are_said_to_be_missing() {
    let mut settings = Settings::new("us-east-1", Gate::default());
    settings.profile = Some("no-such-profile-of-lifeboat".into());
    settings.endpoint = Some("http://127.0.0.1:9".into());
    let error = Aws::connect(settings).await.account().await.unwrap_err();
    assert_eq!((error.kind, error.ambiguous), (Kind::Denied, false), "{error}");
    assert!(error.to_string().contains("no-such-profile-of-lifeboat"), "{error}");
}

#[tokio::test]
async fn accounts_that_are_none_never_reach_an_image() {
    let aws = client("http://127.0.0.1:9", LONG, Gate::default()).await;
    let error = aws.modify_launch_permissions("ami-1", &["all".to_owned()].into(), &Default::default()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
}

#[tokio::test]
async fn an_answer_without_an_end_is_left() {
    let (result, _) = run(vec![Act::Endless, Act::Endless, Act::Endless, Act::Endless], LONG, find).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Kind::Malformed, "{error}");
    assert!(error.to_string().contains("length limit exceeded"), "{error}");
}

#[tokio::test]
async fn what_is_too_long_to_be_sent_is_refused() {
    let aws = client("http://127.0.0.1:9", LONG, Gate::default()).await;
    let long = "x".repeat(100_000);
    let errors =
        [aws.zone(&long).await.unwrap_err(), aws.list(&long, "", "").await.unwrap_err(), aws.list("shop-orders", &long, "").await.unwrap_err()];
    for error in errors {
        assert_eq!(error.kind, Kind::Invalid, "{error}");
        assert!(error.to_string().len() < 200, "{error}");
    }
}
