//! PostgreSQL, and what speaks as it does: Aurora, PolarDB.

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Driver, reached};
use crate::catalogue::expect::Unmet;
use crate::catalogue::expect::database::refused;
use crate::catalogue::expect::place::HostPort;
use crate::world::connect::chain;
use crate::world::{World, tls};

/// A PostgreSQL server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresServer {
    /// Where it is.
    pub(crate) address: HostPort,
    /// Who asks.
    pub(crate) user: String,
    /// The user's password, a secret.
    #[serde(default)]
    pub(crate) password: Option<String>,
    /// The database; the one named as the user unless written.
    #[serde(default)]
    pub(crate) database: Option<String>,
    /// Whether it must speak TLS, with a certificate for the host that this machine trusts; no unless written.
    #[serde(default)]
    pub(crate) tls: bool,
}

impl PostgresServer {
    /// Lets the user in over `stream`.
    ///
    /// # Errors
    /// What it says of the server that it does not.
    pub(crate) async fn open(&self, stream: TcpStream) -> Result<(Client, Driver<Result<(), Error>>), Unmet> {
        let mut config = Config::new();
        config.user(&self.user).application_name("lifeboat").ssl_mode(if self.tls { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(database) = &self.database {
            config.dbname(database);
        }
        if self.tls {
            let mut maker = MakeRustlsConnect::new(tls::config().map_err(Unmet::Untold)?.as_ref().clone());
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut maker, &self.address.host).map_err(|error| Unmet::Differs(chain(&error)))?;
            let (client, connection) = config.connect_raw(stream, tls).await.map_err(|error| refusal(&error))?;
            Ok((client, Box::pin(connection)))
        } else {
            let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| refusal(&error))?;
            Ok((client, Box::pin(connection)))
        }
    }

    /// A connection to the first address that accepts one.
    ///
    /// # Errors
    /// In one line.
    pub(crate) async fn connect(&self, world: &World) -> Result<Client, String> {
        let (client, driver) = self.open(reached(world, &self.address).await?).await?;
        tokio::spawn(driver);
        Ok(client)
    }
}

/// What an error says of the server.
pub(crate) fn refusal(error: &Error) -> Unmet {
    refused(error.code().map(SqlState::code), chain(error))
}

/// The first cells of all rows.
///
/// # Errors
/// What it says of the server that there are none.
pub(crate) async fn cells(client: &Client, query: &str) -> Result<Vec<Option<String>>, Unmet> {
    let messages = client.simple_query(query).await.map_err(|error| refusal(&error))?;
    let rows = messages.iter().filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    Ok(rows.map(|row| row.try_get(0).ok().flatten().map(str::to_owned)).collect())
}

/// The first cell of the first row.
///
/// # Errors
/// As [`cells`].
pub(crate) async fn cell(client: &Client, query: &str) -> Result<Option<String>, Unmet> {
    Ok(cells(client, query).await?.into_iter().next().flatten())
}
