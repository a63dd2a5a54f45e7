//! Between STS calls and the world: who the caller is.

use serde_json::{Value, json};

use super::{Action, reads};
use crate::wire::aliyun_rpc::{ApiError, Call};
use crate::world::state::State;

pub(super) const ACTIONS: &[Action] = &[reads("GetCallerIdentity", get_caller_identity).anywhere()];

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail")]
fn get_caller_identity(state: &mut State, _: &Call) -> Result<Value, ApiError> {
    let account = &state.accounts.aliyun;
    Ok(json!({
        "AccountId": account,
        "Arn": format!("acs:ram::{account}:user/drill"),
        "IdentityType": "RAMUser",
        "PrincipalId": "216959339000000001",
        "UserId": "216959339000000001",
        "RoleId": null,
    }))
}
