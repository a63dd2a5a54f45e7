//! Asks the name servers of a zone whether they answer a change of its weighted records yet. This is needed where no API tells how far a change is: Alidns has no such call,
//! and Route 53's call takes the id of the change, which is lost together with the answer that holds it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::rr::RecordType;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::catalogue::until::until;
use crate::engine::action::ActionError;
use crate::ports::dns::{Dns, WeightedRecord, Zone};
use crate::ports::{CloudError, PortFuture};
use crate::world::resolve::{ResolveError, Resolver};

/// How often each server is asked at every look: a side that still gets half of the traffic is overseen once in a thousand times.
const QUESTIONS: usize = 10;

/// How long one look may take; servers that are slower cannot be asked.
const LOOK: Duration = Duration::from_secs(5);

/// The least part of the traffic, in percent, that has to be seen: a smaller one would take too many questions.
const LEAST: u32 = 10;

/// The longest that is waited, for all names together: it is also the longest that Route 53 usually takes until all its servers answer a change. What
/// they answer may have other reasons than the weights, such as a health check.
const SPREAD: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(60) };

/// What the name servers reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Every server answers the change, as far as that can be told.
    Answered,
    /// The servers went on answering something else.
    Otherwise,
    /// None of the servers can be asked.
    Nothing,
}

/// Who answers for a zone.
pub(super) trait Servers: Send + Sync {
    /// [`QUESTIONS`] answers of every server, each the values of the name's records of this type; none when no server can be asked.
    fn answers<'a>(&'a self, name: &'a str, kind: &'a str) -> PortFuture<'a, Vec<Vec<String>>>;
}

/// The name servers of a zone: the environment's where it has one, else the zone's own.
pub(super) struct Authority<'a> {
    resolver: &'a Resolver,
    dns: &'a dyn Dns,
    zone: &'a Zone,
    /// Their addresses, once somebody asked.
    hosts: OnceCell<Vec<String>>,
}

impl<'a> Authority<'a> {
    /// Those of this zone.
    pub(super) fn new(resolver: &'a Resolver, dns: &'a dyn Dns, zone: &'a Zone) -> Self {
        Self { resolver, dns, zone, hosts: OnceCell::new() }
    }
}

impl Servers for Authority<'_> {
    fn answers<'a>(&'a self, name: &'a str, kind: &'a str) -> PortFuture<'a, Vec<Vec<String>>> {
        Box::pin(async move {
            let Ok(kind) = kind.parse::<RecordType>() else { return Ok(Vec::new()) };
            let servers = self.hosts.get_or_try_init(|| self.find_hosts()).await?;
            let all = join_all(servers.iter().map(|server| self.ask(server, name, kind)));
            Ok(tokio::time::timeout(LOOK, all).await.unwrap_or_default().into_iter().flatten().flatten().collect())
        })
    }
}

impl Authority<'_> {
    async fn find_hosts(&self) -> Result<Vec<String>, CloudError> {
        if let Some(server) = self.resolver.server() {
            return Ok(vec![server.to_owned()]);
        }
        Ok(self.dns.name_servers(self.zone).await?.iter().map(|host| format!("{}:53", host.trim_end_matches('.'))).collect())
    }

    /// `None` when this server cannot be asked.
    async fn ask(&self, server: &str, name: &str, kind: RecordType) -> Option<Vec<Vec<String>>> {
        let mut answers = Vec::new();
        for _ in 0..QUESTIONS {
            match self.resolver.records(name, kind, Some(server)).await {
                Ok(values) => answers.push(values),
                Err(ResolveError::Refused { .. }) => answers.push(Vec::new()),
                Err(_) => return None,
            }
        }
        Some(answers)
    }
}

/// When a change that is sent now is answered everywhere, as far as is known.
pub(super) fn spread() -> Instant {
    Instant::now() + SPREAD
}

/// Waits until every server answers `wanted`, all of one name, type and line; no longer than to the deadline, but asks once in any case.
pub(super) async fn answered(servers: &dyn Servers, name: &str, wanted: &[WeightedRecord], deadline: Instant) -> Result<Reply, ActionError> {
    // The addresses behind an alias are not known, and where nothing is served there is nothing to see.
    let Some(first) = wanted.iter().find(|record| is_served(record)) else { return Ok(Reply::Answered) };
    if wanted.iter().any(|record| record.values.is_empty()) {
        return Ok(Reply::Answered);
    }
    let progress = &Mutex::new((0_u32, BTreeSet::new()));
    until(|| async move {
        let answers = servers.answers(name, &first.kind).await?;
        if answers.is_empty() {
            return Ok(Some(Reply::Nothing));
        }
        let (looks, seen) = &mut *progress.lock().unwrap_or_else(PoisonError::into_inner);
        *looks += 1;
        let is_late = Instant::now() >= deadline;
        if !answers.iter().all(|answer| is_ours(answer, wanted)) {
            seen.clear();
            return Ok(is_late.then_some(Reply::Otherwise));
        }
        seen.extend(answers.into_iter().flatten());
        if is_whole(seen, wanted) {
            return Ok(Some(Reply::Answered));
        }
        // One look may miss a side with a small part of the traffic.
        let reply = if *looks == 1 { Reply::Answered } else { Reply::Otherwise };
        Ok(is_late.then_some(reply))
    })
    .await
}

