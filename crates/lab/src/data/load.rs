//! Simulated customers: open-loop clients with DNS caches, several per service, over real sockets.
//!
//! Open loop means that a slow answer does not delay the next request: during an outage the same number of customers come as before,
//! which is what the counters must show.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::World;
use crate::world::names::choose;
use crate::world::state::Service;

/// Clients per service.
const CLIENTS: usize = 5;
/// How often each client asks.
const EVERY: Duration = Duration::from_millis(250);
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Requests under way per service beyond which customers stay away: a bound on sockets, far above what `PATIENCE` allows.
const MOST_UNDER_WAY: usize = 200;

/// What a client remembers of DNS.
struct Client {
    addresses: Vec<Ipv4Addr>,
    expires: Instant,
    turn: usize,
}

/// The customers of one service, until `stop`.
pub(crate) async fn customers(world: Arc<World>, service: Service, stop: CancellationToken) {
    let seed = world.lock().seed;
    let mut rng = StdRng::seed_from_u64(seed ^ u64::from(service.port) ^ service.name.bytes().map(u64::from).sum::<u64>().rotate_left(17));
    let started = Instant::now();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client { addresses: Vec::new(), expires: started, turn: rng.random_range(0..2) }).collect();
    let step = EVERY / u32::try_from(CLIENTS).unwrap_or(1);
    let mut ticks = tokio::time::interval(step);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    let mut next = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = under_way.join_next() => {}
            _ = ticks.tick() => {
                let client = &mut clients[next];
                next = (next + 1) % CLIENTS;
                client.resolve(&world, &service.host, &mut rng);
                if under_way.len() < MOST_UNDER_WAY {
                    under_way.spawn(request(Arc::clone(&world), service.clone(), client.next_address()));
                }
            }
        }
    }
    under_way.shutdown().await;
}

impl Client {
    /// Asks the authority again when the TTL of its last answer has passed.
    fn resolve(&mut self, world: &World, host: &str, rng: &mut StdRng) {
        let now = Instant::now();
        if now < self.expires {
            return;
        }
        let state = world.lock();
        let records = state.dns_view.get(&(host.to_owned(), "A".to_owned()));
        let answer = records.and_then(|records| choose(records, rng));
        self.addresses = answer.map(|answer| answer.values.iter().filter_map(|value| value.parse().ok()).collect()).unwrap_or_default();
        // A name that is not there is asked for again after a second, as resolvers do not forget that at once either.
        self.expires = now + Duration::from_secs(answer.map_or(1, |answer| u64::from(answer.ttl)));
    }

    fn next_address(&mut self) -> Option<Ipv4Addr> {
        self.turn = self.turn.wrapping_add(1);
        self.addresses.get(self.turn.checked_rem(self.addresses.len())?).copied()
    }
}

/// One request, counted.
async fn request(world: Arc<World>, service: Service, address: Option<Ipv4Addr>) {
    let outcome = match address {
        None => "error",
        Some(address) => match tokio::time::timeout(PATIENCE, fetch(&service, address)).await {
            Ok(Ok(true)) => "ok",
            Ok(_) => "error",
            Err(_) => "timeout",
        },
    };
    let mut state = world.lock();
    let server = address.and_then(|address| state.instance_at(address)).map_or_else(|| "none".to_owned(), |instance| instance.id.clone());
    *state.counters.requests.entry((service.name.clone(), server, outcome.to_owned())).or_default() += 1;
    state.counters.served.insert(service.name, outcome == "ok");
}

/// Whether the service answers 200.
async fn fetch(service: &Service, address: Ipv4Addr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((address, service.port)).await?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: customer\r\nConnection: close\r\n\r\n", service.path, service.host);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(256);
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
