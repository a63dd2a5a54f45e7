//! `dns.shift-weight`: the same word for Route 53 and Alidns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::{Authority, Servers, Told, answered};
use super::weights::{Shares, check_ours, is_as, is_worth, label, restored, target, weight};
use crate::catalogue::until::until;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::model::event::step::Target;
use crate::model::time::Span;
use crate::ports::Kind;
use crate::ports::dns::{ChangeId, Dns, WeightedRecord};
use crate::world::World;

/// Shifts the traffic of a name between its weighted A records, at once or in stages, and waits until the name servers answer it.
///
/// Works on Route 53 (records told apart by their SetIdentifier) and on Alidns (by their remark; a side without traffic is switched off there,
/// because its weights begin at 1). Undo restores weights and statuses exactly, and refuses when somebody else has changed them meanwhile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShiftWeight {
    /// The zone: `example.com.` with its final dot for Route 53, `example.cn` for Alidns.
    zone: String,
    /// The name, relative to the zone, such as `shop`.
    record: String,
    /// What each side gets in the end, in percent, by label: `{ aws: 100, aliyun: 0 }`.
    to: Shares,
    /// Stops on the way, in order.
    #[serde(default)]
    stages: Vec<Stage>,
}

/// A stop on the way.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stage {
    /// What each side gets at this stop, in percent, by label.
    to: Shares,
    /// How long to stay there, once the name servers answer it.
    #[serde(default)]
    hold: Span,
}

/// What the records are in the end.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The fully written name.
    name: String,
    /// Its addresses that now get traffic.
    addresses: Vec<String>,
}

impl Action<World> for ShiftWeight {
    const KIND: &'static str = "dns.shift-weight";
    type Before = Vec<WeightedRecord>;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Vec<WeightedRecord>>, ActionError> {
        self.plan_on(cx.world.dns(&self.zone).await?).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Vec<WeightedRecord>) -> Result<Applied<Output>, ActionError> {
        let (dns, name) = (cx.world.dns(&self.zone).await?, self.name());
        let servers = Authority { resolver: cx.world.resolver(), dns, zone: &self.zone, name: &name };
        self.apply_on(&Side { dns, servers: &servers, progress: cx.progress }, before, cx.accepted).await
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Vec<WeightedRecord>) -> Result<Undone, ActionError> {
        let (dns, name) = (cx.world.dns(&self.zone).await?, self.name());
        let servers = Authority { resolver: cx.world.resolver(), dns, zone: &self.zone, name: &name };
        self.undo_on(&Side { dns, servers: &servers, progress: cx.progress }, before).await
    }
}

/// Who is told, who answers, and who listens.
struct Side<'a> {
    dns: &'a dyn Dns,
    servers: &'a dyn Servers,
    progress: &'a (dyn Fn(String) + Send + Sync),
}

impl ShiftWeight {
    async fn plan_on(&self, dns: &dyn Dns) -> Result<Planned<Vec<WeightedRecord>>, ActionError> {
        let records = self.read(dns).await?;
        for stage in &self.stages {
            target(dns, &records, &stage.to)?;
        }
        let wanted = target(dns, &records, &self.to)?;
        let targets = records
            .iter()
            .zip(&wanted)
            .map(|(now, then)| {
                let change = if now == then { String::new() } else { format!("{} → {}", weight(now), weight(then)) };
                Target::new("record", format!("{} {}", self.name(), label(now)), change)
            })
            .collect();
        let call = |operation: &str, subject: String, mutating| PlannedCall { operation: operation.to_owned(), subject, mutating };
        if is_worth(&records, &wanted) {
            let reads = dns.calls().into_iter().filter(|(_, mutating)| !mutating);
            let calls = reads.map(|(operation, _)| call(operation, self.name(), false)).collect();
            return Ok(Planned::new(records, targets, calls));
        }
        let mut calls = Vec::new();
        for to in self.stages_left(dns, &records)?.iter().map(|stage| &stage.to).chain([&self.to]) {
            for (operation, mutating) in dns.calls() {
                let subject = if mutating { format!("{}: {to}", self.name()) } else { self.name() };
                calls.push(call(operation, subject, mutating));
            }
        }
        Ok(Planned::new(records, targets, calls))
    }

