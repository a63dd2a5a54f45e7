//! Stub.
pub(super) async fn respond(_: &std::sync::Arc<crate::lab::world::World>, _: http::Request<bytes::Bytes>) -> http::Response<http_body_util::Full<bytes::Bytes>> { http::Response::default() }
