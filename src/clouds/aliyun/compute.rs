//! ECS instances behind the compute port.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::compute::{Ailing, Compute, ComputeCalls, Machine, MachineState, Obstacle, Refused, Rest, Selector, halved};
use crate::ports::{CloudError, Kind, PortFuture};

pub(super) const FIND: Api = Api::reads("ecs:DescribeInstances");
const STATUS: Api = Api::reads("ecs:DescribeInstanceStatus");
const START: Api = Api::changes("ecs:StartInstances");
const STOP: Api = Api::changes("ecs:StopInstances");

/// The most ids in one call.
const IDS: usize = 100;
/// What Auto Scaling marks its instances with. Nobody else can set tags that begin with `acs:`.
const GROUP_TAG: &str = "acs:autoscaling:scalingGroupId";
/// DescribeInstanceStatus takes a hundred ids but answers fifty a page.
const STATUS_PAGE: usize = 50;

/// A page of `DescribeInstances`, of which each reader takes what it needs of an instance.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InstancePage<I> {
    pub(super) instances: Instances<I>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Instances<I> {
    pub(super) instance: Vec<I>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    instance_id: String,
    instance_name: Option<String>,
    status: String,
    /// `KeepCharging` or `StopCharging` for a stopped one.
    stopped_mode: Option<String>,
    tags: Option<Tags>,
    /// Why the vendor has locked it.
    operation_locks: Option<Locks>,
    /// `PrePaid` or `PostPaid`.
    instance_charge_type: Option<String>,
    /// Until when a prepaid one is paid, `2027-01-31T16:00Z`.
    expired_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Locks {
    #[serde(default)]
    lock_reason: Vec<Lock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Lock {
    #[serde(default)]
    lock_reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    tag: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    #[serde(default)]
    tag_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statuses {
    instance_statuses: StatusList,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatusList {
    instance_status: Vec<Instance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    instance_responses: Responses,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Responses {
    instance_response: Vec<Response>,
}

/// What happened to one instance of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    instance_id: String,
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    current_status: String,
}

impl Compute for Aliyun {
    fn find<'a>(&'a self, selector: &'a Selector) -> PortFuture<'a, Vec<Machine>> {
        Box::pin(async move {
            if selector.ids.is_empty() && selector.tags.is_empty() {
                return Err(FIND.error(Kind::Invalid, "a selector without ids and tags would mean every instance"));
            }
            let mut machines = Vec::new();
            if selector.ids.is_empty() {
                machines = self.describe(&[], &selector.tags).await?;
            }
            for ids in selector.ids.chunks(IDS) {
                let found = self.describe(ids, &selector.tags).await?;
                // The service leaves out what does not exist; a step that silently has fewer targets than were named is worse than an error.
                if let Some(missing) = ids.iter().find(|id| selector.tags.is_empty() && !found.iter().any(|machine| machine.id == **id)) {
                    return Err(FIND.error(Kind::NotFound, format!("there is no instance `{missing}` in {}", self.region)));
                }
                machines.extend(found);
            }
            machines.sort_by(|a, b| a.id.cmp(&b.id));
            machines.dedup_by(|a, b| a.id == b.id);
            Ok(machines)
        })
    }

    fn ailing<'a>(&'a self, _: &'a [String]) -> PortFuture<'a, Ailing> {
        // There is no check of health beside `Running`.
        Box::pin(async { Ok(Ailing::new()) })
    }

    fn start<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, Refused> {
        Box::pin(self.batch(START, ids, None, &["Running", "Starting"]))
    }

    fn stop<'a>(&'a self, ids: &'a [String], rest: Rest) -> PortFuture<'a, Refused> {
        let mode = if rest == Rest::Released { "StopCharging" } else { "KeepCharging" };
        Box::pin(self.batch(STOP, ids, Some(mode), &["Stopped", "Stopping"]))
    }

    fn calls(&self) -> ComputeCalls {
        ComputeCalls { find: FIND.name, ailing: None, start: START.name, stop: STOP.name }
    }
}

impl Aliyun {
    /// The status words of instances by id, as the vendor says them; what does not exist is left out. Cheaper than [`Compute::find`].
    ///
    /// # Errors
    /// Any failed call.
    pub async fn instance_statuses(&self, ids: &[String]) -> Result<BTreeMap<String, String>, CloudError> {
        let mut statuses = BTreeMap::new();
        for ids in ids.chunks(STATUS_PAGE) {
            let params = Params::new().set("RegionId", &self.region).set("PageSize", STATUS_PAGE).list("InstanceId", ids);
            let page = self.rpc::<Statuses>(STATUS, &params).await?;
            statuses.extend(page.instance_statuses.instance_status.into_iter().map(|one| (one.instance_id, one.status)));
        }
        Ok(statuses)
    }

    /// Asks whether starting these instances would be allowed, without starting them.
    ///
    /// # Errors
    /// [`Kind::Denied`] when it would not; any failed call.
    pub async fn dry_run_start(&self, ids: &[String]) -> Result<(), CloudError> {
        const ASK: Api = Api::reads(START.name);
        let params = Params::new().set("RegionId", &self.region).set("DryRun", true).list("InstanceId", ids);
        match self.rpc::<serde::de::IgnoredAny>(ASK, &params).await {
            // The service says yes by an error of its own.
            Err(error) if error.code.as_deref() == Some("DryRunOperation") => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(ASK.error(Kind::Malformed, "a dry run was answered like a start")),
        }
    }

    async fn describe(&self, ids: &[String], tags: &BTreeMap<String, String>) -> Result<Vec<Machine>, CloudError> {
        let mut machines = Vec::new();
        let mut pages = FIND.pages();
        let mut next = None;
        loop {
            let tags = tags.iter().map(|(key, value)| [("Key", key), ("Value", value)]);
            let params = Params::new()
                .set("RegionId", &self.region)
                .set("MaxResults", IDS)
                .maybe("InstanceIds", (!ids.is_empty()).then(|| serde_json::json!(ids)))
                .maybe("NextToken", next)
                .structs("Tag", tags);
            let page = self.rpc::<InstancePage<Instance>>(FIND, &params).await?;
            for instance in page.instances.instance {
                machines.push(machine(instance)?);
            }
            next = page.next_token.filter(|token| !token.is_empty());
            match &next {
                Some(token) => pages.turn(token)?,
                None => return Ok(machines),
            }
        }
    }

    /// Starts or stops, each instance for itself; those that are `already` there are as asked. Gives those that were refused.
    async fn batch(&self, api: Api, ids: &[String], stopped_mode: Option<&str>, already: &[&str]) -> Result<Refused, CloudError> {
        let mut refused = Refused::new();
        for (round, ids) in ids.chunks(IDS).enumerate() {
            // One instance in the wrong state would otherwise refuse the whole batch; an id that does not exist, or a right that is missing for one, does so
            // all the same.
            let own = Mutex::new(Refused::new());
            let whole = halved(ids, |part| self.request(api, part, stopped_mode, already, &own)).await;
            refused.extend(whole.map_err(|error| if round > 0 { error.ambiguous(true) } else { error })?);
            refused.extend(own.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(refused)
    }

    /// One request; those that were refused in it go to `refused`.
    async fn request(
        &self,
        api: Api,
        ids: Vec<String>,
        stopped_mode: Option<&str>,
        already: &[&str],
        refused: &Mutex<Refused>,
    ) -> Result<(), CloudError> {
        // Keeping the charges keeps the machine's place and address.
        let params = Params::new()
            .set("RegionId", &self.region)
            .set("BatchOptimization", "SuccessFirst")
            .maybe("StoppedMode", stopped_mode)
            .list("InstanceId", &ids);
        let responses = self.rpc::<Batch>(api, &params).await?.instance_responses.instance_response;
        let silent: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !responses.iter().any(|response| response.instance_id == *id)).collect();
        if !silent.is_empty() {
            return Err(api.malformed(format!("the answer says nothing of {}", silent.join(", "))));
        }
        for response in responses {
            let is_fine =
                response.code == "200" || (response.code == "IncorrectInstanceStatus" && already.contains(&response.current_status.as_str()));
            if !is_fine {
                let error = super::error::told(api, 200, &response.code, &response.message);
                refused.lock().unwrap_or_else(PoisonError::into_inner).insert(response.instance_id, error);
            }
        }
        Ok(())
    }
}

/// One instance in our words. There is no check of health beside `Running`.
fn machine(instance: Instance) -> Result<Machine, CloudError> {
    let state = match instance.status.as_str() {
        "Pending" | "Starting" => MachineState::Starting,
        "Running" => MachineState::Running,
        "Stopping" => MachineState::Stopping,
        "Stopped" => MachineState::Stopped,
        other => return Err(FIND.error(Kind::Malformed, format!("instance {} has the unknown status `{other}`", instance.instance_id))),
    };
    let name = instance.instance_name.filter(|name| !name.is_empty()).unwrap_or_else(|| instance.instance_id.clone());
    let tags = instance.tags.map(|tags| tags.tag).unwrap_or_default();
    let obstacles =
        obstacles(instance.operation_locks, instance.instance_charge_type.as_deref(), instance.expired_time.as_deref(), chrono::Utc::now());
    Ok(Machine {
        id: instance.instance_id,
        name,
        state,
        group: tags.into_iter().find(|tag| tag.tag_key == GROUP_TAG).map(|tag| tag.tag_value),
        // A machine that keeps its charges keeps its address.
        fleeting_address: None,
        rest: if state == MachineState::Stopped && instance.stopped_mode.as_deref() == Some("StopCharging") { Rest::Released } else { Rest::Kept },
        obstacles,
    })
}

/// What locks and bills keep an instance from: `OperationLocks` of DescribeInstances, whose reasons are `financial`, `security`, `recycling`,
/// `dedicatedhostfinancial`, `refunded`.
fn obstacles(locks: Option<Locks>, charge_type: Option<&str>, expired: Option<&str>, now: chrono::DateTime<chrono::Utc>) -> Vec<Obstacle> {
    let locks = locks.map(|locks| locks.lock_reason).unwrap_or_default();
    let mut obstacles: Vec<Obstacle> = locks
        .into_iter()
        .filter(|lock| !lock.lock_reason.is_empty())
        .map(|lock| Obstacle { start: true, stop: true, why: format!("Alibaba Cloud has locked it ({})", lock.lock_reason) })
        .collect();
    let end = expired.and_then(|end| chrono::NaiveDateTime::parse_from_str(end, "%Y-%m-%dT%H:%MZ").ok()).map(|end| end.and_utc());
    if let Some(end) = end.filter(|end| charge_type == Some("PrePaid") && *end <= now) {
        obstacles.push(Obstacle { start: true, stop: false, why: format!("it was paid for until {}", end.format("%Y-%m-%d")) });
    }
    obstacles
}

#[cfg(test)]
mod obstacle_tests {
    use super::*;

    #[test]
    fn locks_and_the_end_of_what_was_paid_are_seen() {
        let now = chrono::DateTime::parse_from_rfc3339("2026-11-29T00:00:00Z").unwrap().to_utc();
        let read = |text: &str| {
            let instance: Instance = serde_json::from_str(text).unwrap();
            obstacles(instance.operation_locks, instance.instance_charge_type.as_deref(), instance.expired_time.as_deref(), now)
        };
        let locked = read(r#"{"InstanceId":"i-1","Status":"Stopped","OperationLocks":{"LockReason":[{"LockReason":"financial"}]}}"#);
        assert_eq!((locked[0].start, locked[0].stop, locked[0].why.as_str()), (true, true, "Alibaba Cloud has locked it (financial)"));
        let paid = |end: &str| read(&format!(r#"{{"InstanceId":"i-1","Status":"Stopped","InstanceChargeType":"PrePaid","ExpiredTime":"{end}"}}"#));
        assert_eq!(paid("2026-11-01T16:00Z")[0].why, "it was paid for until 2026-11-01");
        assert!(paid("2099-12-31T15:59Z").is_empty() && read(r#"{"InstanceId":"i-1","Status":"Stopped"}"#).is_empty());
    }
}
