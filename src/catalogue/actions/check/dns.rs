//! `check.dns`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::expect::names::{DnsExpect, DnsType};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::world::World;
use crate::model::target::{Target, TargetKind};

/// Asks for a name's records once and fails unless the answer is as expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckDns {
    /// The whole name, such as `shop.example.com`.
    name: String,
    /// The type of the records; A unless written.
    #[serde(default, rename = "type")]
    record_type: DnsType,
    /// The name server to ask, `host:port`; the environment's unless written.
    #[serde(default)]
    server: Option<String>,
    /// What the answer must be.
    #[serde(default)]
    expect: DnsExpect,
}

/// What came back.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The records' values, sorted.
    values: Vec<String>,
}

impl Action<World> for CheckDns {
    const KIND: &'static str = "check.dns";
    const EXAMPLE: &'static str = r#"{ name: "${{ vars.storefront_host }}", type: A, expect: { contains: ["${{ vars.storefront_aws_address }}"] } }"#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const MUTATES: bool = false;
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), vec![Target::outside(TargetKind::Name, &self.name)], Vec::new()))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Output>, ActionError> {
        let said = |message: &dyn std::fmt::Display| ActionError::Check(format!("{}: {message}", self.name));
        let values =
            cx.world.resolver().records(&self.name, self.record_type.record_type(), self.server.as_deref()).await.map_err(|error| said(&error))?;
        let detail = self.expect.judge(&values).map_err(|unmet| said(&unmet))?;
        (cx.progress)(format!("{}: {detail}", self.name));
        Ok(Applied::changed(Output { values }))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}
