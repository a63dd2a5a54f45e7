//! EC2 instances behind the compute port.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    DeviceType, Filter, Instance, InstanceAttributeName, InstanceLifecycleType, InstanceStateChange, InstanceStateName, InstanceStatusSummary,
    SummaryStatus,
};

use super::Aws;
use super::call::send;
use crate::ports::compute::{Ailing, Compute, ComputeCalls, Machine, MachineState, Obstacle, Power, Refused, Rest, Selector, halved};
use crate::ports::pages::Pages;
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

const FIND: &str = "ec2:DescribeInstances";
const STATUS: &str = "ec2:DescribeInstanceStatus";
const START: &str = "ec2:StartInstances";
const STOP: &str = "ec2:StopInstances";
const ATTRIBUTE: &str = "ec2:DescribeInstanceAttribute";

/// For how many machines the plan asks whether they are protected: the attribute is read one machine a call.
const PROTECTIONS: usize = 50;

/// What the state of an instance gives as its reason once it hibernates (EC2 User Guide, "Hibernate your Amazon EC2 instance").
const HIBERNATED: &str = "Client.UserInitiatedHibernate";

/// DescribeInstanceStatus takes a hundred ids but answers fifty a page, and ids exclude paging.
const STATUS_IDS: usize = 50;

/// Asking without a page size draws on a smaller request budget than asking with one.
const PAGE: i32 = 200;

/// What Auto Scaling marks its instances with. Nobody else can set tags that begin with `aws:`.
const GROUP_TAG: &str = "aws:autoscaling:groupName";

impl Compute for Aws {
    fn find<'a>(&'a self, selector: &'a Selector) -> PortFuture<'a, Vec<Machine>> {
        Box::pin(async move {
            let mut machines = self.describe(selector).await?;
            machines.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(machines)
        })
    }

    fn ailing<'a>(&'a self, running: &'a [String]) -> PortFuture<'a, Ailing> {
        Box::pin(self.checks(running))
    }

    fn start<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, Refused> {
        Box::pin(halved(ids, move |ids| self.start_all(ids)))
    }

    fn stop<'a>(&'a self, ids: &'a [String], rest: Rest) -> PortFuture<'a, Refused> {
        Box::pin(halved(ids, move |ids| self.stop_all(ids, rest == Rest::Hibernated)))
    }

    fn obstacles<'a>(&'a self, ids: &'a [String], asked: Power) -> PortFuture<'a, BTreeMap<String, String>> {
        Box::pin(async move {
            let refused = match asked {
                Power::Start => halved(ids, move |ids| async move { self.dry_run_start(&ids).await }).await?,
                Power::Stop => halved(ids, move |ids| async move { self.dry_run_stop(&ids).await }).await?,
            };
            // What protects a machine is no right that is missing.
            let is_right = |error: &CloudError| error.kind == Kind::Denied && error.code.as_deref() != Some("OperationNotPermitted");
            if let Some(error) = refused.values().next().filter(|_| refused.len() == ids.len() && refused.values().all(is_right)) {
                return Err(error.clone());
            }
            // A dry run judges rights, and on some machines what else would refuse them; what it says of states is about now.
            let mut found: BTreeMap<String, String> = refused
                .into_iter()
                .filter(|(_, error)| !matches!(error.kind, Kind::Conflict | Kind::NotFound))
                .map(|(id, error)| (id, error.message))
                .collect();
            if asked == Power::Stop {
                for id in ids.iter().take(PROTECTIONS) {
                    match self.is_protected(id).await {
                        Ok(false) => {}
                        Ok(true) => _ = found.insert(id.clone(), "stop protection (`disableApiStop`) is on".to_owned()),
                        Err(error) => {
                            found.insert(id.clone(), format!("whether stop protection is on could not be read, of this and those after it: {error}"));
                            break;
                        }
                    }
                }
            }
            Ok(found)
        })
    }

