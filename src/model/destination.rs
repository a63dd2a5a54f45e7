//! The destination of a route in the one form in which it is compared, sent and shown. The clouds clear host bits and rewrite IPv6 addresses: who
//! looks for what was written does not find it.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};

/// An IPv4 or IPv6 block without host bits, IPv6 as RFC 5952 spells it; or a prefix list, `pl-…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination(String);

impl Destination {
    /// As it is compared, sent and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(id) = text.strip_prefix("pl-").filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Ok(Self(format!("pl-{}", id.to_ascii_lowercase())));
        }
        let wrong = || format!("`{text}` is no block such as 10.20.0.0/16 or 2001:db8::/32, and no prefix list such as pl-0a1b2c3d");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let length: u32 = length.parse().ok().filter(|_| length.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(wrong)?;
        match address.parse().map_err(|_| wrong())? {
            IpAddr::V4(address) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                Ok(Self(format!("{}/{length}", Ipv4Addr::from(u32::from(address) & mask))))
            }
            IpAddr::V6(address) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                Ok(Self(format!("{}/{length}", Ipv6Addr::from(u128::from(address) & mask))))
            }
            _ => Err(wrong()),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Destination {
    fn schema_name() -> Cow<'static, str> {
        "Destination".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "description": "An IPv4 or IPv6 block, or a prefix list." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, kept: &str) {
        assert_eq!(written.parse::<Destination>().map(|destination| destination.to_string()), Ok(kept.to_owned()), "{written}");
    }

    #[test]
    fn what_means_the_same_reads_the_same() {
        check("10.20.0.0/16", "10.20.0.0/16");
        check("10.40.7.9/16", "10.40.0.0/16");
        check("100.68.0.18/18", "100.68.0.0/18");
        check("198.51.100.7/32", "198.51.100.7/32");
        check("10.1.2.3/0", "0.0.0.0/0");
        check("2001:DB8:0:0::/32", "2001:db8::/32");
        check("2001:0db8:85a3:0000:0000:8a2e:0370:7334/64", "2001:db8:85a3::/64");
        check("::/0", "::/0");
        check("FE80::1/128", "fe80::1/128");
        check(" pl-0A1B2c3d ", "pl-0a1b2c3d");
        check("2001:db8::1/127", "2001:db8::/127");
    }

    #[test]
    fn what_is_no_destination_is_refused() {
        for wrong in [
            "",
            "10.20.0.0",
            "10.20.0.0/33",
            "10.20.0/16",
            "2001:db8::/129",
            "nonsense/8",
            "pl-",
            "pl-xyz",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "010.0.0.0/8",
        ] {
            assert!(wrong.parse::<Destination>().unwrap_err().contains("10.20.0.0/16"), "{wrong}");
        }
    }
}
