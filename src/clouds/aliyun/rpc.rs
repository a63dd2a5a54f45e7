//! The form that ECS, VPC, Alidns, DTS and STS have in common: one signed POST, flattened parameters, a JSON answer.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde::de::DeserializeOwned;

use super::call::{Answer, Api};
use super::config::StaticKeys;
use super::{Aliyun, endpoint, error, sign};
use crate::ports::{CloudError, Kind};

/// Parameters of one call, flattened as the vendor wants them.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// `name=value`.
    pub(super) fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.0.push((name.into(), value.to_string()));
        self
    }

    /// `name=value`, when there is a value.
    pub(super) fn maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// `name.1=…`, `name.2=…`.
    pub(super) fn list(mut self, name: &str, values: impl IntoIterator<Item = impl ToString>) -> Self {
        for (value, number) in values.into_iter().zip(1..) {
            self = self.set(format!("{name}.{number}"), value);
        }
        self
    }

    /// `name.1.Field=…`, all fields of each.
    pub(super) fn structs<F: ToString>(mut self, name: &str, values: impl IntoIterator<Item = impl IntoIterator<Item = (&'static str, F)>>) -> Self {
        for (fields, number) in values.into_iter().zip(1..) {
            for (field, value) in fields {
                self = self.set(format!("{name}.{number}.{field}"), value);
            }
        }
        self
    }

    fn query(&self) -> String {
        sign::query(self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())), false)
    }
}

impl Aliyun {
    /// Makes a call and reads its answer as `T`.
    ///
    /// # Errors
    /// What the service says; [`Kind::Malformed`] when the answer has not the documented shape.
    pub(super) async fn rpc<T: DeserializeOwned>(&self, api: Api, params: &Params) -> Result<T, CloudError> {
        let query = params.query();
        let read = |answer: &Answer| {
            let body = error::read(api, answer)?;
            serde_path_to_error::deserialize(body).map_err(|wrong| api.malformed(format!("the answer is not as documented: {wrong}")))
        };
        self.attempts(api, |key| self.rpc_request(api, &query, key), read).await
    }

    fn rpc_request(&self, api: Api, query: &str, key: &StaticKeys) -> Result<Request, CloudError> {
        let (product, action) = api.parts();
        let product = endpoint::PRODUCTS.iter().find(|row| row.name == product);
        let product = product.ok_or_else(|| api.error(Kind::Unconfigured, "the product has no endpoint rule"))?;
        let mut url = self.shared.endpoints.of(product, &self.region).map_err(|why| api.error(Kind::Unconfigured, why))?;
        url.set_query((!query.is_empty()).then_some(query));
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (name, Some(port)) => format!("{name}:{port}"),
            (name, None) => name.to_owned(),
        };
        let mut headers: BTreeMap<String, String> = BTreeMap::from([
            ("host".to_owned(), host),
            ("accept".to_owned(), "application/json".to_owned()),
            ("x-acs-action".to_owned(), action.to_owned()),
            ("x-acs-version".to_owned(), product.version.to_owned()),
            ("x-acs-date".to_owned(), self.now().to_rfc3339_opts(SecondsFormat::Secs, true)),
            ("x-acs-signature-nonce".to_owned(), format!("{:032x}", rand::random::<u128>())),
            ("x-acs-content-sha256".to_owned(), sign::sha256_hex(b"")),
        ]);
        if let Some(token) = &key.session_token {
            headers.insert("x-acs-accesskey-id".to_owned(), key.access_key_id.clone());
            headers.insert("x-acs-security-token".to_owned(), token.clone());
        }
        let authorization = sign::acs3("POST", "/", query, &headers, &key.access_key_id, &key.secret_access_key);
        headers.insert("authorization".to_owned(), authorization);
        let mut request = Request::new(Method::POST, url);
        *request.headers_mut() = header_map(api, headers)?;
        *request.body_mut() = Some(reqwest::Body::from(""));
        Ok(request)
    }
}

/// Headers for the wire. A key with a line break in it cannot be sent, and must not be quoted in the error.
pub(super) fn header_map(api: Api, headers: BTreeMap<String, String>) -> Result<HeaderMap, CloudError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let wrong = || api.error(Kind::Invalid, format!("header {name} cannot be written: it has characters that no header can carry"));
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        value.set_sensitive(name == "authorization" || name.ends_with("security-token"));
        map.insert(HeaderName::try_from(name.as_str()).map_err(|_| wrong())?, value);
    }
    Ok(map)
}
