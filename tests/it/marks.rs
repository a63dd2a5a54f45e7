//! The marks of faults on the lab's objects, and what a reaper makes of them: no engine, no journal.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifeboat::catalogue;
use lifeboat::engine::action::{ActionError, Cx, DynAction};
use lifeboat::engine::board::Board;
use lifeboat::engine::clock::RunClock;
use lifeboat::engine::desk::Desk;
use lifeboat::engine::lease::{Anchor, Mark, Marker as _};
use lifeboat::model::time::Timestamp;
use lifeboat::ops::marks::{self, Signer, WorldMarker};
use lifeboat::ops::reaper::{Finding, Options, Outcome, Reaper};
use lifeboat::ports::Cloud;
use lifeboat::ports::gate::{Gate, exempt};
use lifeboat::ports::tags::{TagMap, Tagged};
use lifeboat::world::World;
use lifeboat::world::settings::{CloudSettings, Settings};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::common::{LabProcess, get};
use crate::samples::samples;

const VPC: &str = "vpc-bp1lifeboat0shop00001";
const VSWITCH: &str = "vsw-bp1lifeboat0app000001";
const TABLE: &str = "rtb-0a11febe0a7b00002";

const OUTAGE: &str = "aliyun.region-outage";
const PAUSE: &str = "aliyun.dts.suspend-job";
const BLACKHOLE: &str = "aws.ec2.blackhole-route";

/// Every fault there is, with parameters that make it change something in the shipped world.
fn faults() -> Vec<(&'static str, Value)> {
    let samples = samples().into_iter().filter(|sample| catalogue::action(sample.kind).is_some_and(|row| row.fault));
    samples.map(|sample| (sample.kind, sample.with)).collect()
}

fn fault(uses: &str) -> (&'static str, Value) {
    faults().into_iter().find(|(kind, _)| *kind == uses).unwrap()
}

/// The tags of everything in the lab that is marked.
fn marked_things(world: &Value) -> Vec<&Map<String, Value>> {
    match world {
        Value::Object(fields) if fields.contains_key("lifeboat:until") => vec![fields],
        Value::Object(fields) => fields.values().flat_map(marked_things).collect(),
        Value::Array(items) => items.iter().flat_map(marked_things).collect(),
        _ => Vec::new(),
    }
}

/// Runs with a world of its own at ten times the speed.
fn with_lab<F: Future<Output = ()>>(test: impl FnOnce(Arc<LabProcess>, Arc<World>) -> F) {
    let lab = Arc::new(LabProcess::start(&["--seed", "3", "--time-scale", "10"]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = Arc::new(World::connect(&lab.settings(), &Gate::default()).await);
        test(lab, world).await;
    });
}

fn read(kind: &str, with: &Value) -> Arc<dyn DynAction<World>> {
    (catalogue::action(kind).unwrap().parse)(with).unwrap_or_else(|error| panic!("{kind} {}: {error}", error.path))
}

fn now() -> Timestamp {
    RunClock::start().now()
}

fn past() -> Timestamp {
    Timestamp::from_nanos(now().as_nanos() - 3_600_000_000_000)
}

fn soon() -> Timestamp {
    now().plus(Duration::from_secs(300))
}

/// The environment of the shipped world, whichever lab that is in.
fn settings() -> Settings {
    let side = |account: &str, region: &str| Some(CloudSettings { account: Some(account.into()), region: region.into(), ..CloudSettings::default() });
    Settings {
        environment: "lab".into(),
        aws: side("111122223333", "us-east-1"),
        aliyun: side("1234567890123456", "cn-hangzhou"),
        ..Settings::default()
    }
}

const KEY: &[u8] = b"a key that nobody else has";

fn signer() -> Signer {
    Signer::new(KEY, &settings()).unwrap()
}

fn marker(world: &Arc<World>) -> WorldMarker {
    WorldMarker::new(Arc::clone(world), Ok(signer()))
}

/// As somebody writes them who has a key of their own at best.
fn strangers_marker(world: &Arc<World>) -> WorldMarker {
    WorldMarker::new(Arc::clone(world), Ok(Signer::new(b"a key of a stranger's own", &settings()).unwrap()))
}

fn options(dry_run: bool, unsigned: bool) -> Options {
    Options { dry_run, unsigned, ..Options::default() }
}

fn reaper(world: &Arc<World>, dry_run: bool) -> Reaper {
    Reaper::new(Arc::clone(world), Ok(signer()), options(dry_run, false))
}

