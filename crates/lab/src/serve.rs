//! The lab on sockets: one loopback prefix, its endpoints, its tasks.

use std::io;
use std::net::{Ipv4Addr, TcpListener as StdListener, UdpSocket as StdUdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;

use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::data::http::Servers;
use super::data::metrics::SAMPLE_EVERY;
use super::data::{dns, load, prometheus};
use super::faults::{Faults, Vendor};
use super::world::file::Blueprint;
use super::world::reach::SERVICE_PORT;
use super::world::{LabClock, World};
use super::{control, driver, faults, listen};

/// What a lab is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Equal seeds give equal ids, boot times and DNS answers.
    pub seed: u64,
    /// How many times as fast as its world file the world runs; 0.01 to 1000.
    pub scale: f64,
    /// N of the loopback prefix 127.N.0.0/16, 10 to 250; the first free one when none.
    pub prefix: Option<u8>,
    /// What is in it at the beginning.
    pub world: Arc<Blueprint>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, scale: 1.0, prefix: None, world: Blueprint::shop() }
    }
}

/// Why a lab does not start.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error("the time scale {0} is outside {start} to {end}", start = SCALES.start(), end = SCALES.end())]
    Scale(f64),
    #[error("the loopback prefix 127.{0}.0.0/16 is outside 10 to 250")]
    Prefix(u8),
    #[error("the loopback prefix 127.{prefix}.0.0/16 is in use")]
    Taken {
        prefix: u8,
        #[source]
        source: io::Error,
    },
    #[error("no loopback prefix is free: port {SERVICE_PORT} is in use on 127.10.0.1 to 127.250.0.1")]
    NoPrefix,
    #[error("cannot listen on {address}")]
    Listen {
        address: String,
        #[source]
        source: io::Error,
    },
}

/// How many times as fast as real proportions a world may move.
pub const SCALES: RangeInclusive<f64> = 0.01..=1000.0;

/// Where a running lab is reached: URLs without a final slash; `dns` is host:port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Which lab it is: another one for every lab that is started, whatever its seed and its addresses.
    pub id: String,
    /// SHA-256 of its world file, lower-case hex; empty for the shipped world.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub world: String,
    /// `GET /world`, `/truth`, `/calls`, `/environment`, `/health`; `/faults` with `GET`, `POST`, `PUT` and `DELETE`.
    pub control: String,
    /// All AWS services.
    pub aws: String,
    /// All RPC-style services of Alibaba Cloud.
    pub aliyun: String,
    pub oss: String,
    /// UDP and TCP.
    pub dns: String,
    pub prometheus: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// A running lab. Dropping it ends it as well, but only [`stop`](Self::stop) waits for the end.
