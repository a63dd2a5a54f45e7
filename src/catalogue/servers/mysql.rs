//! MySQL and MariaDB, and what speaks as they do: Aurora, PolarDB, OceanBase.

use std::net::SocketAddr;

use mysql_async::{Conn, Error, IoError, OptsBuilder, SslOpts};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::expect::place::HostPort;
use crate::world::connect::{chain, is_ours};
use crate::world::{World, tls};

/// A MySQL or MariaDB server.
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
    /// Whether it must speak TLS, with a certificate for the host that this machine trusts; no unless written.
    #[serde(default)]
    pub(crate) tls: bool,
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
            .stmt_cache_size(0)
            .ssl_opts(self.tls.then(|| self.trust()).transpose()?);
        Conn::new(options).await
    }

    /// The connection goes to an address; the certificate has to be for the name.
    fn trust(&self) -> Result<SslOpts, Error> {
        let roots = tls::roots().map_err(|message| Error::Other(message.into()))?;
        let roots = roots.iter().map(|root| root.as_ref().into()).collect();
        let host = self.address.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots).with_danger_tls_hostname_override(Some(host)))
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