    async fn apply_on(
        &self,
        side: &Side<'_>,
        before: &[WeightedRecord],
        accepted: &(dyn Fn() + Send + Sync),
    ) -> Result<Applied<Output>, ActionError> {
        let dns = side.dns;
        let mut current = self.read(dns).await?;
        let wanted = target(dns, &current, &self.to)?;
        if is_worth(&current, &wanted) {
            accepted();
            // After an ambiguous outcome the change may be ours: then it was changed by this step all the same, and may still be on its way.
            let already = is_worth(before, &wanted);
            if !already {
                self.await_answers(side, &wanted, true).await?;
            }
            return Ok(Applied { output: self.output(&wanted), already });
        }
        for stage in self.stages_left(dns, &current)? {
            self.set(side, target(dns, &current, &stage.to)?, &format!("{}, held for {}", stage.to, stage.hold), &|| {}).await?;
            tokio::time::sleep(stage.hold.duration()).await;
            current = self.read(dns).await?;
        }
        self.set(side, target(dns, &current, &self.to)?, &self.to.to_string(), accepted).await?;
        Ok(Applied::changed(self.output(&wanted)))
    }

    /// The stages from the one that was reached last on: another attempt does not lead the traffic back to those before it.
    fn stages_left(&self, dns: &dyn Dns, current: &[WeightedRecord]) -> Result<&[Stage], ActionError> {
        for (at, stage) in self.stages.iter().enumerate().rev() {
            if is_worth(current, &target(dns, current, &stage.to)?) {
                return Ok(&self.stages[at..]);
            }
        }
        Ok(&self.stages)
    }

    async fn undo_on(&self, side: &Side<'_>, before: &[WeightedRecord]) -> Result<Undone, ActionError> {
        let dns = side.dns;
        // Deleted, or weights switched off for the whole name: there is nothing left whose weight could be put back.
        let current = match dns.weights(&self.zone, &self.record).await {
            Err(error) if error.kind != Kind::NotFound => return Err(error.into()),
            found => found.unwrap_or_default(),
        };
        let wanted = restored(&current, before);
        if wanted.len() == before.len() && is_as(&current, &wanted) {
            // An undo that was cut off may have put it back just now.
            self.await_answers(side, &wanted, false).await?;
            return Ok(Undone::Already);
        }
        let shares = self.stages.iter().map(|stage| &stage.to).chain([&self.to]);
        let ways = shares.map(|to| target(dns, before, to)).collect::<Result<Vec<_>, _>>()?;
        check_ours(&self.name(), &current, before, &ways)?;
        self.set(side, wanted.clone(), "as before", &|| {}).await?;
        if is_as(&self.read(dns).await?, &wanted) { Ok(Undone::Restored) } else { Err(self.not_taken()) }
    }

    /// Sets the records and waits until every name server answers them and they read back as set.
    async fn set(
        &self,
        side: &Side<'_>,
        records: Vec<WeightedRecord>,
        what: &str,
        accepted: &(dyn Fn() + Send + Sync),
    ) -> Result<(), ActionError> {
        let dns = side.dns;
        let change: ChangeId = dns.set_weights(&self.zone, &self.record, &records).await?;
        accepted();
        (side.progress)(format!("{}: {what}", self.name()));
        if change.0.is_empty() {
            self.await_answers(side, &records, false).await?;
        }
        let change = &change;
        until(|| async move { Ok(dns.in_sync(change).await?.then_some(())) }).await?;
        if is_worth(&self.read(dns).await?, &records) { Ok(()) } else { Err(self.not_taken()) }
    }

    /// For a change whose progress no provider tells. What is not seen is said; that the records read as they shall is known all the same.
    async fn await_answers(&self, side: &Side<'_>, records: &[WeightedRecord], patient: bool) -> Result<(), ActionError> {
        match answered(side.servers, records, patient).await? {
            Told::Answered => {}
            Told::Otherwise => (side.progress)(format!("{}: its name servers still answer otherwise", self.name())),
            Told::Nothing => (side.progress)(format!("{}: its name servers cannot be asked from here", self.name())),
        }
        Ok(())
    }

