//! The clouds' own monitoring: both clients against the lab, and drills that it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat::clouds::aliyun::Aliyun;
use lifeboat::lab::serve::{Lab, Options};
use lifeboat::ports::Kind;
use lifeboat::ports::metrics::{AlarmState, MetricQuery, Metrics};
use serde_json::Value;

use crate::common::{LabProcess, folder, has_step, journal, last_json, lifeboat, run, text};

fn errors(namespace: &str, dimension: &str, service: &str, period: u64) -> MetricQuery {
    MetricQuery {
        namespace: namespace.to_owned(),
        metric: "Errors".to_owned(),
        dimensions: BTreeMap::from([(dimension.to_owned(), service.to_owned())]),
        statistic: "Average".to_owned(),
        period: Duration::from_secs(period),
    }
}

/// Holds for both clouds: an alarm is read by its whole name, and the newest whole period gives one number.
async fn check(metrics: &dyn Metrics, query: &MetricQuery) {
    assert_eq!(metrics.alarm("shop-checkout-errors").await.unwrap().state, AlarmState::Ok);
    for name in ["shop-checkout", "nobody's"] {
        assert_eq!(metrics.alarm(name).await.unwrap_err().kind, Kind::NotFound, "{name}");
    }
    let begun = std::time::Instant::now();
    let points = loop {
        let points = metrics.latest(query).await.unwrap();
        if !points.is_empty() || begun.elapsed() > query.period * 2 + Duration::from_secs(10) {
            break points;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(points.iter().map(|point| point.value).collect::<Vec<_>>(), [0.0], "every customer is served");
    let period = i64::try_from(query.period.as_nanos()).unwrap();
    assert_eq!(points[0].at.as_nanos() % period, 0, "a period begins at a multiple of its length");
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn cloudwatch_is_read_in_its_own_protocol() {
    use lifeboat::clouds::aws::{Aws, Settings, StaticKeys};
    use lifeboat::ports::gate::Gate;

    let lab = Lab::start(Options { scale: 10.0, ..Options::default() }).unwrap();
    let endpoints = lab.endpoints();
    let mut settings = Settings::new("us-east-1", Gate::default());
    settings.endpoint = Some(endpoints.aws.clone());
    settings.credentials = Some(StaticKeys {
        access_key_id: endpoints.access_key_id.clone(),
        secret_access_key: endpoints.secret_access_key.clone(),
        session_token: None,
    });
    let aws = Aws::connect(settings).await;
    check(&aws, &errors("Shop", "Service", "checkout", 1)).await;
    let nothing = aws.latest(&errors("Shop", "Service", "nobody", 1)).await.unwrap();
    assert_eq!(nothing, [], "a metric that is not there has no numbers");
    let wrong = aws.latest(&errors("Shop", "Service", "checkout", 7)).await.unwrap_err();
    assert_eq!((wrong.kind, wrong.code.as_deref()), (Kind::Invalid, Some("InvalidParameterValue")));
    assert!(wrong.request_id.is_some());
    lab.stop().await;
}

#[tokio::test]
async fn cloudmonitor_is_read_out_of_its_strings() {
    let lab = Lab::start(Options { scale: 10.0, ..Options::default() }).unwrap();
    let aliyun = Aliyun::connect(crate::aliyun_client::settings(&lab));
    let namespace = "acs_customMetric_1234567890123456";
    check(&aliyun, &errors(namespace, "service", "checkout", 15)).await;
    let wrong = MetricQuery { metric: "Nothing".to_owned(), ..errors(namespace, "service", "checkout", 15) };
    let wrong = aliyun.latest(&wrong).await.unwrap_err();
    assert_eq!(wrong.code.as_deref(), Some("400"), "a failure that comes with HTTP 200");
    lab.stop().await;
}

/// A drill whose recovery never comes; the route that the fault breaks, and a probe as the only way to its end.
fn drill_until(probe: &str) -> String {
    let (lab, project) = (LabProcess::start(&["--time-scale", "10"]), folder());
    let write = |name: &str, content: &str| std::fs::write(project.path().join(name), content).unwrap();
    write(
        "lifeboat.yaml",
        &format!(
            r#"lifeboat: 1
environments: {{ lab: {{ kind: lab }} }}
probes:
  checkout: {{ uses: http, with: {{ url: "${{{{ vars.checkout }}}}" }}, every: 200ms, bad_after: 2, good_after: 2 }}
  condition:
{probe}
    every: 300ms
    bad_after: 2
    good_after: 1
"#
        ),
    );
    write("wait.yaml", "lifeboat: 1\nkind: runbook\ntitle: Wait\nsteps:\n  - { id: wait, uses: wait, with: { for: 5m }, timeout: 10m }\n");
    write(
        "drill.yaml",
        r#"lifeboat: 1
kind: scenario
title: Until the condition
objectives: { checkout: { rto: 60s } }
steady_state: { probes: [checkout, condition], hold: 1s }
fault:
  uses: aws.ec2.blackhole-route
  with: { route_table: "${{ vars.checkout_route_table }}", destination: "${{ vars.checkout_route }}", interface: "${{ vars.spare_interface }}" }
  lease: 5m
detect: { probe: checkout, timeout: 60s }
failover: { runbook: wait.yaml }
recovered: { probes: [checkout], stable_for: 5s, timeout: 2m }
stop_conditions: [{ probe: condition, is: bad, for: 0s }]
"#,
    );
    let before = lab.world();
    let reports = project.path().join("reports");
    let output = run(lifeboat()
        .current_dir(project.path())
        .args(["drill", "drill.yaml", "--output", "json", "--lab", lab.control(), "--reports"])
        .arg(&reports));
    let printed = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(4), "{printed}");
    assert_eq!(last_json(&output)["verdict"], "aborted", "{printed}");
    assert_eq!(lab.world(), before, "the fault is out: {printed}");
    let events = journal(&reports).unwrap();
    assert!(has_step(&events, "fault", "applied") && has_step(&events, "fault", "undone"), "{events}");
    let stop = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|event| event["event"] == "stop-requested");
    let stop = stop.unwrap_or_else(|| panic!("nothing stopped it: {events}"));
    assert_eq!((&stop["by"], &stop["abort"]), (&"stop-condition".into(), &true.into()));
    assert!(stop["why"].as_str().unwrap().starts_with("probe condition has been bad"), "{stop}");
    events
}

#[test]
fn a_cloudwatch_alarm_ends_a_drill() {
    let events = drill_until("    uses: aws.cloudwatch.alarm\n    with: { name: \"${{ vars.checkout_alarm }}\" }");
    assert!(events.contains("ALARM: Threshold Crossed"), "why is told: {events}");
}

#[test]
fn a_rule_of_cloudmonitor_ends_a_drill() {
    drill_until("    uses: aliyun.cloudmonitor.alarm\n    with: { name: \"${{ vars.checkout_alarm }}\" }");
}

#[test]
fn a_number_of_cloudwatch_ends_a_drill() {
    drill_until(
        "    uses: aws.cloudwatch.metric
    with: { namespace: Shop, metric: Errors, dimensions: { Service: checkout }, period: 1s, expect: { below: 0.5 } }",
    );
}

#[test]
fn a_query_of_prometheus_ends_a_drill() {
    drill_until(
        "    uses: prometheus
    with:
      url: \"${{ vars.prometheus }}\"
      query: sum(rate(shop_requests_total{service=\"checkout\",outcome=\"ok\"}[2s]))
      expect: { above: 0 }",
    );
}
