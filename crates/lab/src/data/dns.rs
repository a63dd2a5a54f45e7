//! The authoritative name servers of the lab's zones: what they answer. hickory-server holds the sockets, frames and cuts messages (RFC 1035, RFC 6891) and
//! refuses what is no question.
//!
//! Every query draws one weighted record anew, and its whole value set is the answer. There is no recursion, and ANY is refused (RFC 8482 allows it).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _};
use hickory_proto::op::{Edns, Header, HeaderCounts, LowerQuery, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_server::Server;
use hickory_server::net::BufDnsStreamHandle;
use hickory_server::net::runtime::{Time, TokioTime};
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandle, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::world::World;
use crate::world::state::{ServedRecord, State};

/// The longest answer over UDP (the DNS flag day 2020 value).
const LONGEST_DATAGRAM: u16 = 1232;

/// An idle TCP connection is closed after this long.
const TCP_IDLE: Duration = Duration::from_secs(10);

/// How many answers may wait to be sent on one connection.
const WAITING_ANSWERS: usize = 32;

/// How many aliases are followed: a chain of CNAMEs in the lab's own zones is never longer.
const ALIASES: usize = 8;

/// Answers datagrams and connections until `stop`.
pub(crate) async fn serve(udp: UdpSocket, tcp: TcpListener, world: Arc<World>, stop: CancellationToken) {
    let mut server = Server::new(NameServer { world });
    server.register_socket(udp);
    server.register_listener(tcp, TCP_IDLE, WAITING_ANSWERS);
    stop.cancelled().await;
    // What fails while it ends, ends too.
    let _ = server.shutdown_gracefully().await;
}

/// What a name server of the lab says to a message that can be read.
struct NameServer {
    world: Arc<World>,
}

#[async_trait]
impl RequestHandler for NameServer {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut responses: R) -> ResponseInfo {
        let answer = self.answer(request);
        let edns = request.edns.as_ref().map(|theirs| {
            let mut ours = Edns::new();
            ours.set_max_payload(theirs.max_payload().clamp(512, LONGEST_DATAGRAM)).set_version(0);
            ours
        });
        let response =
            MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(answer.metadata, &answer.answers, &answer.authorities, &[], &[]);
        // Who asked may be gone: nobody is left to be told.
        let unsent = Header { metadata: answer.metadata, counts: HeaderCounts::default() };
        responses.send_response(response).await.unwrap_or_else(|_| unsent.into())
    }
}

/// The parts of a response that depend on the world.
struct Answer {
    metadata: Metadata,
    answers: Vec<Record>,
    authorities: Vec<Record>,
}

impl NameServer {
    fn answer(&self, request: &Request) -> Answer {
        let mut answer = Answer { metadata: Metadata::response_from_request(&request.metadata), answers: Vec::new(), authorities: Vec::new() };
        if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            answer.metadata.response_code = ResponseCode::BADVERS;
            return answer;
        }
        match (request.metadata.op_code, request.queries.queries()) {
            (OpCode::Query, [question]) => answer.fill(&mut self.world.lock(), question),
            (OpCode::Query, _) => answer.metadata.response_code = ResponseCode::FormErr,
            _ => answer.metadata.response_code = ResponseCode::NotImp,
        }
        answer
    }
}

impl Answer {
    /// What the world has for one question.
    fn fill(&mut self, state: &mut State, question: &LowerQuery) {
        let asked = plain_name(question.original().name());
        let zone = state
            .zones
            .iter()
            .map(|zone| zone.name.trim_end_matches('.').to_ascii_lowercase())
            .filter(|zone| is_within(&asked, zone))
            .max_by_key(String::len);
        let (Some(zone), DNSClass::IN, false) = (zone, question.query_class(), question.query_type() == RecordType::ANY) else {
            self.metadata.response_code = ResponseCode::Refused;
            return;
        };
        self.metadata.authoritative = true;
        let kind = question.query_type().to_string();
        let mut owner = question.original().name().clone();
        let mut name = asked;
        for _ in 0..ALIASES {
            if let Some(served) = lookup(state, &name, &kind, &zone) {
                self.answers.extend(records(&owner, question.query_type(), &served));
                return;
            }
            let alias = if kind == "CNAME" { None } else { state.answer_dns(&name, "CNAME") };
            let Some(alias) = alias else { break };
            self.answers.extend(records(&owner, RecordType::CNAME, &alias));
            let Some(target) = alias.values.first().and_then(|target| Name::from_ascii(target).ok()) else { return };
            name = plain_name(&target);
            owner = target;
            if !is_within(&name, &zone) {
                return;
            }
        }
        // No such records: say so with the zone's SOA, and whether the name exists at all.
        if !exists(state, &name, &zone) {
            self.metadata.response_code = ResponseCode::NXDomain;
        }
        if let (Some(soa), Ok(apex)) = (lookup(state, &zone, "SOA", &zone), Name::from_ascii(format!("{zone}."))) {
            self.authorities.extend(records(&apex, RecordType::SOA, &soa));
        }
    }
}

