//! Between Alibaba Cloud RPC requests and the world: one endpoint for all products, told apart by version and action.
//!
//! A product is a row of `PRODUCTS`, an action a row of its product's table; what all actions share is done here: signature, nonce,
//! rate limit, region, client token, request id, counting. `ecs` machines with `group` and `image`, `vpc` networks with `acl` and `route`,
//! `alidns` names, `dts` synchronisation jobs, `cms` monitoring, `sts` who am I.

mod acl;
mod alidns;
mod cms;
mod dts;
mod ecs;
mod group;
mod image;
mod route;
mod sts;
mod tags;
mod vpc;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use serde_json::{Value, json};

use crate::faults::during;
use crate::services::throttle;
use crate::wire::acs3::{self, Key};
use crate::wire::aliyun_rpc::{ApiError, Call, done, failed, invalid, missing};
use crate::world::World;
use crate::world::calls::{self, Changing};
use crate::world::state::{Cloud, State};

/// The largest request body; the vendors' own limit is of this order.
const LARGEST_BODY: usize = 1 << 20;

/// How many nonces and client tokens are remembered before all are forgotten.
const REMEMBERED: usize = 20_000;

/// A product that this endpoint serves.
struct Product {
    /// Name as in hosts and policies.
    name: &'static str,
    version: &'static str,
    actions: &'static [Action],
}

/// One action. Its handler checks everything, then calls [`Call::dry_run`] where the vendor offers that, then changes the world.
struct Action {
    name: &'static str,
    effect: Effect,
    /// Whether `RegionId` must be given.
    regional: bool,
    run: fn(&mut State, &Call) -> Result<Value, ApiError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    /// Changes something; a `ClientToken` that comes again gets the same answer without a second effect.
    Changes,
}

const fn reads(name: &'static str, run: fn(&mut State, &Call) -> Result<Value, ApiError>) -> Action {
    Action { name, effect: Effect::Reads, regional: true, run }
}

const fn changes(name: &'static str, run: fn(&mut State, &Call) -> Result<Value, ApiError>) -> Action {
    Action { name, effect: Effect::Changes, regional: true, run }
}

impl Action {
    /// `RegionId` may be left out.
    const fn anywhere(self) -> Self {
        Self { regional: false, ..self }
    }
}

const PRODUCTS: &[Product] = &[
    Product { name: "ecs", version: "2014-05-26", actions: ecs::ACTIONS },
    Product { name: "vpc", version: "2016-04-28", actions: vpc::ACTIONS },
    Product { name: "alidns", version: "2015-01-09", actions: alidns::ACTIONS },
    Product { name: "cms", version: "2019-01-01", actions: cms::ACTIONS },
    Product { name: "dts", version: "2020-01-01", actions: dts::ACTIONS },
    Product { name: "sts", version: "2015-04-01", actions: sts::ACTIONS },
];

/// The product whose API has this version.
pub(crate) fn product_of(version: &str) -> Option<&'static str> {
    PRODUCTS.iter().find(|product| product.version == version).map(|product| product.name)
}

/// Answers one request.
pub async fn handle<B>(world: Arc<World>, request: Request<B>) -> Response<Full<Bytes>>
where
    B: hyper::body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        let error = ApiError::new(413, "InvalidParameter", "The request body could not be read or is too large.");
        return failed(&request_id(), "", &error);
    };
    let body = body.to_bytes();
    let mut state = world.lock();
    answer(&mut state, &parts, &body)
}

/// Answers one request without asking who sent it: for fuzzers, which cannot sign.
pub(crate) fn unsigned(state: &mut State, parts: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    let call = Call::read(parts, body);
    let (product, action) = find(&call);
    match perform(state, product, action, &call) {
        Ok(fields) => done(&request_id(), fields),
        Err(error) => failed(&request_id(), &call.host, &error),
    }
}

fn find(call: &Call) -> (Option<&'static Product>, Option<&'static Action>) {
    let product = PRODUCTS.iter().find(|product| product.version == call.version);
    (product, product.and_then(|product| product.actions.iter().find(|action| action.name == call.action)))
}

/// One request at one moment of the world.
fn answer(state: &mut State, parts: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    let request_id = request_id();
    let call = Call::read(parts, body);
    let (product, action) = find(&call);
    let replayed = remembered(state, product, action, &call);
    let result = authenticate(state, parts, body, &call).and_then(|()| perform(state, product, action, &call));

    // Names that do not exist are counted together: anybody can invent them.
    let counted = (product.map_or("(unknown)", |product| product.name), action.map_or("(unknown)", |action| action.name));
    let code = result.as_ref().map_or_else(|error| error.code.clone(), business_code);
    let key = ("aliyun".to_owned(), counted.0.to_owned(), counted.1.to_owned(), code.clone());
    *state.counters.api_calls.entry(key).or_default() += 1;
    let changing = action.is_some_and(|action| action.effect == Effect::Changes);
    if changing {
        let (token, asked) = (call.text("ClientToken"), fingerprint(&call, &["ClientToken"]));
        let seen = Changing { cloud: Cloud::Aliyun, service: counted.0, operation: counted.1, token, replayed, asked, code: &code };
        state.calls.record(state.now, &seen);
    }
    if changing && code == "OK" {
        let call = format!("{}:{}", counted.0, counted.1);
        state.truth.record(state.now, "api", json!({ "cloud": "aliyun", "call": call, "request_id": request_id }));
    }
    match result {
        Ok(fields) => done(&request_id, fields),
        Err(error) => failed(&request_id, &call.host, &error),
    }
}

