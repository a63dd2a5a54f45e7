//! Names to addresses, asked anew every time: a probe that kept an answer would measure its own cache.
//!
//! With a name server configured its answer is the only one that counts; without one the system's resolver is asked, caches and all.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::datagram::{Sockets, TRIES, TRY, answers};

/// A name that could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Not a name.
    #[error("`{0}` is not a domain name")]
    Name(String),
    /// The server could not be asked.
    #[error("name server {server} cannot be asked: {source}")]
    Server {
        /// Host and port.
        server: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server did not answer.
    #[error("no answer from name server {0}")]
    Silent(String),
    /// What it answered is not a DNS message.
    #[error("name server {0} sent something that is no answer")]
    Malformed(String),
    /// It answered with an error.
    #[error("name server says {code} for {name}")]
    Refused {
        /// The name.
        name: String,
        /// `NXDomain`, `Refused`, …
        code: ResponseCode,
    },
    /// There is such a name, but no address.
    #[error("{0} has no address")]
    Empty(String),
    /// The system's resolver said no.
    #[error("{name} cannot be resolved: {source}")]
    System {
        /// The name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Where a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddresses {
    /// At least one address.
    pub addresses: Vec<IpAddr>,
    /// For how long the answer may be kept, by the smallest TTL in it; the system's resolver does not say.
    pub ttl: Option<Duration>,
}

/// The records of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Their values as text, sorted.
    pub values: Vec<String>,
    /// For how long they may be kept, by the smallest TTL; the system's resolver does not say.
    pub ttl: Option<Duration>,
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4 if there is any, else IPv6.
    Four,
    /// Both, IPv6 first.
    Both,
}

/// Asks one name server, or the system.
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    server: Option<String>,
}

impl Resolver {
    /// `server` is `host:port`; `None` = the system's resolver.
    #[must_use]
    pub const fn new(server: Option<String>) -> Self {
        Self { server }
    }

