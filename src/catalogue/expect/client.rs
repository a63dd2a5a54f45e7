//! Which kind of client a probe plays when it asks a service.

use std::collections::BTreeSet;

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;

use super::place::NameServer;
use crate::model::plan::ClientModel;
use crate::world::World;
use crate::world::client::{Addresses, Client};
use crate::world::http::{HttpAnswer, HttpError, HttpRequest};
use crate::world::resolve::Resolver;

/// How requests reach the service. Written as `{}` it is a browser that was just started; left out, every address of the name is asked, each over a
/// connection of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "ClientFile")]
#[schemars(with = "ClientFile")]
pub(crate) struct AsClient {
    file: ClientFile,
    /// Of its own, if the file names one.
    resolver: Option<Resolver>,
    kept: Client,
}

/// How requests reach the service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClientFile {
    /// Whether connections are kept. A kept one stays with an address that DNS has left. `both` asks over a fresh and a kept one each time; good when both are.
    #[serde(default)]
    connection: Connection,
    /// Which of the name's addresses are asked; all of them only over fresh connections.
    #[serde(default)]
    addresses: AddressesFile,
    /// The resolver to ask; the environment's unless written.
    #[serde(default)]
    resolver: Option<NameServer>,
    /// Whether what the resolver said is believed until its TTL is over, as clients do, or asked anew each time. Needs a resolver, here or of the
    /// environment: the system's says no TTL.
    #[serde(default)]
    keep_names: bool,
}

/// What becomes of a connection after the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Connection {
    /// Closed; the next request makes a new one.
    #[default]
    Fresh,
    /// Kept, and used for the next request.
    Kept,
    /// Each request goes over one of each.
    Both,
}

/// Which of a name's addresses are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum AddressesFile {
    /// Every one, all at once.
    All,
    /// One after the other until one can be connected to.
    InTurn,
    /// The first to which a connection is there; IPv6 and IPv4 in turn, 250 ms apart.
    #[default]
    HappyEyeballs,
}

impl Default for AsClient {
    /// Every address, each over a connection of its own.
    fn default() -> Self {
        let file = ClientFile { connection: Connection::Fresh, addresses: AddressesFile::All, resolver: None, keep_names: false };
        Self { file, resolver: None, kept: Client::default() }
    }
}

impl TryFrom<ClientFile> for AsClient {
    type Error = String;

    fn try_from(file: ClientFile) -> Result<Self, String> {
        if file.addresses == AddressesFile::All && file.connection != Connection::Fresh {
            return Err(
                "`addresses: all` asks over fresh connections; a kept one is to a single address: write `in_turn` or `happy_eyeballs`".to_owned()
            );
        }
        let resolver = file.resolver.as_ref().map(|place| Resolver::new(Some(place.to_string())));
        Ok(Self { file, resolver, kept: Client::default() })
    }
}

impl AsClient {
    /// One that takes one address of the name, after the other until one can be connected to, and keeps nothing.
    pub(crate) fn of_one_address() -> Self {
        let file = ClientFile { connection: Connection::Fresh, addresses: AddressesFile::InTurn, resolver: None, keep_names: false };
        Self { file, resolver: None, kept: Client::default() }
    }

    /// What it keeps.
    pub(crate) fn models(&self) -> BTreeSet<ClientModel> {
        let fresh = if self.file.keep_names { ClientModel::KeepsNames } else { ClientModel::ResolvesAnew };
        match self.file.connection {
            Connection::Fresh => BTreeSet::from([fresh]),
            Connection::Kept => BTreeSet::from([ClientModel::KeepsConnections]),
            Connection::Both => BTreeSet::from([fresh, ClientModel::KeepsConnections]),
        }
    }

    /// Every answer to one question; at least one element.
    ///
    /// # Errors
    /// When the URL cannot be used or the host has no address.
    pub(crate) async fn ask(&self, world: &World, request: &HttpRequest) -> Result<Vec<Result<HttpAnswer, HttpError>>, HttpError> {
        let resolver = self.resolver.as_ref().unwrap_or_else(|| world.resolver());
        let (keeps_names, which) = (self.file.keep_names, self.file.addresses.into());
        match self.file.connection {
            Connection::Fresh => self.kept.anew(request, resolver, keeps_names, which).await,
            Connection::Kept => Ok(vec![self.kept.over_kept(request, resolver, keeps_names, which).await]),
            Connection::Both => {
                let (fresh, kept) =
                    join(self.kept.anew(request, resolver, keeps_names, which), self.kept.over_kept(request, resolver, keeps_names, which)).await;
                let mut all = fresh.unwrap_or_else(|error| vec![Err(error)]);
                all.push(kept);
                Ok(all)
            }
        }
    }
}

impl From<AddressesFile> for Addresses {
    fn from(file: AddressesFile) -> Self {
        match file {
            AddressesFile::All => Self::All,
            AddressesFile::InTurn => Self::InTurn,
            AddressesFile::HappyEyeballs => Self::HappyEyeballs,
        }
    }
}
