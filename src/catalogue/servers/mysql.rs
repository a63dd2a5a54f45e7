//! MySQL and MariaDB, and what speaks as they do: Aurora, PolarDB, OceanBase.

use std::net::SocketAddr;

use mysql_async::{Conn, Error, IoError, OptsBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::expect::place::HostPort;
use crate::world::World;
use crate::world::connect::{chain, is_ours};

/// A MySQL or MariaDB server; asked without TLS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MysqlServer {
    /// Where it is.
    pub(crate) address: HostPort,
    /// Who asks.
    pub(crate) user: String,
    /// The user's password, a secret.
    #[serde(default)]
    pub(crate) password: Option<String>,
    /// The database; none unless written.
    #[serde(default)]
    pub(crate) database: Option<String>,
}

impl MysqlServer {
    /// A connection to `address`.
    ///
    /// # Errors
    /// When there is none, or the user is not let in.
    pub(crate) async fn open(&self, address: SocketAddr) -> Result<Conn, Error> {
        let options = OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(Some(&self.user))
            .pass(self.password.as_ref())
            .db_name(self.database.as_ref())
            .prefer_socket(false)
            .stmt_cache_size(0);
        Conn::new(options).await
    }

    /// A connection to the first address that accepts one.
    ///
    /// # Errors
    /// In one line.
    pub(crate) async fn connect(&self, world: &World) -> Result<Conn, String> {
        let mut last = format!("{} has no address", self.address.host);
        for address in world.resolver().addresses(&self.address.host).await.map_err(|error| error.to_string())? {
            match self.open((address, self.address.port).into()).await {
                // A connection that is given up before it has logged in counts against this host there: each address is tried once, and whole.
                Err(Error::Io(error)) => last = chain(&error),
                other => return other.map_err(|error| chain(&error)),
            }
        }
        Err(last)
    }
}

/// Whether the failure says nothing about the server: this machine has no socket left.
pub(crate) fn is_our_failure(error: &Error) -> bool {
    matches!(error, Error::Io(IoError::Io(error)) if is_ours(error))
}
