//! The control address: what the lab is, what is in it, what really happened, and which calls were to change it. Nothing can be changed through it.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::serve::{Endpoints, vars};
use super::world::World;

/// The routes.
pub(super) fn router(world: Arc<World>, endpoints: Arc<Endpoints>) -> Router {
    let (seen, told, called) = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
    Router::new()
        .route("/world", get(async move || canonical(&seen.lock().view())))
        .route("/truth", get(async move || lines(told.lock().truth.lines())))
        .route("/calls", get(async move || lines(called.lock().calls.lines())))
        .route("/environment", get(async move || canonical(&environment(&world, &endpoints))))
        .route("/health", get(async || "ok"))
}

/// Everything an environment of kind `lab` needs to know about a running lab.
fn environment(world: &World, endpoints: &Endpoints) -> Value {
    let accounts = world.lock().accounts.clone();
    let mut environment = json!(endpoints);
    if let Some(environment) = environment.as_object_mut() {
        environment.insert("dns_name_server".to_owned(), json!(endpoints.dns));
        environment.insert("accounts".to_owned(), json!({ "aws": accounts.aws, "aliyun": accounts.aliyun }));
        environment.insert("regions".to_owned(), json!({ "aws": accounts.aws_region, "aliyun": accounts.aliyun_region }));
        environment.insert("vars".to_owned(), Value::Object(vars(Some(endpoints))));
    }
    environment
}

fn lines(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response()
}

fn canonical(value: &Value) -> Response {
    match serde_json_canonicalizer::to_string(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