#[derive(Debug)]
pub struct Lab {
    world: Arc<World>,
    endpoints: Arc<Endpoints>,
    faults: Arc<Faults>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Lab {
    /// Starts a lab; must be called inside a tokio runtime. When it returns, everything answers.
    pub fn start(options: Options) -> Result<Self, LabError> {
        if !SCALES.contains(&options.scale) {
            return Err(LabError::Scale(options.scale));
        }
        let (prefix, claim) = claim(options.prefix)?;
        let clock = LabClock::start(options.scale);
        let state = options.world.build(options.seed, options.scale, prefix, clock.now());
        let (accounts, timing) = (state.accounts.clone(), state.timing.clone());
        let customers_of: Vec<_> = state.services.values().cloned().collect();
        let history = Arc::clone(&state.history);
        let world = Arc::new(World::new(clock, state));

        let host = Ipv4Addr::new(127, prefix, 0, 1);
        let [control, aws, aliyun, oss, prometheus] = [bind(host)?, bind(host)?, bind(host)?, bind(host)?, bind(host)?];
        let (dns_udp, dns_tcp) = bind_dns(host)?;
        let endpoints = Arc::new(Endpoints {
            id: format!("{:032x}", rand::random::<u128>()),
            world: options.world.digest().to_owned(),
            control: url(&control)?,
            aws: url(&aws)?,
            aliyun: url(&aliyun)?,
            oss: url(&oss)?,
            dns: local_address(&dns_tcp)?,
            prometheus: url(&prometheus)?,
            access_key_id: accounts.access_key_id,
            secret_access_key: accounts.secret_access_key,
        });

        let mut servers = Servers::new(claim);
        let taken = |source| LabError::Listen { address: format!("the instances' addresses in 127.{prefix}.0.0/16, port {SERVICE_PORT}"), source };
        servers.follow(&world).map_err(taken)?;
        history.sample(&world);

        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let faults = Arc::new(Faults::default());
        let control_routes = control::router(Arc::clone(&world), options.world, Arc::clone(&endpoints), Arc::clone(&faults));
        tasks.spawn(listen::serve_http(control, TowerToHyperService::new(control_routes), stop.clone()));
        let prometheus_routes = prometheus::router(Arc::clone(&world), Arc::clone(&history));
        tasks.spawn(listen::serve_http(prometheus, TowerToHyperService::new(prometheus_routes), stop.clone()));
        for (listener, vendor) in [(aws, Vendor::Aws), (aliyun, Vendor::Aliyun), (oss, Vendor::Oss)] {
            let id = Arc::from(endpoints.id.as_str());
            tasks.spawn(faults::serve(listener, vendor, id, Arc::clone(&world), Arc::clone(&faults), stop.clone()));
        }
        tasks.spawn(dns::serve(dns_udp, dns_tcp, Arc::clone(&world), stop.clone()));
        tasks.spawn(driver::drive(Arc::clone(&world), servers, stop.clone()));
        tasks.spawn(driver::every(Arc::clone(&world), timing.order_every.duration(), stop.clone(), |world| {
            world.lock().take_order();
        }));
        tasks.spawn(driver::every(Arc::clone(&world), timing.replication_every.duration(), stop.clone(), |world| {
            world.lock().copy_orders();
        }));
        // Monitoring looks in real time, whatever the world's own speed.
        let sampling = SAMPLE_EVERY.mul_f64(world.lock().scale);
        tasks.spawn(driver::every(Arc::clone(&world), sampling, stop.clone(), move |world| history.sample(world)));
        for service in customers_of {
            tasks.spawn(load::customers(Arc::clone(&world), service, stop.clone()));
        }
        Ok(Self { world, endpoints, faults, stop, tasks })
    }

    /// Where it is reached.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The world inside, for tests of the lab itself.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// The rules by which its clouds misbehave.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Ends every task and closes every socket.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The variables that an environment of this world gives to scenarios; without a running lab, with placeholders for its addresses.
#[must_use]
pub fn vars(world: &Blueprint, endpoints: Option<&Endpoints>) -> Map<String, Value> {
    // Without a lab the addresses are in 127.0.0.0/16, where no lab ever is.
    let prefix = endpoints.and_then(|endpoints| endpoints.dns.split('.').nth(1)?.parse().ok()).unwrap_or(0);
    let mut vars: Map<String, Value> = world.vars(prefix).into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    let (prometheus, name_server) = endpoints.map_or(("http://127.0.0.1:9090", "127.0.0.1:53"), |endpoints| (&endpoints.prometheus, &endpoints.dns));
    vars.insert("prometheus".to_owned(), Value::from(prometheus));
    vars.insert("name_server".to_owned(), Value::from(name_server));
    vars
}

/// Takes a prefix for this lab by binding the port of its instances where none ever is.
fn claim(wanted: Option<u8>) -> Result<(u8, StdListener), LabError> {
    let take = |prefix: u8| StdListener::bind((Ipv4Addr::new(127, prefix, 0, 1), SERVICE_PORT));
    match wanted {
        Some(prefix @ 10..=250) => take(prefix).map(|claim| (prefix, claim)).map_err(|source| LabError::Taken { prefix, source }),
        Some(prefix) => Err(LabError::Prefix(prefix)),
        None => (10..=250).find_map(|prefix| take(prefix).ok().map(|claim| (prefix, claim))).ok_or(LabError::NoPrefix),
    }
}

fn bind(host: Ipv4Addr) -> Result<TcpListener, LabError> {
    let listen = || {
        let listener = StdListener::bind((host, 0))?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listen().map_err(|source| LabError::Listen { address: host.to_string(), source })
}

/// UDP and TCP on the same port.
fn bind_dns(host: Ipv4Addr) -> Result<(UdpSocket, TcpListener), LabError> {
    let both = || {
        let tcp = StdListener::bind((host, 0))?;
        let udp = StdUdpSocket::bind(tcp.local_addr()?)?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        Ok((UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?))
    };
    // The port that TCP got may be taken on UDP: then another one.
    (0..10).find_map(|_| both().ok()).map_or_else(both, Ok).map_err(|source: io::Error| LabError::Listen { address: format!("{host} (DNS)"), source })
}

fn url(listener: &TcpListener) -> Result<String, LabError> {
    Ok(format!("http://{}", local_address(listener)?))
}

fn local_address(listener: &TcpListener) -> Result<String, LabError> {
    listener.local_addr().map(|address| address.to_string()).map_err(|source| LabError::Listen { address: "a port of its own".to_owned(), source })
}