    /// The configured name server, `host:port`.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// All addresses of `host`, IPv4 if it has any. An address is its own answer.
    ///
    /// # Errors
    /// When there is no answer, or none with an address.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        Ok(self.find(host, Families::Four, &Sockets::default()).await?.addresses)
    }

    /// Where `host` is, and for how long that may be believed, asked over `sockets`. An address is its own answer, for ever.
    ///
    /// # Errors
    /// When there is no answer, or none with an address.
    pub async fn find(&self, host: &str, families: Families, sockets: &Sockets) -> Result<HostAddresses, ResolveError> {
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(HostAddresses { addresses: vec![address], ttl: None });
        }
        let Some(server) = &self.server else { return from_system(host, families).await };
        let asked = |record_type| async move {
            let message = ask(sockets, server, host, record_type).await?;
            let address = |data: &RData| match data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            };
            Ok::<_, ResolveError>(HostAddresses {
                addresses: message.answers.iter().filter_map(|record| address(&record.data)).collect(),
                ttl: least_ttl(&message),
            })
        };
        let found = match families {
            Families::Four => {
                let four = asked(RecordType::A).await?;
                if four.addresses.is_empty() { asked(RecordType::AAAA).await? } else { four }
            }
            Families::Both => match tokio::join!(asked(RecordType::AAAA), asked(RecordType::A)) {
                (Ok(mut six), Ok(four)) => {
                    six.addresses.extend(four.addresses);
                    HostAddresses { ttl: six.ttl.into_iter().chain(four.ttl).min(), ..six }
                }
                (Ok(found), Err(_)) | (Err(_), Ok(found)) => found,
                (Err(_), Err(error)) => return Err(error),
            },
        };
        if found.addresses.is_empty() { Err(ResolveError::Empty(host.to_owned())) } else { Ok(found) }
    }

    /// The values of all records of `name` with this type, as text, sorted. `server` overrides the configured one.
    ///
    /// # Errors
    /// When there is no answer; `NXDOMAIN` is an error too. A name without such records is an empty list.
    pub async fn records(&self, name: &str, record_type: RecordType, server: Option<&str>) -> Result<Vec<String>, ResolveError> {
        Ok(self.answer(name, record_type, server).await?.values)
    }

    /// As [`Self::records`], with how long the answer may be kept.
    ///
    /// # Errors
    /// As [`Self::records`].
    pub async fn answer(&self, name: &str, record_type: RecordType, server: Option<&str>) -> Result<Answer, ResolveError> {
        let Some(server) = server.or(self.server.as_deref()) else {
            let mut values: Vec<String> = match record_type {
                RecordType::A | RecordType::AAAA => self
                    .addresses(name)
                    .await?
                    .into_iter()
                    .filter(|address| address.is_ipv4() == (record_type == RecordType::A))
                    .map(|address| address.to_string())
                    .collect(),
                // The system's resolver only knows addresses.
                _ => return Err(ResolveError::Silent("of the system, which only gives addresses: set `server`".to_owned())),
            };
            values.sort();
            return Ok(Answer { values, ttl: None });
        };
        let message = ask(&Sockets::default(), server, name, record_type).await?;
        let records = message.answers.iter().filter(|record| record.record_type() == record_type);
        let mut values: Vec<String> = records.map(|record| text(&record.data)).collect();
        values.sort();
        Ok(Answer { values, ttl: least_ttl(&message) })
    }

    /// The addresses of the name servers of the zone that `name` is in, as this resolver knows them, each with its name; they are asked at this
    /// resolver's own port, 53 everywhere but in tests.
    ///
    /// # Errors
    /// When the zone or the addresses cannot be found, or no name server is configured: the system's resolver knows addresses only.
    pub async fn authorities(&self, name: &str) -> Result<Vec<(String, SocketAddr)>, ResolveError> {
        let port = self.server.as_deref().and_then(|server| server.rsplit_once(':')).and_then(|(_, port)| port.parse().ok()).unwrap_or(53);
        let mut zone = name.trim_end_matches('.');
        let servers = loop {
            let servers = match self.records(zone, RecordType::NS, None).await {
                // A name that does not exist may be in a zone that does.
                Err(ResolveError::Refused { code: ResponseCode::NXDomain, .. }) => Vec::new(),
                found => found?,
            };
            match zone.split_once('.') {
                Some((_, parent)) if servers.is_empty() => zone = parent,
                _ => break servers,
            }
        };
        let mut all = Vec::new();
        for server in servers {
            let host = server.trim_end_matches('.').to_owned();
            for address in self.addresses(&host).await? {
                all.push((host.clone(), SocketAddr::new(address, port)));
            }
        }
        if all.is_empty() { Err(ResolveError::Empty(format!("the zone of {name}"))) } else { Ok(all) }
    }
}

fn least_ttl(message: &Message) -> Option<Duration> {
    message.answers.iter().map(|record| record.ttl).min().map(|seconds| Duration::from_secs(seconds.into()))
}

async fn from_system(host: &str, families: Families) -> Result<HostAddresses, ResolveError> {
    let found = tokio::net::lookup_host((host, 0)).await.map_err(|source| ResolveError::System { name: host.to_owned(), source })?;
    let (four, mut six): (Vec<IpAddr>, Vec<IpAddr>) = found.map(|address| address.ip()).partition(IpAddr::is_ipv4);
    let addresses = match families {
        Families::Four if !four.is_empty() => four,
        Families::Four => six,
        Families::Both => {
            six.extend(four);
            six
        }
    };
    if addresses.is_empty() { Err(ResolveError::Empty(host.to_owned())) } else { Ok(HostAddresses { addresses, ttl: None }) }
}

/// A record's value as `dig +short` shows it; names with their final dot.
fn text(data: &RData) -> String {
    match data {
        RData::TXT(txt) => txt.txt_data.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect(),
        other => other.to_string(),
    }
}