/// One that is told to believe whatever tags say.
fn believing(world: &Arc<World>) -> Reaper {
    Reaper::new(Arc::clone(world), Ok(signer()), options(false, true))
}

fn eni(id: &str) -> Value {
    json!(lifeboat::clouds::aws::RouteTarget::NetworkInterface(id.into()))
}

/// The calls that changed something, in order.
fn changing(lab: &LabProcess) -> Vec<String> {
    get(lab.control(), "/calls").lines().filter(|line| line.contains("\"effect\":true")).map(str::to_owned).collect()
}

fn outcomes(findings: &[Finding]) -> Vec<Outcome> {
    findings.iter().map(|finding| finding.outcome).collect()
}

/// A fault that stands, with its marks, as a run leaves it that was killed.
struct Left {
    action: Arc<dyn DynAction<World>>,
    anchors: Vec<Anchor>,
    mark: Mark,
}

async fn planned(world: &World, run: &str, uses: &str, with: &Value, until: Timestamp) -> Left {
    let action = read(uses, with);
    let (_sender, board) = Board::new();
    let desk = Desk::simulated();
    let cx = Cx::unheard(world, run, "fault", &board, &desk);
    let before = action.plan(&cx).await.unwrap().before;
    let mark = Mark { run: run.to_owned(), step: "fault".to_owned(), until, uses: uses.to_owned(), with: with.clone(), before };
    Left { anchors: action.anchors(&mark.before).unwrap(), action, mark }
}

impl Left {
    async fn inject(&self, world: &Arc<World>) {
        marker(world).put(&self.anchors, &self.mark).await.unwrap();
        let (_sender, board) = Board::new();
        let desk = Desk::simulated();
        let cx = Cx::unheard(&**world, &self.mark.run, "fault", &board, &desk);
        self.action.apply(&cx, &self.mark.before).await.unwrap();
    }

    async fn undo(&self, world: &World) -> Result<(), ActionError> {
        let (_sender, board) = Board::new();
        let desk = Desk::simulated();
        let cx = Cx::unheard(world, &self.mark.run, "fault", &board, &desk);
        exempt(self.action.undo(&cx, &self.mark.before)).await.map(|_| ())
    }
}

/// Removes the tags of everything that carries marks of a run on AWS, as somebody would who ends a lease by hand.
pub(crate) fn take_away(lab: &LabProcess) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::connect(&lab.settings(), &Gate::default()).await;
        let tags = world.tags(Cloud::Aws, "").unwrap();
        let objects = tags.find("lifeboat:run").await.unwrap().found;
        assert!(!objects.is_empty());
        let keys: BTreeSet<String> = tags.read(&objects).await.unwrap().into_values().flat_map(TagMap::into_keys).collect();
        let keys: Vec<String> = keys.into_iter().filter(|key| key.starts_with("lifeboat:")).collect();
        tags.remove(&objects, &keys).await.unwrap();
    });
}

#[test]
fn every_fault_says_what_its_marks_are_put_on() {
    with_lab(|lab, world| async move {
        for (uses, with) in faults() {
            let left = planned(&world, "run-1", uses, &with, soon()).await;
            assert!(!left.anchors.is_empty(), "{uses}");
        }
        drop(lab);
    });
}

#[test]
fn marks_are_put_renewed_and_removed_also_in_a_closed_region() {
    with_lab(|lab, world| async move {
        let start = lab.world();
        let marker = marker(&world);
        for (uses, with) in faults() {
            let Left { anchors, mark, .. } = planned(&world, "run-1", uses, &with, soon()).await;
            world.gate().close(Cloud::Aliyun, "cn-hangzhou");
            world.gate().close(Cloud::Aws, "us-east-1");
            marker.put(&anchors, &mark).await.unwrap();
            let marked = lab.world();
            assert_ne!(marked, start, "{uses}");
            marker.put(&anchors, &mark).await.unwrap();
            assert_eq!(lab.world(), marked, "{uses}: the second time changes nothing");
            let marks = |tags: &Map<String, Value>| tags.keys().filter(|key| key.starts_with("lifeboat:")).count();
            assert_eq!(marks::check(&world, &anchors, &mark).await.unwrap(), marks(marked_things(&marked)[0]), "{uses}");

            let later = mark.until.plus(Duration::from_secs(60));
            let renewed = Mark { until: later, ..mark.clone() };
            marker.renew(&anchors, &renewed).await.unwrap();
            let marked = lab.world();
            let until: BTreeSet<&str> = marked_things(&marked).into_iter().map(|tags| tags["lifeboat:until"].as_str().unwrap()).collect();
            assert_eq!(until, BTreeSet::from([later.to_string().as_str()]), "{uses}");

            marker.clear(&anchors, "another-run").await.unwrap();
            assert_eq!(lab.world(), marked, "{uses}: another run's are not touched");
            marker.clear(&anchors, "run-1").await.unwrap();
            assert_eq!(lab.world(), start, "{uses}");
            marker.clear(&anchors, "run-1").await.unwrap();
            let lost = marker.renew(&anchors, &renewed).await.unwrap_err();
            assert!(matches!(lost, ActionError::Conflict { .. }), "{uses}: {lost}");
            assert_eq!(lab.world(), start, "{uses}: a renewal of nothing leaves nothing");
            world.gate().open(Cloud::Aliyun, "cn-hangzhou");
            world.gate().open(Cloud::Aws, "us-east-1");
        }
    });
}

