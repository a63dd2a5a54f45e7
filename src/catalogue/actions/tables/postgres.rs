//! What PostgreSQL is asked by `postgres.reconcile`.

use super::agree::{Column, Server};
use super::reconcile::Reconcile;
use crate::catalogue::expect::place::HostPort;
use crate::catalogue::servers::postgres::{PostgresServer, cells};
use crate::catalogue::servers::table::Table;
use crate::world::World;

pub(crate) type PostgresReconcile = Reconcile<PostgresServer>;

impl Server for PostgresServer {
    const RECONCILE: &'static str = "postgres.reconcile";
    const EXAMPLE: &'static str = r#"
        source: { address: "db.hz.example.cn:5432", user: reader, password: { secret: "env:DB_PASSWORD" }, database: shop }
        mirror: { address: "db.us.example.com:5432", user: reader, password: { secret: "env:DB_PASSWORD" }, database: shop }
        table: orders
    "#;

    fn address(&self) -> &HostPort {
        &self.address
    }

    async fn ask(&self, world: &World, question: &str) -> Result<Vec<String>, String> {
        let client = self.connect(world).await?;
        let same = "set local timezone = 'UTC'; set local datestyle = 'ISO'; set local intervalstyle = 'postgres'; set local bytea_output = 'hex'; \
                    set local extra_float_digits = 1";
        cells(&client, &format!("begin read only; {same}")).await?;
        Ok(cells(&client, question).await?.into_iter().flatten().collect())
    }

    fn columns(table: &Table) -> String {
        format!(
            "select attname || ' ' || format_type(atttypid, atttypmod) from pg_attribute \
             where attrelid = to_regclass('{table}') and attnum > 0 and not attisdropped"
        )
    }

    fn quoted(name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn text(column: &Column) -> String {
        format!("{}::text", column.quoted)
    }

    fn value(_: &Column, text: &str) -> String {
        // A literal is of the type that it is compared with. The escapes mean the same whatever the server's settings are.
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
    }

    fn hash(columns: &[Column]) -> String {
        let columns: Vec<&str> = columns.iter().map(|column| column.quoted.as_str()).collect();
        format!("md5(row({})::text)", columns.join(", "))
    }

    fn number(hash: &str) -> String {
        format!("('x' || left({hash}, 15))::bit(60)::bigint")
    }
}
