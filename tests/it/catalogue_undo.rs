//! Every action that changes something: done twice it is done once, cut off at any call it can be ended or taken back, and undo is exact.

use lifeboat::catalogue;
use lifeboat::engine::action::Undone;
use lifeboat::engine::place::Named;
use lifeboat::lab::world::state::Record;
use lifeboat::model::target::{TagsOf, Target, TargetKind};
use serde_json::{Value, json};

use crate::catalogue_world::{Sample, Stage, for_each_sample, on_stage, read, samples};
use crate::common::zones;

/// What guards go by is stated: the cloud, the region where there is one, and what has the tags.
fn states_facts(sample: &Sample, targets: &[Target]) {
    let acts = catalogue::action(sample.kind).unwrap().acts;
    for target in targets {
        assert_eq!(target.cloud, acts.cloud(&zones(), &sample.with), "{}: {target:?}", sample.kind);
        assert_eq!(target.region.is_none(), target.kind == TargetKind::Record, "{}: {target:?}", sample.kind);
        if let Some(Named::Region(region)) = acts.named(&sample.with) {
            assert_eq!(target.region.as_deref(), Some(&*region), "{}", sample.kind);
        }
        assert_ne!(target.kind.tags(), TagsOf::Unknown, "{}: {target:?}", sample.kind);
        assert!(!target.id.contains(' '), "{}: {target:?}", sample.kind);
    }
}

/// Everything that holds for an action on its way there and back.
async fn there_and_back(stage: &Stage, sample: &Sample) {
    let Sample { kind, with } = sample;
    let step = stage.step(sample);
    let start = stage.seen();
    let planned = step.plan().await;
    assert!(planned.calls.iter().any(|call| call.mutating) && planned.targets.iter().any(Target::changes), "{kind}: {planned:?}");
    states_facts(sample, &planned.targets);
    assert_eq!(planned.not_undone, Vec::<String>::new(), "{kind}");
    assert_eq!(stage.seen(), start, "{kind}: plan changed something");

    let (first, calls) = step.apply(&planned.before).await;
    assert!(!first.already && calls > 0, "{kind}");
    let changed = stage.seen();
    assert_ne!(changed, start, "{kind} {with}: nothing changed");

    let after = step.plan().await;
    let left: Vec<_> = after.targets.iter().filter(|target| target.changes()).collect();
    assert!(left.is_empty(), "{kind}: what is done still shows as to be done: {left:?}");
    assert!(after.calls.iter().all(|call| !call.mutating), "{kind}: {:?}", after.calls);
    let (second, calls) = step.apply(&planned.before).await;
    assert_eq!((&second.output, second.already, calls), (&first.output, false, 0), "{kind}: the second time");
    let (anew, calls) = step.apply(&after.before).await;
    assert_eq!((anew.already, calls), (true, 0), "{kind}: as a step of its own");
    assert_eq!(stage.seen(), changed, "{kind}");

    let (undone, calls) = step.undo(&planned.before).await;
    assert_eq!((undone, calls > 0), (Undone::Restored, true), "{kind}");
    assert_eq!(stage.seen(), start, "{kind} {with}: undo is not exact");
    assert_eq!(step.plan().await.before, planned.before, "{kind}: what plan finds is not what it found before");
    assert_eq!(step.undo(&planned.before).await, (Undone::Already, 0), "{kind}: the second undo");
    assert_eq!(stage.seen(), start, "{kind}");
}

#[test]
fn there_and_back_is_exact_and_twice_is_once() {
    for_each_sample(async |stage, sample| there_and_back(&stage, &sample).await);
}

/// How many changing calls an action makes, there and back.
async fn calls_of(stage: &Stage, sample: &Sample) -> (usize, usize) {
    let step = stage.step(sample);
    let before = step.plan().await.before;
    let (_, there) = step.apply(&before).await;
    let (_, back) = step.undo(&before).await;
    (there, back)
}

