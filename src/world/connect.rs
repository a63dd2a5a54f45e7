//! One TCP connection, made anew, and why there is none.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;

/// Nobody listens, or nobody can be reached.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {}", reason(source))]
pub struct ConnectError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

impl ConnectError {
    /// Whether it says nothing about the other side: this machine has no socket left.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        is_ours(&self.source)
    }
}

/// A connection on which small messages are not held back.
///
/// # Errors
/// When there is none.
pub async fn connect(address: SocketAddr) -> Result<TcpStream, ConnectError> {
    let stream = TcpStream::connect(address).await.map_err(|source| ConnectError { address, source })?;
    // A small request must not wait for the acknowledgement of its own head.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// How long Happy Eyeballs waits for one connection before it tries the next address beside it (RFC 8305, section 5).
const ATTEMPT: Duration = Duration::from_millis(250);

/// The first connection of several, tried as browsers do (Happy Eyeballs, RFC 8305): the families in turn, the next one when the last failed or is slow.
/// `addresses` has at least one element.
///
/// # Errors
/// When none of them can be connected to: what the last one said.
pub async fn first_of(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let mut waiting = interleaved(addresses).into_iter();
    let mut trying = FuturesUnordered::new();
    let attempt = |address| async move { connect(address).await.map(|stream| (stream, address)) };
    trying.extend(waiting.next().map(attempt));
    loop {
        tokio::select! {
            Some(ended) = trying.next() => match ended {
                Ok(connected) => return Ok(connected),
                Err(error) => match waiting.next() {
                    Some(address) => trying.push(attempt(address)),
                    None if trying.is_empty() => return Err(error),
                    None => {}
                },
            },
            () = tokio::time::sleep(ATTEMPT), if waiting.len() > 0 => trying.extend(waiting.next().map(attempt)),
        }
    }
}

/// The families in turn, beginning with that of the first; the order within each stays.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_six = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (VecDeque<SocketAddr>, VecDeque<SocketAddr>) = addresses.iter().partition(|address| address.is_ipv6() == first_is_six);
    let mut all = Vec::with_capacity(addresses.len());
    while !(one.is_empty() && other.is_empty()) {
        all.extend(one.pop_front());
        all.extend(other.pop_front());
    }
    all
}

/// No descriptors, no ports, no network of our own.
#[must_use]
pub fn is_ours(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let local = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NETDOWN, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| local.iter().any(|errno| errno.raw_os_error() == code))
}

/// The error in a few words.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// An error with its causes in one line, without saying anything twice.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.downcast_ref::<std::io::Error>().map_or_else(|| cause.to_string(), reason);
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[test]
    fn families_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"].map(|address| address.parse().unwrap());
        let expected = ["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1", "127.0.0.3:1"].map(|address| address.parse::<SocketAddr>().unwrap());
        assert_eq!(interleaved(&all), expected);
    }

    #[tokio::test]
    async fn who_refuses_and_who_is_slow_is_passed_over() {
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        // A listener with one place in its queue, which is taken, leaves the next connection waiting.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(0).unwrap();
        let slow = full.local_addr().unwrap();
        let _taken = TcpStream::connect(slow).await.unwrap();

        let start = Instant::now();
        let (_, address) = first_of(&[closed, slow, good.local_addr().unwrap()]).await.unwrap();
        assert_eq!(address, good.local_addr().unwrap());
        assert!(start.elapsed() >= ATTEMPT, "the slow one had its time");
        assert_eq!(first_of(&[closed]).await.unwrap_err().to_string(), format!("{closed}: connection refused"));
    }
}
