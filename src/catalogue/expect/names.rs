//! DNS answers: what is asked and what must come.

use std::collections::BTreeSet;

use hickory_proto::rr::RecordType;
use schemars::JsonSchema;
use serde::Deserialize;

/// A type of DNS record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum DnsType {
    /// IPv4 addresses.
    #[default]
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Another name.
    Cname,
    /// Texts.
    Txt,
    /// Mail servers.
    Mx,
    /// Name servers.
    Ns,
}

impl DnsType {
    /// As the DNS library names it.
    pub(crate) const fn record_type(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Cname => RecordType::CNAME,
            Self::Txt => RecordType::TXT,
            Self::Mx => RecordType::MX,
            Self::Ns => RecordType::NS,
        }
    }
}

/// What the answer must be. Everything that is written must hold; nothing written = there is an answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsExpect {
    /// Exactly these values, in any order.
    #[serde(default)]
    values: Option<BTreeSet<String>>,
    /// These values, perhaps among others.
    #[serde(default)]
    contains: BTreeSet<String>,
    /// Nothing but some of these values.
    #[serde(default)]
    any_of: Option<BTreeSet<String>>,
}

impl DnsExpect {
    /// What was good about the answer, or what was not.
    pub(crate) fn judge(&self, found: &[String]) -> Result<String, String> {
        let shown = if found.is_empty() { "no records".to_owned() } else { found.join(" ") };
        let found: BTreeSet<String> = found.iter().map(|value| plain(value)).collect();
        let plain = |values: &BTreeSet<String>| values.iter().map(|value| plain(value)).collect::<BTreeSet<String>>();
        let list = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join(" ");
        if let Some(values) = &self.values {
            let values = plain(values);
            if values != found {
                return Err(format!("{shown}, expected {}", list(values)));
            }
        } else if found.is_empty() {
            return Err(shown);
        }
        let contains = plain(&self.contains);
        if !contains.is_subset(&found) {
            return Err(format!("{shown}, expected {} among them", list(contains)));
        }
        if let Some(values) = &self.any_of {
            let values = plain(values);
            if !found.is_subset(&values) {
                return Err(format!("{shown}, expected only {}", list(values)));
            }
        }
        Ok(shown)
    }
}

/// `shop.example.com.` and `shop.example.com` are the same.
fn plain(value: &str) -> String {
    value.trim_end_matches('.').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expect: &str, found: &[&str], good: bool) {
        let expect: DnsExpect = serde_json::from_str(expect).unwrap();
        let found: Vec<String> = found.iter().map(|&value| value.to_owned()).collect();
        assert_eq!(expect.judge(&found).is_ok(), good, "{expect:?} {found:?}");
    }

    #[test]
    fn answers_are_sets() {
        check("{}", &["127.0.0.1"], true);
        check("{}", &[], false);
        check(r#"{"values": ["b", "a"]}"#, &["a", "b"], true);
        check(r#"{"values": ["a"]}"#, &["a", "b"], false);
        check(r#"{"values": []}"#, &[], true);
        check(r#"{"contains": ["a"]}"#, &["a", "b"], true);
        check(r#"{"contains": ["c"]}"#, &["a", "b"], false);
        check(r#"{"any_of": ["a", "b"]}"#, &["b"], true);
        check(r#"{"any_of": ["a", "b"]}"#, &["b", "c"], false);
        check(r#"{"any_of": ["a", "b"]}"#, &[], false);
        check(r#"{"values": ["Shop.example.com"]}"#, &["shop.example.com."], true);
    }
}