#[test]
fn what_is_marked_already_or_has_no_room_refuses_before_anything_is_changed() {
    with_lab(|lab, world| async move {
        let marker = marker(&world);
        let tags = world.tags(Cloud::Aliyun, "").unwrap();
        let vpc = [Tagged { kind: "vpc".into(), id: VPC.into() }];
        let (uses, with) = fault(OUTAGE);
        let first = planned(&world, "run-1", uses, &with, past()).await;
        let second = planned(&world, "run-2", uses, &with, soon()).await;
        marker.put(&first.anchors, &first.mark).await.unwrap();
        let marked = lab.world();
        for refused in [marker.put(&second.anchors, &second.mark).await, marker.renew(&second.anchors, &second.mark).await] {
            assert!(refused.unwrap_err().to_string().contains("run-1"));
        }
        assert_eq!(lab.world(), marked);
        marker.clear(&first.anchors, "run-1").await.unwrap();

        let own: TagMap = (0..18).map(|n| (format!("own-{n}"), "x".to_owned())).collect();
        tags.write(&vpc, &own).await.unwrap();
        let full = lab.world();
        let said = marker.put(&second.anchors, &second.mark).await.unwrap_err().to_string();
        assert!(said.contains("18 of the 20") && said.contains("remove tags of its own"), "{said}");
        assert_eq!(said, marks::check(&world, &second.anchors, &second.mark).await.unwrap_err().to_string(), "plan and run say the same");
        assert_eq!(lab.world(), full);

        tags.remove(&vpc, &own.into_keys().collect::<Vec<_>>()).await.unwrap();
        tags.write(&vpc, &TagMap::from([("lifeboat:until".into(), "2026-01-01T00:00:00Z".into())])).await.unwrap();
        let said = marker.put(&second.anchors, &second.mark).await.unwrap_err().to_string();
        assert!(said.contains("part of another mark"), "{said}");
    });
}

#[test]
fn an_expired_fault_is_undone_once_and_its_marks_removed() {
    with_lab(|lab, world| async move {
        let start = lab.world();
        for (index, (uses, with)) in faults().into_iter().enumerate() {
            let left = planned(&world, &format!("run-{index}"), uses, &with, soon()).await;
            left.inject(&world).await;
            let faulty = lab.world();
            let found = reaper(&world, false).sweep(&|_| {}).await;
            assert_eq!(outcomes(&found), [Outcome::Standing], "{uses}: {found:?}");
            assert_eq!(lab.world(), faulty, "{uses}");
            assert!(found[0].text().starts_with("standing    run-") && found[0].text().ends_with(" left"), "{}", found[0].text());

            marker(&world).renew(&left.anchors, &Mark { until: past(), ..left.mark.clone() }).await.unwrap();
            let expired = lab.world();
            let found = reaper(&world, true).sweep(&|_| {}).await;
            assert_eq!(outcomes(&found), [Outcome::WouldUndo], "{uses}");
            assert_eq!(lab.world(), expired, "{uses}: a dry run");

            let found = reaper(&world, false).sweep(&|_| {}).await;
            assert_eq!(outcomes(&found), [Outcome::Undone], "{uses}: {found:?}");
            assert_eq!((found[0].run.as_deref(), found[0].uses.as_deref()), (Some(&*left.mark.run), Some(uses)));
            assert_eq!(lab.world(), start, "{uses}");
            assert_eq!(reaper(&world, false).sweep(&|_| {}).await, [], "{uses}");
        }
    });
}

