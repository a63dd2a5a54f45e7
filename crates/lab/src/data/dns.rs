//! The authoritative name servers of the lab's zones, on UDP and TCP: RFC 1035 with EDNS (RFC 6891), ANY refused (RFC 8482 allows it).
//!
//! Every query draws one weighted record anew, and its whole value set is the answer. There is no recursion.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::listen;
use crate::world::World;
use crate::world::state::{ServedRecord, State};

/// What we say we take over UDP (the DNS flag day 2020 value).
const OUR_PAYLOAD: u16 = 1232;

/// An idle TCP connection is closed after this long.
const TCP_IDLE: Duration = Duration::from_secs(10);

/// How many aliases are followed: a chain of CNAMEs in the lab's own zones is never longer.
const ALIASES: usize = 8;

/// Answers datagrams until `stop`.
pub(crate) async fn serve_udp(socket: UdpSocket, world: Arc<World>, stop: CancellationToken) {
    let mut buffer = vec![0; 65_535];
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => {
                // An error here reports an ICMP message about an earlier answer: nobody is left to be told.
                let Ok((length, peer)) = received else { continue };
                if let Some(answer) = respond(&world, &buffer[..length], Transport::Udp) {
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        }
    }
}

/// Answers length-framed messages on connections until `stop`.
pub(crate) async fn serve_tcp(listener: TcpListener, world: Arc<World>, stop: CancellationToken) {
    listen::accept(listener, stop, move |stream| connection(stream, Arc::clone(&world))).await;
}

async fn connection(mut stream: TcpStream, world: Arc<World>) {
    while let Ok(Some(query)) = tokio::time::timeout(TCP_IDLE, read_framed(&mut stream)).await {
        let Some(answer) = respond(&world, &query, Transport::Tcp) else { return };
        let Ok(length) = u16::try_from(answer.len()) else { return };
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        if stream.write_all(&framed).await.is_err() {
            return;
        }
    }
}

async fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// The answer to one message; `None` for what must not be answered: fragments and answers.
pub(crate) fn respond(world: &World, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let is_answer = packet.get(2)? & 0x80 != 0;
    if packet.len() < 12 || is_answer {
        return None;
    }
    let Ok(query) = Message::from_vec(packet) else {
        let id = u16::from_be_bytes([packet[0], packet[1]]);
        return Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok();
    };
    let mut response = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    response.metadata = Metadata::response_from_request(&query.metadata);
    // One question is answered; of more, the first is given back, so that what is said fits in a datagram.
    response.add_queries(query.queries.iter().take(1).cloned());
    if let Some(edns) = &query.edns {
        let mut ours = Edns::new();
        ours.set_max_payload(OUR_PAYLOAD).set_version(0);
        response.set_edns(ours);
        if edns.version() > 0 {
            response.metadata.response_code = ResponseCode::BADVERS;
            return response.to_vec().ok();
        }
    }
    match (query.metadata.op_code, query.queries.as_slice()) {
        (OpCode::Query, [question]) => answer(&mut world.lock(), question, &mut response),
        (OpCode::Query, _) => response.metadata.response_code = ResponseCode::FormErr,
        _ => response.metadata.response_code = ResponseCode::NotImp,
    }
    let bytes = response.to_vec().ok()?;
    let room = query.edns.as_ref().map_or(512, |edns| edns.max_payload().clamp(512, OUR_PAYLOAD));
    if transport == Transport::Udp && bytes.len() > usize::from(room) {
        return response.truncate().to_vec().ok();
    }
    Some(bytes)
}

/// Fills the response to one question.
fn answer(state: &mut State, question: &Query, response: &mut Message) {
    let asked = plain_name(question.name());
    let zone = state
        .zones
        .iter()
        .map(|zone| zone.name.trim_end_matches('.').to_ascii_lowercase())
        .filter(|zone| is_within(&asked, zone))
        .max_by_key(String::len);
    let (Some(zone), DNSClass::IN, false) = (zone, question.query_class(), question.query_type() == RecordType::ANY) else {
        response.metadata.response_code = ResponseCode::Refused;
        return;
    };
    response.metadata.authoritative = true;
    let kind = question.query_type().to_string();
    let mut owner = question.name().clone();
    let mut name = asked;
    for _ in 0..ALIASES {
        if let Some(served) = lookup(state, &name, &kind, &zone) {
            response.add_answers(records(&owner, question.query_type(), &served));
            return;
        }
        let alias = if kind == "CNAME" { None } else { state.answer_dns(&name, "CNAME") };
        let Some(alias) = alias else { break };
        response.add_answers(records(&owner, RecordType::CNAME, &alias));
        let Some(target) = alias.values.first().and_then(|target| Name::from_ascii(target).ok()) else { return };
        name = plain_name(&target);
        owner = target;
        if !is_within(&name, &zone) {
            return;
        }
    }
    // No such records: say so with the zone's SOA, and whether the name exists at all.
    if !exists(state, &name, &zone) {
        response.metadata.response_code = ResponseCode::NXDomain;
    }
    if let (Some(soa), Ok(apex)) = (lookup(state, &zone, "SOA", &zone), Name::from_ascii(format!("{zone}."))) {
        response.add_authorities(records(&apex, RecordType::SOA, &soa));
    }
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
    use super::*;
    use crate::world::LabClock;
    use crate::world::build::build;

    fn world() -> World {
        let clock = LabClock::start(1.0);
        let state = build(42, 1.0, 10, clock.now());
        World::new(clock, state)
    }

    fn query(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(77, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn ask(world: &World, message: &Message) -> Message {
        Message::from_vec(&respond(world, &message.to_vec().unwrap(), Transport::Udp).unwrap()).unwrap()
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
        assert_eq!(ask(&world, &message).edns.unwrap().max_payload(), OUR_PAYLOAD);
        edns.set_version(1);
        message.set_edns(edns);
        // BADVERS and BADSIG are the same number, 16.
        assert_eq!(u16::from(ask(&world, &message).metadata.response_code), u16::from(ResponseCode::BADVERS));
    }

    #[test]
    fn malformed_packets_get_formerr_or_nothing() {
        let world = world();
        for packet in [&[][..], &[0; 3], &[0; 11], &[0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(respond(&world, packet, Transport::Udp), None, "{packet:?}");
        }
        let mut torn = query("shop.example.com.", RecordType::A).to_vec().unwrap();
        torn.truncate(20);
        let answer = Message::from_vec(&respond(&world, &torn, Transport::Udp).unwrap()).unwrap();
        assert_eq!((answer.metadata.response_code, answer.metadata.id), (ResponseCode::FormErr, 77));
        // No question at all, and a name that points at itself.
        let empty = Message::new(5, MessageType::Query, OpCode::Query).to_vec().unwrap();
        assert_eq!(Message::from_vec(&respond(&world, &empty, Transport::Udp).unwrap()).unwrap().metadata.response_code, ResponseCode::FormErr);
        let loops = [0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1];
        assert_eq!(Message::from_vec(&respond(&world, &loops, Transport::Udp).unwrap()).unwrap().metadata.response_code, ResponseCode::FormErr);
    }
}
