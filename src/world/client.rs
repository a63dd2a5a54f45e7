//! One client of an HTTP service, as a browser or an app is one: how it finds the service, which address it takes, what it keeps between requests.
//!
//! A client that keeps its connection stays with an address that DNS has left, for as long as it answers there; one that keeps names does so until
//! their TTL is over. Both see a failover later than one that begins anew each time: what users feel lies between them.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::connect::{connect, first_of};
use super::datagram::Sockets;
use super::http::{After, HttpAnswer, HttpError, HttpRequest, Link, exchange, once, open};
use super::resolve::{Families, HostAddresses, Resolver};

/// Which of a name's addresses are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Every one, all at once.
    All,
    /// One after the other until one can be connected to.
    InTurn,
    /// The first to which a connection is there (RFC 8305).
    HappyEyeballs,
}

/// What it keeps.
#[derive(Debug, Default)]
pub struct Client {
    /// Where the host was found, and until when that may be believed.
    found: Mutex<Option<(HostAddresses, Instant)>>,
    /// What names are asked over.
    sockets: Sockets,
    /// Connections that nothing is sent over now.
    idle: Mutex<Vec<Link>>,
}

impl Client {
    /// Asks over new connections; at least one element. `keeps_names` = what the resolver said is believed until its TTL is over.
    ///
    /// # Errors
    /// When the URL cannot be used or the host has no address.
    pub async fn anew(
        &self,
        request: &HttpRequest,
        resolver: &Resolver,
        keeps_names: bool,
        which: Addresses,
    ) -> Result<Vec<Result<HttpAnswer, HttpError>>, HttpError> {
        let start = Instant::now();
        let addresses = self.addresses(request, resolver, keeps_names, which).await?;
        if which == Addresses::All {
            return Ok(join_all(addresses.into_iter().map(|address| exchange(request, address))).await);
        }
        let answer = match connected(&addresses, which).await {
            Ok((stream, address)) => once(request, stream, address, start).await,
            Err(error) => Err(error),
        };
        Ok(vec![answer])
    }

    /// Asks over the connection of an earlier request if there is one still, else over a new one, and keeps it. Of several addresses one is taken.
    ///
    /// # Errors
    /// As [`HttpError`] says.
    pub async fn over_kept(&self, request: &HttpRequest, resolver: &Resolver, keeps_names: bool, which: Addresses) -> Result<HttpAnswer, HttpError> {
        let start = Instant::now();
        while let Some(mut link) = self.pop() {
            // One that was closed meanwhile says so here.
            if !link.is_usable().await {
                continue;
            }
            match link.send(request, After::Keep, start).await {
                Ok(answer) => {
                    self.keep(link);
                    return Ok(answer);
                }
                // It was closed at this moment and has not seen the request: clients try another connection (RFC 9110, section 9.2.2).
                Err(unanswered) if unanswered.is_unsent => {}
                Err(unanswered) => return Err(unanswered.error()),
            }
        }
        let addresses = self.addresses(request, resolver, keeps_names, which).await?;
        let (stream, address) = connected(&addresses, which).await?;
        let (mut link, connection) = open(request, stream, address).await?;
        // It ends with the connection, which ends with its link or by the other side.
        tokio::spawn(connection);
        let answer = link.send(request, After::Keep, start).await.map_err(|unanswered| unanswered.error())?;
        self.keep(link);
        Ok(answer)
    }

    fn pop(&self) -> Option<Link> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, link: Link) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }

    async fn addresses(&self, request: &HttpRequest, resolver: &Resolver, keeps_names: bool, which: Addresses) -> Result<Vec<SocketAddr>, HttpError> {
        let (host, port) = request.place()?;
        let families = if which == Addresses::HappyEyeballs { Families::Both } else { Families::Four };
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found = match known.filter(|(_, until)| keeps_names && Instant::now() < *until) {
            Some((found, _)) => found,
            None => {
                let asked = Instant::now();
                let found = resolver.find(host, families, &self.sockets).await?;
                if let (true, Some(ttl)) = (keeps_names, found.ttl) {
                    *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((found.clone(), asked + ttl));
                }
                found
            }
        };
        Ok(found.addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

/// A connection to one of `addresses`, of which there is at least one.
async fn connected(addresses: &[SocketAddr], which: Addresses) -> Result<(tokio::net::TcpStream, SocketAddr), HttpError> {
    if which == Addresses::HappyEyeballs {
        return Ok(first_of(addresses).await?);
    }
    let mut last = None;
    for address in addresses {
        match connect(*address).await {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| HttpError::Url("no address".to_owned()), Into::into))
}