async fn ask(sockets: &Sockets, server: &str, name: &str, record_type: RecordType) -> Result<Message, ResolveError> {
    let broken = |source| ResolveError::Server { server: server.to_owned(), source };
    let mut question = Name::from_utf8(name).map_err(|_| ResolveError::Name(name.to_owned()))?;
    question.set_fqdn(true);
    let mut query = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(question, record_type));
    let bytes = query.to_vec().map_err(|_| ResolveError::Name(name.to_owned()))?;

    let address = tokio::net::lookup_host(server)
        .await
        .map_err(broken)?
        .next()
        .ok_or_else(|| ResolveError::Server { server: server.to_owned(), source: std::io::ErrorKind::NotFound.into() })?;
    let mut answer = sockets.ask(address, &bytes, &query).await.map_err(broken)?.ok_or_else(|| ResolveError::Silent(server.to_owned()))?;
    if answer.metadata.truncation {
        let whole = over_tcp(address, &bytes).await.map_err(broken)?;
        answer =
            Message::from_vec(&whole).ok().filter(|message| answers(message, &query)).ok_or_else(|| ResolveError::Malformed(server.to_owned()))?;
    }
    match answer.metadata.response_code {
        ResponseCode::NoError => Ok(answer),
        code => Err(ResolveError::Refused { name: name.to_owned(), code }),
    }
}

async fn over_tcp(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let length = u16::try_from(bytes.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    tokio::time::timeout(TRY * TRIES, exchange).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::{Record, rdata};
    use tokio::net::UdpSocket;

    use super::*;

    /// A server that answers every question with `respond`; first a datagram that answers nothing asked.
    async fn server(respond: fn(&Message) -> Message) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..length]).unwrap();
                let mut stray = respond(&query);
                stray.metadata.id ^= 1;
                socket.send_to(&stray.to_vec().unwrap(), from).await.unwrap();
                socket.send_to(&respond(&query).to_vec().unwrap(), from).await.unwrap();
            }
        });
        address
    }

    fn two_addresses(query: &Message) -> Message {
        let mut answer = Message::response(query.metadata.id, OpCode::Query);
        answer.add_query(query.queries[0].clone());
        if query.queries[0].query_type() == RecordType::A {
            for last in [2, 1] {
                let data = RData::A(rdata::A(Ipv4Addr::new(127, 0, 0, last)));
                answer.add_answer(Record::from_rdata(query.queries[0].name().clone(), 5, data));
            }
        }
        answer
    }

    #[tokio::test]
    async fn the_configured_server_is_asked_and_stray_datagrams_are_passed_over() {
        let resolver = Resolver::new(Some(server(two_addresses).await));
        let mut found = resolver.addresses("shop.example.com").await.unwrap();
        found.sort();
        assert_eq!(found, [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])]);
        assert_eq!(resolver.records("shop.example.com.", RecordType::A, None).await.unwrap(), ["127.0.0.1", "127.0.0.2"]);
        assert!(resolver.records("shop.example.com.", RecordType::TXT, None).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_error_code_is_said() {
        let refusing = server(|query| {
            let mut answer = Message::error_msg(query.metadata.id, OpCode::Query, ResponseCode::NXDomain);
            answer.add_query(query.queries[0].clone());
            answer
        });
        let error = Resolver::new(Some(refusing.await)).addresses("nowhere.example.com").await.unwrap_err();
        assert!(matches!(error, ResolveError::Refused { code: ResponseCode::NXDomain, .. }), "{error}");
    }

    #[tokio::test]
    async fn an_address_needs_no_server() {
        let resolver = Resolver::new(Some("127.0.0.1:1".to_owned()));
        assert_eq!(resolver.addresses("127.3.2.11").await.unwrap(), [IpAddr::from([127, 3, 2, 11])]);
        assert_eq!(resolver.addresses("[::1]").await.unwrap().len(), 1);
    }
}
