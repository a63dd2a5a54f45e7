//! Between ModifyInstanceAttribute and the security groups of the world's machines; what groups there are, [`ecs`](super::ecs) tells.

use serde_json::{Value, json};

use crate::wire::aliyun_rpc::{ApiError, Call};
use crate::world::state::{Cloud, InstanceState, State};

/// The groups that a machine may be in unless its account has more.
const MOST: usize = 5;

/// Puts a machine into the groups that are named and takes it out of all others. Other attributes are none of the lab's.
pub(super) fn assign(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let id = call.need("InstanceId")?;
    let machine = state.instances.get(id).filter(|one| one.cloud == Cloud::Aliyun && one.state != InstanceState::Terminated);
    let machine = machine.ok_or_else(|| ApiError::new(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."))?;
    if machine.protected {
        let message = "The specified operation is denied as your instance is locked for security reasons.";
        return Err(ApiError::new(403, "InstanceLockedForSecurity", message));
    }
    if !matches!(machine.state, InstanceState::Running | InstanceState::Stopped) {
        return Err(ApiError::new(403, "IncorrectInstanceStatus", "The current status of the resource does not support this operation."));
    }
    let groups: Vec<String> = call.list("SecurityGroupIds").into_iter().map(str::to_owned).collect();
    let vpc = state.subnets.get(&machine.subnet).map(|subnet| &subnet.vpc);
    let is_there = |id: &String| state.security_groups.get(id).is_some_and(|group| group.cloud == Cloud::Aliyun && Some(&group.vpc) == vpc);
    if groups.len() > MOST || !groups.iter().all(is_there) {
        return Err(ApiError::new(404, "InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist."));
    }
    if let Some(machine) = state.instances.get_mut(id).filter(|_| !groups.is_empty()) {
        machine.security_groups.clone_from(&groups);
        state.truth.record(state.now, "groups", json!({ "id": id, "groups": groups }));
    }
    Ok(json!({}))
}
