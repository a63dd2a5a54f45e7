//! `postgres`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_postgres::Client;

use crate::catalogue::expect::database::{Answer, DatabaseExpect, Role};
use crate::catalogue::expect::place::{HostPort, connected, everywhere};
use crate::catalogue::expect::Unmet;
use crate::catalogue::servers::postgres::{PostgresServer, cell, refusal};
use crate::engine::probe::{Probe, Sample};
use crate::model::plan::ClientModel;
use crate::model::time::Span;
use crate::world::World;

/// As it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PostgresFile {
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

/// Asks a PostgreSQL server (or one that speaks as it does: Aurora, PolarDB), over a new connection each time, at every address its host has at that
/// moment. Good when it lets the user in, answers the query in a transaction that only reads, and is as expected. Unknown when it does not let this user in,
/// when the query is at fault, and when it gives nothing.
///
/// A replica's lag is 0 while it receives and has replayed all it received, else the age of the last transaction that it replayed: it grows on when the
/// primary is gone, and when nobody writes to a primary that is. A receiver notices a primary that fell silent after `wal_receiver_timeout` only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "PostgresFile")]
#[schemars(with = "PostgresFile")]
pub(crate) struct PostgresProbe {
    server: PostgresServer,
    query: String,
    timeout: Span,
    expect: DatabaseExpect,
}

impl From<PostgresFile> for PostgresProbe {
    fn from(PostgresFile { address, user, password, database, tls, query, timeout, expect }: PostgresFile) -> Self {
        Self { server: PostgresServer { address, user, password, database, tls }, query, timeout, expect }
    }
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
    const EXAMPLE: &'static str = r#"{ address: "db.us.example.com:5432", user: probe, password: { secret: "env:DB_PASSWORD" }, database: shop, tls: true, expect: { role: primary } }"#;
    const CALLS: &'static [&'static str] = &[];
    const SECRETS: &'static [&'static str] = &["user", "password"];
    const SERVICE: bool = true;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        ClientModel::anew()
    }

    async fn sample(&self, world: &World) -> Sample {
        everywhere(world, &self.server.address, |address| self.at(address)).await
    }
}

impl PostgresProbe {
    async fn at(&self, address: SocketAddr) -> Result<Sample, Sample> {
        let start = Instant::now();
        let stream = connected(address).await?;
        let answer = self.ask(stream).await.and_then(|answer| self.expect.judge(&answer, start.elapsed()));
        answer.map_err(|unmet| unmet.at(address).into())
    }

    async fn ask(&self, stream: TcpStream) -> Result<Answer, Unmet> {
        let (client, driver) = self.server.open(stream).await?;
        match select(std::pin::pin!(self.questions(&client)), driver).await {
            Either::Left((answer, _)) => answer,
            Either::Right((Err(error), _)) => Err(refusal(&error)),
            Either::Right((Ok(()), _)) => Err(Unmet::Differs("connection closed".to_owned())),
        }
    }

    async fn questions(&self, client: &Client) -> Result<Answer, Unmet> {
        // Not as an option of the connection: poolers refuse those.
        cell(client, "begin read only").await?;
        let mut answer = Answer { cell: cell(client, &self.query).await?, ..Answer::default() };
        if self.expect.role.is_some() || self.expect.max_lag.is_some() {
            answer.role = match cell(client, "select pg_is_in_recovery()").await?.as_deref() {
                Some("t") => Some(Role::Replica),
                Some("f") => Some(Role::Primary),
                _ => None,
            };
            answer.lag = match (self.expect.max_lag, answer.role) {
                (None, _) => None,
                (Some(_), Some(Role::Replica)) => Some(lag(cell(client, LAG).await?)),
                (Some(_), Some(Role::Primary)) => Some(Err(Unmet::Differs("a primary, expected a replica".to_owned()))),
                (Some(_), None) => Some(Err(Unmet::Untold("it does not say whether it is a primary".to_owned()))),
            };
        }
        Ok(answer)
    }
}

fn lag(seconds: Option<String>) -> Result<Duration, Unmet> {
    let seconds = seconds.ok_or_else(|| Unmet::Untold("it has replayed nothing yet".to_owned()))?;
    let number = seconds.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number.max(0.0)).ok());
    number.ok_or_else(|| Unmet::Untold(format!("its lag is \"{seconds}\"")))
}
