//! `mysql`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Row, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::expect::Unmet;
use crate::catalogue::expect::database::{refused, Answer, DatabaseExpect, Role};
use crate::catalogue::expect::place::{HostPort, everywhere};
use crate::catalogue::servers::mysql::{MysqlServer, is_our_failure};
use crate::engine::probe::{Probe, Sample};
use crate::model::plan::ClientModel;
use crate::model::time::Span;
use crate::world::World;
use crate::world::connect::chain;

/// As it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MysqlFile {
    /// Where it is.
    address: HostPort,
    /// Who asks.
    user: String,
    /// The user's password, a secret.
    #[serde(default)]
    password: Option<String>,
    /// The database; none unless written.
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

/// Asks a MySQL or MariaDB server (or one that speaks as they do: Aurora, PolarDB, OceanBase), over a new connection each time, at every address
/// its host has at that moment. Good when it lets the user in, answers the query in a transaction that only reads, and is as expected. Unknown when it does
/// not let this user in, when the query is at fault, and when it gives nothing.
///
/// A primary is a server that takes writes, a replica one that is `read_only`. A replica's lag is what it says of itself in whole seconds (Seconds_Behind_Source), for
/// which the user needs the right to ask (REPLICATION CLIENT or REPLICA MONITOR).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "MysqlFile")]
#[schemars(with = "MysqlFile")]
pub(crate) struct MysqlProbe {
    server: MysqlServer,
    query: String,
    timeout: Span,
    expect: DatabaseExpect,
}

impl From<MysqlFile> for MysqlProbe {
    fn from(MysqlFile { address, user, password, database, tls, query, timeout, expect }: MysqlFile) -> Self {
        Self { server: MysqlServer { address, user, password, database, tls }, query, timeout, expect }
    }
}

fn one() -> String {
    "select 1".to_owned()
}

const fn two_seconds() -> Span {
    Span::from_secs(2)
}

/// The question and the column, by what servers of different ages call them.
const LAG: [(&str, &str); 3] = [
    ("show replica status", "Seconds_Behind_Source"),
    ("show replica status", "Seconds_Behind_Master"),
    ("show slave status", "Seconds_Behind_Master"),
];

impl Probe<World> for MysqlProbe {
    const KIND: &'static str = "mysql";
    const EXAMPLE: &'static str = r#"{ address: "db.us.example.com:3306", user: probe, password: { secret: "env:DB_PASSWORD" }, tls: true, expect: { role: replica, max_lag: 5s } }"#;
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

impl MysqlProbe {
    async fn at(&self, address: SocketAddr) -> Result<Sample, Sample> {
        let start = Instant::now();
        let answer = self.ask(address).await.map_err(|error| match &error {
            error if is_our_failure(error) => Sample::unknown(format!("{address}: {error}")),
            Error::Server(said) => refused(Some(&said.state), chain(&error)).at(address).into(),
            _ => Sample::bad(format!("{address}: {}", chain(&error))),
        })?;
        self.expect.judge(&answer, start.elapsed()).map_err(|unmet| unmet.at(address).into())
    }

    async fn ask(&self, address: SocketAddr) -> Result<Answer, Error> {
        let mut connection = self.server.open(address).await?;
        let answer = self.questions(&mut connection).await;
        // The answer is there: how the connection ends says nothing more.
        let _ = connection.disconnect().await;
        answer
    }

    async fn questions(&self, connection: &mut Conn) -> Result<Answer, Error> {
        connection.query_drop("set session transaction read only").await?;
        let mut answer = Answer { cell: first(connection, &self.query).await?.as_ref().and_then(|row| text(row.as_ref(0)?)), ..Answer::default() };
        if self.expect.role.is_some() {
            let read_only = first(connection, "select @@global.read_only").await?.as_ref().and_then(|row| text(row.as_ref(0)?));
            answer.role = read_only.map(|read_only| if read_only == "0" { Role::Primary } else { Role::Replica });
        }
        if self.expect.max_lag.is_some() {
            answer.lag = Some(lag(connection).await?);
            answer.steps = Duration::from_secs(1);
        }
        Ok(answer)
    }
}

async fn first(connection: &mut Conn, query: &str) -> Result<Option<Row>, Error> {
    connection.query_first(query).await
}

async fn lag(connection: &mut Conn) -> Result<Result<Duration, Unmet>, Error> {
    let mut failed = None;
    for (question, column) in LAG {
        match first(connection, question).await {
            Ok(None) => return Ok(Err(Unmet::Differs("it follows nobody".to_owned()))),
            Ok(Some(row)) if row.columns_ref().iter().any(|found| found.name_str() == column) => {
                let seconds = row.get_opt::<Option<u64>, _>(column).and_then(Result::ok).flatten();
                let stopped = || Unmet::Differs("it does not follow: replication is stopped or broken".to_owned());
                return Ok(seconds.map(Duration::from_secs).ok_or_else(stopped));
            }
            Ok(Some(_)) => {}
            Err(error @ Error::Server(_)) => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    failed.map_or_else(|| Ok(Err(Unmet::Untold("it does not say how far it is behind".to_owned()))), Err)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}
