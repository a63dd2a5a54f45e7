//! One TCP connection, made anew, and why there is none.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

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
