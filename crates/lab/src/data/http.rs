//! The instances' web servers: one per healthy instance, on its own loopback address.
//!
//! A request is judged at the moment it arrives. An instance that is not healthy refuses connections; one behind an ACL that denies swallows
//! them: they are accepted and never answered, not even when the ACL is healed meanwhile, until the peer goes away.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use lifeboat_notation::time::Timestamp;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::listen;
use crate::world::World;
use crate::world::reach::{Reach, SERVICE_PORT};
use crate::world::state::InstanceState;

/// A server is opened this long before its instance turns healthy and resets connections until then: opening takes time, and a service
/// that the truth calls up must answer at that very moment.
const AHEAD: Duration = Duration::from_millis(50);

/// The open servers by address.
#[derive(Debug)]
pub(crate) struct Servers {
    /// Holds the addresses against other labs until the last server is closed, also where a lab is dropped and not stopped.
    claim: Arc<StdListener>,
    open: BTreeMap<Ipv4Addr, (CancellationToken, JoinHandle<()>)>,
    closing: Vec<JoinHandle<()>>,
}

impl Servers {
    /// None is open yet; `claim` is what holds their addresses against other labs.
    pub(crate) fn new(claim: StdListener) -> Self {
        Self { claim: Arc::new(claim), open: BTreeMap::new(), closing: Vec::new() }
    }

    /// Opens and closes servers so that exactly the healthy instances have one. Gives the moment at which the next one is to be opened.
    /// An error says that an address is taken; all others are served.
    pub(crate) fn follow(&mut self, world: &Arc<World>) -> io::Result<Option<Timestamp>> {
        let (wanted, opens_at) = wanted(world);
        self.closing.retain(|task| !task.is_finished());
        let stale: Vec<Ipv4Addr> = self.open.keys().filter(|address| !wanted.contains(address)).copied().collect();
        for (stop, task) in stale.iter().filter_map(|address| self.open.remove(address)) {
            stop.cancel();
            self.closing.push(task);
        }
        let mut outcome = Ok(opens_at);
        for address in wanted {
            if let Entry::Vacant(vacant) = self.open.entry(address) {
                match open(world, address, &self.claim) {
                    Ok(server) => _ = vacant.insert(server),
                    Err(error) => outcome = Err(error),
                }
            }
        }
        outcome
    }

    /// Closes all servers and waits until they are closed.
    pub(crate) async fn close(mut self) {
        let open = std::mem::take(&mut self.open);
        for (stop, _) in open.values() {
            stop.cancel();
        }
        let tasks: Vec<_> = open.into_values().map(|(_, task)| task).chain(self.closing.drain(..)).collect();
        for task in tasks {
            // A task that panicked is closed as well.
            let _ = task.await;
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (_, task) in self.open.values() {
            task.abort();
        }
        for task in &self.closing {
            task.abort();
        }
    }
}

/// The addresses to listen on now, and the moment at which another one follows.
fn wanted(world: &World) -> (Vec<Ipv4Addr>, Option<Timestamp>) {
    let state = world.lock();
    let ahead = state.now.plus(AHEAD);
    let running = state.instances.values().filter(|instance| instance.state == InstanceState::Running);
    let healthy = running.filter_map(|instance| Some((instance.address, instance.healthy_at?)));
    let (now, later): (Vec<_>, Vec<_>) = healthy.partition(|(_, at)| *at <= ahead);
    let back = i64::try_from(AHEAD.as_nanos()).unwrap_or(0);
    let opens_at = later.into_iter().map(|(_, at)| Timestamp::from_nanos(at.as_nanos() - back)).min();
    (now.into_iter().map(|(address, _)| address).collect(), opens_at)
}

fn open(world: &Arc<World>, address: Ipv4Addr, claim: &Arc<StdListener>) -> io::Result<(CancellationToken, JoinHandle<()>)> {
    let listener = StdListener::bind((address, SERVICE_PORT))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let stop = CancellationToken::new();
    let world = Arc::clone(world);
    let (claim, stopped) = (Arc::clone(claim), stop.clone());
    let serve = async move {
        let _until_closed = claim;
        listen::accept(listener, stopped, move |stream| connection(stream, Arc::clone(&world), address)).await;
    };
    Ok((stop, tokio::task::spawn(serve)))
}

/// One connection of a customer.
async fn connection(mut stream: TcpStream, world: Arc<World>, address: Ipv4Addr) {
    match reach_of(&world, address) {
        Reach::Refused => {
            // Without lingering the close is a reset. Failing that it is an ordinary close, which is no answer either.
            let _ = stream.set_zero_linger();
        }
        Reach::Silent => swallow(&mut stream).await,
        Reach::Broken | Reach::Served => {
            let service = service_fn(move |request| answer(Arc::clone(&world), address, request));
            listen::serve_connection(stream, service).await;
        }
    }
}

/// Takes whatever comes and answers nothing until the peer goes away.
async fn swallow(stream: &mut TcpStream) {
    let mut sink = [0; 1024];
    while matches!(stream.read(&mut sink).await, Ok(read) if read > 0) {}
}

fn reach_of(world: &World, address: Ipv4Addr) -> Reach {
    let state = world.lock();
    state.instance_at(address).map_or(Reach::Refused, |instance| state.reach(instance))
}

/// What one request gets. An error closes the connection without an answer.
async fn answer(world: Arc<World>, address: Ipv4Addr, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, io::Error> {
    match judge(&world, address, &request) {
        Verdict::Answer(response) => Ok(response),
        Verdict::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        // Hyper drops this future when the peer goes away.
        Verdict::Silence => match std::future::pending::<Infallible>().await {},
    }
}

enum Verdict {
    Answer(Response<Full<Bytes>>),
    Reset,
    Silence,
}

fn judge(world: &World, address: Ipv4Addr, request: &Request<Incoming>) -> Verdict {
    let state = world.lock();
    let Some(instance) = state.instance_at(address) else { return Verdict::Reset };
    let works = match state.reach(instance) {
        Reach::Refused => return Verdict::Reset,
        Reach::Silent => return Verdict::Silence,
        Reach::Broken => false,
        Reach::Served => true,
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Verdict::Answer(plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n"));
    }
    let status = if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Verdict::Answer(match request.uri().path() {
        "/health" => plain(status, if works { "ok" } else { "database unreachable" }),
        "/api/status" => {
            let body = json!({
                "service": instance.service,
                "status": if works { "ok" } else { "degraded" },
                "cloud": instance.cloud,
                "region": state.region_of(&instance.subnet),
                "instance": instance.id,
                "database": if works { "ok" } else { "unreachable" },
            });
            respond(status, "application/json", body.to_string())
        }
        _ => plain(StatusCode::NOT_FOUND, "not found\n"),
    })
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", body.to_owned())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