    fn calls(&self) -> ComputeCalls {
        ComputeCalls { find: FIND, ailing: Some(STATUS), start: START, stop: STOP }
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

    /// Asks whether stopping these instances would be allowed, without stopping them.
    ///
    /// # Errors
    /// [`Kind::Denied`] when it would not; any failed call.
    async fn dry_run_stop(&self, ids: &[String]) -> Result<(), CloudError> {
        let operation = self.reading(STOP)?;
        let request = self.shared.ec2.stop_instances().set_instance_ids(Some(ids.to_vec())).dry_run(true);
        match send!(operation, aws_sdk_ec2, request) {
            Err(error) if error.code.as_deref() == Some("DryRunOperation") => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(CloudError::new(Cloud::Aws, STOP, Kind::Malformed, "a dry run was answered like a stop")),
        }
    }

    async fn is_protected(&self, id: &str) -> Result<bool, CloudError> {
        let operation = self.reading(ATTRIBUTE)?;
        let request = self.shared.ec2.describe_instance_attribute().instance_id(id).attribute(InstanceAttributeName::DisableApiStop);
        let answer = send!(operation, aws_sdk_ec2, request)?;
        Ok(answer.disable_api_stop().and_then(|value| value.value()).unwrap_or(false))
    }

    async fn start_all(&self, ids: Vec<String>) -> Result<(), CloudError> {
        let operation = self.changing(START)?;
        let done = send!(operation, aws_sdk_ec2, self.shared.ec2.start_instances().set_instance_ids(Some(ids.clone())))?;
        all_told(START, &ids, done.starting_instances())
    }

    async fn stop_all(&self, ids: Vec<String>, hibernate: bool) -> Result<(), CloudError> {
        let operation = self.changing(STOP)?;
        let request = self.shared.ec2.stop_instances().set_instance_ids(Some(ids.clone()));
        let request = if hibernate { request.hibernate(true) } else { request };
        let done = send!(operation, aws_sdk_ec2, request)?;
        all_told(STOP, &ids, done.stopping_instances())
    }

    async fn describe(&self, selector: &Selector) -> Result<Vec<Machine>, CloudError> {
        if selector.ids.is_empty() && selector.tags.is_empty() {
            return Err(CloudError::new(Cloud::Aws, FIND, Kind::Invalid, "a selector without ids and tags would mean every instance"));
        }
        let filters: Vec<Filter> =
            selector.tags.iter().map(|(key, value)| Filter::builder().name(format!("tag:{key}")).values(literal(value)).build()).collect();
        let mut machines = Vec::new();
        let mut pages = Pages::of(Cloud::Aws, FIND);
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
            match &next {
                Some(token) => pages.turn(token)?,
                None => return Ok(machines),
            }
        }
    }

    /// Those of the running instances that do not pass both status checks, and what these say.
    async fn checks(&self, running: &[String]) -> Result<Ailing, CloudError> {
        let mut ailing: Ailing = running.iter().map(|id| (id.clone(), "no status checks yet".to_owned())).collect();
        for chunk in running.chunks(STATUS_IDS) {
            let operation = self.reading(STATUS)?;
            let page = send!(operation, aws_sdk_ec2, self.shared.ec2.describe_instance_status().set_instance_ids(Some(chunk.to_vec())))?;
            for status in page.instance_statuses() {
                let Some(id) = status.instance_id() else { continue };
                let said = |what: &str, summary: Option<&InstanceStatusSummary>| {
                    let word = summary.and_then(|summary| summary.status()).map_or("unknown", SummaryStatus::as_str);
                    (word != SummaryStatus::Ok.as_str()).then(|| format!("{what} {word}"))
                };
                let bad: Vec<String> = [said("system status", status.system_status()), said("instance status", status.instance_status())]
                    .into_iter()
                    .flatten()
                    .collect();
                if bad.is_empty() {
                    ailing.remove(id);
                } else {
                    ailing.insert(id.to_owned(), bad.join(", "));
                }
            }
        }
        Ok(ailing)
    }
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

/// One instance in our words; none for a terminated one.
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
    let reason = instance.state_reason().and_then(|reason| reason.code());
    let tag = |key: &str| instance.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value()).filter(|value| !value.is_empty());
    // An Elastic IP belongs to an account and stays with the instance; what EC2 gave it by itself is EC2's and goes with a stop.
    let associations = instance.network_interfaces().iter().filter_map(|interface| interface.association());
    let fleeting = associations.filter(|association| association.ip_owner_id() == Some("amazon")).find_map(|association| association.public_ip());
    Ok(Some(Machine {
        id: id.to_owned(),
        name: tag("Name").unwrap_or(id).to_owned(),
        state,
        group: tag(GROUP_TAG).map(str::to_owned),
        fleeting_address: fleeting.map(str::to_owned),
        rest: if reason == Some(HIBERNATED) && state != MachineState::Running { Rest::Hibernated } else { Rest::Kept },
        obstacles: obstacles(instance),
    }))
}

