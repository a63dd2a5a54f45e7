//! ECS instances behind the compute port.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::compute::{Compute, ComputeCalls, Machine, MachineState, Selector};
use crate::ports::{CloudError, Kind, PortFuture};

const FIND: Api = Api::reads("ecs:DescribeInstances");
const STATUS: Api = Api::reads("ecs:DescribeInstanceStatus");
const START: Api = Api::changes("ecs:StartInstances");
const STOP: Api = Api::changes("ecs:StopInstances");

/// The most ids in one call.
const IDS: usize = 100;
/// DescribeInstanceStatus takes a hundred ids but answers fifty a page.
const STATUS_PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    instances: Instances,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instances {
    instance: Vec<Instance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    instance_id: String,
    instance_name: Option<String>,
    status: String,
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

    fn start<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()> {
        Box::pin(self.batch(START, ids, &["Running", "Starting"]))
    }

    fn stop<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()> {
        Box::pin(self.batch(STOP, ids, &["Stopped", "Stopping"]))
    }

    fn calls(&self) -> ComputeCalls {
        ComputeCalls { find: FIND.name, start: START.name, stop: STOP.name }
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
        let mut next = None;
        loop {
            let tags = tags.iter().map(|(key, value)| [("Key", key), ("Value", value)]);
            let params = Params::new()
                .set("RegionId", &self.region)
                .set("MaxResults", IDS)
                .maybe("InstanceIds", (!ids.is_empty()).then(|| serde_json::json!(ids)))
                .maybe("NextToken", next)
                .structs("Tag", tags);
            let page = self.rpc::<Found>(FIND, &params).await?;
            for instance in page.instances.instance {
                machines.push(machine(instance)?);
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(machines);
            }
        }
    }

    /// Starts or stops, each instance for itself; those that are `already` there are as asked.
    async fn batch(&self, api: Api, ids: &[String], already: &[&str]) -> Result<(), CloudError> {
        for (round, ids) in ids.chunks(IDS).enumerate() {
            // One instance in the wrong state would otherwise refuse the whole batch. Keeping the charges keeps the machine's place.
            let params = Params::new()
                .set("RegionId", &self.region)
                .set("BatchOptimization", "SuccessFirst")
                .maybe("StoppedMode", (api.name == STOP.name).then_some("KeepCharging"))
                .list("InstanceId", ids);
            let answer = self.rpc::<Batch>(api, &params).await.map_err(|error| if round > 0 { error.ambiguous(true) } else { error })?;
            let responses = answer.instance_responses.instance_response;
            let silent: Vec<&str> =
                ids.iter().map(String::as_str).filter(|id| !responses.iter().any(|response| response.instance_id == *id)).collect();
            if !silent.is_empty() {
                return Err(api.malformed(format!("the answer says nothing of {}", silent.join(", "))));
            }
            let is_fine = |response: &&Response| {
                response.code == "200" || (response.code == "IncorrectInstanceStatus" && already.contains(&response.current_status.as_str()))
            };
            let failed: Vec<&Response> = responses.iter().filter(|response| !is_fine(response)).collect();
            if let Some(first) = failed.first() {
                let all = failed.iter().map(|one| format!("{}: {}", one.instance_id, one.message)).collect::<Vec<_>>().join("; ");
                let mut error = super::error::told(api, 200, &first.code, &all);
                // The others are done.
                error.ambiguous |= round > 0 || failed.len() < responses.len();
                return Err(error);
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
    Ok(Machine { id: instance.instance_id, name, state, healthy: state == MachineState::Running })
}