#[test]
fn a_mark_whose_fault_never_came_is_removed() {
    with_lab(|lab, world| async move {
        let start = lab.world();
        for (uses, with) in faults() {
            let left = planned(&world, "run-1", uses, &with, past()).await;
            marker(&world).put(&left.anchors, &left.mark).await.unwrap();
            let marked = lab.world();
            let found = reaper(&world, true).sweep(&|_| {}).await;
            assert!(outcomes(&found) == [Outcome::WouldUndo] && found[0].detail.contains("its marks would be removed"), "{uses}: {found:?}");
            assert_eq!(lab.world(), marked, "{uses}: a dry run");
            let calls = changing(&lab);
            let found = reaper(&world, false).sweep(&|_| {}).await;
            assert_eq!(outcomes(&found), [Outcome::Already], "{uses}");
            assert!(found[0].detail.contains("the fault is not there; its marks were removed"), "{uses}: {found:?}");
            assert_eq!(lab.world(), start, "{uses}");
            let calls: BTreeSet<String> = changing(&lab).split_off(calls.len()).into_iter().collect();
            assert!(calls.iter().all(|call| call.contains("Tag") || call.contains("tag")), "{uses}: nothing but marks was changed: {calls:?}");
        }
    });
}

#[test]
fn two_reapers_and_a_late_owner_at_once_do_no_harm() {
    with_lab(|lab, world| async move {
        let start = lab.world();
        for (index, (uses, with)) in faults().into_iter().enumerate() {
            let left = planned(&world, &format!("run-{index}"), uses, &with, past()).await;
            left.inject(&world).await;
            let other = Arc::new(World::connect(&lab.settings(), &Gate::default()).await);
            let (one, two) = (reaper(&world, false), reaper(&other, false));
            let (first, second, _owner) = tokio::join!(one.sweep(&|_| {}), two.sweep(&|_| {}), left.undo(&world));
            // Who was refused in the middle of another's call looks again; in the end one more look settles it.
            let last = reaper(&world, false).sweep(&|_| {}).await;
            assert!(first.iter().chain(&second).chain(&last).all(|finding| finding.outcome != Outcome::Foreign), "{uses}: {first:?} {second:?}");
            assert!(!last.iter().any(|finding| finding.outcome.is_bad()), "{uses}: {last:?}");
            assert_eq!(lab.world(), start, "{uses}: {first:?} {second:?}");
        }
    });
}

#[test]
fn what_somebody_else_changed_is_said_and_left() {
    with_lab(|lab, world| async move {
        let (uses, with) = fault(BLACKHOLE);
        let left = planned(&world, "run-1", uses, &with, past()).await;
        left.inject(&world).await;
        let aws = world.aws().unwrap();
        let third = lifeboat::clouds::aws::RouteTarget::NetworkInterface("eni-0a11febe0a7000c01".into());
        assert_ne!(json!(third), left.mark.before["target"]);
        aws.replace_route(TABLE, &"10.20.0.0/16".parse().unwrap(), &third).await.unwrap();
        let changed = lab.world();
        let found = reaper(&world, false).sweep(&|_| {}).await;
        assert_eq!(outcomes(&found), [Outcome::Conflict], "{found:?}");
        assert!(found[0].detail.contains("eni-0a11febe0a7000c01"), "{found:?}");
        assert!(found[0].detail.contains("the fault is not there"), "{found:?}");
        assert_eq!(lab.world(), changed, "left with its marks");
    });
}

#[test]
fn whoever_may_write_tags_and_has_no_key_makes_a_reaper_change_nothing() {
    with_lab(|lab, world| async move {
        for (index, (uses, with)) in faults().into_iter().enumerate() {
            let left = planned(&world, &format!("run-{index}"), uses, &with, past()).await;
            let start = lab.world();
            // Somebody leads the tags to where the fault never was, and somebody finds them on one that stands.
            for stands in [false, true] {
                if stands {
                    left.inject(&world).await;
                }
                strangers_marker(&world).put(&left.anchors, &left.mark).await.unwrap();
                let faulty = lab.world();
                let found = reaper(&world, false).sweep(&|_| {}).await;
                assert_eq!(outcomes(&found), [Outcome::Unsigned], "{uses}: {found:?}");
                assert!(found[0].text().contains("signed with the key") && found[0].text().contains("--unsigned"), "{}", found[0].text());
                assert_eq!(found[0].run.as_deref(), Some(&*left.mark.run), "it is named");
                assert_eq!(lab.world(), faulty, "{uses}");
            }
            // The operator has looked: the fault is there, and is taken out.
            let found = believing(&world).sweep(&|_| {}).await;
            assert_eq!(outcomes(&found), [Outcome::Undone], "{uses}: {found:?}");
            assert!(found[0].detail.contains("believed although it is signed with the key"), "{found:?}");
            assert_eq!(lab.world(), start, "{uses}");
        }
    });
}

