//! The official SDK against the lab on a real socket: someone else's client, so that agreement means something.

use std::sync::Arc;
use std::time::Instant;

use aws_credential_types::Credentials;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{ComparisonOperator, Metric, MetricDataQuery, MetricDatum, MetricStat, StateValue, Statistic};
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::operation::RequestId;
use aws_sdk_ec2::types::{Filter, InstanceStateName, LaunchPermission, LaunchPermissionModifications, RouteState};
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ChangeStatus, ResourceRecordSet};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::serve::{Lab, Options};
use crate::world::file::{Blueprint, SHOP};
use crate::world::monitoring::FIRST_LOOK;

const ZONE: &str = "Z0LIFEBOATEXAMPLECOM";

fn lab() -> Lab {
    Lab::start(Options { seed: 42, scale: 10.0, ..Options::default() }).unwrap()
}

async fn config_with(lab: &Lab, key: &str, secret: &str) -> aws_config::SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .empty_test_environment()
        .http_client(http)
        .endpoint_url(&lab.endpoints().aws)
        .region("us-east-1")
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .load()
        .await
}

async fn config(lab: &Lab) -> aws_config::SdkConfig {
    config_with(lab, &lab.endpoints().access_key_id, &lab.endpoints().secret_access_key).await
}

fn s3(config: &aws_config::SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(true).build())
}

fn weighted(sets: Vec<ResourceRecordSet>) -> Vec<(String, i64)> {
    sets.into_iter().filter_map(|set| Some((set.set_identifier?, set.weight?))).collect()
}

