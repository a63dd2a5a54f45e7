//! EC2 instances behind the compute port.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, Instance, InstanceStateChange, InstanceStateName, SummaryStatus};

use super::Aws;
use super::call::send;
use crate::ports::compute::{Compute, ComputeCalls, Machine, MachineState, Selector};
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

const FIND: &str = "ec2:DescribeInstances";
const STATUS: &str = "ec2:DescribeInstanceStatus";
const START: &str = "ec2:StartInstances";
const STOP: &str = "ec2:StopInstances";

/// DescribeInstanceStatus takes a hundred ids but answers fifty a page, and ids exclude paging.
const STATUS_IDS: usize = 50;

/// Asking without a page size draws on a smaller request budget than asking with one.
const PAGE: i32 = 200;

impl Compute for Aws {
    fn find<'a>(&'a self, selector: &'a Selector) -> PortFuture<'a, Vec<Machine>> {
        Box::pin(async move {
            let mut machines = self.describe(selector).await?;
            let running: Vec<String> =
                machines.iter().filter(|machine| machine.state == MachineState::Running).map(|machine| machine.id.clone()).collect();
            let healthy = self.healthy(&running).await?;
            for machine in &mut machines {
                machine.healthy = healthy.contains(&machine.id);
            }
            machines.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(machines)
        })
    }

    fn start<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()> {
        Box::pin(async move {
            if ids.is_empty() {
                return Ok(());
            }
            let operation = self.changing(START)?;
            let result = send!(operation, aws_sdk_ec2, self.shared.ec2.start_instances().set_instance_ids(Some(ids.to_vec())));
            let done = result.map_err(|error| of_batch(error, ids))?;
            all_told(START, ids, done.starting_instances())
        })
    }

    fn stop<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()> {
        Box::pin(async move {
            if ids.is_empty() {
                return Ok(());
            }
            let operation = self.changing(STOP)?;
            let result = send!(operation, aws_sdk_ec2, self.shared.ec2.stop_instances().set_instance_ids(Some(ids.to_vec())));
            let done = result.map_err(|error| of_batch(error, ids))?;
            all_told(STOP, ids, done.stopping_instances())
        })
    }

    fn calls(&self) -> ComputeCalls {
        ComputeCalls { find: FIND, start: START, stop: STOP }
    }
}

impl Aws {
    /// Asks whether starting these instances would be allowed, without starting them.
    ///
    /// # Errors
    /// [`Kind::Denied`] when it would not; any failed call.
    pub async fn dry_run_start(&self, ids: &[String]) -> Result<(), CloudError> {
        let operation = self.reading(START)?;
        let request = self.shared.ec2.start_instances().set_instance_ids(Some(ids.to_vec())).dry_run(true);
        match send!(operation, aws_sdk_ec2, request) {
            // The service says yes by an error of its own.
            Err(error) if error.code.as_deref() == Some("DryRunOperation") => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(CloudError::new(Cloud::Aws, START, Kind::Malformed, "a dry run was answered like a start")),
        }
    }

    async fn describe(&self, selector: &Selector) -> Result<Vec<Machine>, CloudError> {
        if selector.ids.is_empty() && selector.tags.is_empty() {
            return Err(CloudError::new(Cloud::Aws, FIND, Kind::Invalid, "a selector without ids and tags would mean every instance"));
        }
        let filters: Vec<Filter> =
            selector.tags.iter().map(|(key, value)| Filter::builder().name(format!("tag:{key}")).values(literal(value)).build()).collect();
        let mut machines = Vec::new();
        let mut next = None;
        loop {
            let operation = self.reading(FIND)?;
            let mut request = self.shared.ec2.describe_instances().set_next_token(next);
            if !filters.is_empty() {
                request = request.set_filters(Some(filters.clone()));
            }
            // By id rather than by a filter on ids, so that an id that does not exist is an error and not a shorter list.
            request = if selector.ids.is_empty() { request.max_results(PAGE) } else { request.set_instance_ids(Some(selector.ids.clone())) };
            let page = send!(operation, aws_sdk_ec2, request)?;
            for instance in page.reservations().iter().flat_map(|reservation| reservation.instances()) {
                machines.extend(machine(instance)?);
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(machines);
            }
        }
    }

