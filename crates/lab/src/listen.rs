//! From a listening socket to HTTP/1 connections, all owned by one task: when it ends, they end.

use std::error::Error;
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long to wait before accepting again when the process has no file descriptors left.
const BREATH: Duration = Duration::from_millis(20);

/// Serves HTTP on a listener until `stop`.
pub(super) async fn serve_http<S, B>(listener: TcpListener, service: S, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    accept(listener, stop, move |stream| serve_connection(stream, service.clone())).await;
}

/// One connection, until either side ends it.
pub(super) async fn serve_connection<I, S, B>(stream: I, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // An error here is the peer's doing (it went away, it spoke no HTTP): nobody is left to be told.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// Accepts connections until `stop` and runs each in its own task; all end with this one.
pub(super) async fn accept<F>(listener: TcpListener, stop: CancellationToken, mut serve: impl FnMut(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Answers are small and complete: waiting for more to send only delays them. Without it the connection still works.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    // New customers are refused before the present ones are cut off.
    drop(listener);
    connections.shutdown().await;
}