const fn is_served(record: &WeightedRecord) -> bool {
    record.effect() > 0
}

/// Whether two texts are the same address, or the same name.
fn is_same(a: &str, b: &str) -> bool {
    match (a.parse::<IpAddr>(), b.parse::<IpAddr>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.trim_end_matches('.').eq_ignore_ascii_case(b.trim_end_matches('.')),
    }
}

/// Whether an answer has addresses, and only such as are served.
fn is_ours(answer: &[String], wanted: &[WeightedRecord]) -> bool {
    let served =
        |address: &String| wanted.iter().filter(|record| is_served(record)).any(|record| record.values.iter().any(|value| is_same(value, address)));
    !answer.is_empty() && answer.iter().all(served)
}

/// Whether every side that gets a part of the traffic worth telling was answered.
fn is_whole(seen: &BTreeSet<String>, wanted: &[WeightedRecord]) -> bool {
    let sum: u32 = wanted.iter().map(WeightedRecord::effect).sum();
    let sides: BTreeSet<&str> = wanted.iter().filter(|record| is_served(record)).map(|record| record.label.as_str()).collect();
    sides.into_iter().all(|side| {
        let of_side = || wanted.iter().filter(move |record| is_served(record) && record.label == side);
        let weight: u32 = of_side().map(WeightedRecord::effect).sum();
        weight * 100 < sum * LEAST || of_side().flat_map(|record| &record.values).any(|value| seen.iter().any(|address| is_same(value, address)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::actions::dns::shift_weight::fake::record;

    /// Answers that come one look after another; the last one stays.
    struct Script(Mutex<Vec<Vec<&'static str>>>);

    impl Servers for Script {
        fn answers<'a>(&'a self, _: &'a str, _: &'a str) -> PortFuture<'a, Vec<Vec<String>>> {
            let mut looks = self.0.lock().unwrap();
            let look = if looks.len() > 1 { looks.remove(0) } else { looks[0].clone() };
            Box::pin(std::future::ready(Ok(look.into_iter().map(|address| vec![address.to_owned()]).collect())))
        }
    }

    async fn looks(wanted: &[WeightedRecord], looks: &[&[&'static str]]) -> (Reply, usize) {
        let script = Script(Mutex::new(looks.iter().map(|look| look.to_vec()).collect()));
        let told = answered(&script, "shop", wanted, spread()).await.unwrap();
        (told, script.0.into_inner().unwrap().len())
    }

    #[tokio::test]
    async fn it_waits_until_a_drained_side_is_answered_no_more_and_every_other_one_is() {
        let over = [record("aliyun", "1", 100, false), record("aws", "2", 100, true)];
        let (told, left) = looks(&over, &[&["127.0.0.1"], &["127.0.0.2", "127.0.0.1"], &["127.0.0.2"]]).await;
        assert_eq!((told, left), (Reply::Answered, 1));
        let halves = [record("aliyun", "1", 50, true), record("aws", "2", 50, true)];
        let (told, left) = looks(&halves, &[&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.2"]]).await;
        assert_eq!((told, left), (Reply::Answered, 1), "seen over several looks");
        let little = [record("aliyun", "1", 99, true), record("aws", "2", 1, true)];
        assert_eq!(looks(&little, &[&["127.0.0.1"]]).await.0, Reply::Answered);
    }

    #[test]
    fn addresses_and_names_are_the_same_however_they_are_written() {
        assert!(is_same("2001:DB8::1", "2001:db8:0:0::1") && is_same("LB.example.net", "lb.example.net."));
        assert!(!is_same("192.0.2.1", "192.0.2.10") && !is_same("a.example.net", "b.example.net"));
    }

    #[tokio::test]
    async fn what_cannot_be_asked_or_told_is_not_waited_for() {
        let over = [record("aws", "2", 100, true)];
        assert_eq!(looks(&over, &[&[]]).await.0, Reply::Nothing);
        let alias = [WeightedRecord { values: Vec::new(), ..record("aws", "2", 100, true) }];
        assert_eq!(looks(&alias, &[&["192.0.2.1"]]).await.0, Reply::Answered);
        assert_eq!(looks(&[record("aws", "2", 0, true)], &[&["192.0.2.1"]]).await.0, Reply::Answered);
    }

    #[tokio::test]
    async fn it_waits_as_long_as_changes_take_and_no_longer() {
        let over = [record("aws", "2", 100, true)];
        let start = Instant::now();
        assert_eq!(looks(&over, &[&["192.0.2.1"]]).await.0, Reply::Otherwise);
        assert!(start.elapsed() >= SPREAD);
    }

    #[tokio::test]
    async fn a_name_whose_turn_comes_late_is_asked_once() {
        let halves = [record("aliyun", "1", 50, true), record("aws", "2", 50, true)];
        for (look, expected) in [("192.0.2.1", Reply::Otherwise), ("127.0.0.1", Reply::Answered)] {
            let script = Script(Mutex::new(vec![vec![look], vec!["127.0.0.2"]]));
            assert_eq!(answered(&script, "shop", &halves, Instant::now()).await.unwrap(), expected, "{look}");
            assert_eq!(script.0.into_inner().unwrap().len(), 1, "{look}");
        }
    }
}