/// The answer to one message without a socket, for fuzzers and tests; `None` for what cannot be read.
pub(crate) fn respond(world: &Arc<World>, packet: &[u8], protocol: Protocol) -> Option<Vec<u8>> {
    let asker = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    let request = Request::from_bytes(packet.to_vec(), asker, protocol).ok()?;
    let (responses, mut sent) = BufDnsStreamHandle::new(asker);
    let server = NameServer { world: Arc::clone(world) };
    server.handle_request::<_, TokioTime>(&request, ResponseHandle::new(asker, responses, protocol)).now_or_never()?;
    sent.next().now_or_never()?.map(|message| message.into_parts().0)
}

/// What is answered for a name and type; a zone whose API shows no SOA and NS (Alidns) has them all the same.
fn lookup(state: &mut State, name: &str, kind: &str, zone: &str) -> Option<ServedRecord> {
    state.answer_dns(name, kind).or_else(|| {
        let values = match kind {
            "SOA" if name == zone => vec!["dns1.hichina.com. hostmaster.hichina.com. 2026112301 3600 1200 86400 600".to_owned()],
            "NS" if name == zone => vec!["dns1.hichina.com.".to_owned(), "dns2.hichina.com.".to_owned()],
            _ => return None,
        };
        Some(ServedRecord { ttl: 600, values, weight: 1 })
    })
}

/// Whether the name has records of any type, or names below it have.
fn exists(state: &State, name: &str, zone: &str) -> bool {
    name == zone || state.dns_view.keys().any(|(known, _)| is_within(known, name))
}

