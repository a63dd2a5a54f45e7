//! Instances that come and go: `RunInstances`, `TerminateInstances`.

use std::collections::BTreeMap;

use super::instances::{get, named, write_changes, write_reservation};
use super::{GROUP, IMAGE, SUBNET, commit};
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, Instance, InstanceState, Interface, State};

/// The most instances of one call.
const MOST: u32 = 20;

/// `RunInstances`. The same client token gives the same instances again.
pub(super) fn run(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let image = parameters.required("ImageId")?;
    IMAGE.found(image, state.images.get(image).filter(|image| image.cloud == Cloud::Aws))?;
    let subnet = match parameters.get("SubnetId").or_else(|| parameters.get("NetworkInterface.1.SubnetId")) {
        Some(id) => SUBNET.found(id, state.subnets.get(id).filter(|subnet| subnet.cloud == Cloud::Aws))?.clone(),
        None => state
            .subnets
            .values()
            .find(|subnet| subnet.cloud == Cloud::Aws)
            .cloned()
            .ok_or_else(|| ApiError::new("MissingInput", "No subnets found for the default VPC. Please specify a subnet."))?,
    };
    let least =
        parameters.number::<u32>("MinCount")?.ok_or_else(|| ApiError::new("MissingParameter", "The request must contain the parameter MinCount"))?;
    let most =
        parameters.number::<u32>("MaxCount")?.ok_or_else(|| ApiError::new("MissingParameter", "The request must contain the parameter MaxCount"))?;
    if least == 0 || most < least {
        return Err(ApiError::new("InvalidParameterValue", "minCount must be at least 1 and not larger than maxCount."));
    }
    if least > MOST {
        return Err(ApiError::new(
            "InstanceLimitExceeded",
            format!("You have requested more instances ({least}) than your current instance limit of {MOST} allows."),
        ));
    }
    let groups: Vec<String> = parameters.list("SecurityGroupId").into_iter().map(str::to_owned).collect();
    for id in &groups {
        GROUP.found(id, state.security_groups.get(id).filter(|group| group.cloud == Cloud::Aws))?;
    }
    let token = parameters.get("ClientToken").map(|token| format!("ec2/RunInstances/{token}"));
    let fingerprint = parameters.fingerprint();
    if let Some(before) = token.as_ref().and_then(|token| state.tokens.get(token)) {
        let (known, ids) = before.split_once(' ').unwrap_or((before, ""));
        if known != fingerprint {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            ));
        }
        let instances: Vec<&Instance> = ids.split(',').filter_map(|id| state.instances.get(id)).collect();
        write_reservation(answer, state, &instances);
        return Ok(());
    }
    commit(parameters)?;

    let instance_type = parameters.get("InstanceType").unwrap_or("m1.small").to_owned();
    let mut tags = tags(parameters);
    let name = tags.remove("Name").unwrap_or_default();
    let mut ids = Vec::new();
    for _ in 0..most.min(MOST) {
        let id = state.fresh_id("i-");
        let interface = state.fresh_id("eni-");
        let instance = Instance {
            id: id.clone(),
            cloud: Cloud::Aws,
            name: name.clone(),
            subnet: subnet.id.clone(),
            image: image.to_owned(),
            instance_type: instance_type.clone(),
            private_ip: state.free_private(&subnet.cidr),
            address: state.free_address(),
            tags: tags.clone(),
            security_groups: groups.clone(),
            state: InstanceState::Stopped,
            healthy_at: None,
            launched_at: state.now,
            service: String::new(),
            needs: None,
            boots: 0,
            elastic: false,
            released: false,
            can_hibernate: parameters.flag("HibernationOptions.Configured")?,
            hibernated: false,
            protected: parameters.flag("DisableApiStop")?,
        };
        state.instances.insert(id.clone(), instance);
        state
            .interfaces
            .insert(interface.clone(), Interface { id: interface, cloud: Cloud::Aws, subnet: subnet.id.clone(), instance: Some(id.clone()) });
        state.instance_start(&id);
        ids.push(id);
    }
    if let Some(token) = token {
        state.tokens.insert(token, format!("{fingerprint} {}", ids.join(",")));
    }
    let instances: Vec<&Instance> = ids.iter().filter_map(|id| state.instances.get(id)).collect();
    write_reservation(answer, state, &instances);
    Ok(())
}

