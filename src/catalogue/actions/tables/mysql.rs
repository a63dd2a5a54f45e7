//! What MySQL and MariaDB is asked by `mysql.reconcile`.

use mysql_async::prelude::Queryable as _;

use super::agree::{Column, Server};
use super::reconcile::Reconcile;
use crate::catalogue::expect::place::HostPort;
use crate::catalogue::servers::mysql::MysqlServer;
use crate::catalogue::servers::table::Table;
use crate::world::World;
use crate::world::connect::chain;

pub(crate) type MysqlReconcile = Reconcile<MysqlServer>;

impl Server for MysqlServer {
    const RECONCILE: &'static str = "mysql.reconcile";
    const EXAMPLE: &'static str = r#"
        source: { address: "db.hz.example.cn:3306", user: reader, password: { secret: "env:DB_PASSWORD" }, database: shop }
        mirror: { address: "db.us.example.com:3306", user: reader, password: { secret: "env:DB_PASSWORD" }, database: shop }
        table: orders
        key: id
    "#;

    fn address(&self) -> &HostPort {
        &self.address
    }

    async fn ask(&self, world: &World, question: &str) -> Result<Vec<String>, String> {
        let mut connection = self.connect(world).await?;
        for statement in ["set session transaction read only", "set session time_zone = '+00:00'"] {
            connection.query_drop(statement).await.map_err(|error| chain(&error))?;
        }
        let found: Vec<Option<String>> = connection.query(question).await.map_err(|error| chain(&error))?;
        // The answer is there: how the connection ends says nothing more.
        let _ = connection.disconnect().await;
        found.into_iter().collect::<Option<Vec<String>>>().ok_or_else(|| "the table holds rows whose key is NULL: they cannot be told apart".to_owned())
    }

    fn columns(table: &Table) -> String {
        let (schema, table) = table.parts();
        let schema = schema.map_or_else(|| "database()".to_owned(), |schema| format!("'{schema}'"));
        format!("select concat(column_name, ' ', data_type) from information_schema.columns where table_schema = {schema} and table_name = '{table}'")
    }

    fn quoted(name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn text(column: &Column) -> String {
        if is_binary(column) { format!("hex({})", column.quoted) } else { format!("cast({} as char)", column.quoted) }
    }

    fn value(column: &Column, text: &str) -> String {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.e".contains(&byte)) && !text.is_empty();
        if is_binary(column) {
            format!("x'{text}'")
        } else if is_number && NUMBERS.contains(&column.of_type.as_str()) {
            text.to_owned()
        } else {
            // What the digits of a text mean does not depend on the server's settings, and it is compared as the column is.
            format!("_utf8mb4 x'{}'", text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }

    fn hash(columns: &[Column]) -> String {
        let columns: Vec<String> = columns.iter().map(|column| format!("coalesce(hex(cast({} as binary)), '-')", column.quoted)).collect();
        format!("md5(concat_ws('#', {}))", columns.join(", "))
    }

    fn number(hash: &str) -> String {
        format!("cast(conv(left({hash}, 15), 16, 10) as unsigned)")
    }
}

/// Types whose literals are digits: compared with a text they would be compared as inexact numbers.
const NUMBERS: [&str; 8] = ["tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double"];

fn is_binary(column: &Column) -> bool {
    matches!(column.of_type.as_str(), "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob")
}
