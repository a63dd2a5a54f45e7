//! `postgres`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::catalogue::expect::database::{Answer, DatabaseExpect, Role};
use crate::catalogue::expect::place::{HostPort, connected, everywhere};
use crate::engine::probe::{Probe, Sample};
use crate::model::time::Span;
use crate::world::connect::chain;
use crate::world::{World, tls};

/// Asks a PostgreSQL server (or one that speaks as it does: Aurora, PolarDB), over a new connection each time, at every address its host has at that
/// moment. Good when it lets the user in, answers the query in a transaction that only reads, and is as expected.
///
/// A replica's lag is 0 while it receives and has replayed all it received, else the age of the last transaction that it replayed: it grows on when the
/// primary is gone, and when nobody writes to a primary that is. A receiver notices a primary that fell silent after `wal_receiver_timeout` only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresProbe {
    /// Where it is.
    address: HostPort,
    /// Who asks.
    user: String,
    /// The user's password, a secret.
    #[serde(default)]
    password: Option<String>,
    /// The database; the one named as the user unless written.
    #[serde(default)]
    database: Option<String>,
    /// Whether it must speak TLS, with a certificate for the host that this machine trusts; no unless written.
    #[serde(default)]
    tls: bool,
    /// What is asked; only that it answers unless written.
    #[serde(default = "one")]
    query: String,
    /// How long all of it may take; 2s unless written.
    #[serde(default = "two_seconds")]
    timeout: Span,
    /// What must hold.
    #[serde(default)]
    expect: DatabaseExpect,
}

fn one() -> String {
    "select 1".to_owned()
}

const fn two_seconds() -> Span {
    Span::from_secs(2)
}

/// Functions of PostgreSQL 10 and later. The row of the receiver has an id for everybody; its other columns are for those who may read statistics.
const LAG: &str = "select case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() \
     and exists (select from pg_stat_wal_receiver where pid is not null) then 0 \
     else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end";

impl Probe<World> for PostgresProbe {
    const KIND: &'static str = "postgres";
    const SERVICE: bool = true;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    async fn sample(&self, world: &World) -> Sample {
        everywhere(world, &self.address, |address| self.at(address)).await
    }
}

impl PostgresProbe {
    async fn at(&self, address: SocketAddr) -> Result<Sample, Sample> {
        let start = Instant::now();
        let stream = connected(address).await?;
        let answer = self.ask(stream).await.and_then(|answer| self.expect.judge(&answer, start.elapsed()));
        answer.map_err(|wrong| Sample::bad(format!("{address}: {wrong}")))
    }

    async fn ask(&self, stream: TcpStream) -> Result<Answer, String> {
        let mut config = Config::new();
        config.user(&self.user).application_name("lifeboat").ssl_mode(if self.tls { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(database) = &self.database {
            config.dbname(database);
        }
        if self.tls {
            let mut maker = MakeRustlsConnect::new(tls::config()?.as_ref().clone());
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut maker, &self.address.host).map_err(|error| chain(&error))?;
            let (client, connection) = config.connect_raw(stream, tls).await.map_err(|error| chain(&error))?;
            self.answer(client, connection).await
        } else {
            let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| chain(&error))?;
            self.answer(client, connection).await
        }
    }

    /// What the server says to `client`, whose messages go over `connection`.
    async fn answer(&self, client: Client, connection: impl Future<Output = Result<(), tokio_postgres::Error>>) -> Result<Answer, String> {
        let asked = std::pin::pin!(self.questions(&client));
        match select(asked, std::pin::pin!(connection)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((Err(error), _)) => Err(chain(&error)),
            Either::Right((Ok(()), _)) => Err("connection closed".to_owned()),
        }
    }

    async fn questions(&self, client: &Client) -> Result<Answer, String> {
        // Not as an option of the connection: poolers refuse those.
        cell(client, "begin read only").await?;
        let mut answer = Answer { cell: cell(client, &self.query).await?, ..Answer::default() };
        if self.expect.role.is_some() || self.expect.max_lag.is_some() {
            let follows = cell(client, "select pg_is_in_recovery()").await?.as_deref() == Some("t");
            answer.role = Some(if follows { Role::Replica } else { Role::Primary });
            answer.lag = match self.expect.max_lag {
                Some(_) if follows => Some(lag(cell(client, LAG).await?)),
                Some(_) => Some(Err("a primary, expected a replica".to_owned())),
                None => None,
            };
        }
        Ok(answer)
    }
}

/// The first cell of the first row.
async fn cell(client: &Client, query: &str) -> Result<Option<String>, String> {
    let messages = client.simple_query(query).await.map_err(|error| chain(&error))?;
    let row = messages.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    Ok(row.and_then(|row| row.try_get(0).ok().flatten()).map(str::to_owned))
}

fn lag(seconds: Option<String>) -> Result<Duration, String> {
    let seconds = seconds.ok_or("it has replayed nothing yet")?;
    let number: f64 = seconds.parse().map_err(|_| format!("its lag is \"{seconds}\""))?;
    Duration::try_from_secs_f64(number.max(0.0)).map_err(|_| format!("its lag is \"{seconds}\""))
}
