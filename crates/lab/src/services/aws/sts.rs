//! STS over the world: who the caller is.

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body_util::Full;

use super::{admit, count};
use crate::wire::aws_answer::{self, ApiError, Dialect};
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::State;

pub(super) fn respond(state: &mut State, parts: &Parts, body: &[u8], request_id: &str) -> Result<Response<Full<Bytes>>, ApiError> {
    let parameters = Parameters::read(parts, body)?;
    let action = parameters.get("Action").ok_or_else(|| ApiError::new("MissingAction", "The request must contain the parameter Action"))?;
    if action != "GetCallerIdentity" {
        let version = parameters.get("Version").unwrap_or("2011-06-15");
        return Err(ApiError::new("InvalidAction", format!("Could not find operation {action} for version {version}")));
    }
    admit(state, "sts", action)?;
    count(state, "sts", action, "OK");
    let mut answer = Answer::fragment();
    let account = &state.accounts.aws;
    answer.text("Arn", format_args!("arn:aws:iam::{account}:user/lifeboat-lab"));
    answer.text("UserId", "AIDALIFEBOATLAB000001");
    answer.text("Account", account);
    Ok(aws_answer::query(Dialect::Query, action, answer, request_id))
}