#[tokio::test]
async fn a_weight_shift_is_pending_and_then_in_sync() {
    let lab = lab();
    let client = aws_sdk_route53::Client::new(&config(&lab).await);
    let zones = client.list_hosted_zones_by_name().dns_name("example.com").send().await.unwrap().hosted_zones;
    assert_eq!(zones[0].id, format!("/hostedzone/{ZONE}"));
    let list = || client.list_resource_record_sets().hosted_zone_id(ZONE).start_record_name("shop.example.com").start_record_type("A".into());
    let sets = list().send().await.unwrap().resource_record_sets;
    assert_eq!(weighted(sets.clone()), [("aliyun".to_owned(), 100), ("aws".to_owned(), 0)]);

    let shifted = sets.into_iter().map(|mut set| {
        set.weight = set.weight.map(|weight| 100 - weight);
        Change::builder().action(ChangeAction::Upsert).resource_record_set(set).build().unwrap()
    });
    let batch = ChangeBatch::builder().set_changes(Some(shifted.collect())).comment("步骤 <1>").build().unwrap();
    let change = client.change_resource_record_sets().hosted_zone_id(ZONE).change_batch(batch).send().await.unwrap();
    let change = change.change_info.unwrap();
    assert_eq!((change.status, change.comment.as_deref()), (ChangeStatus::Pending, Some("步骤 <1>")));
    let mut status = ChangeStatus::Pending;
    for _ in 0..200 {
        status = client.get_change().id(&change.id).send().await.unwrap().change_info.unwrap().status;
        if status == ChangeStatus::Insync {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(status, ChangeStatus::Insync);
    assert_eq!(weighted(list().send().await.unwrap().resource_record_sets), [("aliyun".to_owned(), 0), ("aws".to_owned(), 100)]);
    let error = client.get_change().id("C2682N5HXP0BZ4").send().await.unwrap_err();
    assert_eq!(error.into_service_error().meta().code(), Some("NoSuchChange"));
    lab.stop().await;
}

#[tokio::test]
async fn instances_images_and_routes_answer_the_sdk() {
    let lab = lab();
    let client = aws_sdk_ec2::Client::new(&config(&lab).await);
    let standby = Filter::builder().name("tag:posture").values("standby").build();
    let reservations = client.describe_instances().filters(standby).send().await.unwrap().reservations.unwrap();
    let ids: Vec<String> =
        reservations.iter().flat_map(|reservation| reservation.instances()).filter_map(|instance| instance.instance_id.clone()).collect();
    assert_eq!(ids.len(), 2);
    let refused = client.start_instances().set_instance_ids(Some(ids.clone())).dry_run(true).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("DryRunOperation"));
    assert!(refused.request_id().is_some());
    let started = client.start_instances().set_instance_ids(Some(ids.clone())).send().await.unwrap();
    assert_eq!(started.starting_instances()[0].current_state().unwrap().name(), Some(&InstanceStateName::Pending));

    let image = "ami-0a11febe0a7000001";
    let add = LaunchPermissionModifications::builder().add(LaunchPermission::builder().user_id("444455556666").build()).build();
    client.modify_image_attribute().image_id(image).launch_permission(add).send().await.unwrap();
    let shared = client.describe_image_attribute().image_id(image).attribute("launchPermission".into()).send().await.unwrap();
    assert_eq!(shared.launch_permissions()[0].user_id(), Some("444455556666"));

    let (table, spare) = ("rtb-0a11febe0a7b00002", "eni-0a11febe0a75ba4e0");
    client.replace_route().route_table_id(table).destination_cidr_block("10.20.0.0/16").network_interface_id(spare).send().await.unwrap();
    let tables = client.describe_route_tables().route_table_ids(table).send().await.unwrap();
    let route = tables.route_tables()[0].routes().iter().find(|route| route.destination_cidr_block() == Some("10.20.0.0/16")).unwrap();
    assert_eq!((route.network_interface_id(), route.state()), (Some(spare), Some(&RouteState::Blackhole)));
    lab.stop().await;
}

#[tokio::test]
async fn objects_are_put_and_got_in_every_form_the_sdk_sends() {
    let lab = lab();
    let client = s3(&config(&lab).await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![7; 200_000]).unwrap();
    client.put_object().bucket("shop-assets").key("心 a+b").body(ByteStream::from_static(b"1")).metadata("committed", "x").send().await.unwrap();
    // Streamed bodies come in chunks with the checksum in a trailer.
    let stream = || async { ByteStream::from_path(file.path()).await.unwrap() };
    client.put_object().bucket("shop-assets").key("stream").body(stream().await).send().await.unwrap();
    let sha =
        client.put_object().bucket("shop-assets").key("sha").checksum_algorithm(ChecksumAlgorithm::Sha256).body(stream().await).send().await.unwrap();
    assert!(sha.checksum_sha256.is_some());

    let head = client.head_object().bucket("shop-assets").key("心 a+b").send().await.unwrap();
    assert_eq!(head.metadata.unwrap()["committed"], "x");
    let got = client.get_object().bucket("shop-assets").key("stream").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), vec![7; 200_000]);
    let mut pages = client.list_objects_v2().bucket("shop-assets").max_keys(2).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents().iter().filter_map(|object| object.key.clone()));
    }
    assert_eq!(keys, ["css/shop.css", "index.html", "robots.txt", "sha", "stream", "心 a+b"]);
    let missing = client.head_object().bucket("shop-assets").key("none").send().await.unwrap_err();
    assert!(missing.into_service_error().is_not_found());
    lab.stop().await;
}

#[tokio::test]
async fn wrong_keys_are_refused_by_every_service() {
    let lab = lab();
    let key = lab.endpoints().access_key_id.clone();
    for (key, secret, codes) in [
        (key.as_str(), "wrong", ["SignatureDoesNotMatch"; 5]),
        (
            "AKIANOBODY0000000000",
            "wrong",
            ["InvalidClientTokenId", "AuthFailure", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidClientTokenId"],
        ),
    ] {
        let config = config_with(&lab, key, secret).await;
        let sts = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap_err();
        let ec2 = aws_sdk_ec2::Client::new(&config).describe_vpcs().send().await.unwrap_err();
        let route53 = aws_sdk_route53::Client::new(&config).list_hosted_zones().send().await.unwrap_err();
        let s3 = s3(&config).list_buckets().send().await.unwrap_err();
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&config).describe_alarms().send().await.unwrap_err();
        assert_eq!([sts.code(), ec2.code(), route53.code(), s3.code(), cloudwatch.code()], codes.map(Some));
    }
    let identity = aws_sdk_sts::Client::new(&config(&lab).await).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some("111122223333"));
    lab.stop().await;
}