#[test]
fn cut_off_after_any_call_it_is_ended_by_another_attempt_and_undone_exactly() {
    for_each_sample(async |stage, sample| {
        let kind = sample.kind;
        let (there, _) = calls_of(&stage, &sample).await;
        let start = stage.seen();
        for calls in 0..=there {
            // Once taken back at once, once tried again first, as a process that was killed at this moment would.
            for again in [false, true] {
                let step = stage.step(&sample);
                let before = step.plan().await.before;
                step.cut_apply(&before, calls).await;
                if again {
                    let other = stage.another_process().await;
                    let (applied, more) = step.apply_in(&other, &before).await;
                    assert!(!applied.unwrap_or_else(|error| panic!("{kind}, cut off after {calls}: {error}")).already, "{kind}");
                    assert!(more <= there, "{kind}, cut off after {calls} of {there}: {more} more calls");
                }
                let (undone, _) = step.undo(&before).await;
                assert!(undone == Undone::Restored || calls == 0, "{kind}, cut off after {calls} of {there}");
                assert_eq!(stage.seen(), start, "{kind}, cut off after {calls} of {there}, again {again}");
                assert_eq!(step.plan().await.before, before, "{kind}");
            }
        }
    });
}

#[test]
fn an_undo_that_was_cut_off_after_any_call_is_ended_by_another_one() {
    for_each_sample(async |stage, sample| {
        let kind = sample.kind;
        let (_, back) = calls_of(&stage, &sample).await;
        let start = stage.seen();
        for calls in 0..=back {
            let step = stage.step(&sample);
            let before = step.plan().await.before;
            step.apply(&before).await;
            step.cut_undo(&before, calls).await;
            let other = stage.another_process().await;
            let (undone, more) = step.undo_in(&other, &before).await;
            undone.unwrap_or_else(|error| panic!("{kind}, undo cut off after {calls}: {error}"));
            assert!(calls + more <= back + 1, "{kind}, undo cut off after {calls} of {back}: {more} more calls");
            assert_eq!(stage.seen(), start, "{kind}, undo cut off after {calls} of {back}");
        }
    });
}

#[test]
fn a_dns_change_whose_answer_was_lost_is_done_when_the_name_servers_answer_it() {
    on_stage(async |stage| {
        for zone in ["example.com.", "example.cn"] {
            // Slower than anything else, so that not waiting would show.
            stage.meddle(|state| {
                state.timing.route53_serve = "40s".parse().unwrap();
                state.timing.route53_in_sync = "40s".parse().unwrap();
                state.timing.alidns_serve = "40s".parse().unwrap();
            });
            let name = format!("shop.{}", zone.trim_end_matches('.'));
            let served = || stage.meddle(|state| state.dns_view[&(name.clone(), "A".to_owned())].clone());
            let sample = Sample { kind: "dns.shift-weight", with: json!({ "zone": zone, "record": "shop", "to": { "aws": 100, "aliyun": 0 } }) };
            let step = stage.step(&sample);
            let before = step.plan().await.before;
            let start = served();
            let last = if zone == "example.cn" { 8 } else { 1 };
            step.cut_apply(&before, last).await;
            assert_eq!(served(), start, "{zone}: still on its way");
            let (applied, calls) = step.apply_in(&stage.another_process().await, &before).await;
            assert_eq!((applied.unwrap().already, calls), (false, 0), "{zone}");
            let over = served();
            assert_ne!(over, start, "{zone}: done before the name servers answered it");

            step.cut_undo(&before, last).await;
            assert_eq!(served(), over, "{zone}: still on its way back");
            let (undone, calls) = step.undo_in(&stage.another_process().await, &before).await;
            assert_eq!((undone.unwrap(), calls), (Undone::Already, 0), "{zone}");
            assert_eq!(served(), start, "{zone}: undone before the name servers answered it");
        }
    });
}

