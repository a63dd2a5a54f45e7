//! Not there yet: answers 501 to everything.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::lab::world::World;

/// Answers one request.
pub async fn handle(_world: Arc<World>, _request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response
}
