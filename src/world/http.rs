//! One HTTP request over a connection of its own: resolved anew, connected anew, closed afterwards, nothing kept and no redirect followed.
//!
//! A pooled client would go on talking to an address that DNS has left, and would hide the moment a host went away.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use url::Url;

use super::connect::{ConnectError, chain, connect, is_ours};
use super::resolve::{ResolveError, Resolver};
use super::tls;
use crate::model::time::Timestamp;

/// More than this of an answer is not read.
const LARGEST: usize = 4 << 20;

/// A request.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// `http` or `https`.
    pub url: Url,
    /// GET, POST, …
    pub method: Method,
    /// Beside Host and Connection, which are set from the URL.
    pub headers: HeaderMap,
    /// May be empty.
    pub body: Bytes,
}

impl HttpRequest {
    /// A plain GET.
    ///
    /// # Errors
    /// When `url` is not an `http` or `https` URL with a host.
    pub fn get(url: &str) -> Result<Self, HttpError> {
        Ok(Self { url: parse_url(url)?, method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() })
    }

    /// Host and port of the URL.
    ///
    /// # Errors
    /// [`HttpError::Url`] when it has none.
    pub fn place(&self) -> Result<(&str, u16), HttpError> {
        let place = self.url.host_str().zip(self.url.port_or_known_default());
        place.ok_or_else(|| HttpError::Url(format!("`{}` has no host", self.url)))
    }
}

/// Reads an `http` or `https` URL with a host.
///
/// # Errors
/// [`HttpError::Url`], which says what is wrong with it.
pub fn parse_url(text: &str) -> Result<Url, HttpError> {
    let url: Url = text.parse().map_err(|error| HttpError::Url(format!("`{text}` is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(HttpError::Url(format!("`{text}` is not an http or https URL")));
    }
    Ok(url)
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// 200, 503, …
    pub status: u16,
    /// What it says of itself.
    pub headers: HeaderMap,
    /// All of it, at most 4 MiB.
    pub body: Bytes,
    /// When the certificate ends; over TLS only.
    pub certificate_ends: Option<Timestamp>,
    /// When the head was there.
    pub first_byte: Instant,
    /// From the start of the connection to the last byte.
    pub elapsed: Duration,
    /// Who answered.
    pub address: SocketAddr,
}

/// No answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL is not usable.
    #[error("{0}")]
    Url(String),
    /// The host has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Nobody listens, or nobody can be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No trust, or no TLS there.
    #[error("{address}: no TLS: {message}")]
    Tls {
        /// Where.
        address: SocketAddr,
        /// Why.
        message: String,
    },
    /// The connection broke or spoke no HTTP.
    #[error("{address}: {message}")]
    Exchange {
        /// Where.
        address: SocketAddr,
        /// Why.
        message: String,
    },
}

impl HttpError {
    /// Whether it says nothing about the other side: the request is unusable as written, or this machine has no socket left to send it from.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Url(_) | Self::Resolve(ResolveError::Name(_)) => true,
            Self::Connect(error) => error.is_ours(),
            Self::Resolve(ResolveError::Server { source, .. }) => is_ours(source),
            _ => false,
        }
    }
}

/// Sends requests, each over a new connection.
#[derive(Clone, Debug, Default)]
pub struct Http {
    resolver: Resolver,
}

impl Http {
    /// One that finds hosts through `resolver`.
    #[must_use]
    pub const fn new(resolver: Resolver) -> Self {
        Self { resolver }
    }

    /// Asks *every* address of the host, all at once: a service that answers at one of its two addresses is only half there, and a client that
    /// tries them in turn would not notice. At least one element.
    ///
    /// # Errors
    /// When the URL cannot be used or the host has no address.
    pub async fn ask_all(&self, request: &HttpRequest) -> Result<Vec<Result<HttpAnswer, HttpError>>, HttpError> {
        let addresses = self.addresses(request).await?;
        Ok(join_all(addresses.into_iter().map(|address| exchange(request, address))).await)
    }

    /// Asks the host's addresses in turn until one can be connected to, as browsers do. Once connected, a failure is final: the request may have been read.
    ///
    /// # Errors
    /// When no address could be connected to, or the exchange failed.
    pub async fn ask(&self, request: &HttpRequest) -> Result<HttpAnswer, HttpError> {
        let mut last = None;
        for address in self.addresses(request).await? {
            match exchange(request, address).await {
                Err(error @ HttpError::Connect(_)) => last = Some(error),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| ResolveError::Empty(request.url.to_string()).into()))
    }

    async fn addresses(&self, request: &HttpRequest) -> Result<Vec<SocketAddr>, HttpError> {
        let (host, port) = request.place()?;
        Ok(self.resolver.addresses(host).await?.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

/// One exchange over a connection of its own to `address`.
pub(super) async fn exchange(request: &HttpRequest, address: SocketAddr) -> Result<HttpAnswer, HttpError> {
    let start = Instant::now();
    once(request, connect(address).await?, address, start).await
}

/// One exchange over `stream`, which is closed afterwards.
pub(super) async fn once(request: &HttpRequest, stream: TcpStream, address: SocketAddr, start: Instant) -> Result<HttpAnswer, HttpError> {
    let (mut link, connection) = open(request, stream, address).await?;
    // The connection is driven here, not in a task of its own: when the caller gives up, both ends close at that instant.
    match select(Box::pin(link.send(request, After::Close, start)), Box::pin(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, exchange)) => exchange.await,
    }
    .map_err(Unanswered::error)
}

/// A connection over which requests can be sent, as long as its driver is polled.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    /// Over TLS only.
    certificate_ends: Option<Timestamp>,
}

/// What is to become of the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The server is asked to close it.
    Close,
    /// It is kept.
    Keep,
}

