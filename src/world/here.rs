//! Where this process runs: what the metadata services say of the machine, and which addresses it has. A fault that cuts off a network must not cut
//! off who has to take it out again.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};

use super::http::{Http, HttpRequest};

/// The metadata service of ECS, and where it is asked.
const ALIYUN: &str = "http://100.100.100.200";
/// That of EC2.
const AWS: &str = "http://169.254.169.254";

/// A service that is there answers within a few milliseconds; where there is none, packets may just be lost.
const PATIENCE: Duration = Duration::from_millis(700);

/// What is known of where this process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// The ECS instance, when this is one.
    pub instance: Option<String>,
    /// Its VPC.
    pub vpc: Option<String>,
    /// Its vSwitch.
    pub vswitch: Option<String>,
    /// Whether this is a machine of AWS.
    pub is_on_aws: bool,
    /// The machine's own addresses, loopback left out.
    pub addresses: Vec<IpAddr>,
}

/// A network that will be cut off.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    /// Its VPC.
    pub vpc: &'a str,
    /// Its own id.
    pub vswitch: &'a str,
    /// Its block, such as `172.16.1.0/24`; may be empty.
    pub cidr: &'a str,
}

impl Here {
    /// Asks both metadata services and the system. Never fails: who does not answer is not there.
    pub async fn look(http: &Http) -> Self {
        // As with the vendor's own tools.
        let is_off = std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        Self::look_at(http, ALIYUN, if is_off { "" } else { AWS }).await
    }

    async fn look_at(http: &Http, aliyun: &str, aws: &str) -> Self {
        let service = Service { http, base: aliyun, lease: "x-aliyun-ecs-metadata-token-ttl-seconds", token: "x-aliyun-ecs-metadata-token" };
        let of_aws = Service { http, base: aws, lease: "x-aws-ec2-metadata-token-ttl-seconds", token: "x-aws-ec2-metadata-token" };
        let (on_aliyun, on_aws) = tokio::join!(
            tokio::time::timeout(PATIENCE, service.ask(&["instance-id", "vpc-id", "vswitch-id", "private-ipv4"])),
            tokio::time::timeout(PATIENCE, of_aws.ask(&["instance-id"])),
        );
        let mut said = on_aliyun.unwrap_or_default().into_iter();
        let mut next = || said.next().flatten();
        let (instance, vpc, vswitch, private) = (next(), next(), next(), next());
        let mut addresses = own_addresses();
        addresses.extend(private.and_then(|text| text.parse::<IpAddr>().ok()));
        let is_on_aws = on_aws.unwrap_or_default().into_iter().flatten().any(|id| id.starts_with("i-"));
        Self { instance, vpc, vswitch, is_on_aws, addresses }
    }

    /// In words, why this process is inside of what will be cut off; `None` when it is not, or nothing says so.
    #[must_use]
    pub fn inside(&self, cuts: &[Cut<'_>]) -> Option<String> {
        let machine = self.instance.as_deref().unwrap_or("this machine");
        if let Some(vswitch) = &self.vswitch {
            return cuts.iter().find(|cut| cut.vswitch == vswitch).map(|_| format!("{machine} is in {vswitch}"));
        }
        if let Some(vpc) = &self.vpc {
            return cuts.iter().find(|cut| cut.vpc == vpc).map(|_| format!("{machine} is in {vpc}"));
        }
        if self.is_on_aws {
            return None;
        }
        // No service told: the same block may be in use elsewhere, but who would be locked out cannot be asked afterwards.
        let found = self.addresses.iter().find_map(|address| Some((address, cuts.iter().find(|cut| holds(cut.cidr, *address))?)));
        found.map(|(address, cut)| format!("this machine has the address {address} of {} ({})", cut.vswitch, cut.cidr))
    }
}

struct Service<'a> {
    http: &'a Http,
    base: &'a str,
    lease: &'static str,
    token: &'static str,
}

impl Service<'_> {
    /// What the service says of each name, with a token where it gives one.
    async fn ask(&self, names: &[&str]) -> Vec<Option<String>> {
        let token = self.one(Method::PUT, "latest/api/token", self.lease, "60").await;
        let mut said = Vec::new();
        for name in names {
            said.push(self.one(Method::GET, &format!("latest/meta-data/{name}"), self.token, token.as_deref().unwrap_or_default()).await);
        }
        said
    }

    async fn one(&self, method: Method, path: &str, header: &'static str, value: &str) -> Option<String> {
        let mut request = HttpRequest::get(&format!("{}/{path}", self.base)).ok()?;
        request.method = method;
        request.headers = HeaderMap::new();
        if !value.is_empty() {
            request.headers.insert(header, HeaderValue::from_str(value).ok()?);
        }
        let answer = self.http.ask(&request).await.ok().filter(|answer| answer.status == 200)?;
        let text = std::str::from_utf8(&answer.body).ok()?.trim();
        (!text.is_empty() && text.len() < 300 && !text.contains(['<', '{', '\n'])).then(|| text.to_owned())
    }
}