#[test]
fn no_word_of_a_signed_mark_can_be_changed() {
    with_lab(|lab, world| async move {
        let (uses, with) = fault(BLACKHOLE);
        let left = planned(&world, "run-1", uses, &with, soon()).await;
        left.inject(&world).await;
        let table = [Tagged { kind: "route-table".into(), id: TABLE.into() }];
        let tags = world.tags(Cloud::Aws, "").unwrap();
        let whole = tags.read(&table).await.unwrap().remove(TABLE).unwrap();
        // The lease ended early, another run's name, another way back (as whole as its writer makes it), no signature, half of one.
        let elsewhere = Mark { before: json!({ "target": eni("eni-0a11febe0a7000c01"), "origin": "CreateRoute" }), ..left.mark.clone() };
        strangers_marker(&world).put(&left.anchors, &elsewhere).await.unwrap();
        let led = tags.read(&table).await.unwrap().remove(TABLE).unwrap();
        let altered = |changes: &[(&str, Option<&str>)]| {
            let mut tags = whole.clone();
            for (key, value) in changes {
                tags.remove(*key);
                tags.extend(value.map(|value| ((*key).to_owned(), value.to_owned())));
            }
            tags
        };
        let early = past().to_string();
        let with_old_signature = TagMap::from_iter(led.iter().map(|(key, value)| {
            let kept = if key == "lifeboat:signed" { &whole[key] } else { value };
            (key.clone(), kept.clone())
        }));
        let signature = &whole["lifeboat:signed"];
        for (what, changed) in [
            ("an earlier end", altered(&[("lifeboat:until", Some(&early))])),
            ("no signature", altered(&[("lifeboat:signed", None)])),
            ("half a signature", altered(&[("lifeboat:signed", Some(&signature[..signature.len() / 2]))])),
            ("another way back", with_old_signature),
        ] {
            let keys: Vec<String> =
                tags.read(&table).await.unwrap().remove(TABLE).unwrap().into_keys().filter(|key| key.starts_with("lifeboat:")).collect();
            tags.remove(&table, &keys).await.unwrap();
            tags.write(&table, &changed).await.unwrap();
            let before = lab.world();
            assert_eq!(outcomes(&reaper(&world, false).sweep(&|_| {}).await), [Outcome::Unsigned], "{what}");
            assert_eq!(lab.world(), before, "{what}");
            // What the run itself says it signs again, and nothing else: then somebody has ended its lease.
            let renewed = marker(&world).renew(&left.anchors, &Mark { until: soon(), ..left.mark.clone() }).await;
            if what == "another way back" {
                let lost = renewed.unwrap_err();
                assert!(matches!(lost, ActionError::Conflict { .. }) && lost.to_string().contains("has not written"), "{what}: {lost}");
                assert_eq!(lab.world(), before, "{what}");
            } else {
                renewed.unwrap();
                assert_eq!(outcomes(&reaper(&world, false).sweep(&|_| {}).await), [Outcome::Standing], "{what}");
            }
        }
    });
}

