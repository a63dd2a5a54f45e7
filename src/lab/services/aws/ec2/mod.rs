//! Stub.
use crate::lab::wire::aws_answer::Fault;
pub(super) fn respond(_: &mut crate::lab::world::state::State, _: &http::request::Parts, _: &[u8], _: &str) -> Result<http::Response<http_body_util::Full<bytes::Bytes>>, Fault> { Err(Fault::new("InvalidAction", "x")) }
