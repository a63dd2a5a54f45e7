//! `check.prometheus`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::expect::answer::HttpUrl;
use crate::catalogue::expect::number::{NumberExpect, query};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::world::World;
use crate::model::target::{Target, TargetKind};

/// Asks Prometheus once and fails unless there are numbers and they are as expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckPrometheus {
    /// The server, without `/api/v1`.
    url: HttpUrl,
    /// An instant query in PromQL.
    query: String,
    /// What the numbers must be.
    #[serde(default)]
    expect: NumberExpect,
}

/// What came back.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// One number for each series.
    values: Vec<f64>,
}

impl Action<World> for CheckPrometheus {
    const KIND: &'static str = "check.prometheus";
    const EXAMPLE: &'static str = r#"{ url: "${{ vars.prometheus }}", query: "sum(rate(shop_requests_total[1m]))", expect: { above: 0 } }"#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const SECRETS: &'static [&'static str] = &["url"];
    const MUTATES: bool = false;
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), vec![Target::outside(TargetKind::Query, &self.query)], Vec::new()))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Output>, ActionError> {
        let said = |message: String| ActionError::Check(format!("{}: {message}", self.query));
        let values = query(cx.world.http(), &self.url, &self.query, None).await.map_err(said)?;
        let detail = self.expect.judge(&values).map_err(|unmet| said(unmet.to_string()))?;
        (cx.progress)(detail);
        Ok(Applied::changed(Output { values }))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}
