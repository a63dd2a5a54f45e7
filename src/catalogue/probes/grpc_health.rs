//! `grpc.health`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::catalogue::expect::Unmet;
use crate::catalogue::expect::place::{HostPort, connected, everywhere};
use crate::engine::probe::{Probe, Sample};
use crate::model::plan::ClientModel;
use crate::model::time::Span;
use crate::world::{World, tls};

/// Asks a gRPC service whether it is well, by the protocol that all of them share (`grpc.health.v1.Health/Check`), resolving the name anew each time, at
/// every address it has at that moment. Good when each of them says SERVING; unknown when one does not know the service or has no health to tell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcHealth {
    /// Where it is.
    address: HostPort,
    /// Which of its services; the whole server unless written.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    service: String,
    /// Whether it speaks TLS; no unless written.
    #[serde(default)]
    tls: bool,
    /// How long an answer may take; 1s unless written.
    #[serde(default = "one_second")]
    timeout: Span,
}

const fn one_second() -> Span {
    Span::from_secs(1)
}

/// The largest answer that is read.
const LARGEST: usize = 4096;

/// The statuses of a server that answers and does not know the service (NOT_FOUND), has no health to tell (UNIMPLEMENTED), or does not let us ask
/// (PERMISSION_DENIED, UNAUTHENTICATED): <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
const UNTOLD: [&str; 4] = ["5", "12", "7", "16"];

fn failed(error: impl std::fmt::Display) -> Unmet {
    Unmet::Differs(error.to_string())
}

impl Probe<World> for GrpcHealth {
    const KIND: &'static str = "grpc.health";
    const EXAMPLE: &'static str = r#"{ address: "orders.example.com:443", tls: true }"#;
    const CALLS: &'static [&'static str] = &[];
    const SERVICE: bool = true;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        ClientModel::anew()
    }

    async fn sample(&self, world: &World) -> Sample {
        everywhere(world, &self.address, |address| self.at(address)).await
    }
}

impl GrpcHealth {
    async fn at(&self, address: SocketAddr) -> Result<String, Sample> {
        let start = Instant::now();
        let stream = connected(address).await?;
        let said = if self.tls {
            match tls::connect(&self.address.host, stream, &["h2"]).await {
                Ok(stream) => self.ask(stream).await,
                Err(message) => Err(Unmet::Differs(format!("no TLS: {message}"))),
            }
        } else {
            self.ask(stream).await
        };
        match said.as_ref().copied() {
            Ok("SERVING") => Ok(format!("SERVING in {} ms", start.elapsed().as_millis())),
            Ok(other @ ("UNKNOWN" | "SERVICE_UNKNOWN")) => Err(Sample::unknown(format!("{address}: {other}, expected SERVING"))),
            Ok(other) => Err(Sample::bad(format!("{address}: {other}, expected SERVING"))),
            Err(unmet) => Err(unmet.clone().at(address).into()),
        }
    }

    /// What the server says of the service, over a connection of its own.
    async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) -> Result<&'static str, Unmet> {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(failed)?;
        let scheme = if self.tls { "https" } else { "http" };
        let request = Request::post(format!("{scheme}://{}/grpc.health.v1.Health/Check", self.address))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(question(&self.service)))
            .map_err(|error| Unmet::Untold(error.to_string()))?;
        let exchange = async move {
            let answer = sender.send_request(request).await.map_err(failed)?;
            if answer.status() != 200 {
                return Err(Unmet::Differs(format!("HTTP {}", answer.status().as_u16())));
            }
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LARGEST).collect().await.map_err(failed)?;
            // A failed call says so in the trailers, or in the head if there is no body.
            let text = |name: &str| {
                let value = body.trailers().and_then(|trailers| trailers.get(name)).or_else(|| head.headers.get(name));
                value.and_then(|value| value.to_str().ok()).map(str::to_owned)
            };
            match text("grpc-status").as_deref() {
                Some("0") => {}
                Some(status) => {
                    let said = format!("gRPC status {status}: {}", text("grpc-message").unwrap_or_default());
                    return Err(if UNTOLD.contains(&status) { Unmet::Untold(said) } else { Unmet::Differs(said) });
                }
                None => return Err(Unmet::Differs("it is no gRPC service".to_owned())),
            }
            status(&body.to_bytes()).ok_or_else(|| Unmet::Untold("the answer is no health".to_owned()))
        };
        // Dropped with this, however it ends: a connection lasts for one sample.
        tokio::select! {
            answer = exchange => answer,
            ended = connection => Err(ended.map_or_else(failed, |()| Unmet::Differs("closed".to_owned()))),
        }
    }
}

/// A message of gRPC that holds a `HealthCheckRequest`: an uncompressed message's flag and length, then field 1, a text
/// (<https://github.com/grpc/grpc-proto/blob/master/grpc/health/v1/health.proto>).
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.put_u8(length as u8);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

/// The word for what a message of gRPC with a `HealthCheckResponse` says: its field 1, a number below 128; 0 when it is absent.
fn status(framed: &[u8]) -> Option<&'static str> {
    let (head, message) = framed.split_at_checked(5)?;
    if head[0] != 0 || u32::from_be_bytes(head[1..].try_into().ok()?) as usize != message.len() {
        return None;
    }
    match message {
        [] | [0x08, 0] => Some("UNKNOWN"),
        [0x08, 1] => Some("SERVING"),
        [0x08, 2] => Some("NOT_SERVING"),
        [0x08, 3] => Some("SERVICE_UNKNOWN"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_the_protocol_says() {
        assert_eq!(question("").as_ref(), [0, 0, 0, 0, 0]);
        assert_eq!(question("shop").as_ref(), b"\0\0\0\0\x06\x0a\x04shop");
        let long = question(&"x".repeat(300));
        assert_eq!(&long[..8], b"\0\0\0\x01\x2f\x0a\xac\x02");
        assert_eq!(status(b"\0\0\0\0\x02\x08\x01"), Some("SERVING"));
        assert_eq!(status(b"\0\0\0\0\x02\x08\x02"), Some("NOT_SERVING"));
        assert_eq!(status(b"\0\0\0\0\x00"), Some("UNKNOWN"));
        for wrong in [&b""[..], b"\0\0\0\0\x03\x08\x01", b"\x01\0\0\0\x02\x08\x01", b"\0\0\0\0\x02\x08\x09"] {
            assert_eq!(status(wrong), None);
        }
    }
}
