//! Carries out what a rule wants: around the services, between them and the connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use lifeboat_notation::lab::{Effect, PROOF_PATH, Skew, Trouble, proof};
use lifeboat_notation::time::Span;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::line::{Cutter, Line};
use super::sighting::{Sighting, Vendor};
use super::{Faults, Strike, during, refusal};
use crate::world::World;
use crate::{listen, services};

/// The largest body that is looked into: the largest object of either cloud.
const LARGEST_BODY: usize = 64 << 20;

/// How far a clock is off, unless the rule says it: more than the quarter of an hour that the vendors forgive.
const SKEW: Skew = Skew::ahead(Span::from_secs(20 * 60));

/// How much later a slow call is looked at, unless the rule says it.
const DELAY: Duration = Duration::from_secs(2);

/// What goes back: a whole answer, or half of one.
type Sent = Either<Full<Bytes>, Half>;

/// Serves one vendor's endpoint until `stop`; calls that never are to be answered end with it.
pub(crate) async fn serve(listener: TcpListener, vendor: Vendor, id: Arc<str>, world: Arc<World>, faults: Arc<Faults>, stop: CancellationToken) {
    let serve = move |stream| {
        let (line, cutter) = Line::new(stream);
        let (id, world, faults) = (Arc::clone(&id), Arc::clone(&world), Arc::clone(&faults));
        let service = service_fn(move |request| {
            let (id, world, faults, cutter) = (Arc::clone(&id), Arc::clone(&world), Arc::clone(&faults), cutter.clone());
            async move {
                // However its clouds misbehave, a lab is this lab.
                match challenge(&request) {
                    Some(challenge) => Ok(whole(Response::new(Full::new(proof(&id, vendor.part(), challenge).into())))),
                    None => answer(vendor, world, faults, cutter, request).await,
                }
            }
        });
        listen::serve_connection(line, service)
    };
    listen::accept(listener, stop, serve).await;
}

/// The challenge that a request asks to be answered with a proof.
fn challenge<B>(request: &Request<B>) -> Option<&str> {
    (request.method() == Method::GET).then(|| request.uri().path().strip_prefix(PROOF_PATH))?
}

/// Answers one request, or ends the connection without.
async fn answer(vendor: Vendor, world: Arc<World>, faults: Arc<Faults>, cutter: Cutter, request: Request<Incoming>) -> io::Result<Response<Sent>> {
    if faults.is_idle() {
        return Ok(whole(vendor.answer(world, request).await));
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        // Nobody is there any more, or will not stop talking.
        return reset(&cutter);
    };
    let body = body.to_bytes();
    let call = Sighting::of(vendor, &parts, &body);
    let strike = faults.meet(&call);
    if let Some(strike) = &strike {
        let name = format!("{}:{}", call.service, call.operation);
        let mut state = world.lock();
        let now = state.now;
        state.truth.record(now, "fault", json!({ "cloud": call.cloud, "call": name, "does": strike.rule.does }));
    }
    let request = Request::from_parts(parts, Full::new(body));
    let act = async |world: Arc<World>| {
        if call.effect == Effect::Changes {
            faults.remember(&world);
        }
        vendor.answer(world, request).await
    };
    let Some(Strike { rule, past }) = strike else {
        return Ok(whole(act(world).await));
    };
    match rule.does {
        Trouble::Throttle | Trouble::ServerError | Trouble::ExpiredCredentials | Trouble::Denied => Ok(whole(refusal::refusal(&rule, &call))),
        Trouble::FalseSuccess => Ok(whole(refusal::false_success(&call))),
        Trouble::ResetBefore => reset(&cutter),
        Trouble::ResetAfter => {
            act(world).await;
            reset(&cutter)
        }
        Trouble::HangBefore => std::future::pending().await,
        Trouble::HangAfter => {
            act(world).await;
            std::future::pending().await
        }
        Trouble::Slow => {
            tokio::time::sleep(rule.delay.map_or(DELAY, Span::duration)).await;
            Ok(whole(act(world).await))
        }
        Trouble::Truncate => {
            let (parts, body) = act(world).await.into_parts();
            match body.collect().await.map(http_body_util::Collected::to_bytes) {
                Ok(body) if !body.is_empty() => Ok(Response::from_parts(parts, Either::Right(Half::of(&body)))),
                // Of nothing there is no half.
                _ => reset(&cutter),
            }
        }
        Trouble::Malformed => {
            let (mut parts, body) = act(world).await.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            parts.headers.remove(header::CONTENT_LENGTH);
            Ok(whole(Response::from_parts(parts, Full::new(broken(&body)))))
        }
        Trouble::ClockSkew => {
            let skew = rule.skew.unwrap_or(SKEW).nanos();
            let (mut response, date) = during::with_skew(skew, async {
                let date = during::told(world.clock.now()).to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
                (act(world).await, date)
            })
            .await;
            response.headers_mut().extend(HeaderValue::from_str(&date).map(|date| (header::DATE, date)));
            Ok(whole(response))
        }
        Trouble::Stale => Ok(whole(act(past.unwrap_or(world)).await)),
        Trouble::Partial => {
            let last = call.instances.last().cloned().unwrap_or_default();
            Ok(whole(during::with_failing(last, act(world)).await))
        }
    }
}

impl Vendor {
    /// As a proof names it.
    const fn part(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Aliyun => "aliyun",
            Self::Oss => "oss",
        }
    }

    async fn answer<B>(self, world: Arc<World>, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        match self {
            Self::Aws => services::aws::handle(world, request).await,
            Self::Aliyun => services::aliyun::handle(world, request).await,
            Self::Oss => services::oss::handle(world, request).await,
        }
    }
}

fn whole(response: Response<Full<Bytes>>) -> Response<Sent> {
    response.map(Either::Left)
}

/// Ends the connection without an orderly end.
fn reset(cutter: &Cutter) -> io::Result<Response<Sent>> {
    cutter.cut();
    Err(io::ErrorKind::ConnectionReset.into())
}

/// The first two thirds of a document: it begins well and no reader can take it for complete.
fn broken(body: &[u8]) -> Bytes {
    if body.is_empty() { Bytes::from_static(b"<broken") } else { Bytes::copy_from_slice(&body[..body.len() * 2 / 3]) }
}

/// Half of an answer that was announced whole, then the end of the connection.
struct Half {
    first: Option<Bytes>,
    announced: u64,
    /// Lets the first half out before the connection ends.
    pause: Pin<Box<Sleep>>,
}

impl Half {
    fn of(body: &Bytes) -> Self {
        let pause = Box::pin(tokio::time::sleep(Duration::from_millis(10)));
        Self { first: Some(body.slice(..body.len() / 2)), announced: body.len() as u64, pause }
    }
}

impl Body for Half {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.pause.as_mut().poll(context).map(|()| Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