/// What the way an instance was bought and built keeps it from.
fn obstacles(instance: &Instance) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    if instance.root_device_type() == Some(&DeviceType::InstanceStore) {
        obstacles.push(Obstacle { start: false, stop: true, why: "its root is an instance store: it can only be terminated".to_owned() });
    }
    // A one-time request cannot be stopped; a persistent one can. Which it is stands in the request, not here.
    if instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot) {
        let why = "it is a Spot Instance: one of a one-time request cannot be stopped, and one that EC2 stopped only EC2 starts again";
        obstacles.push(Obstacle { start: true, stop: true, why: why.to_owned() });
    }
    obstacles
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
    use aws_sdk_ec2::types::{InstanceNetworkInterface, InstanceNetworkInterfaceAssociation, InstanceState, StateReason, Tag};

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
    fn groups_and_addresses_that_a_stop_takes_away_are_seen() {
        let with = |owner: &str| {
            let association = InstanceNetworkInterfaceAssociation::builder().ip_owner_id(owner).public_ip("203.0.113.9").build();
            let machine = Instance::builder()
                .instance_id("i-1")
                .state(InstanceState::builder().name(InstanceStateName::Running).build())
                .network_interfaces(InstanceNetworkInterface::builder().association(association).build())
                .tags(Tag::builder().key(GROUP_TAG).value("shop").build());
            machine_of(&machine.build())
        };
        assert_eq!(with("amazon").fleeting_address.as_deref(), Some("203.0.113.9"));
        assert_eq!(with("111122223333").fleeting_address, None, "an Elastic IP stays");
        assert_eq!(with("amazon").group.as_deref(), Some("shop"));
        assert_eq!(machine_of(&instance(InstanceStateName::Running)).group, None);
    }

    fn machine_of(instance: &Instance) -> Machine {
        machine(instance).unwrap().unwrap()
    }

    #[test]
    fn how_it_rests_and_how_it_was_bought_are_seen() {
        let resting = |code: &str| {
            let reason = StateReason::builder().code(code).build();
            let state = InstanceState::builder().name(InstanceStateName::Stopped).build();
            machine_of(&Instance::builder().instance_id("i-1").state(state).state_reason(reason).build()).rest
        };
        assert_eq!(resting("Client.UserInitiatedHibernate"), Rest::Hibernated);
        assert_eq!(resting("Client.UserInitiatedShutdown"), Rest::Kept);
        let state = || InstanceState::builder().name(InstanceStateName::Running).build();
        let spot = Instance::builder().instance_id("i-1").state(state()).instance_lifecycle(InstanceLifecycleType::Spot).build();
        assert!(machine_of(&spot).obstacles[0].why.contains("Spot Instance"));
        let store = Instance::builder().instance_id("i-1").state(state()).root_device_type(DeviceType::InstanceStore).build();
        let obstacle = &machine_of(&store).obstacles[0];
        assert!(obstacle.is_in_the_way_of(Power::Stop) && !obstacle.is_in_the_way_of(Power::Start));
        assert!(machine_of(&instance(InstanceStateName::Running)).obstacles.is_empty());
    }

    #[test]
    fn tag_values_with_wildcards_mean_themselves() {
        assert_eq!(literal(r"a*b?c\d"), r"a\*b\?c\\d");
        assert_eq!(machine(&instance(InstanceStateName::Running)).unwrap().unwrap().name, "web");
    }
}
