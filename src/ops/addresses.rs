//! What an environment says about where its clouds are, checked as far as that goes without asking them: a typing error here would be told by the
//! first call, in the middle of a drill.

use std::rc::Rc;

use super::files::Loaded;
use super::guards::written::{REGION, is_region};
use crate::model::diagnostic::Diagnostic;
use crate::model::project::{EnvironmentFile, ProjectFile};
use crate::model::yaml::way;

/// Everything that cannot be an address, a region, an account or a profile.
pub(super) fn check(project: &Rc<Loaded>, settings: &ProjectFile) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for (name, environment) in &settings.environments {
        for (side, key, value, rule) in written(environment) {
            if let Some((what, hint)) = (rule.objection)(value) {
                // What stands before an `@` may be a password.
                let shown: String = value.rsplit('@').next().unwrap_or(value).chars().take(64).collect();
                problems.push(project.doc.problem(&way!["environments", name, side, key], format!("`{shown}` {what}")).hint(hint));
            }
        }
    }
    problems
}

/// What a setting must look like: the objection and what to write.
struct Rule {
    objection: fn(&str) -> Option<(&'static str, &'static str)>,
}

const ENDPOINT: Rule = Rule {
    objection: |text| (!is_endpoint(text)).then_some(("is not an address", "write it like http://127.0.0.1:4566 or https://ec2.example.com")),
};
const AT: Rule = Rule { objection: |text| (!is_region(text)).then_some(("is not a region", REGION)) };
const AWS: Rule = Rule { objection: |text| (!is_digits(text, 12)).then_some(("is not an account of AWS", "write its twelve digits in quotes")) };
const ALIYUN: Rule =
    Rule { objection: |text| (!is_digits(text, 16)).then_some(("is not an account of Alibaba Cloud", "write its sixteen digits in quotes")) };
const PROFILE: Rule =
    Rule { objection: |text| text.trim().is_empty().then_some(("names no profile", "name one, or remove the key to use the standard chain")) };
const SERVER: Rule = Rule { objection: |text| (!is_server(text)).then_some(("is not a name server", "write host and port, like 127.0.0.1:53")) };

/// The settings that are there: side, key, value, rule.
fn written(environment: &EnvironmentFile) -> impl Iterator<Item = (&'static str, &'static str, &str, Rule)> {
    let aws = environment.aws.iter().flat_map(|aws| {
        [("region", &aws.region, AT), ("account", &aws.account, AWS), ("profile", &aws.profile, PROFILE), ("endpoint", &aws.endpoint, ENDPOINT)]
            .map(|(key, value, rule)| ("aws", key, value.as_deref(), rule))
    });
    let aliyun = environment.aliyun.iter().flat_map(|aliyun| {
        [
            ("region", &aliyun.region, AT),
            ("account", &aliyun.account, ALIYUN),
            ("profile", &aliyun.profile, PROFILE),
            ("endpoint", &aliyun.endpoint, ENDPOINT),
            ("oss_endpoint", &aliyun.oss_endpoint, ENDPOINT),
        ]
        .map(|(key, value, rule)| ("aliyun", key, value.as_deref(), rule))
    });
    let dns = environment.dns.iter().map(|dns| ("dns", "server", dns.server.as_deref(), SERVER));
    aws.chain(aliyun).chain(dns).filter_map(|(side, key, value, rule)| Some((side, key, value?, rule)))
}

/// An address of HTTP with nothing behind the port: no path, no question, and above all no password.
fn is_endpoint(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = host.parse::<std::net::Ipv4Addr>().is_ok()
        || host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok())
        || (!host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
            && !host.starts_with(['.', '-']));
    is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_nonsense() {
        for (text, good) in [
            ("http://127.0.0.1:4566", true),
            ("https://ec2.example.com/", true),
            ("127.0.0.1:4566", false),
            ("localhost:4566", false),
            ("ftp://a", false),
            ("http://", false),
            ("http://user:secret@a", false),
            ("http://a/b", false),
            ("http://a/?b", false),
            ("", false),
        ] {
            assert_eq!(is_endpoint(text), good, "{text}");
        }
        for (text, good) in [
            ("127.0.0.1:53", true),
            ("[::1]:53", true),
            ("ns.example.com:5353", true),
            ("127.0.0.1", false),
            ("127.0.0.1:0", false),
            ("127.0.0.1:x", false),
            (":53", false),
            ("::1:53", false),
            ("ns example:53", false),
        ] {
            assert_eq!(is_server(text), good, "{text}");
        }
    }
}
