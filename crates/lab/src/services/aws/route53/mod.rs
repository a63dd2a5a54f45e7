//! Route 53 over the world: REST with XML.
//!
//! [`zones`] lists hosted zones, [`listing`] their record sets in Route 53's order, [`batch`] reads and judges a change batch,
//! [`change`] carries it out and tells how far it is.

mod batch;
mod change;
mod listing;
mod zones;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;

use super::{admit, count};
use crate::wire::aws_answer::{self, ApiError, ROUTE53_NAMESPACE};
use crate::wire::xml::Answer;
use crate::world::calls::{self, Changing};
use crate::world::state::{Cloud, State};

/// One call: the ids of its path, its query and its body.
struct Call<'a> {
    /// What stands for `{}` in the row's path; without `/hostedzone/` or `/change/` prefix.
    id: String,
    query: BTreeMap<String, String>,
    body: &'a [u8],
}

/// Writes the content of the answer.
type Handler = fn(&mut State, &Call<'_>, &mut Answer) -> Result<(), ApiError>;

/// The calls there are: action, method, path with `{}` for an id, handler.
const ACTIONS: &[(&str, Method, &str, Handler)] = &[
    ("ListHostedZones", Method::GET, "hostedzone", zones::list),
    ("ListHostedZonesByName", Method::GET, "hostedzonesbyname", zones::list_by_name),
    ("GetHostedZoneCount", Method::GET, "hostedzonecount", zones::count),
    ("GetHostedZone", Method::GET, "hostedzone/{}", zones::get),
    ("ListResourceRecordSets", Method::GET, "hostedzone/{}/rrset", listing::list),
    ("ChangeResourceRecordSets", Method::POST, "hostedzone/{}/rrset", change::submit),
    ("GetChange", Method::GET, "change/{}", change::get),
];

pub(super) fn respond(state: &mut State, parts: &Parts, body: &[u8], request_id: &str) -> Result<Response<Full<Bytes>>, ApiError> {
    let (action, id, handler) = route(parts)?;
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let call = Call { id, query, body };
    let mut content = Answer::fragment();
    let outcome = admit(state, "route53", action).and_then(|()| handler(state, &call, &mut content));
    let code = outcome.as_ref().map_or_else(|error| &*error.code, |()| "OK");
    count(state, "route53", action, code);
    if parts.method != Method::GET {
        let asked = calls::fingerprint([("id", &*call.id), ("body", &*String::from_utf8_lossy(body))]);
        let seen = Changing { cloud: Cloud::Aws, service: "route53", operation: action, token: None, replayed: false, asked, code };
        state.calls.record(state.now, &seen);
    }
    outcome?;
    let mut answer = Answer::new();
    answer.root(&format!("{action}Response"), ROUTE53_NAMESPACE, |answer| answer.insert(content));
    Ok(aws_answer::document(StatusCode::OK, answer.finish(), request_id))
}

/// Finds the row for a path; a final slash means nothing, as clients differ in sending it.
fn route(parts: &Parts) -> Result<(&'static str, String, Handler), ApiError> {
    let unknown = || ApiError::new("UnknownOperationException", "Unknown operation.").with_status(StatusCode::NOT_FOUND);
    let decoded = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8().map_err(|_| unknown())?;
    let path = decoded.strip_prefix("/2013-04-01/").ok_or_else(unknown)?;
    // An id may be sent with its prefix: hostedzone//hostedzone/Z1.
    let path = path.replacen("//hostedzone/", "/", 1).replacen("//change/", "/", 1);
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    for (action, method, template, handler) in ACTIONS {
        let expected: Vec<&str> = template.split('/').collect();
        if *method == parts.method
            && expected.len() == segments.len()
            && expected.iter().zip(&segments).all(|(want, have)| want == have || *want == "{}")
        {
            let id = expected.iter().position(|part| *part == "{}").map_or("", |at| segments[at]);
            return Ok((action, id.to_owned(), *handler));
        }
    }
    Err(unknown())
}

/// Where in `State::zones` the hosted zone is.
fn zone_index(state: &State, id: &str) -> Result<usize, ApiError> {
    state
        .zones
        .iter()
        .position(|zone| zone.cloud == Cloud::Aws && zone.id == id)
        .ok_or_else(|| ApiError::new("NoSuchHostedZone", format!("No hosted zone found with ID: {id}")).with_status(StatusCode::NOT_FOUND))
}

/// A domain name as Route 53 holds it: lower case, final dot, `\052` for a star.
fn canonical_name(name: &str) -> String {
    let mut name = name.to_ascii_lowercase().replace('*', "\\052");
    if !name.ends_with('.') {
        name.push('.');
    }
    name
}

/// The key by which Route 53 sorts names: labels reversed, each with its dot (`com.example.www.`).
fn sort_key(name: &str) -> String {
    name.trim_end_matches('.').rsplit('.').map(|label| format!("{label}.")).collect()
}

/// `maxitems`, at most and by default `most`.
fn max_items(call: &Call<'_>, most: usize) -> Result<usize, ApiError> {
    match call.query.get("maxitems") {
        None => Ok(most),
        Some(text) => match text.parse::<usize>() {
            Ok(items) if items > 0 => Ok(items.min(most)),
            _ => Err(ApiError::new("InvalidInput", format!("Invalid value '{text}' for maxitems: it must be a number from 1 to {most}."))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: &str, path: &str) -> Option<(&'static str, String)> {
        let parts = http::Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0;
        route(&parts).ok().map(|(action, id, _)| (action, id))
    }

    #[test]
    fn both_forms_of_the_change_path_are_the_same_call() {
        for path in ["/2013-04-01/hostedzone/Z1/rrset", "/2013-04-01/hostedzone/Z1/rrset/", "/2013-04-01/hostedzone/%2Fhostedzone%2FZ1/rrset/"] {
            assert_eq!(routed("POST", path), Some(("ChangeResourceRecordSets", "Z1".into())), "{path}");
        }
        assert_eq!(routed("GET", "/2013-04-01/change/C1"), Some(("GetChange", "C1".into())));
        assert_eq!(routed("GET", "/2013-04-01/change//change/C1"), Some(("GetChange", "C1".into())));
        assert_eq!(routed("GET", "/2013-04-01/hostedzone?maxitems=1"), Some(("ListHostedZones", String::new())));
        assert_eq!(routed("DELETE", "/2013-04-01/hostedzone/Z1"), None);
        assert_eq!(routed("GET", "/elsewhere"), None);
    }

    #[test]
    fn names_are_canonical_and_sort_from_the_right() {
        assert_eq!(canonical_name("WWW.Example.com"), "www.example.com.");
        assert_eq!(canonical_name("*.example.com."), "\\052.example.com.");
        let mut names = ["www.example.com.", "example.com.", "a.b.example.com.", "b.example.com.", "b-c.example.com."];
        names.sort_by_key(|name| sort_key(name));
        assert_eq!(names, ["example.com.", "b-c.example.com.", "b.example.com.", "a.b.example.com.", "www.example.com."]);
    }
}
