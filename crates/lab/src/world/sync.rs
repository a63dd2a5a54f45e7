//! Objects, the shop's orders in them, the DTS jobs that take the rows of the order log from one cloud to the other, and the shop's worker that copies
//! the objects.

use std::collections::BTreeMap;

use bytes::Bytes;
use lifeboat_notation::time::Timestamp;
use md5::{Digest as _, Md5};
use rand::RngExt as _;
use serde_json::json;

use super::file::Orders;
use super::reach::Reach;
use super::state::{Cloud, Object, State};
use super::transition::Transition;

/// The object metadata that tells when an order was committed.
pub const COMMITTED: &str = "committed";

/// What a job shows that moves rows.
pub const RUNNING: &str = "Synchronizing";
/// What a job shows that is paused, or about to be: the vendor has no other word.
pub const PAUSED: &str = "Suspending";
/// What a job shows on its way to moving rows, in this order.
pub const STARTS: [&str; 3] = ["Prechecking", "PreCheckPass", "Initializing"];

/// How many orders both sides keep at least, a page of a listing, and at most twice as many: a lab that goes on for long neither grows nor slows down.
const KEPT: u64 = 1000;

impl Orders {
    /// The key of the order with this number.
    fn key(&self, number: u64) -> String {
        format!("{}{number:012}", self.prefix)
    }
}

impl Object {
    /// An object as it is after an upload at `now`, with its ETag.
    #[must_use]
    pub fn new(body: Bytes, content_type: &str, metadata: BTreeMap<String, String>, now: Timestamp) -> Self {
        let etag = hex::encode(Md5::digest(&body));
        Self { body, modified_at: now, etag, content_type: content_type.to_owned(), metadata }
    }

    /// How it was put, in the words of OSS.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.etag.contains('-') { "Multipart" } else { "Normal" }
    }
}

impl State {
    /// Asks a synchronisation job for a status: [`PAUSED`], which it shows at once and in which it rests once what was in hand is handed over, or
    /// [`RUNNING`], through what the vendor goes through. Gives the status before; `None` when there is no such job or no such status to be asked for.
    /// A job that is there, or on its way there, already stays.
    pub fn job_status(&mut self, id: &str, wanted: &str) -> Option<String> {
        let before = self.jobs.get(id)?.status.clone();
        let is_heading_there = before == wanted || wanted == RUNNING && STARTS.contains(&before.as_str());
        let (delay, way): (_, &[&str]) = match wanted {
            PAUSED => (self.timing.dts_suspend.duration(), &[]),
            RUNNING => (self.timing.dts_start.duration(), &STARTS),
            _ => return None,
        };
        if is_heading_there {
            return Some(before);
        }
        self.cancel(|transition| matches!(transition, Transition::Job { id: other, .. } if other == id));
        for (word, part) in way.iter().zip(0_u32..) {
            self.after(delay * part / 3, Transition::Job { id: id.to_owned(), status: (*word).to_owned() });
        }
        self.after(delay, Transition::Job { id: id.to_owned(), status: wanted.to_owned() });
        self.job_shows(id, if wanted == PAUSED { PAUSED } else { STARTS[0] });
        Some(before)
    }

