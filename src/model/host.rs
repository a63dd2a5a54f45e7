//! Whose a host is, told by its name alone: a cloud's own, one of this machine or network, or anybody's. Nothing is resolved, nothing is asked.
//!
//! Who asks has to be careful in a direction of his own: guards hold wherever a cloud cannot be ruled out, an exercise counts as real only where one is certain.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host as Parsed, Url};

/// Whose a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An address of AWS or Alibaba Cloud themselves: what is changed there is changed for real.
    Vendor,
    /// Loopback, a private network or a name that no public server answers: nobody's cloud.
    Private,
    /// Anybody's: an emulator, a relay, or a cloud behind a name of one's own.
    Unknown,
}

/// What the hosts of AWS end in: `dnsSuffix` and `dualStackDnsSuffix` of every partition in botocore's `partitions.json` (1.44).
const AWS: [&str; 14] = [
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
];

/// What the hosts of Alibaba Cloud end in: every host of the endpoint maps of the official SDKs (`alibabacloud_ecs20140526` and the others).
const ALIYUN: [&str; 1] = ["aliyuncs.com"];

/// Labels under which the vendors name machines and balancers of their customers, on which anything may answer.
const CUSTOMERS: [&str; 7] = ["compute", "compute-1", "elb", "execute-api", "lambda-url", "alb", "nlb"];

/// Ends of names that no public server answers (RFC 2606, RFC 6761, RFC 6762, RFC 8375, and `internal` as ICANN keeps it).
const LOCAL: [&str; 7] = ["localhost", "local", "internal", "test", "invalid", "example", "home.arpa"];

/// Whose the host of `address` is: a URL, a host, or a host with its port.
#[must_use]
pub fn owner(address: &str) -> Owner {
    match parsed(address) {
        Some(Parsed::Ipv4(ip)) if is_private_v4(ip) => Owner::Private,
        Some(Parsed::Ipv6(ip)) if is_private_v6(ip) => Owner::Private,
        Some(Parsed::Domain(name)) => of_name(name.trim_end_matches('.')),
        _ => Owner::Unknown,
    }
}

/// The host of `address`, without name, password, port and path.
#[must_use]
pub fn host(address: &str) -> String {
    parsed(address).map_or_else(|| "?".to_owned(), |host| host.to_string())
}

/// The host of `address` with its port.
#[must_use]
pub fn authority(address: &str) -> String {
    let port = Url::parse(address).ok().and_then(|url| url.port_or_known_default());
    port.map_or_else(|| host(address), |port| format!("{}:{port}", host(address)))
}

/// As every client reads it: lower case, and numbers such as `0x7f.1` as the address they are.
fn parsed(address: &str) -> Option<Parsed> {
    let with_scheme = |text: String| Url::parse(&text).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    let address = address.trim();
    if let Ok(ip) = address.parse::<IpAddr>() {
        return Some(match ip {
            IpAddr::V4(ip) => Parsed::Ipv4(ip),
            IpAddr::V6(ip) => Parsed::Ipv6(ip),
        });
    }
    if address.contains("://") { with_scheme(address.to_owned()) } else { with_scheme(format!("http://{address}")) }
}

fn of_name(name: &str) -> Owner {
    let ends = |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if AWS.iter().chain(&ALIYUN).any(&ends) {
        return if name.split('.').any(|label| CUSTOMERS.contains(&label)) { Owner::Unknown } else { Owner::Vendor };
    }
    // A name of one label is one of this network: a container, a machine next door.
    if !name.contains('.') || LOCAL.iter().any(ends) { Owner::Private } else { Owner::Unknown }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    // 100.64/10 is what carriers and overlays give out (RFC 6598); Alibaba's services inside a VPC stand there under names only.
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() || (a == 100 && (64..128).contains(&b))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let first = ip.segments()[0];
    ip.is_loopback()
        || ip.is_unspecified()
        || (first & 0xfe00) == 0xfc00
        || (first & 0xffc0) == 0xfe80
        || ip.to_ipv4_mapped().is_some_and(is_private_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_are_known_by_their_names_however_they_are_written() {
        for address in [
            "https://ec2.us-east-1.amazonaws.com",
            "https://EC2.US-EAST-1.AMAZONAWS.COM.:443/",
            "https://ec2.cn-north-1.amazonaws.com.cn",
            "https://route53.amazonaws.com",
            "s3.dualstack.eu-west-1.amazonaws.com:443",
            "https://ec2.us-east-2.api.aws",
            "https://vpce-0a1b-2c3d.ec2.us-east-1.vpce.amazonaws.com",
            "https://sts.eusc-de-east-1.amazonaws.eu",
            "https://ecs-cn-hangzhou.aliyuncs.com",
            "https://oss-cn-hangzhou-internal.aliyuncs.com",
            "alidns.aliyuncs.com",
        ] {
            assert_eq!(owner(address), Owner::Vendor, "{address}");
        }
    }

    #[test]
    fn loopback_private_networks_and_local_names_are_nobodys_cloud() {
        for address in [
            "http://127.0.0.1:5000",
            "http://127.9.8.7/",
            "http://0x7f.1:80",
            "http://[::1]:4566",
            "::1",
            "http://[::ffff:10.0.0.1]/",
            "http://[fd00::5]",
            "10.1.2.3:8080",
            "http://172.31.0.9",
            "http://192.168.1.1",
            "http://169.254.169.254",
            "http://100.100.100.200",
            "http://0.0.0.0:5000",
            "http://localhost:5000",
            "http://moto.localhost",
            "http://moto:5000",
            "http://moto.dev.internal",
            "https://clouds.test",
            "http://user:secret@localhost:1/x",
        ] {
            assert_eq!(owner(address), Owner::Private, "{address}");
        }
    }

    #[test]
    fn what_only_looks_like_a_vendor_may_be_anybody() {
        for address in [
            "https://amazonaws.com.evil.net",
            "https://notamazonaws.com",
            "https://myaliyuncs.com",
            "https://ec2.amazonaws.com.example.org",
            "https://user@emulator.example.com/?x=ec2.us-east-1.amazonaws.com",
            "http://ec2-203-0-113-25.compute-1.amazonaws.com:5000",
            "http://moto-1.elb.us-east-1.amazonaws.com",
            "http://alb-1.cn-hangzhou.alb.aliyuncs.com",
            "http://8.8.8.8",
            "http://[2001:db8::1]",
            "",
            "http://",
            "not a host",
        ] {
            assert_eq!(owner(address), Owner::Unknown, "{address}");
        }
    }

    #[test]
    fn a_shown_host_has_no_password() {
        assert_eq!(host("http://user:s3cret@localhost:5000/a"), "localhost");
        assert_eq!(host("http://[::1]:1"), "[::1]");
    }
}