#[test]
fn a_mark_of_the_former_form_is_signed_when_its_lease_is_renewed_and_believed_before_that_only_if_so_told() {
    with_lab(|lab, world| async move {
        let start = lab.world();
        let (uses, with) = fault(BLACKHOLE);
        let left = planned(&world, "run-1", uses, &with, past()).await;
        left.inject(&world).await;
        let table = [Tagged { kind: "route-table".into(), id: TABLE.into() }];
        let tags = world.tags(Cloud::Aws, "").unwrap();
        // As version 1 wrote it: another digest, no signature.
        let whole = tags.read(&table).await.unwrap().remove(TABLE).unwrap();
        let data = whole["lifeboat:undo.0"].splitn(4, '.').nth(3).unwrap();
        assert!(!whole.contains_key("lifeboat:undo.1"), "it is in one piece");
        let hash = Sha256::digest(format!("lifeboat-mark/v1\0run-1\0fault\0{data}"));
        let former = format!("1.1.{}.{data}", URL_SAFE_NO_PAD.encode(&hash[..9]));
        tags.write(&table, &TagMap::from([("lifeboat:undo.0".into(), former)])).await.unwrap();
        tags.remove(&table, &["lifeboat:signed".to_owned()]).await.unwrap();
        let faulty = lab.world();
        let found = reaper(&world, false).sweep(&|_| {}).await;
        assert_eq!(outcomes(&found), [Outcome::Unsigned]);
        assert!(found[0].detail.contains("an earlier Lifeboat made it"), "{found:?}");
        assert_eq!(lab.world(), faulty);
        marker(&world).renew(&left.anchors, &Mark { until: soon(), ..left.mark.clone() }).await.unwrap();
        assert_eq!(outcomes(&reaper(&world, false).sweep(&|_| {}).await), [Outcome::Standing]);
        tags.remove(&table, &["lifeboat:signed".to_owned()]).await.unwrap();
        tags.write(&table, &TagMap::from([("lifeboat:until".into(), past().to_string())])).await.unwrap();
        assert_eq!(outcomes(&believing(&world).sweep(&|_| {}).await), [Outcome::Undone]);
        assert_eq!(lab.world(), start);
    });
}

#[test]
fn without_the_key_a_reaper_says_so_and_with_it_any_machine_takes_the_fault_out() {
    with_lab(|lab, world| async move {
        let start = lab.world();
        let (uses, with) = fault(PAUSE);
        let left = planned(&world, "run-1", uses, &with, past()).await;
        left.inject(&world).await;
        let faulty = lab.world();
        let keyless = Reaper::new(Arc::clone(&world), Err("there is no key here".into()), options(false, false));
        let found = keyless.sweep(&|_| {}).await;
        assert_eq!(outcomes(&found), [Outcome::Unsigned]);
        assert!(found[0].detail.contains("cannot be checked: there is no key here"), "{found:?}");
        // Of another account, or another environment, with the same key.
        let mut others = [settings(), settings()];
        others[0].environment = "staging".into();
        others[1].aliyun.as_mut().unwrap().account = Some("6543210987654321".into());
        for other in others {
            let other = Reaper::new(Arc::clone(&world), Ok(Signer::new(KEY, &other).unwrap()), options(false, false));
            assert_eq!(outcomes(&other.sweep(&|_| {}).await), [Outcome::Unsigned]);
        }
        assert_eq!(lab.world(), faulty);
        assert_eq!(outcomes(&reaper(&world, false).sweep(&|_| {}).await), [Outcome::Undone]);
        assert_eq!(lab.world(), start);
    });
}

#[test]
fn a_healthy_thing_is_never_led_elsewhere_whatever_a_mark_says_of_it() {
    with_lab(|lab, world| async move {
        let (uses, with) = fault(BLACKHOLE);
        let left = planned(&world, "run-1", uses, &with, past()).await;
        let (healthy, attached, spare) = (eni("eni-0a11febe0a7000db0"), "eni-0a11febe0a7000db0", with["interface"].as_str().unwrap());
        assert_eq!(healthy, left.mark.before["target"]);
        let to = |before: Value, interface: &str| {
            let with = json!({ "route_table": TABLE, "destination": "10.20.0.0/16", "interface": interface });
            Mark { with, before: json!({ "target": before, "origin": "CreateRoute" }), ..left.mark.clone() }
        };
        // As if it had been led away from somebody's interface; as if what it leads to were the black hole.
        let mut marks =
            vec![(left.anchors.clone(), to(eni("eni-0a11febe0a7000c01"), spare)), (left.anchors, to(eni("eni-0a11febe0a7000c01"), attached))];
        // As if its vSwitches had had another ACL.
        let (uses, with) = fault(OUTAGE);
        let outage = planned(&world, "run-2", uses, &with, past()).await;
        let mut mark = outage.mark.clone();
        for acl in mark.before["vswitches"].as_object_mut().unwrap().values_mut() {
            *acl = json!("nacl-bp1lifeboat0other0001");
        }
        marks.push((outage.anchors, mark));
        for (anchors, mark) in marks {
            marker(&world).put(&anchors, &mark).await.unwrap();
            let before = lab.world();
            for reaper in [reaper(&world, false), believing(&world)] {
                let found = reaper.sweep(&|_| {}).await;
                assert_eq!(outcomes(&found), [Outcome::Conflict], "{found:?}");
                assert!(found[0].detail.contains("the fault is not there"), "{found:?}");
                assert_eq!(lab.world(), before, "{mark:?}");
            }
            marker(&world).clear(&anchors, &mark.run).await.unwrap();
        }
    });
}