#[test]
fn only_the_accounts_that_were_added_are_taken_from_an_image() {
    on_stage(async |stage| {
        let image = "ami-0a11febe0a7000001";
        let share = |accounts: &[&str]| {
            stage.meddle(|state| state.images.get_mut(image).unwrap().shared_with.extend(accounts.iter().map(|one| (*one).to_owned())));
        };
        let shared = || stage.meddle(|state| state.images[image].shared_with.iter().cloned().collect::<Vec<_>>());
        share(&["111111111111", "222222222222"]);
        let sample = Sample { kind: "aws.ec2.share-image", with: json!({ "image": image, "accounts": ["222222222222", "333333333333"] }) };
        let step = stage.step(&sample);
        let before = step.plan().await.before;
        let (applied, _) = step.apply(&before).await;
        assert_eq!(applied.output["added"], json!(["333333333333"]));
        share(&["444444444444"]);
        assert_eq!(step.undo(&before).await.0, Undone::Restored);
        assert_eq!(shared(), ["111111111111", "222222222222", "444444444444"]);
    });
}

#[test]
fn weights_ttl_health_checks_identifiers_and_the_switch_of_a_name_are_as_before() {
    on_stage(async |stage| {
        stage.meddle(|state| {
            for zone in &mut state.zones {
                for record in zone.records.iter_mut().filter(|record| record.kind == "A" && record.name.starts_with("shop")) {
                    record.ttl = 17;
                    if zone.name == "example.com." {
                        record.health_check = Some("11111111-2222-3333-4444-555555555555".to_owned());
                    } else if !record.enabled {
                        record.weight = Some(7);
                    }
                }
            }
        });
        let start = stage.seen();
        for (zone, sets) in [("example.com.", 2), ("example.cn", 4)] {
            let sample = Sample { kind: "dns.shift-weight", with: json!({ "zone": zone, "record": "shop", "to": { "aws": 100, "aliyun": 0 } }) };
            let step = stage.step(&sample);
            let before = step.plan().await.before;
            let records = before["names"][0]["records"].as_array().unwrap();
            assert_eq!(records.iter().filter(|record| record["ttl"] == 17).count(), sets);
            assert_eq!(records[0]["health_check"].is_string(), zone == "example.com.");
            step.apply(&before).await;
            step.undo(&before).await;
            assert_eq!(stage.seen(), start, "{zone}");
            assert_eq!(step.plan().await.before, before);
        }
    });
}

/// Stops one machine that was made special by `change`.
fn stop(cloud: &'static str, id: &str, more: Value) -> Sample {
    let mut with = json!({ "instances": { "ids": [id] } });
    with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Sample { kind: if cloud == "aws" { "aws.ec2.stop-instances" } else { "aliyun.ecs.stop-instances" }, with }
}

#[test]
fn a_machine_of_an_auto_scaling_group_is_stopped_only_when_that_is_written_and_then_really_lost() {
    on_stage(async |stage| {
        for (cloud, id, tag) in
            [("aws", "i-0a11febe0a7c00001", "aws:autoscaling:groupName"), ("aliyun", "i-bp1lifeboat0store0001", "acs:autoscaling:scalingGroupId")]
        {
            stage.meddle(|state| state.instances.get_mut(id).unwrap().tags.insert(tag.to_owned(), "shop".to_owned()));
            let start = stage.seen();
            let error = stage.step(&stop(cloud, id, json!({}))).try_plan().await.unwrap_err();
            assert!(error.to_string().contains("group shop") && error.to_string().contains("auto_scaled: allow"), "{error}");
            assert!(!error.failure().retry);
            assert_eq!(stage.seen(), start);

            let step = stage.step(&stop(cloud, id, json!({ "auto_scaled": "allow" })));
            let planned = step.plan().await;
            assert!(planned.not_undone.iter().any(|line| line.contains("auto scaling group shop")), "{planned:?}");
            step.apply(&planned.before).await;
            stage.quiet().await;
            let members =
                stage.meddle(|state| state.instances.values().filter(|one| one.tags.contains_key(tag)).map(|one| one.state).collect::<Vec<_>>());
            assert_eq!(members.len(), 2, "the group put another one in its place");
            step.undo(&planned.before).await;
            assert!(step.try_plan().await.is_err(), "what is gone is not taken for back");
        }
    });
}