#[tokio::test]
async fn alarms_and_numbers_answer_the_sdk() {
    let lab = lab();
    let client = aws_sdk_cloudwatch::Client::new(&config(&lab).await);
    let of = |alarms: &[aws_sdk_cloudwatch::types::MetricAlarm]| -> Vec<(String, String)> {
        alarms.iter().map(|alarm| (alarm.alarm_name().unwrap().to_owned(), alarm.state_value().unwrap().as_str().to_owned())).collect()
    };
    let named = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    let all = client.describe_alarms().send().await.unwrap();
    assert_eq!(of(all.metric_alarms()), [named("shop-checkout-errors", "OK"), named("shop-storefront-errors", "OK")]);
    let alarm = &all.metric_alarms()[0];
    assert_eq!((alarm.period(), alarm.threshold(), alarm.metric_name()), (Some(10), Some(0.5), Some("Errors")));
    assert_eq!(alarm.dimensions()[0].value(), Some("checkout"));

    let at = DateTime::from(std::time::SystemTime::now());
    let datum = MetricDatum::builder().metric_name("Queue").value(7.5).timestamp(at).build();
    client.put_metric_data().namespace("Own").metric_data(datum.clone()).metric_data(datum).send().await.unwrap();
    let put = client.put_metric_alarm().alarm_name("own-queue").namespace("Own").metric_name("Queue").statistic(Statistic::Maximum);
    let put = put.period(60).evaluation_periods(1).threshold(7.0).comparison_operator(ComparisonOperator::GreaterThanThreshold);
    let made = Instant::now();
    put.send().await.unwrap();
    let own = || client.describe_alarms().alarm_names("own-queue").send();
    let fresh = of(own().await.unwrap().metric_alarms());
    assert!(fresh == [named("own-queue", "INSUFFICIENT_DATA")] || made.elapsed() > FIRST_LOOK, "not judged yet: {fresh:?}");
    until(async || of(own().await.unwrap().metric_alarms()) == [named("own-queue", "ALARM")]).await;

    let set = client.set_alarm_state().alarm_name("own-queue").state_value(StateValue::Ok).state_reason("by hand").send().await;
    set.unwrap();
    let found = client.describe_alarms().alarm_name_prefix("own").state_value(StateValue::Ok).send().await.unwrap();
    assert_eq!(found.metric_alarms()[0].state_reason(), Some("by hand"));
    let first = client.describe_alarms().max_records(2).send().await.unwrap();
    let rest = client.describe_alarms().set_next_token(first.next_token).send().await.unwrap();
    assert_eq!((first.metric_alarms.unwrap().len(), rest.metric_alarms().len(), rest.next_token()), (2, 1, None));
    client.delete_alarms().alarm_names("own-queue").send().await.unwrap();
    let absent = client.delete_alarms().alarm_names("own-queue").send().await.unwrap_err();
    assert!(absent.request_id().is_some());
    assert_eq!((absent.code(), absent.message().is_some()), (Some("ResourceNotFound"), true));

    let metric = Metric::builder().namespace("Own").metric_name("Queue").build();
    let query = |stat: &str| {
        let stat = MetricStat::builder().metric(metric.clone()).period(60).stat(stat).build();
        MetricDataQuery::builder().id("q").metric_stat(stat).build()
    };
    let (from, to) = (DateTime::from_secs(at.secs() - 120), DateTime::from_secs(at.secs() + 120));
    for (stat, expected) in [("Sum", 15.0), ("Average", 7.5), ("SampleCount", 2.0)] {
        let data = client.get_metric_data().metric_data_queries(query(stat)).start_time(from).end_time(to).send().await.unwrap();
        let result = &data.metric_data_results()[0];
        assert_eq!((result.values(), result.timestamps()[0].secs() % 60), (&[expected][..], 0), "{stat}");
    }
    let wrong = client.get_metric_data().metric_data_queries(query("p99")).start_time(from).end_time(to).send().await.unwrap_err();
    assert_eq!(wrong.code(), Some("InvalidParameterValue"));
    let statistics = client.get_metric_statistics().namespace("Own").metric_name("Queue").start_time(from).end_time(to).period(60);
    let statistics = statistics.statistics(Statistic::Minimum).send().await.unwrap();
    assert_eq!((statistics.label(), statistics.datapoints()[0].minimum(), statistics.datapoints()[0].sum()), (Some("Queue"), Some(7.5), None));
    let metrics = client.list_metrics().metric_name("Errors").send().await.unwrap();
    assert_eq!(metrics.metrics().len(), 4, "one for each service");
    lab.stop().await;
}

