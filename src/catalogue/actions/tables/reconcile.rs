//! `postgres.reconcile`, `mysql.reconcile`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::agree::{Server, agree};
use crate::catalogue::difference::Compared;
use crate::catalogue::servers::table::Table;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::target::{Target, TargetKind};
use crate::world::World;

/// Compares a table of two database servers, count, keys and checksums of all columns, until both hold the same rows: nothing missing, nothing too many,
/// nothing different, nothing doubled.
///
/// The key is expected to grow with time: rows that are newer than the source's newest at the first look are left out, because rows may be written all
/// the time. A look reads the whole table on both sides, and at most half of the time is spent looking. The step's timeout ends the wait; what then
/// still differs is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reconcile<S> {
    /// What has to be there.
    source: S,
    /// Where it has to be as well.
    mirror: S,
    /// The table, with its schema (MySQL: its database) if it needs one.
    table: Table,
    /// The column that tells rows apart; `id` unless written.
    #[serde(default = "id")]
    key: String,
}

fn id() -> String {
    "id".to_owned()
}

impl<S: Server> Action<World> for Reconcile<S> {
    const KIND: &'static str = S::RECONCILE;
    const EXAMPLE: &'static str = S::EXAMPLE;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const SECRETS: &'static [&'static str] = &["source.user", "source.password", "mirror.user", "mirror.password"];
    const MUTATES: bool = false;
    type Before = ();
    type Output = Compared;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        let target = |server: &S| Target::outside(TargetKind::Table, format!("{}/{}", server.address(), self.table));
        Ok(Planned::new((), vec![target(&self.source), target(&self.mirror)], Vec::new()))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Compared>, ActionError> {
        agree(cx, &self.source, &self.mirror, &self.table, &self.key).await
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}