#[test]
fn a_public_address_that_changes_is_said_before_and_shows_after() {
    on_stage(async |stage| {
        let id = "i-0a11febe0a7c00001";
        stage.meddle(|state| state.instances.get_mut(id).unwrap().elastic = false);
        let step = stage.step(&stop("aws", id, json!({})));
        let planned = step.plan().await;
        let address = stage.meddle(|state| state.instances[id].address.to_string());
        assert!(planned.not_undone.iter().any(|line| line.contains(&address)), "{planned:?}");
        step.apply(&planned.before).await;
        step.undo(&planned.before).await;
        let after = step.plan().await.before;
        let now = stage.meddle(|state| state.instances[id].address.to_string());
        assert_ne!(now, address);
        assert_eq!((&planned.before["addresses"][id], &after["addresses"][id]), (&json!(address), &json!(now)));
        assert_eq!(after["running"], planned.before["running"]);
    });
}

#[test]
fn a_machine_in_economical_mode_is_put_back_into_it() {
    on_stage(async |stage| {
        let id = "i-bp1lifeboat0check0001";
        stage.meddle(|state| state.instances.get_mut(id).unwrap().released = true);
        let start = stage.seen();
        let sample = samples().into_iter().find(|sample| sample.kind == "aliyun.ecs.start-instances").unwrap();
        let step = stage.step(&sample);
        let before = step.plan().await.before;
        step.apply(&before).await;
        step.undo(&before).await;
        assert_eq!(stage.seen(), start);
        assert_eq!(step.plan().await.before, before);
    });
}

#[test]
fn ipv6_is_cut_off_as_well_where_there_is_some() {
    on_stage(async |stage| {
        let sample = samples().into_iter().find(|sample| sample.kind == "aliyun.region-outage").unwrap();
        let step = stage.step(&sample);
        let before = step.plan().await.before;
        let (applied, _) = step.apply(&before).await;
        let id = applied.output["acl"].as_str().unwrap();
        let blocks =
            stage.meddle(|state| state.acls[id].ingress.iter().filter(|entry| !entry.allow).map(|entry| entry.cidr.clone()).collect::<Vec<_>>());
        assert_eq!(blocks, ["0.0.0.0/0", "::/0"]);
        step.undo(&before).await;
    });
}

#[test]
fn commands_and_requests_say_what_cannot_be_undone_and_take_back_what_can() {
    on_stage(async |stage| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made").display().to_string();
        let sample = Sample { kind: "exec", with: json!({ "command": ["/usr/bin/touch", file], "undo": ["/bin/rm", "-f", file] }) };
        let step = stage.step(&sample);
        let planned = step.plan().await;
        assert!(planned.not_undone.is_empty());
        step.apply(&planned.before).await;
        assert!(std::path::Path::new(&file).exists());
        step.undo(&planned.before).await;
        assert!(!std::path::Path::new(&file).exists());
        for (kind, with) in
            [("exec", json!({ "command": ["/bin/true"] })), ("http.request", json!({ "url": "http://127.0.0.1:9/", "method": "POST" }))]
        {
            assert_eq!(stage.step(&Sample { kind, with }).plan().await.not_undone.len(), 1, "{kind}");
        }
        read("http.request", &json!({ "url": "http://127.0.0.1:9/" }));
    });
}

/// What is moved by one step, there and back, with everything else of the world as it was.
async fn shifted(stage: &Stage, with: Value) -> Vec<String> {
    let sample = Sample { kind: "dns.shift-weight", with };
    there_and_back(stage, &sample).await;
    let calls = stage.step(&sample).plan().await.calls;
    calls.into_iter().filter(|call| call.mutating).map(|call| call.operation).collect()
}