    /// Those of the running instances that pass both status checks.
    async fn healthy(&self, running: &[String]) -> Result<BTreeSet<String>, CloudError> {
        let mut healthy = BTreeSet::new();
        for chunk in running.chunks(STATUS_IDS) {
            let operation = self.reading(STATUS)?;
            let page = send!(operation, aws_sdk_ec2, self.shared.ec2.describe_instance_status().set_instance_ids(Some(chunk.to_vec())))?;
            for status in page.instance_statuses() {
                let ok = |summary: Option<&SummaryStatus>| summary == Some(&SummaryStatus::Ok);
                let both = ok(status.system_status().and_then(|summary| summary.status()))
                    && ok(status.instance_status().and_then(|summary| summary.status()));
                if both {
                    healthy.extend(status.instance_id().map(str::to_owned));
                }
            }
        }
        Ok(healthy)
    }
}

/// A failure of a call about several instances: some of them may be done.
fn of_batch(error: CloudError, ids: &[String]) -> CloudError {
    let partly = ids.len() > 1 && error.code.as_deref() == Some("InsufficientInstanceCapacity");
    let doubt = error.ambiguous || partly;
    error.ambiguous(doubt)
}

/// Whether an answer tells of every instance that was asked for.
fn all_told(operation: &str, ids: &[String], told: &[InstanceStateChange]) -> Result<(), CloudError> {
    let silent: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !told.iter().any(|change| change.instance_id() == Some(*id))).collect();
    if silent.is_empty() {
        return Ok(());
    }
    let message = format!("the answer says nothing of {}", silent.join(", "));
    Err(CloudError::new(Cloud::Aws, operation, Kind::Malformed, message).ambiguous(true))
}

/// One instance in our words; none for a terminated one. Health is filled in later.
fn machine(instance: &Instance) -> Result<Option<Machine>, CloudError> {
    let malformed = |what: &str| CloudError::new(Cloud::Aws, FIND, Kind::Malformed, format!("an instance without {what}"));
    let id = instance.instance_id().ok_or_else(|| malformed("an id"))?;
    let state = match instance.state().and_then(|state| state.name()).ok_or_else(|| malformed("a state"))? {
        InstanceStateName::Pending => MachineState::Starting,
        InstanceStateName::Running => MachineState::Running,
        InstanceStateName::Stopping => MachineState::Stopping,
        InstanceStateName::Stopped => MachineState::Stopped,
        InstanceStateName::ShuttingDown => MachineState::Gone,
        InstanceStateName::Terminated => return Ok(None),
        other => return Err(malformed(&format!("a known state: `{other}`"))),
    };
    let name = instance.tags().iter().find(|tag| tag.key() == Some("Name")).and_then(|tag| tag.value()).filter(|name| !name.is_empty());
    Ok(Some(Machine { id: id.to_owned(), name: name.unwrap_or(id).to_owned(), state, healthy: false }))
}

/// Filter values have wildcards; a tag's value means itself.
fn literal(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{InstanceState, Tag};

    use super::*;

    fn instance(state: InstanceStateName) -> Instance {
        Instance::builder()
            .instance_id("i-1")
            .state(InstanceState::builder().name(state).build())
            .tags(Tag::builder().key("Name").value("web").build())
            .build()
    }

    #[test]
    fn states_are_ours_and_terminated_ones_are_left_out() {
        let check = |name, expected| assert_eq!(machine(&instance(name)).unwrap().map(|machine| machine.state), expected);
        check(InstanceStateName::Pending, Some(MachineState::Starting));
        check(InstanceStateName::Running, Some(MachineState::Running));
        check(InstanceStateName::Stopping, Some(MachineState::Stopping));
        check(InstanceStateName::Stopped, Some(MachineState::Stopped));
        check(InstanceStateName::ShuttingDown, Some(MachineState::Gone));
        check(InstanceStateName::Terminated, None);
    }

    #[test]
    fn a_state_nobody_knows_is_malformed_not_a_guess() {
        let error = machine(&instance(InstanceStateName::from("hibernating"))).unwrap_err();
        assert_eq!(error.kind, Kind::Malformed);
    }

    #[test]
    fn tag_values_with_wildcards_mean_themselves() {
        assert_eq!(literal(r"a*b?c\d"), r"a\*b\?c\\d");
        assert_eq!(machine(&instance(InstanceStateName::Running)).unwrap().unwrap().name, "web");
    }
}
