//! Requests of the vendors' official SDKs, captured on loopback (`tests/vectors`), as the lab's tests read them.

use std::path::Path;

use http::request::Parts;
use serde::Deserialize;

/// One captured request with the key it was signed with.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) clock: String,
    #[serde(default)]
    pub(crate) nonce: String,
    pub(crate) access_key_id: String,
    pub(crate) access_key_secret: String,
    pub(crate) security_token: Option<String>,
    #[serde(default)]
    pub(crate) bucket: Option<String>,
    #[serde(default)]
    pub(crate) key: Option<String>,
    pub(crate) request: Captured,
    signing: Option<Signing>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Captured {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Signing {
    algorithm: String,
}

impl Vector {
    /// The request as a server sees it.
    pub(crate) fn request(&self) -> (Parts, String) {
        let mut request = http::Request::builder().method(self.request.method.as_str()).uri(&self.request.target);
        for (name, value) in &self.request.headers {
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        (parts, self.request.body.clone())
    }

    /// Sets a header, replacing the one that is there.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.request.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.request.headers.push((name.to_owned(), value.to_owned()));
    }
}

/// All vectors signed with `algorithm`, by name.
pub(crate) fn of(algorithm: &str) -> Vec<Vector> {
    let mut all: Vec<Vector> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| read(&entry.unwrap().path()))
        .filter(|vector| vector.signing.as_ref().is_some_and(|signing| signing.algorithm == algorithm))
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// One vector.
pub(crate) fn named(name: &str) -> Vector {
    read(&folder().join(format!("{name}.json")))
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/aliyun")
}

fn read(path: &Path) -> Vector {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