    async fn read(&self, dns: &dyn Dns) -> Result<Vec<WeightedRecord>, ActionError> {
        let records = dns.weights(&self.zone, &self.record).await?;
        if records.is_empty() { Err(ActionError::NoTargets(format!("{} has no weighted A records", self.name()))) } else { Ok(records) }
    }

    fn not_taken(&self) -> ActionError {
        ActionError::NoEffect(format!("the weights of {} were accepted but do not read back as set", self.name()))
    }

    fn name(&self) -> String {
        if matches!(self.record.as_str(), "" | "@") { self.zone.clone() } else { format!("{}.{}", self.record, self.zone) }
    }

    fn output(&self, records: &[WeightedRecord]) -> Output {
        let served = records.iter().filter(|record| record.enabled && record.weight > 0);
        Output { name: self.name(), addresses: served.flat_map(|record| record.values.clone()).collect() }
    }
}

/// Providers in memory for the tests of this folder.
#[cfg(test)]
pub(in crate::catalogue) mod fake {
    use std::sync::Mutex;

    use super::*;
    use crate::ports::PortFuture;

    pub(in crate::catalogue) fn record(label: &str, id: &str, weight: u32, enabled: bool) -> WeightedRecord {
        WeightedRecord { label: label.to_owned(), id: id.to_owned(), weight, enabled, values: vec![format!("127.0.0.{id}")], ttl: 5, health_check: None }
    }

    /// Behaves as one of the two providers; a change is in sync at the third look.
    pub(in crate::catalogue) struct FakeDns {
        pub(in crate::catalogue) records: Mutex<Vec<WeightedRecord>>,
        pub(in crate::catalogue) sets: Mutex<Vec<Vec<(u32, bool)>>>,
        looks: Mutex<u32>,
        can_be_zero: bool,
    }