    /// A job reaches a status, and with it moves rows or not.
    pub(super) fn job_reached(&mut self, id: &str, status: &str) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.moves = status == RUNNING;
        }
        self.job_shows(id, status);
    }

    fn job_shows(&mut self, id: &str, status: &str) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.status = status.to_owned();
        let fields = json!({ "job": id, "status": status, "moves": job.moves });
        self.truth.record(self.now, "job", fields);
    }

    /// One customer orders: the order is written where the storefront serves them, and not at all when it does not.
    /// Gives the order's number.
    pub fn take_order(&mut self) -> Option<u64> {
        let host = self.services.get(&self.orders.as_ref()?.service)?.host.clone();
        let answer = self.answer_dns(&host, "A")?;
        let address = answer.values.first()?.parse().ok()?;
        let cloud = self.instance_at(address).filter(|instance| self.reach(instance) == Reach::Served)?.cloud;
        let cents: u32 = self.dns_rng.random_range(500..20_000);
        self.write_order(cloud, cents)
    }

    /// Writes the next order on one side. Numbers are global and without gaps over both sides.
    pub(super) fn write_order(&mut self, cloud: Cloud, cents: u32) -> Option<u64> {
        let number = self.counters.orders_written + 1;
        let orders = self.orders.as_ref()?;
        let key = orders.key(number);
        let bucket = match cloud {
            Cloud::Aliyun => &orders.source,
            Cloud::Aws => &orders.mirror,
        };
        let bucket = self.buckets.get_mut(bucket)?;
        let committed = self.now.to_string();
        let body = json!({ "order": number, "committed": committed, "amount": format!("{}.{:02}", cents / 100, cents % 100) }).to_string();
        let metadata = BTreeMap::from([(COMMITTED.to_owned(), committed)]);
        bucket.objects.insert(key, Object::new(body.into(), "application/json", metadata, self.now));
        self.counters.orders_written = number;
        Some(number)
    }

    /// One round of what takes orders over to the other side: DTS hands over rows, and the shop's worker copies objects. Gives how many objects
    /// were copied.
    pub fn copy_orders(&mut self) -> u64 {
        self.replicate_rows();
        self.orders.clone().map_or(0, |orders| self.copy_objects(&orders))
    }

    /// DTS: while a job moves, every row of the order log on Alibaba reaches the database on AWS. The service is not in the shop's VPC: what cuts off
    /// its vSwitches does not reach it.
    fn replicate_rows(&mut self) {
        for job in self.jobs.values_mut().filter(|job| job.moves) {
            job.checkpoint = self.now;
            self.counters.rows_on_both = self.counters.orders_written;
        }
    }

    /// The worker, while its vSwitch has a network: objects of orders whose rows have arrived on AWS go there, orders that were taken on AWS come
    /// back with their rows. What is on both sides is never written again.
    fn copy_objects(&mut self, orders: &Orders) -> u64 {
        let arrived = orders.key(self.counters.rows_on_both);
        let is_working = !self.is_cut_off(&orders.worker_subnet);
        let (to_mirror, to_source) = (&orders.mirror, &orders.source);
        let (mut copied, mut waiting) = (0, Vec::new());
        for (target, missing, is_known) in [
            (to_mirror, self.missing(orders, to_source, to_mirror), &(|key: &String| *key <= arrived) as &dyn Fn(&String) -> bool),
            (to_source, self.missing(orders, to_mirror, to_source), &|_| true),
        ] {
            let (going, left): (Vec<_>, Vec<_>) = missing.into_iter().partition(|(key, _)| is_working && is_known(key));
            waiting.extend(left);
            copied += going.len();
            if let Some(bucket) = self.buckets.get_mut(target) {
                bucket.objects.extend(going.into_iter().map(|(key, object)| (key, Object { modified_at: self.now, ..object })));
            }
        }
        self.counters.oldest_uncopied = waiting.iter().map(|(_, object)| committed_at(object)).min();
        let first = waiting.iter().filter_map(|(key, _)| key.strip_prefix(&orders.prefix)?.parse::<u64>().ok()).min();
        self.counters.orders_on_both = first.map_or(self.counters.orders_written, |first| first - 1);
        if waiting.is_empty() {
            self.archive(orders);
        }
        let copied = u64::try_from(copied).unwrap_or(u64::MAX);
        self.counters.orders_copied += copied;
        copied
    }

    /// Takes the oldest orders out of both buckets, as a shop's lifecycle rules do. Only when everything is on both sides, and many at once:
    /// who lists the two one after the other seldom meets it.
    fn archive(&mut self, orders: &Orders) {
        let latest = self.counters.orders_written.saturating_sub(KEPT);
        if latest < self.counters.orders_archived + KEPT {
            return;
        }
        let (from, to) = (orders.key(0), orders.key(latest + 1));
        for bucket in [&orders.source, &orders.mirror] {
            if let Some(bucket) = self.buckets.get_mut(bucket) {
                bucket.objects.retain(|key, _| !(&from..&to).contains(&key));
            }
        }
        self.counters.orders_archived = latest;
    }

    /// Orders that are in bucket `here` and not in `there`, of those that were not on both sides already: what somebody removes stays away.
    fn missing(&self, written: &Orders, here: &str, there: &str) -> Vec<(String, Object)> {
        let (Some(here), Some(there)) = (self.buckets.get(here), self.buckets.get(there)) else { return Vec::new() };
        let orders = here.objects.range(written.key(self.counters.orders_on_both + 1)..).take_while(|(key, _)| key.starts_with(&written.prefix));
        orders.filter(|(key, _)| !there.objects.contains_key(*key)).map(|(key, object)| (key.clone(), object.clone())).collect()
    }
}