/// Why there is no answer, and whether the request certainly was not sent.
#[derive(Debug)]
pub(super) struct Unanswered {
    error: HttpError,
    pub(super) is_unsent: bool,
}

impl Unanswered {
    pub(super) fn error(self) -> HttpError {
        self.error
    }
}

/// Speaks TLS over `stream` if the URL asks for it, and prepares for HTTP/1.1. The second is the driver of the connection.
pub(super) async fn open(
    request: &HttpRequest,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<(Link, impl Future<Output = hyper::Result<()>> + Send + 'static), HttpError> {
    let (stream, certificate_ends) = if request.url.scheme() == "https" {
        let host = request.url.host_str().unwrap_or_default();
        let stream = tls::connect(host, stream, &[]).await.map_err(|message| HttpError::Tls { address, message })?;
        let certificate_ends = tls::certificate_ends(&stream);
        (Stream::Right(stream), certificate_ends)
    } else {
        (Stream::Left(stream), None)
    };
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(address, &error))?;
    Ok((Link { sender, address, certificate_ends }, connection))
}

/// Plain, or TLS.
type Stream = tokio_util::either::Either<TcpStream, TlsStream<TcpStream>>;

impl Link {
    /// Sends `request` and reads all of the answer; `start` is when the caller began.
    pub(super) async fn send(&mut self, request: &HttpRequest, after: After, start: Instant) -> Result<HttpAnswer, Unanswered> {
        let Self { address, certificate_ends, .. } = *self;
        let request = prepare(request, after).map_err(|error| Unanswered { error, is_unsent: true })?;
        let answer =
            self.sender.send_request(request).await.map_err(|error| Unanswered { is_unsent: error.is_canceled(), error: broken(address, &error) })?;
        let (status, first_byte) = (answer.status().as_u16(), Instant::now());
        let headers = answer.headers().clone();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| Unanswered { error: broken(address, error.as_ref()), is_unsent: false })?.to_bytes();
        Ok(HttpAnswer { status, headers, body, certificate_ends, first_byte, elapsed: start.elapsed(), address })
    }

    /// Waits until another request can be sent; whether one can.
    pub(super) async fn is_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }
}

fn broken(address: SocketAddr, error: &(dyn std::error::Error + 'static)) -> HttpError {
    HttpError::Exchange { address, message: chain(error) }
}

fn prepare(request: &HttpRequest, after: After) -> Result<Request<Full<Bytes>>, HttpError> {
    let url = &request.url;
    let wrong = |error: http::Error| HttpError::Url(error.to_string());
    let mut target = url.path().to_owned();
    if let Some(query) = url.query() {
        let _ = write!(target, "?{query}");
    }
    let mut host = url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = url.port() {
        let _ = write!(host, ":{port}");
    }
    let mut prepared =
        Request::builder().method(&request.method).uri(target).header(header::HOST, host).body(Full::new(request.body.clone())).map_err(wrong)?;
    let headers = prepared.headers_mut();
    headers.extend(request.headers.clone());
    if let (Some(user), false) = (userinfo(url), headers.contains_key(header::AUTHORIZATION)) {
        headers.insert(header::AUTHORIZATION, user);
    }
    if after == After::Close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(concat!("lifeboat/", env!("CARGO_PKG_VERSION"))));
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(prepared)
}

/// Name and password of the URL, as browsers send them.
fn userinfo(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [decoded(url.username()), decoded(url.password().unwrap_or_default())].join(&b':');
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each connection with `bytes` after the request's head; gives back what it read.
    async fn serve(bytes: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health?x=1", listener.local_addr().unwrap());
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = vec![0; 4096];
                let length = stream.read(&mut buffer).await.unwrap();
                let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
                let _ = stream.write_all(bytes.as_bytes()).await;
            }
        });
        (url, receiver)
    }

    #[tokio::test]
    async fn a_request_asks_for_the_connection_to_be_closed() {
        let (url, mut seen) = serve("HTTP/1.1 503 Down\r\ncontent-length: 2\r\n\r\nno").await;
        let answer = Http::default().ask(&HttpRequest::get(&url).unwrap()).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (503, b"no".as_slice()));
        let head = seen.recv().await.unwrap().to_lowercase();
        assert!(head.starts_with("get /health?x=1 http/1.1\r\nhost: 127.0.0.1:"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
    }

    #[tokio::test]
    async fn name_and_password_of_the_url_are_sent() {
        let (url, mut seen) = serve("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let url = url.replace("http://", "http://ann:p%40ss@");
        Http::default().ask(&HttpRequest::get(&url).unwrap()).await.unwrap();
        let head = seen.recv().await.unwrap();
        assert!(head.contains("authorization: Basic YW5uOnBAc3M=") && !head.contains("ann:"), "{head}");
    }

    #[tokio::test]
    async fn a_body_that_ends_with_the_connection_is_read_whole() {
        let (url, _seen) = serve("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it").await;
        assert_eq!(Http::default().ask(&HttpRequest::get(&url).unwrap()).await.unwrap().body, "all of it");
    }

    #[tokio::test]
    async fn refusal_and_breaking_off_are_told_apart() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = Http::default().ask(&HttpRequest::get(&format!("http://{free}/")).unwrap()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{free}: connection refused"));
        let (url, _seen) = serve("").await;
        let error = Http::default().ask(&HttpRequest::get(&url).unwrap()).await.unwrap_err();
        assert!(matches!(error, HttpError::Exchange { .. }), "{error}");
    }

    #[test]
    fn only_http_urls_are_taken() {
        for url in ["ftp://x/", "shop.example.com", "http://", "file:///etc/passwd"] {
            assert!(HttpRequest::get(url).is_err(), "{url}");
        }
    }
}