fn is_within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Lower case, without the final dot: the keys of the view.
fn plain_name(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// Resource records of the values that can be read as this type; the APIs have checked them.
fn records(owner: &Name, kind: RecordType, served: &ServedRecord) -> Vec<Record> {
    let data = served.values.iter().filter_map(|value| RData::try_from_str(kind, value).ok());
    data.map(|data| Record::from_rdata(owner.clone(), served.ttl, data)).collect()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, MessageType, Query};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::world::LabClock;
    use crate::world::build::build;

    fn world() -> Arc<World> {
        let clock = LabClock::start(1.0);
        let state = build(42, 1.0, 10, clock.now());
        Arc::new(World::new(clock, state))
    }

    fn query(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(77, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn ask(world: &Arc<World>, message: &Message) -> Message {
        Message::from_vec(&respond(world, &message.to_vec().unwrap(), Protocol::Udp).unwrap()).unwrap()
    }

    fn values(message: &Message) -> Vec<String> {
        message.answers.iter().map(|record| record.data.to_string()).collect()
    }

    #[test]
    fn a_weighted_name_is_answered_with_authority_and_ttl() {
        let world = world();
        let answer = ask(&world, &query("Shop.Example.com.", RecordType::A));
        assert!(answer.metadata.authoritative && !answer.metadata.recursion_available);
        assert_eq!(answer.metadata.id, 77);
        assert_eq!(values(&answer), ["127.10.2.11", "127.10.2.12"]);
        assert!(answer.answers.iter().all(|record| record.ttl == 5));
        assert_eq!(answer.answers[0].name.to_ascii(), "Shop.Example.com.", "the case of the question is kept");
    }

    #[test]
    fn alidns_draws_one_of_the_weighted_records() {
        let world = world();
        let mut seen: Vec<String> = (0..50).flat_map(|_| values(&ask(&world, &query("shop.example.cn.", RecordType::A)))).collect();
        assert_eq!(seen.len(), 50);
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["127.10.2.11", "127.10.2.12"]);
    }

    #[test]
    fn what_is_not_there_is_denied_with_the_soa() {
        let world = world();
        for (name, kind, code) in [
            ("nobody.example.com.", RecordType::A, ResponseCode::NXDomain),
            ("shop.example.com.", RecordType::AAAA, ResponseCode::NoError),
            ("nobody.example.cn.", RecordType::A, ResponseCode::NXDomain),
            ("example.cn.", RecordType::A, ResponseCode::NoError),
        ] {
            let answer = ask(&world, &query(name, kind));
            assert_eq!(answer.metadata.response_code, code, "{name} {kind}");
            assert!(answer.answers.is_empty(), "{name} {kind}");
            assert_eq!(answer.authorities.len(), 1, "{name} {kind}");
            assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
        }
    }

    #[test]
    fn soa_ns_txt_and_cname_are_answered() {
        let world = world();
        assert_eq!(ask(&world, &query("example.com.", RecordType::SOA)).answers.len(), 1);
        assert_eq!(ask(&world, &query("example.com.", RecordType::NS)).answers.len(), 4);
        assert_eq!(values(&ask(&world, &query("example.com.", RecordType::TXT))), ["v=spf1 -all"]);
        assert_eq!(values(&ask(&world, &query("www.example.org.", RecordType::A))), ["example.org.", "192.0.2.80"]);
        assert_eq!(ask(&world, &query("example.cn.", RecordType::NS)).answers.len(), 2);
    }

    #[test]
    fn foreign_names_any_and_other_operations_are_refused() {
        let world = world();
        assert_eq!(ask(&world, &query("example.net.", RecordType::A)).metadata.response_code, ResponseCode::Refused);
        assert_eq!(ask(&world, &query("notexample.com.", RecordType::A)).metadata.response_code, ResponseCode::Refused);
        assert_eq!(ask(&world, &query("shop.example.com.", RecordType::ANY)).metadata.response_code, ResponseCode::Refused);
        let mut update = query("shop.example.com.", RecordType::A);
        update.metadata.op_code = OpCode::Status;
        assert_eq!(ask(&world, &update).metadata.response_code, ResponseCode::NotImp);
    }

    #[test]
    fn edns_is_answered_and_its_future_refused() {
        let world = world();
        let mut message = query("shop.example.com.", RecordType::A);
        let mut edns = Edns::new();
        edns.set_max_payload(4096).set_version(0);
        message.set_edns(edns.clone());
        assert_eq!(ask(&world, &message).edns.unwrap().max_payload(), LONGEST_DATAGRAM);
        edns.set_version(1);
        message.set_edns(edns);
        // BADVERS and BADSIG are the same number, 16.
        assert_eq!(u16::from(ask(&world, &message).metadata.response_code), u16::from(ResponseCode::BADVERS));
    }

    #[test]
    fn no_question_and_two_are_no_question() {
        let world = world();
        let mut two = query("shop.example.com.", RecordType::A);
        two.add_query(Query::query(Name::from_ascii("shop.example.cn.").unwrap(), RecordType::A));
        for message in [Message::new(5, MessageType::Query, OpCode::Query), two] {
            let answer = ask(&world, &message);
            assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
            assert!(answer.answers.is_empty());
        }
    }

    /// What is longer than the asker takes is cut over UDP and said to be, and whole over TCP.
    #[test]
    fn long_answers_are_cut_to_what_the_asker_takes() {
        let world = world();
        let addresses: Vec<String> = (1..=150).map(|last| format!("192.0.2.{last}")).collect();
        let served = ServedRecord { ttl: 60, values: addresses, weight: 1 };
        world.lock().dns_view.insert(("many.example.com".to_owned(), "A".to_owned()), vec![served]);
        let mut message = query("many.example.com.", RecordType::A);
        let answered = |message: &Message, protocol| respond(&world, &message.to_vec().unwrap(), protocol).unwrap();
        let is_cut = |bytes: &[u8]| Message::from_vec(bytes).unwrap().metadata.truncation;
        let plain = answered(&message, Protocol::Udp);
        assert!(plain.len() <= 512 && is_cut(&plain), "{} bytes", plain.len());
        for (theirs, most) in [(100, 512), (1000, 1000), (4096, LONGEST_DATAGRAM)] {
            let mut edns = Edns::new();
            edns.set_max_payload(theirs);
            message.set_edns(edns);
            let answer = answered(&message, Protocol::Udp);
            assert!(answer.len() <= usize::from(most) && is_cut(&answer), "{} bytes for who takes {theirs}", answer.len());
        }
        let whole = answered(&message, Protocol::Tcp);
        assert!(!is_cut(&whole));
        assert_eq!(Message::from_vec(&whole).unwrap().answers.len(), 150);
    }

    /// Over real sockets: what cannot be read is refused or passed over, and the next who asks is answered.
    #[tokio::test]
    async fn malformed_packets_get_formerr_or_nothing() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let udp_at = udp.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(udp, tcp, world(), stop.clone()));

        let asker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        asker.connect(udp_at).await.unwrap();
        // Too short, and an answer: nothing is said to either, so the first that comes is the answer to the next.
        for packet in [&[][..], &[0; 3], &[0; 11], &[0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            asker.send(packet).await.unwrap();
        }
        let good = query("shop.example.com.", RecordType::A).to_vec().unwrap();
        let torn = good[..20].to_vec();
        // A name that points at itself.
        let loops = vec![0, 77, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1];
        for (packet, code) in [(&torn, ResponseCode::FormErr), (&loops, ResponseCode::FormErr), (&good, ResponseCode::NoError)] {
            let mut buffer = [0; 2048];
            asker.send(packet).await.unwrap();
            let length = asker.recv(&mut buffer).await.unwrap();
            let answer = Message::from_vec(&buffer[..length]).unwrap();
            assert_eq!((answer.metadata.response_code, answer.metadata.id), (code, 77));
        }

        let mut connection = TcpStream::connect(at).await.unwrap();
        for packet in [&torn, &good] {
            connection.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
            connection.write_all(packet).await.unwrap();
            let length = connection.read_u16().await.unwrap();
            let mut answer = vec![0; usize::from(length)];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(Message::from_vec(&answer).unwrap().metadata.id, 77);
        }

        stop.cancel();
        server.await.unwrap();
        assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection ends with the server");
    }
}