    /// Answers what the records are, from the third look after a change on.
    impl Servers for FakeDns {
        fn answers(&self) -> PortFuture<'_, Vec<Vec<String>>> {
            let mut looks = self.looks.lock().unwrap();
            *looks += 1;
            let records = self.records.lock().unwrap();
            let served = records.iter().filter(|record| record.enabled && record.weight > 0);
            let answers = if *looks > 2 { served.map(|record| record.values.clone()).collect() } else { vec![vec!["192.0.2.1".to_owned()]] };
            Box::pin(std::future::ready(Ok(answers)))
        }
    }

    impl FakeDns {
        pub(in crate::catalogue) fn alidns(records: &[WeightedRecord]) -> Self {
            Self { records: Mutex::new(records.to_vec()), sets: Mutex::default(), looks: Mutex::default(), can_be_zero: false }
        }

        pub(in crate::catalogue) fn route53(records: &[WeightedRecord]) -> Self {
            Self { can_be_zero: true, ..Self::alidns(records) }
        }

        /// How often it was looked at since the last change.
        pub(in crate::catalogue) fn looks(&self) -> u32 {
            *self.looks.lock().unwrap()
        }

        pub(in crate::catalogue) fn now(&self) -> Vec<(u32, bool)> {
            self.records.lock().unwrap().iter().map(|record| (record.weight, record.enabled)).collect()
        }
    }

    impl Dns for FakeDns {
        fn weights<'a>(&'a self, _: &'a str, _: &'a str) -> PortFuture<'a, Vec<WeightedRecord>> {
            Box::pin(async { Ok(self.records.lock().unwrap().clone()) })
        }

        fn set_weights<'a>(&'a self, _: &'a str, _: &'a str, records: &'a [WeightedRecord]) -> PortFuture<'a, ChangeId> {
            for wanted in records {
                let mut all = self.records.lock().unwrap();
                let record = all.iter_mut().find(|record| (&record.label, &record.id) == (&wanted.label, &wanted.id)).unwrap();
                assert!(record.enabled || wanted.enabled || record.weight == wanted.weight, "the weight of a paused record cannot be changed");
                (record.weight, record.enabled) = (wanted.weight, wanted.enabled);
            }
            self.sets.lock().unwrap().push(self.now());
            *self.looks.lock().unwrap() = 0;
            Box::pin(async { Ok(ChangeId("C1".to_owned())) })
        }

        fn in_sync<'a>(&'a self, _: &'a ChangeId) -> PortFuture<'a, bool> {
            Box::pin(async {
                let mut looks = self.looks.lock().unwrap();
                *looks += 1;
                Ok(*looks > 2)
            })
        }

        fn name_servers<'a>(&'a self, _: &'a str) -> PortFuture<'a, Vec<String>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn share(&self, percent: u32, record: &WeightedRecord) -> (u32, bool) {
            match percent {
                _ if self.can_be_zero => (percent, true),
                0 if !record.enabled => (record.weight, false),
                0 => (1, false),
                _ => (percent, true),
            }
        }

        fn calls(&self) -> Vec<(&'static str, bool)> {
            vec![("x:Read", false), ("x:Write", true), ("x:Sync", false)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::{FakeDns, record};
    use super::*;

    fn shift(json: &str) -> ShiftWeight {
        serde_json::from_str(json).unwrap()
    }

    fn side(dns: &FakeDns) -> Side<'_> {
        Side { dns, servers: dns, progress: &|_| {} }
    }

    fn over() -> ShiftWeight {
        shift(r#"{"zone": "example.cn", "record": "shop", "to": {"aws": 100, "aliyun": 0}}"#)
    }

    fn back_in_stages() -> ShiftWeight {
        shift(
            r#"{"zone": "example.cn", "record": "shop", "to": {"aws": 0, "aliyun": 100},
                "stages": [{"to": {"aws": 50, "aliyun": 50}, "hold": "20ms"}]}"#,
        )
    }

    fn alidns() -> FakeDns {
        FakeDns::alidns(&[record("aliyun", "1", 100, true), record("aliyun", "2", 100, true), record("aws", "3", 1, false), record("aws", "4", 1, false)])
    }

    async fn run(action: &ShiftWeight, dns: &FakeDns) -> (Vec<WeightedRecord>, Applied<Output>) {
        let planned = action.plan_on(dns).await.unwrap();
        let applied = action.apply_on(&side(dns), &planned.before, &|| {}).await.unwrap();
        (planned.before, applied)
    }

    #[tokio::test]
    async fn over_and_back_and_undone_is_exactly_as_before_on_both_providers() {
        for dns in [alidns(), FakeDns::route53(&[record("aliyun", "1", 100, true), record("aws", "2", 0, true)])] {
            let start = dns.now();
            let (before, applied) = run(&over(), &dns).await;
            assert!(!applied.already);
            assert!(applied.output.addresses.iter().all(|address| !address.ends_with(".1")), "{:?}", applied.output);
            run(&back_in_stages(), &dns).await;
            over().undo_on(&side(&dns), &before).await.unwrap();
            assert_eq!(dns.now(), start);
            assert_eq!(over().undo_on(&side(&dns), &before).await.unwrap(), Undone::Already);
        }
    }

    #[tokio::test]
    async fn a_paused_record_is_not_served_for_the_sake_of_its_weight() {
        let dns = FakeDns::alidns(&[record("aliyun", "1", 100, true), record("aws", "2", 7, false)]);
        let (before, _) = run(&over(), &dns).await;
        run(&back_in_stages(), &dns).await;
        let sets = dns.sets.lock().unwrap().len();
        assert_eq!(over().undo_on(&side(&dns), &before).await.unwrap(), Undone::Already);
        assert_eq!((dns.sets.lock().unwrap().len(), dns.now()), (sets, vec![(100, true), (1, false)]));
    }

    #[tokio::test]
    async fn stages_come_one_after_another_and_are_held() {
        let dns = FakeDns::route53(&[record("aliyun", "1", 0, true), record("aws", "2", 100, true)]);
        let start = tokio::time::Instant::now();
        run(&back_in_stages(), &dns).await;
        assert_eq!(*dns.sets.lock().unwrap(), [[(50, true), (50, true)], [(100, true), (0, true)]]);
        assert!(start.elapsed() >= std::time::Duration::from_millis(20));
    }

    #[tokio::test]
    async fn another_attempt_goes_on_from_the_stage_that_was_reached() {
        let action = shift(
            r#"{"zone": "example.cn", "record": "shop", "to": {"aws": 0, "aliyun": 100},
                "stages": [{"to": {"aws": 90, "aliyun": 10}}, {"to": {"aws": 50, "aliyun": 50}}, {"to": {"aws": 10, "aliyun": 90}}]}"#,
        );
        let dns = FakeDns::route53(&[record("aliyun", "1", 0, true), record("aws", "2", 100, true)]);
        let before = action.plan_on(&dns).await.unwrap().before;
        *dns.records.lock().unwrap() = vec![record("aliyun", "1", 50, true), record("aws", "2", 50, true)];
        action.apply_on(&side(&dns), &before, &|| {}).await.unwrap();
        assert_eq!(*dns.sets.lock().unwrap(), [[(50, true), (50, true)], [(90, true), (10, true)], [(100, true), (0, true)]]);
    }

    #[tokio::test]
    async fn a_shift_cut_off_between_its_stages_is_undone() {
        let dns = FakeDns::route53(&[record("aliyun", "1", 0, true), record("aws", "2", 100, true)]);
        let before = back_in_stages().plan_on(&dns).await.unwrap().before;
        *dns.records.lock().unwrap() = vec![record("aliyun", "1", 50, true), record("aws", "2", 50, true)];
        assert_eq!(back_in_stages().undo_on(&side(&dns), &before).await.unwrap(), Undone::Restored);
        assert_eq!(dns.now(), [(0, true), (100, true)]);
    }

    #[tokio::test]
    async fn someone_elses_weights_are_left_alone() {
        let dns = alidns();
        let (before, _) = run(&over(), &dns).await;
        dns.records.lock().unwrap()[3].weight = 33;
        let left = dns.now();
        assert!(matches!(over().undo_on(&side(&dns), &before).await.unwrap_err(), ActionError::Conflict { .. }));
        assert_eq!(dns.now(), left);
    }

    #[tokio::test]
    async fn already_as_asked_makes_no_change() {
        let dns = alidns();
        run(&over(), &dns).await;
        let (_, applied) = run(&over(), &dns).await;
        assert!(applied.already);
        assert_eq!(dns.sets.lock().unwrap().len(), 1);
        let planned = over().plan_on(&dns).await.unwrap();
        assert!(planned.calls.iter().all(|call| !call.mutating) && planned.targets.iter().all(|target| target.change.is_empty()));
    }

    #[tokio::test]
    async fn a_change_whose_answer_was_lost_is_waited_for_and_so_is_one_that_was_just_put_back() {
        for dns in [alidns(), FakeDns::route53(&[record("aliyun", "1", 100, true), record("aws", "2", 0, true)])] {
            let before = over().plan_on(&dns).await.unwrap().before;
            let current = over().read(&dns).await.unwrap();
            dns.set_weights("", "", &target(&dns, &current, &over().to).unwrap()).await.unwrap();
            assert_eq!(dns.looks(), 0);
            let applied = over().apply_on(&side(&dns), &before, &|| {}).await.unwrap();
            assert!(!applied.already && dns.looks() > 2, "the name servers are asked until they answer it");
            dns.set_weights("", "", &before).await.unwrap();
            assert_eq!(over().undo_on(&side(&dns), &before).await.unwrap(), Undone::Already);
            assert!(dns.looks() > 2);
            assert_eq!(dns.sets.lock().unwrap().len(), 2, "nothing is sent again");
        }
    }

    #[tokio::test]
    async fn weights_switched_off_and_records_deleted_by_someone_else_are_a_conflict() {
        let dns = alidns();
        let (before, _) = run(&over(), &dns).await;
        dns.records.lock().unwrap().clear();
        let error = over().undo_on(&side(&dns), &before).await.unwrap_err();
        assert!(matches!(&error, ActionError::Conflict { found, .. } if found == "no such record"), "{error}");
    }
}
