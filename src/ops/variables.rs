//! The variables of the process's environment that weaken something that is promised. Those that exist to try a run out are heeded in labs only; where a run
//! is on the clouds of accounts, the others are printed, journalled and reported.

use std::env;

use super::environment::Environment;
use crate::journal::crash;
use crate::model::call::Cloud;
use crate::model::host::host;

/// Leaves fsync out, for measurements.
pub const NO_FSYNC: &str = "LIFEBOAT_NO_FSYNC";

/// Asks for the log of what Lifeboat itself does (`cli/log`). It weakens nothing: the log is masked, and stands neither in journals nor in reports.
pub const LOG: &str = "LIFEBOAT_LOG";

/// What a variable does.
#[derive(Clone, Copy)]
enum Does {
    /// It is heeded in labs only.
    InLabs,
    /// Something is weaker by it, in one sentence.
    Weakens(&'static str),
    /// Calls go through the host that it names.
    Proxy,
}

/// All of them but those of single services (`AWS_ENDPOINT_URL_…`).
const VARIABLES: &[(&str, Does)] = &[
    (NO_FSYNC, Does::InLabs),
    (crash::VARIABLE, Does::InLabs),
    ("AWS_EC2_METADATA_DISABLED", Does::Weakens("whether this machine is inside of what a fault cuts off is not asked of AWS")),
    ("XDG_STATE_HOME", Does::Weakens("locks and levers of environments are kept in that folder first")),
    ("AWS_CA_BUNDLE", Does::Weakens("AWS is trusted by the certificates of that file")),
    ("SSL_CERT_FILE", Does::Weakens("hosts are trusted by the certificates of that file")),
    ("SSL_CERT_DIR", Does::Weakens("hosts are trusted by the certificates of that folder")),
    ("HTTPS_PROXY", Does::Proxy),
    ("https_proxy", Does::Proxy),
    ("HTTP_PROXY", Does::Proxy),
    ("http_proxy", Does::Proxy),
    ("ALL_PROXY", Does::Proxy),
    ("all_proxy", Does::Proxy),
];

/// How the variables begin that lead the calls of AWS, or of one of its services, elsewhere.
const ENDPOINTS: &str = "AWS_ENDPOINT_URL";

/// The value of a variable that is heeded in labs only.
#[must_use]
pub fn in_lab(name: &str, environment: &Environment) -> Option<String> {
    environment.is_lab.then(|| env::var_os(name))?.map(|value| value.to_string_lossy().into_owned())
}

/// What the variables that are set weaken in a run here, one sentence each. A lab promises nothing.
#[must_use]
pub fn said(environment: &Environment) -> Vec<String> {
    if environment.is_lab {
        return Vec::new();
    }
    let named_by_us = environment.settings.aws.as_ref().is_none_or(|aws| aws.endpoint.is_some());
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned());
    sentences(env::vars_os().map(text).filter(|(name, _)| !(named_by_us && name.starts_with(ENDPOINTS))))
}

fn sentences(set: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut said: Vec<String> = set.filter(|(_, value)| !value.is_empty()).filter_map(|(name, value)| sentence(&name, &value)).collect();
    said.sort();
    said
}

fn sentence(name: &str, value: &str) -> Option<String> {
    if name.starts_with(ENDPOINTS) {
        return Some(format!("{name} is set: calls to {} go to {}", Cloud::Aws, host(value)));
    }
    let (_, does) = VARIABLES.iter().find(|(known, _)| *known == name)?;
    Some(match does {
        Does::InLabs => format!("{name} is set, and is heeded in labs only"),
        Does::Weakens(what) => format!("{name} is set: {what}"),
        // A proxy may have a password in its address.
        Does::Proxy => format!("{name} is set: calls may go through {}", host(value)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_weakens_a_promise_is_said_without_what_may_be_secret() {
        let set = [
            ("PATH", "/bin"),
            ("LIFEBOAT_NO_FSYNC", "1"),
            ("LIFEBOAT_CRASH", "after:1"),
            ("AWS_ENDPOINT_URL_STS", "http://u:s3cret@127.0.0.1:1/x"),
            ("AWS_CA_BUNDLE", "/tmp/mine.pem"),
            ("https_proxy", "http://u:s3cret@proxy.example:3128"),
            ("ALL_PROXY", ""),
        ];
        let said = sentences(set.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(
            said,
            [
                "AWS_CA_BUNDLE is set: AWS is trusted by the certificates of that file",
                "AWS_ENDPOINT_URL_STS is set: calls to aws go to 127.0.0.1",
                "LIFEBOAT_CRASH is set, and is heeded in labs only",
                "LIFEBOAT_NO_FSYNC is set, and is heeded in labs only",
                "https_proxy is set: calls may go through proxy.example",
            ]
        );
    }

    /// A variable of our own that nobody has thought about would weaken a promise unsaid.
    #[test]
    fn every_variable_of_our_own_is_heeded_in_labs_only() {
        let weakens_nothing = ["LIFEBOAT_RUN", "LIFEBOAT_STEP", LOG];
        let mut files = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let names = source.split("\"LIFEBOAT_").skip(1).filter_map(|rest| rest.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).next());
            for name in names.filter(|name| !name.is_empty()) {
                let name = format!("LIFEBOAT_{name}");
                let is_known = VARIABLES.iter().any(|(known, does)| *known == name && matches!(does, Does::InLabs));
                assert!(is_known || weakens_nothing.contains(&name.as_str()), "{name} in {}", path.display());
            }
        }
    }
}