/// The tags for instances among `TagSpecification.N`.
fn tags(parameters: &Parameters) -> BTreeMap<String, String> {
    parameters
        .members("TagSpecification")
        .into_iter()
        .filter(|prefix| parameters.get(&format!("{prefix}.ResourceType")) == Some("instance"))
        .flat_map(|prefix| parameters.members(&format!("{prefix}.Tag")))
        .filter_map(|prefix| {
            Some((parameters.get(&format!("{prefix}.Key"))?.to_owned(), parameters.get(&format!("{prefix}.Value")).unwrap_or_default().to_owned()))
        })
        .collect()
}

/// `TerminateInstances`. The lab skips the time of shutting down, but says so in the answer.
pub(super) fn terminate(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let ids = named(state, parameters)?;
    commit(parameters)?;
    let mut changes = Vec::with_capacity(ids.len());
    for id in ids {
        let before = get(state, &id)?.state;
        state.instance_end(&id);
        let now = if before == InstanceState::Terminated { (48, "terminated") } else { (32, "shutting-down") };
        changes.push((id, before, now));
    }
    write_changes(answer, &changes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};

    #[test]
    fn the_same_token_gives_the_same_instance() {
        let mut state = world();
        let call = "Action=RunInstances&ImageId=ami-0a11febe0a7000001&MinCount=1&MaxCount=1&ClientToken=drill-1&TagSpecification.1.ResourceType=instance\
                    &TagSpecification.1.Tag.1.Key=drill&TagSpecification.1.Tag.1.Value=a%2Bb";
        let mut run = |call: &str| {
            ask(&mut state, call).map(|answer| answer.child("instancesSet").unwrap().children[0].text_of("instanceId").unwrap().to_owned())
        };
        let first = run(call).unwrap();
        assert_eq!(run(call).unwrap(), first);
        assert_eq!(run(&format!("{call}&InstanceType=t3.micro")).unwrap_err(), "IdempotentParameterMismatch");
        assert_ne!(run(&call.replace("drill-1", "drill-2")).unwrap(), first);
        assert_eq!(state.instances[&first].tags["drill"], "a+b");
        let addresses: std::collections::BTreeSet<_> = state.instances.values().map(|instance| instance.address).collect();
        assert_eq!(addresses.len(), state.instances.len());
        let ended = ask(&mut state, &format!("Action=TerminateInstances&InstanceId.1={first}")).unwrap();
        assert_eq!(ended.child("instancesSet").unwrap().children[0].child("currentState").unwrap().text_of("name"), Some("shutting-down"));
        assert_eq!(ask(&mut state, &format!("Action=StartInstances&InstanceId.1={first}")).unwrap_err(), "IncorrectInstanceState");
        assert!(state.queue.next_at().is_some(), "the other one still boots");
    }

    #[test]
    fn wrong_launches_are_refused() {
        let mut state = world();
        for (call, code) in [
            ("ImageId=ami-0123456789abcdef0&MinCount=1&MaxCount=1", "InvalidAMIID.NotFound"),
            ("ImageId=nonsense&MinCount=1&MaxCount=1", "InvalidAMIID.Malformed"),
            ("ImageId=ami-0a11febe0a7000001&MaxCount=1", "MissingParameter"),
            ("ImageId=ami-0a11febe0a7000001&MinCount=2&MaxCount=1", "InvalidParameterValue"),
            ("ImageId=ami-0a11febe0a7000001&MinCount=1000&MaxCount=1000", "InstanceLimitExceeded"),
            ("ImageId=ami-0a11febe0a7000001&MinCount=1&MaxCount=1&SubnetId=subnet-0123456789abcdef0", "InvalidSubnetID.NotFound"),
        ] {
            assert_eq!(ask(&mut state, &format!("Action=RunInstances&{call}")).unwrap_err(), code, "{call}");
            state.now = state.now.plus(std::time::Duration::from_secs(1));
        }
    }
}
