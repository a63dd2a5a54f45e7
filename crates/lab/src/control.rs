//! The control address: what the lab is, what is in it, what really happened, and which calls were to change it. Nothing in the world can be
//! changed through it; what can is how the vendor endpoints misbehave.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use lifeboat_notation::lab::FaultRule;
use serde_json::{Value, json};

use super::faults::Faults;
use super::serve::{Endpoints, vars};
use super::world::World;
use super::world::file::Blueprint;

/// The routes.
pub(super) fn router(world: Arc<World>, blueprint: Arc<Blueprint>, endpoints: Arc<Endpoints>, faults: Arc<Faults>) -> Router {
    let (seen, told, called) = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
    let [shown, added, replaced, removed] = std::array::from_fn(|_| Arc::clone(&faults));
    let rules = get(async move || canonical(&shown.view()))
        .post(async move |body: Bytes| take(&added, &body, false))
        .put(async move |body: Bytes| take(&replaced, &body, true))
        .delete(async move || {
            removed.clear();
            canonical(&removed.view())
        });
    Router::new()
        .route("/world", get(async move || canonical(&seen.lock().view())))
        .route("/truth", get(async move || lines(told.lock().truth.lines())))
        .route("/calls", get(async move || lines(called.lock().calls.lines())))
        .route("/environment", get(async move || canonical(&environment(&world, &blueprint, &endpoints))))
        .route("/faults", rules)
        .route("/health", get(async || "ok"))
}

/// Takes rules, one or a list: behind those in force, or in their place. Answers with all that are then in force, or with what is wrong.
fn take(faults: &Faults, body: &[u8], in_place: bool) -> Response {
    let wrong = |what: String| (StatusCode::BAD_REQUEST, what + "\n").into_response();
    let list = if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(body)
    } else {
        serde_json::from_slice(body).map(|rule: FaultRule| vec![rule])
    };
    let rules: Vec<FaultRule> = match list {
        Ok(rules) => rules,
        Err(error) => return wrong(error.to_string()),
    };
    if let Some((message, hint)) = rules.iter().find_map(FaultRule::problem) {
        return wrong(format!("{message}: {hint}"));
    }
    if in_place {
        faults.clear();
    }
    faults.add(rules);
    canonical(&faults.view())
}

/// Everything an environment of kind `lab` needs to know about a running lab.
fn environment(world: &World, blueprint: &Blueprint, endpoints: &Endpoints) -> Value {
    let (accounts, regions) = {
        let state = world.lock();
        (state.accounts.clone(), state.regions.clone())
    };
    let mut environment = json!(endpoints);
    if let Some(environment) = environment.as_object_mut() {
        environment.insert("dns_name_server".to_owned(), json!(endpoints.dns));
        environment.insert("accounts".to_owned(), json!({ "aws": accounts.aws, "aliyun": accounts.aliyun }));
        environment.insert("regions".to_owned(), json!({ "aws": regions.aws.first(), "aliyun": regions.aliyun.first() }));
        environment.insert("all_regions".to_owned(), json!(regions));
        let (id, secret) = accounts.next_key();
        environment.insert("next_key".to_owned(), json!({ "access_key_id": id, "secret_access_key": secret }));
        let zones = world.lock().zones.iter().map(|zone| (zone.name.clone(), json!({ "provider": zone.cloud }))).collect();
        environment.insert("zones".to_owned(), Value::Object(zones));
        environment.insert("vars".to_owned(), Value::Object(vars(blueprint, Some(endpoints))));
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