#[test]
fn every_type_of_a_name_moves_and_returns_exactly() {
    on_stage(async |stage| {
        stage.meddle(|state| {
            for zone in &mut state.zones {
                let like = zone.records.iter().filter(|record| matches!(record.name.as_str(), "shop" | "shop.example.com.") && record.kind == "A");
                let six = |(at, record): (usize, &Record)| Record {
                    id: if record.id.is_empty() { String::new() } else { format!("{}6", record.id) },
                    kind: "AAAA".to_owned(),
                    values: vec![format!("2001:db8::{at}")],
                    ..record.clone()
                };
                let more: Vec<Record> = like.enumerate().map(six).collect();
                zone.records.extend(more);
                if zone.name == "example.cn" {
                    zone.weighted.insert("shop.example.cn/AAAA".to_owned());
                }
            }
        });
        let to = json!({ "aws": 30, "aliyun": 70 });
        let calls = shifted(&stage, json!({ "zone": "EXAMPLE.com", "record": "Shop.example.com.", "to": to })).await;
        assert_eq!(calls, ["route53:ChangeResourceRecordSets"], "both types in one batch");
        let calls = shifted(&stage, json!({ "zone": "example.cn.", "record": "shop", "to": to })).await;
        assert_eq!(calls.iter().filter(|call| *call == "alidns:UpdateDNSSLBWeight").count(), 8, "{calls:?}");
        // One type alone, when that is written.
        let calls = shifted(&stage, json!({ "zone": "example.cn", "record": "shop", "to": to, "types": ["AAAA"] })).await;
        assert_eq!(calls.iter().filter(|call| *call == "alidns:UpdateDNSSLBWeight").count(), 4, "{calls:?}");
    });
}

#[test]
fn weights_that_are_off_are_switched_on_once_a_type_and_off_again() {
    on_stage(async |stage| {
        stage.meddle(|state| {
            let zone = state.zones.iter_mut().find(|zone| zone.name == "example.cn").unwrap();
            zone.weighted.clear();
            zone.records.iter_mut().for_each(|record| record.weight = None);
        });
        stage.meddle(|state| state.zones.iter().position(|zone| zone.name == "example.cn").map(|at| state.serve_dns(at, "pay", "A")));
        stage.quiet().await;
        for to in [json!({ "aws": 0, "aliyun": 100 }), json!({ "aws": 10, "aliyun": 90 })] {
            let calls = shifted(&stage, json!({ "zone": "example.cn", "record": "pay", "to": to })).await;
            assert_eq!(calls.iter().filter(|call| *call == "alidns:SetDNSSLBStatus").count(), 1, "{calls:?}");
            assert_eq!(calls[0], "alidns:SetDNSSLBStatus", "before anything that needs weights");
        }
    });
}

#[test]
fn records_without_labels_are_told_by_what_they_lead_to() {
    on_stage(async |stage| {
        stage.meddle(|state| {
            let zone = state.zones.iter_mut().find(|zone| zone.name == "example.cn").unwrap();
            zone.records.iter_mut().for_each(|record| record.set_identifier = None);
        });
        let values: Vec<String> = stage.meddle(|state| {
            let zone = state.zones.iter().find(|zone| zone.name == "example.cn").unwrap();
            zone.records.iter().filter(|record| record.name == "shop").map(|record| record.values[0].clone()).collect()
        });
        let sides = json!({ "aliyun": values[..2], "aws": ["920100000000000003", values[3]] });
        let to = json!({ "aws": 100, "aliyun": 0 });
        let calls = shifted(&stage, json!({ "zone": "example.cn", "record": "shop", "to": to, "sides": sides })).await;
        assert_eq!(calls.len(), 8, "{calls:?}");
    });
}

#[test]
fn many_names_are_one_batch() {
    on_stage(async |stage| {
        let to = json!({ "aws": 50, "aliyun": 50 });
        for names in [json!({ "records": ["shop", "pay.example.com"] }), json!({ "matching": "*" })] {
            let mut with = json!({ "zone": "Z0LIFEBOATEXAMPLECOM", "provider": "aws", "to": to });
            with.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
            assert_eq!(shifted(&stage, with).await, ["route53:ChangeResourceRecordSets"], "{names}");
        }
    });
}