#[tokio::test]
async fn the_shops_alarm_follows_its_customers() {
    let lab = lab();
    let config = config(&lab).await;
    let (client, ec2) = (aws_sdk_cloudwatch::Client::new(&config), aws_sdk_ec2::Client::new(&config));
    let state = async || {
        let alarms = client.describe_alarms().alarm_names("shop-checkout-errors").send().await.unwrap().metric_alarms.unwrap();
        alarms[0].state_value().unwrap().clone()
    };
    let lead = async |interface: &str| {
        let route = ec2.replace_route().route_table_id("rtb-0a11febe0a7b00002").destination_cidr_block("10.20.0.0/16");
        route.network_interface_id(interface).send().await.unwrap();
    };
    assert_eq!(state().await, StateValue::Ok);
    lead("eni-0a11febe0a75ba4e0").await;
    until(async || state().await == StateValue::Alarm).await;
    lead("eni-0a11febe0a7000db0").await;
    until(async || state().await == StateValue::Ok).await;
    lab.stop().await;
}

/// Waits until `condition` holds; a minute at most. Slower than a client may ask for alarms.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if condition().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("waited a minute in vain");
}

#[tokio::test]
async fn a_call_sees_the_region_that_it_is_signed_for() {
    let text = SHOP.replace("aws: [us-east-1]", "aws: [us-east-1, eu-west-1]");
    let world = Arc::new(Blueprint::new(serde_saphyr::from_str(&text).unwrap(), String::new()).unwrap());
    let lab = Lab::start(Options { world, ..Options::default() }).unwrap();
    let there = config(&lab).await.into_builder().region(aws_config::Region::new("eu-west-1")).build();
    let (here, there) = (config(&lab).await, there);
    let count = async |config| {
        let found = aws_sdk_ec2::Client::new(config).describe_instances().send().await.unwrap();
        found.reservations().iter().map(|reservation| reservation.instances().len()).sum::<usize>()
    };
    assert_eq!((count(&here).await, count(&there).await), (5, 0));
    let regions = aws_sdk_ec2::Client::new(&there).describe_regions().send().await.unwrap();
    assert_eq!(regions.regions().len(), 2);
    assert!(aws_sdk_cloudwatch::Client::new(&there).describe_alarms().send().await.unwrap().metric_alarms().is_empty());
    assert_eq!(aws_sdk_route53::Client::new(&there).list_hosted_zones().send().await.unwrap().hosted_zones().len(), 2);
    let error = s3(&there).get_object().bucket("shop-assets").key("index.html").send().await.unwrap_err();
    assert_eq!(error.code(), Some("PermanentRedirect"));
    s3(&here).get_object().bucket("shop-assets").key("index.html").send().await.unwrap();
    lab.stop().await;
}
