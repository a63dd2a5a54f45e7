//! Rows in tables of databases.

mod agree;
mod reconcile;

actions! {
    mysql::MysqlReconcile,
    postgres::PostgresReconcile,
}