fn authenticate(state: &mut State, parts: &Parts, body: &[u8], call: &Call) -> Result<(), ApiError> {
    let signed = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).or_else(|| call.text("AccessKeyId"));
    let (id, secret) = state.accounts.key(signed.unwrap_or_default());
    let (key, now) = (Key { id: &id, secret: &secret }, during::told(state.now));
    let nonce = if call.params().contains_key("Signature") {
        acs3::verify_v1(parts.method.as_str(), call.params(), key, now)?
    } else {
        acs3::verify(parts, body, key, now)?
    };
    let nonce = format!("aliyun/nonce/{nonce}");
    if state.tokens.contains_key(&nonce) {
        return Err(ApiError::new(400, "SignatureNonceUsed", "Specified signature nonce was used already."));
    }
    remember(state, nonce, String::new());
    Ok(())
}

fn perform(state: &mut State, product: Option<&Product>, action: Option<&Action>, call: &Call) -> Result<Value, ApiError> {
    let product = product.ok_or_else(|| ApiError::new(400, "InvalidVersion", "Specified parameter Version is not valid."))?;
    let unknown = || ApiError::new(404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.");
    let action = action.ok_or_else(unknown)?;
    throttle::take(state, product.name, action.name).map_err(|throttled| {
        let error = ApiError::new(400, "Throttling.User", "Request was denied due to user flow control.");
        ApiError { retry_after_ms: Some(throttled.retry_after_ms), ..error }
    })?;
    match call.text("RegionId") {
        None if action.regional => return Err(missing("RegionId")),
        Some(region) if !state.regions.aliyun.iter().any(|known| known == region) => {
            return Err(ApiError::new(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist."));
        }
        _ => {}
    }
    match call.text("RegionId") {
        Some(region) => once(&mut state.in_region(Cloud::Aliyun, region), product, action, call),
        None => once(state, product, action, call),
    }
}

/// One call; one that comes again with its token gets the same answer without a second effect.
fn once(state: &mut State, product: &Product, action: &Action, call: &Call) -> Result<Value, ApiError> {
    let Some(token) = call.text("ClientToken").filter(|_| action.effect == Effect::Changes) else {
        return (action.run)(state, call);
    };
    if token.len() > 64 || !token.is_ascii() {
        return Err(invalid("ClientToken"));
    }
    let key = token_key(product, action, token);
    let asked = fingerprint(call, &[]);
    if let Some((before, answer)) = state.tokens.get(&key).and_then(|known| known.split_once('\n')) {
        if before != asked {
            let message = "The request uses the same client token as a previous, but non-identical request.";
            return Err(ApiError::new(400, "IdempotentParameterMismatch", message));
        }
        return serde_json::from_str(answer).map_err(|_| ApiError::new(500, "InternalError", "The remembered answer is unreadable."));
    }
    let answer = (action.run)(state, call)?;
    remember(state, key, format!("{asked}\n{answer}"));
    Ok(answer)
}

/// The code under which an answer is counted: `OK`, or the one inside a failure that comes with HTTP 200.
fn business_code(fields: &Value) -> String {
    match fields.get("Success").and_then(Value::as_bool) {
        Some(false) => fields.get("ErrCode").or_else(|| fields.get("Code")).and_then(Value::as_str).unwrap_or("Failed").to_owned(),
        _ => "OK".to_owned(),
    }
}

/// Which parameters a client token stands for, `without` some; the V1 signature's own parameters differ at every attempt.
fn fingerprint(call: &Call, without: &[&str]) -> String {
    const OF_ONE_ATTEMPT: [&str; 3] = ["Signature", "SignatureNonce", "Timestamp"];
    let parameters = call.params().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    calls::fingerprint(parameters.filter(|(name, _)| !OF_ONE_ATTEMPT.contains(name) && !without.contains(name)))
}

/// Whether the call has a client token that was answered before.
fn remembered(state: &State, product: Option<&Product>, action: Option<&Action>, call: &Call) -> bool {
    let (Some(product), Some(action), Some(token)) = (product, action, call.text("ClientToken")) else { return false };
    state.tokens.contains_key(&token_key(product, action, token))
}

fn token_key(product: &Product, action: &Action, token: &str) -> String {
    format!("aliyun/token/{}/{}/{token}", product.name, action.name)
}

/// Keeps a nonce or a token. When there are too many, all are forgotten: memory matters more here than a replay after so many calls.
fn remember(state: &mut State, key: String, value: String) {
    if state.tokens.len() >= REMEMBERED {
        state.tokens.retain(|key, _| !key.starts_with("aliyun/"));
    }
    state.tokens.insert(key, value);
}

/// A request id as the vendor writes it. Not from the world's seeded generator: how often somebody asks must not change what happens.
fn request_id() -> String {
    let id = format!("{:032X}", rand::random::<u128>());
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}

#[cfg(test)]
mod tests;