#[test]
fn what_is_torn_copied_or_no_fault_is_never_acted_upon() {
    with_lab(|lab, world| async move {
        let tags = world.tags(Cloud::Aliyun, "").unwrap();
        let object = |kind: &str, id: &str| [Tagged { kind: kind.into(), id: id.into() }];
        let marker = marker(&world);
        let (uses, with) = fault(OUTAGE);
        let left = planned(&world, "run-1", uses, &with, past()).await;
        left.inject(&world).await;
        // For the test's own calls; a reaper's pass it.
        world.gate().open(Cloud::Aliyun, "cn-hangzhou");
        let look = async |reaper: Reaper, outcome: Outcome, expected: &str| {
            let before = lab.world();
            let found = reaper.sweep(&|_| {}).await;
            assert_eq!(outcomes(&found), [outcome], "{found:?}");
            assert!(found[0].text().contains(expected), "{}", found[0].text());
            assert_eq!(lab.world(), before, "{expected}");
        };

        let whole = tags.read(&object("vpc", VPC)).await.unwrap().remove(VPC).unwrap();
        tags.remove(&object("vpc", VPC), &["lifeboat:run".to_owned()]).await.unwrap();
        look(believing(&world), Outcome::Foreign, "`lifeboat:run` is missing").await;

        let newer = whole["lifeboat:undo.0"].replacen("2.", "7.", 1);
        tags.write(&object("vpc", VPC), &TagMap::from([("lifeboat:undo.0".into(), newer)])).await.unwrap();
        look(believing(&world), Outcome::Foreign, "in version 7.0 of the format of marks; this Lifeboat, ").await;

        let keys: Vec<String> = whole.keys().cloned().collect();
        tags.remove(&object("vpc", VPC), &keys).await.unwrap();
        tags.write(&object("vswitch", VSWITCH), &whole).await.unwrap();
        look(reaper(&world, false), Outcome::Unsigned, "it was altered, or copied from elsewhere").await;
        look(believing(&world), Outcome::Foreign, "copied").await;
        tags.remove(&object("vswitch", VSWITCH), &keys).await.unwrap();

        // Whoever may write tags must not make a reaper run a program.
        let program = Mark { uses: "exec".into(), with: json!({ "command": ["touch", "/tmp/lifeboat-was-here"] }), ..left.mark.clone() };
        marker.put(&left.anchors, &program).await.unwrap();
        look(believing(&world), Outcome::Foreign, "`exec` is no fault").await;
        let path = std::env::temp_dir().join("lifeboat-no-such-secret");
        let mut referring = left.mark.clone();
        referring.with["region"] = json!({ "secret": format!("file:{}", path.display()) });
        marker.put(&left.anchors, &referring).await.unwrap();
        look(believing(&world), Outcome::Foreign, "refers to a secret").await;
        let unknown = Mark { uses: "aliyun.turn-off".into(), ..left.mark.clone() };
        marker.put(&left.anchors, &unknown).await.unwrap();
        look(reaper(&world, false), Outcome::Foreign, "knows no action `aliyun.turn-off`").await;
    });
}

#[test]
fn one_cloud_that_does_not_answer_does_not_protect_the_faults_on_the_other() {
    with_lab(|lab, world| async move {
        let start = lab.world();
        let (uses, with) = fault(BLACKHOLE);
        let left = planned(&world, "run-1", uses, &with, past()).await;
        left.inject(&world).await;
        let mut half = lab.settings();
        if let Some(aliyun) = &mut half.aliyun {
            // Nobody listens there.
            aliyun.endpoint = Some("http://127.0.0.1:9".to_owned());
            aliyun.timeout = Some(Duration::from_secs(1));
        }
        let half = Arc::new(World::connect(&half, &Gate::default()).await);
        let found = outcomes(&reaper(&half, false).sweep(&|_| {}).await);
        assert!(found.contains(&Outcome::Undone) && found.contains(&Outcome::Unsearched), "{found:?}");
        assert_eq!(lab.world(), start);
    });
}