/// Whether a block such as `172.16.1.0/24` holds an address.
fn holds(cidr: &str, address: IpAddr) -> bool {
    let Some((base, bits)) = cidr.split_once('/').and_then(|(base, bits)| Some((base.parse::<Ipv4Addr>().ok()?, bits.parse::<u32>().ok()?))) else {
        return false;
    };
    let IpAddr::V4(address) = address else { return false };
    let shift = 32_u32.saturating_sub(bits);
    bits <= 32 && u64::from(u32::from(base)) >> shift == u64::from(u32::from(address)) >> shift
}

/// The addresses of this machine: those the kernel calls its own, and the one from which it would speak to the world. Nothing is sent.
fn own_addresses() -> Vec<IpAddr> {
    let mut addresses = std::fs::read_to_string("/proc/net/fib_trie").map(|trie| local_in(&trie)).unwrap_or_default();
    let outward = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("100.100.2.136:53").and_then(|()| socket.local_addr()));
    addresses.extend(outward.map(|address| address.ip()).ok());
    addresses.retain(|address| !address.is_loopback() && !address.is_unspecified());
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The kernel's routing trie tells an address in one line and in the next that it is local.
fn local_in(trie: &str) -> Vec<IpAddr> {
    let (mut found, mut last): (Vec<IpAddr>, Option<IpAddr>) = (Vec::new(), None);
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::resolve::Resolver;
    use super::*;

    const CUTS: [Cut<'_>; 2] =
        [Cut { vpc: "vpc-1", vswitch: "vsw-app", cidr: "172.16.1.0/24" }, Cut { vpc: "vpc-1", vswitch: "vsw-data", cidr: "172.16.2.0/24" }];

    fn here(vpc: Option<&str>, vswitch: Option<&str>, addresses: &[&str]) -> Here {
        Here {
            instance: vpc.map(|_| "i-1".to_owned()),
            vpc: vpc.map(str::to_owned),
            vswitch: vswitch.map(str::to_owned),
            is_on_aws: false,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn who_is_inside_of_what_is_cut_is_told_by_the_closest_witness() {
        for (here, expected) in [
            (here(Some("vpc-1"), Some("vsw-data"), &[]), Some("i-1 is in vsw-data")),
            (here(Some("vpc-1"), Some("vsw-other"), &["172.16.1.9"]), None),
            (here(Some("vpc-1"), None, &[]), Some("i-1 is in vpc-1")),
            (here(Some("vpc-2"), None, &["172.16.1.9"]), None),
            (here(None, None, &["10.0.0.1", "172.16.2.200"]), Some("this machine has the address 172.16.2.200 of vsw-data (172.16.2.0/24)")),
            (here(None, None, &["172.16.3.1", "2408::1"]), None),
            (Here { is_on_aws: true, ..here(None, None, &["172.16.1.9"]) }, None),
        ] {
            assert_eq!(here.inside(&CUTS).as_deref(), expected, "{here:?}");
        }
        assert!(
            holds("0.0.0.0/0", "8.8.8.8".parse().unwrap())
                && !holds("", "8.8.8.8".parse().unwrap())
                && !holds("1.2.3.4/33", "1.2.3.4".parse().unwrap())
        );
    }

    #[test]
    fn the_kernels_own_addresses_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 172.16.1.50\n        /32 host LOCAL\n     |-- 172.16.1.255\n        /32 link BROADCAST\n";
        assert_eq!(local_in(trie), ["127.0.0.1", "172.16.1.50"].map(|address| address.parse::<IpAddr>().unwrap()));
    }

    #[tokio::test]
    async fn the_metadata_services_are_asked_with_a_token_and_silence_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 2048];
                let count = stream.read(&mut bytes).await.unwrap();
                let head = String::from_utf8_lossy(&bytes[..count]).to_lowercase();
                let has_token = head.contains("x-aliyun-ecs-metadata-token: secret");
                let body = match head.split_whitespace().nth(1).unwrap() {
                    "/latest/api/token" if head.starts_with("put") && head.contains("x-aliyun-ecs-metadata-token-ttl-seconds") => "secret",
                    "/latest/meta-data/vpc-id" if has_token => "vpc-1",
                    "/latest/meta-data/vswitch-id" if has_token => "vsw-app",
                    "/latest/meta-data/instance-id" if has_token => "i-bp1",
                    "/latest/meta-data/private-ipv4" if has_token => "172.16.1.77",
                    _ => "<html>",
                };
                let _ = stream
                    .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes())
                    .await;
            }
        });
        let http = Http::new(Resolver::new(None));
        let found = Here::look_at(&http, &base, &base).await;
        assert_eq!(
            (found.instance.as_deref(), found.vpc.as_deref(), found.vswitch.as_deref(), found.is_on_aws),
            (Some("i-bp1"), Some("vpc-1"), Some("vsw-app"), false)
        );
        assert!(found.addresses.contains(&"172.16.1.77".parse().unwrap()));
        assert_eq!(found.inside(&CUTS).as_deref(), Some("i-bp1 is in vsw-app"));
        server.abort();
        let nobody = Here::look_at(&http, "http://127.0.0.1:1", "http://127.0.0.1:1").await;
        assert_eq!((nobody.instance, nobody.vpc, nobody.is_on_aws), (None, None, false));
    }
}
