//! Redis, and what speaks as it does: Valkey, ElastiCache, Tair.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{Driver, reached};
use crate::catalogue::expect::Unmet;
use crate::catalogue::expect::place::HostPort;
use crate::world::connect::chain;
use crate::world::{World, tls};

/// A Redis server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisServer {
    /// Where it is.
    pub(crate) address: HostPort,
    /// Who asks; the default user unless written.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The user's password, a secret.
    #[serde(default)]
    pub(crate) password: Option<String>,
    /// The number of the database; 0 unless written.
    #[serde(default)]
    pub(crate) database: u16,
    /// Whether it speaks TLS, with a certificate for the host that this machine trusts; no unless written.
    #[serde(default)]
    pub(crate) tls: bool,
}

impl RedisServer {
    /// Lets the user in over `stream`, which goes to `host`.
    ///
    /// # Errors
    /// What it says of the server that it does not.
    pub(crate) async fn open(&self, host: &str, stream: TcpStream) -> Result<(MultiplexedConnection, Driver<()>), Unmet> {
        let mut login = RedisConnectionInfo::default().set_db(self.database.into()).set_skip_set_lib_name();
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        // The engine ends what takes too long.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        if self.tls {
            let stream = tls::connect(host, stream, &[]).await.map_err(|message| Unmet::Differs(format!("no TLS: {message}")))?;
            let (server, driver) = MultiplexedConnection::new_with_config(&login, stream, config).await.map_err(|error| refusal(&error))?;
            Ok((server, Box::pin(driver)))
        } else {
            let (server, driver) = MultiplexedConnection::new_with_config(&login, stream, config).await.map_err(|error| refusal(&error))?;
            Ok((server, Box::pin(driver)))
        }
    }

    /// A connection to the first address that accepts one.
    ///
    /// # Errors
    /// In one line.
    pub(crate) async fn connect(&self, world: &World) -> Result<MultiplexedConnection, String> {
        let (server, driver) = self.open(&self.address.host, reached(world, &self.address).await?).await?;
        tokio::spawn(driver);
        Ok(server)
    }
}

/// What an error says of the server. These codes say that this user is not let in or may not ask, or that what was asked is of another kind
/// (<https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>).
fn refusal(error: &RedisError) -> Unmet {
    const OF_WHO_ASKS: [&str; 4] = ["NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE"];
    let is_ours = matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::UnexpectedReturnType)
        || error.code().is_some_and(|code| OF_WHO_ASKS.contains(&code));
    if is_ours { Unmet::Untold(chain(error)) } else { Unmet::Differs(chain(error)) }
}

/// The answer to one command.
///
/// # Errors
/// What it says of the server that there is none.
pub(crate) async fn command<T: FromRedisValue>(server: &mut MultiplexedConnection, command: &Cmd) -> Result<T, Unmet> {
    command.query_async(server).await.map_err(|error| refusal(&error))
}