/// When an order was committed: as its metadata says, or else when its object was written.
fn committed_at(object: &Object) -> Timestamp {
    object.metadata.get(COMMITTED).and_then(|committed| committed.parse().ok()).unwrap_or(object.modified_at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::build::build;
    use super::super::transition::settle;
    use super::*;

    fn world() -> State {
        build(42, 1.0, 10, Timestamp::from_nanos(1_000_000_000_000))
    }

    fn pass(state: &mut State, millis: u64) {
        state.now = state.now.plus(Duration::from_millis(millis));
        settle(state);
    }

    fn numbers(state: &State, bucket: &str) -> Vec<u64> {
        state.buckets[bucket]
            .objects
            .values()
            .map(|object| serde_json::from_slice::<serde_json::Value>(&object.body).unwrap()["order"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn orders_go_where_the_storefront_is_served_and_end_equal_on_both_sides() {
        let mut state = world();
        let already = state.counters.orders_written;
        for _ in 0..5 {
            assert!(state.take_order().is_some());
            pass(&mut state, 100);
        }
        assert_eq!(state.buckets["shop-orders"].objects.len() - state.buckets["shop-orders-mirror"].objects.len(), 5);
        assert_eq!(state.copy_orders(), 5);
        assert_eq!(state.copy_orders(), 0, "nothing is copied twice");

        // The storefront moves to AWS: orders go to the mirror and are copied back.
        for id in ["i-0a11febe0a7500001", "i-0a11febe0a7500002"] {
            state.instance_start(id);
        }
        for record in state.zones[0].records.iter_mut().filter(|record| record.name == "shop.example.com.") {
            record.weight = Some(if record.set_identifier.as_deref() == Some("aws") { 100 } else { 0 });
        }
        state.serve_dns(0, "shop.example.com.", "A");
        pass(&mut state, 10_000);
        for _ in 0..3 {
            assert!(state.take_order().is_some());
        }
        let (source, mirror) = (numbers(&state, "shop-orders"), numbers(&state, "shop-orders-mirror"));
        assert_eq!(mirror, (1..=already + 8).collect::<Vec<_>>());
        assert_eq!(source, (1..=already + 5).collect::<Vec<_>>());
        assert_eq!(state.copy_orders(), 3);
        assert_eq!(numbers(&state, "shop-orders"), numbers(&state, "shop-orders-mirror"), "gap-free and equal");
        assert_eq!(state.counters.orders_copied, 8);
        let etags = |bucket: &str| state.buckets[bucket].objects.values().map(|object| object.etag.clone()).collect::<Vec<_>>();
        assert_eq!(etags("shop-orders"), etags("shop-orders-mirror"));
    }

    #[test]
    fn a_lab_that_goes_on_for_long_keeps_the_latest_orders_only() {
        let mut state = world();
        let order = |state: &mut State, count: u64| (0..count).for_each(|_| assert!(state.take_order().is_some()));
        let both = |state: &State| (numbers(state, "shop-orders"), numbers(state, "shop-orders-mirror"));
        order(&mut state, 1500);
        state.copy_orders();
        assert_eq!(both(&state).0.len(), 1520);
        order(&mut state, 500);
        state.copy_orders();
        let latest: Vec<u64> = (1021..=2020).collect();
        assert_eq!(both(&state), (latest.clone(), latest.clone()));
        assert_eq!(state.copy_orders(), 0, "what was archived is not brought back");

        // What is not on both sides yet stays.
        state.job_status("dtsorders-primary", PAUSED);
        pass(&mut state, 500);
        order(&mut state, 3000);
        assert_eq!(state.copy_orders(), 0);
        assert_eq!(both(&state), ((1021..=5020).collect(), latest));
    }

    #[test]
    fn no_order_is_taken_while_the_storefront_is_down() {
        let mut state = world();
        for id in ["i-bp1lifeboat0store0001", "i-bp1lifeboat0store0002"] {
            state.instance_stop(id);
        }
        let before = state.counters.orders_written;
        assert_eq!(state.take_order(), None);
        assert_eq!(state.counters.orders_written, before);
    }

    #[test]
    fn a_paused_job_stops_the_rows_and_with_them_the_objects_and_the_standby_catches_up() {
        let mut state = world();
        assert_eq!(state.job_status("dtsorders-primary", PAUSED).as_deref(), Some(RUNNING));
        assert_eq!(state.jobs["dtsorders-primary"].status, PAUSED, "at once, while rows still go over");
        state.take_order();
        pass(&mut state, 100);
        assert_eq!(state.copy_orders(), 1);
        pass(&mut state, 400);
        assert_eq!((state.jobs["dtsorders-primary"].status.as_str(), state.jobs["dtsorders-primary"].moves), (PAUSED, false));
        let (first, checkpoint, rows) = (state.now, state.jobs["dtsorders-primary"].checkpoint, state.counters.rows_on_both);
        for _ in 0..4 {
            state.take_order();
            pass(&mut state, 250);
        }
        assert_eq!(state.copy_orders(), 0);
        assert_eq!(state.counters.oldest_uncopied, Some(first));
        assert_eq!((state.jobs["dtsorders-primary"].checkpoint, state.counters.rows_on_both), (checkpoint, rows), "it rests");
        let mut shown = Vec::new();
        state.job_status("dtsorders-standby", RUNNING);
        for _ in 0..100 {
            shown.push(state.jobs["dtsorders-standby"].status.clone());
            pass(&mut state, 10);
        }
        shown.dedup();
        assert_eq!(shown, ["Prechecking", "PreCheckPass", "Initializing", "Synchronizing"]);
        assert_eq!(state.copy_orders(), 4);
        assert_eq!(state.counters.oldest_uncopied, None);
        assert_eq!(state.jobs["dtsorders-standby"].checkpoint, state.now);
    }

    #[test]
    fn orders_of_the_other_side_come_back_without_a_job_and_rows_go_over_without_a_worker() {
        let mut state = world();
        state.job_status("dtsorders-primary", PAUSED);
        pass(&mut state, 500);
        let rows = state.counters.rows_on_both;
        state.write_order(Cloud::Aws, 1000);
        state.write_order(Cloud::Aliyun, 1000);
        assert_eq!((state.copy_orders(), state.counters.rows_on_both), (1, rows), "the one on AWS came back");
        assert_eq!(state.counters.orders_on_both, rows + 1);

        state.job_status("dtsorders-primary", RUNNING);
        let mut acl = state.acls["nacl-bp1lifeboat0data0001"].clone();
        acl.ingress[0].allow = false;
        acl.id = "nacl-bp1deny".into();
        state.acls.insert(acl.id.clone(), acl);
        state.apply_acl("vsw-bp1lifeboat0app000001", Some("nacl-bp1deny"));
        pass(&mut state, 5_000);
        assert_eq!((state.copy_orders(), state.counters.rows_on_both), (0, rows + 2), "its row went over, its object waits");
    }

    #[test]
    fn the_worker_is_cut_off_with_its_vswitch() {
        let mut state = world();
        let mut acl = state.acls["nacl-bp1lifeboat0data0001"].clone();
        acl.ingress[0].allow = false;
        acl.id = "nacl-bp1deny".into();
        state.acls.insert(acl.id.clone(), acl);
        state.take_order();
        state.apply_acl("vsw-bp1lifeboat0app000001", Some("nacl-bp1deny"));
        pass(&mut state, 300);
        assert_eq!(state.copy_orders(), 0);
    }

    #[test]
    fn asking_a_job_for_the_opposite_takes_the_first_wish_back() {
        let mut state = world();
        state.job_status("dtsorders-primary", PAUSED);
        pass(&mut state, 100);
        state.job_status("dtsorders-primary", RUNNING);
        pass(&mut state, 5_000);
        assert_eq!((state.jobs["dtsorders-primary"].status.as_str(), state.jobs["dtsorders-primary"].moves), (RUNNING, true));
        for word in ["Suspended", "Starting", "Stopped"] {
            assert_eq!(state.job_status("dtsorders-primary", word), None, "not a word of the vendor's");
        }
        assert_eq!(state.job_status("nobody", PAUSED), None);
    }
}
