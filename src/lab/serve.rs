//! The lab on sockets: one loopback prefix, its endpoints, its tasks.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener as StdListener, UdpSocket as StdUdpSocket};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::data::http::Servers;
use super::data::metrics::{History, SAMPLE_EVERY};
use super::data::{dns, load, prometheus};
use super::world::file::{self, WorldFileError};
use super::world::reach::SERVICE_PORT;
use super::world::{LabClock, World};
use super::{control, driver, listen, services};

/// What a lab is started with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Equal seeds give equal ids, boot times and DNS answers.
    pub seed: u64,
    /// How many times as fast as its world file the world runs; 0.01 to 1000.
    pub scale: f64,
    /// N of the loopback prefix 127.N.0.0/16, 10 to 250; the first free one when none.
    pub prefix: Option<u8>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, scale: 1.0, prefix: None }
    }
}

/// Why a lab does not start.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error("the lab's world file is broken")]
    WorldFile(#[from] WorldFileError),
    #[error("the loopback prefix 127.{0}.0.0/16 is outside 10 to 250")]
    Prefix(u8),
    #[error("the loopback prefix 127.{prefix}.0.0/16 is in use")]
    Taken { prefix: u8, #[source] source: io::Error },
    #[error("no loopback prefix is free: port {SERVICE_PORT} is in use on 127.10.0.1 to 127.250.0.1")]
    NoPrefix,
    #[error("cannot listen on {address}")]
    Listen { address: String, #[source] source: io::Error },
}

/// Where a running lab is reached: URLs without a final slash; `dns` is host:port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// `GET /world`, `/truth`, `/environment`, `/health`.
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
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// Holds the prefix against other labs.
    _claim: StdListener,
}

impl Lab {
    /// Starts a lab; must be called inside a tokio runtime. When it returns, everything answers.
    pub fn start(options: Options) -> Result<Self, LabError> {
        let (prefix, claim) = claim(options.prefix)?;
        let clock = LabClock::start(options.scale);
        let state = file::build(options.seed, options.scale, prefix, clock.now())?;
        let (accounts, timing) = (state.accounts.clone(), state.timing.clone());
        let customers_of: Vec<_> = state.services.values().cloned().collect();
        let world = Arc::new(World::new(clock, state));

        let host = Ipv4Addr::new(127, prefix, 0, 1);
        let [control, aws, aliyun, oss, prometheus] = [bind(host)?, bind(host)?, bind(host)?, bind(host)?, bind(host)?];
        let (dns_udp, dns_tcp) = bind_dns(host)?;
        let endpoints = Arc::new(Endpoints {
            control: url(&control)?,
            aws: url(&aws)?,
            aliyun: url(&aliyun)?,
            oss: url(&oss)?,
            dns: local_address(&dns_tcp)?,
            prometheus: url(&prometheus)?,
            access_key_id: accounts.access_key_id,
            secret_access_key: accounts.secret_access_key,
        });

        let mut servers = Servers::default();
        let taken = |source| LabError::Listen { address: format!("the instances' addresses in 127.{prefix}.0.0/16, port {SERVICE_PORT}"), source };
        servers.follow(&world).map_err(taken)?;
        let history = Arc::new(History::default());
        history.sample(&world);

        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let control_routes = control::router(Arc::clone(&world), Arc::clone(&endpoints));
        tasks.spawn(listen::serve_http(control, TowerToHyperService::new(control_routes), stop.clone()));
        let prometheus_routes = prometheus::router(Arc::clone(&world), Arc::clone(&history));
        tasks.spawn(listen::serve_http(prometheus, TowerToHyperService::new(prometheus_routes), stop.clone()));
        tasks.spawn(serve_vendor(aws, Arc::clone(&world), services::aws::handle, stop.clone()));
        tasks.spawn(serve_vendor(aliyun, Arc::clone(&world), services::aliyun::handle, stop.clone()));
        tasks.spawn(serve_vendor(oss, Arc::clone(&world), services::oss::handle, stop.clone()));
        tasks.spawn(dns::serve_udp(dns_udp, Arc::clone(&world), stop.clone()));
        tasks.spawn(dns::serve_tcp(dns_tcp, Arc::clone(&world), stop.clone()));
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
        Ok(Self { world, endpoints, stop, tasks, _claim: claim })
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

/// The variables that the environment `lab` gives to scenarios; without a running lab, with placeholders for its addresses.
#[must_use]
pub fn vars(endpoints: Option<&Endpoints>) -> Map<String, Value> {
    // Without a lab the addresses are in 127.0.0.0/16, where no lab ever is.
    let prefix = endpoints.and_then(|endpoints| endpoints.dns.split('.').nth(1)?.parse().ok()).unwrap_or(0);
    let placed = file::vars(prefix).expect("the world file inside the program is tested");
    let mut vars: Map<String, Value> = placed.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
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

/// One vendor's endpoint.
async fn serve_vendor<F, A>(listener: TcpListener, world: Arc<World>, handle: F, stop: CancellationToken)
where
    F: Fn(Arc<World>, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handle(Arc::clone(&world), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    listen::serve_http(listener, service, stop).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::{Name, RecordType};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::lab::world::state::{AclEntry, InstanceState};

    const STOREFRONT: &str = "i-bp1lifeboat0store0001";
    const STANDBY: &str = "i-0a11febe0a7500001";
    const VSWITCH: &str = "vsw-bp1lifeboat0app000001";

    fn lab(scale: f64) -> Lab {
        Lab::start(Options { seed: 42, scale, prefix: None }).unwrap()
    }

    fn address_of(lab: &Lab, instance: &str) -> String {
        format!("{}:{SERVICE_PORT}", lab.world().lock().instances[instance].address)
    }

    async fn try_get(address: &str, path: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((head[9..12].parse().unwrap(), body.to_owned()))
    }

    async fn get(url: &str, path: &str) -> (u16, String) {
        try_get(url.trim_start_matches("http://"), path).await.unwrap()
    }

    /// Waits until `condition` holds; a minute at most.
    async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
        for _ in 0..6000 {
            if condition().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited a minute in vain");
    }

    fn deny_all(lab: &Lab) {
        let world = lab.world();
        let mut state = world.lock();
        let mut acl = state.acls["nacl-bp1lifeboat0data0001"].clone();
        acl.id = "nacl-bp1deny".into();
        acl.ingress = vec![AclEntry { number: 1, allow: false, protocol: "all".into(), cidr: "0.0.0.0/0".into(), port: String::new(), name: String::new() }];
        state.acls.insert(acl.id.clone(), acl);
        state.apply_acl(VSWITCH, Some("nacl-bp1deny"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lab_tells_what_it_is_and_holds() {
        let lab = lab(1.0);
        let endpoints = lab.endpoints().clone();
        let keys: Vec<String> = serde_json::to_value(&endpoints).unwrap().as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["control", "aws", "aliyun", "oss", "dns", "prometheus", "access_key_id", "secret_access_key"]);
        assert_eq!(get(&endpoints.control, "/health").await, (200, "ok".into()));
        let (status, environment) = get(&endpoints.control, "/environment").await;
        let environment: Value = serde_json::from_str(&environment).unwrap();
        assert_eq!(status, 200);
        assert_eq!(environment["vars"]["prometheus"], endpoints.prometheus);
        assert_eq!(environment["dns_name_server"], endpoints.dns);
        assert_eq!(environment["accounts"]["aws"], "111122223333");
        let (_, world) = get(&endpoints.control, "/world").await;
        let value: Value = serde_json::from_str(&world).unwrap();
        assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), world, "canonical");
        assert_eq!(value["instances"][STANDBY]["state"], "stopped");
        let (_, truth) = get(&endpoints.control, "/truth").await;
        assert_eq!(truth.lines().filter(|line| line.contains(r#""what":"service""#) && line.contains(r#""state":"up""#)).count(), 4);
        assert_eq!(get(&endpoints.control, "/nothing").await.0, 404);
        lab.stop().await;
        assert!(try_get(endpoints.control.trim_start_matches("http://"), "/health").await.is_err(), "nothing listens after the stop");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_labs_do_not_meet() {
        let (one, two) = (lab(1.0), lab(1.0));
        let prefix = |lab: &Lab| lab.world().lock().prefix;
        assert_ne!(prefix(&one), prefix(&two));
        let taken = prefix(&one);
        assert!(matches!(Lab::start(Options { prefix: Some(taken), ..Options::default() }), Err(LabError::Taken { .. })));
        assert!(matches!(Lab::start(Options { prefix: Some(1), ..Options::default() }), Err(LabError::Prefix(1))));
        one.stop().await;
        Lab::start(Options { prefix: Some(taken), ..Options::default() }).unwrap().stop().await;
        two.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn instances_answer_as_their_state_and_network_let_them() {
        let lab = lab(20.0);
        let (storefront, standby) = (address_of(&lab, STOREFRONT), address_of(&lab, STANDBY));
        assert_eq!(try_get(&storefront, "/health").await.unwrap(), (200, "ok".into()));
        let (status, body) = try_get(&storefront, "/api/status").await.unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["status"], &body["database"], &body["cloud"]), (200, &"ok".into(), &"ok".into(), &"aliyun".into()));
        assert_eq!(try_get(&standby, "/health").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);

        lab.world().lock().instance_start(STANDBY);
        until(async || try_get(&standby, "/health").await.is_ok()).await;
        {
            let world = lab.world();
            let state = world.lock();
            assert!(state.is_healthy(&state.instances[STANDBY]), "no server before health");
        }
        lab.world().lock().instance_stop(STANDBY);
        assert!(try_get(&standby, "/health").await.is_err(), "gone at once");
        until(async || matches!(try_get(&standby, "/health").await, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)).await;
        until(async || lab.world().lock().instances[STANDBY].state == InstanceState::Stopped).await;
        lab.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_an_acl_swallowed_is_never_answered() {
        let lab = lab(20.0);
        let address = address_of(&lab, STOREFRONT);
        // Kept alive from before the ACL.
        let mut kept = TcpStream::connect(&address).await.unwrap();
        kept.write_all(b"GET /health HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        kept.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        deny_all(&lab);
        until(async || !lab.world().lock().services["storefront"].up).await;
        kept.write_all(b"GET /health HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
        let mut stuck = TcpStream::connect(&address).await.unwrap();
        stuck.write_all(b"GET /health HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
        let quiet = Duration::from_millis(300);
        assert!(tokio::time::timeout(quiet, try_get(&address, "/health")).await.is_err());
        lab.world().lock().apply_acl(VSWITCH, None);
        until(async || matches!(tokio::time::timeout(quiet, try_get(&address, "/health")).await, Ok(Ok((200, _))))).await;
        let mut rest = vec![0; 4096];
        // The first answer's remainder may still be there; a second answer must not.
        let read = kept.try_read(&mut rest).unwrap_or(0);
        assert!(!String::from_utf8_lossy(&rest[..read]).contains("HTTP/1.1"));
        assert!(tokio::time::timeout(quiet, stuck.read(&mut rest)).await.is_err());
        lab.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn names_are_answered_on_udp_and_tcp() {
        let lab = lab(1.0);
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii("shop.example.com.").unwrap(), RecordType::A));
        let query = query.to_vec().unwrap();
        let expected = address_of(&lab, STOREFRONT);
        let first = |answer: &[u8]| format!("{}:{SERVICE_PORT}", Message::from_vec(answer).unwrap().answers[0].data);

        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.send_to(b"x", &lab.endpoints().dns).await.unwrap();
        udp.send_to(&query, &lab.endpoints().dns).await.unwrap();
        let mut buffer = [0; 512];
        let length = udp.recv(&mut buffer).await.unwrap();
        assert_eq!(first(&buffer[..length]), expected);

        let mut tcp = TcpStream::connect(&lab.endpoints().dns).await.unwrap();
        for _ in 0..2 {
            tcp.write_all(&[&u16::try_from(query.len()).unwrap().to_be_bytes()[..], &query].concat()).await.unwrap();
            let mut answer = vec![0; usize::from(tcp.read_u16().await.unwrap())];
            tcp.read_exact(&mut answer).await.unwrap();
            assert_eq!(first(&answer), expected);
        }
        lab.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn customers_orders_and_copies_show_in_the_metrics() {
        let lab = lab(5.0);
        let ask = async |query: &str| -> Value {
            let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
            serde_json::from_str(&get(&lab.endpoints().prometheus, &format!("/api/v1/query?query={query}")).await.1).unwrap()
        };
        let holds = async |query: &str| ask(query).await["data"]["result"].as_array().is_some_and(|result| !result.is_empty());
        until(async || holds("sum(rate(shop_requests_total{service=\"checkout\",outcome=\"ok\"}[5s])) > 5").await).await;
        until(async || holds("shop_orders_copied_total > 3").await).await;
        assert!(get(&lab.endpoints().prometheus, "/metrics").await.1.contains("shop_service_up{service=\"checkout\"} 1\n"));
        deny_all(&lab);
        until(async || holds("shop_service_up{service=\"storefront\"} == 0").await).await;
        until(async || holds("increase(shop_requests_total{service=\"storefront\",outcome=\"timeout\"}[5s]) > 0").await).await;
        let written = lab.world().lock().counters.orders_written;
        assert!(holds("shop_service_up{service=\"checkout\"} == 1").await);
        assert_eq!(lab.world().lock().counters.orders_written, written, "no orders while the storefront is down");
        lab.world().lock().apply_acl(VSWITCH, None);
        until(async || lab.world().lock().counters.orders_written > written + 2).await;
        let world = lab.world();
        let mut state = world.lock();
        state.copy_orders();
        let keys = |bucket: &str| state.buckets[bucket].objects.keys().cloned().collect::<Vec<_>>();
        let expected: Vec<_> = (1..=state.counters.orders_written).map(|number| format!("orders/{number:012}")).collect();
        assert_eq!(keys("shop-orders"), expected);
        assert_eq!(keys("shop-orders-mirror"), expected);
        drop(state);
        lab.stop().await;
    }

    #[test]
    fn variables_are_known_without_a_lab() {
        let vars = vars(None);
        assert_eq!(vars["zone"], "example.com.");
        assert_eq!(vars["prometheus"], "http://127.0.0.1:9090");
    }
}
