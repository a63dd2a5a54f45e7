//! The world file: what the lab holds at the beginning and how long things take in it.

use serde::{Deserialize, Serialize};

/// How long things take. Spans as in scenarios; all are divided by the time scale.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// EC2 `pending` until `running`.
    pub ec2_boot: crate::model::time::Span,
    /// EC2 `running` until both status checks are `ok` and its server answers.
    pub ec2_checks: crate::model::time::Span,
    pub ec2_stop: crate::model::time::Span,
    pub ecs_boot: crate::model::time::Span,
    /// ECS `Running` until its server answers.
    pub ecs_ready: crate::model::time::Span,
    pub ecs_stop: crate::model::time::Span,
    /// Route 53: until the authoritative servers answer a change.
    pub route53_serve: crate::model::time::Span,
    /// Route 53: PENDING until INSYNC; not shorter than `route53_serve`.
    pub route53_in_sync: crate::model::time::Span,
    /// Alidns: until the authoritative servers answer a change.
    pub alidns_serve: crate::model::time::Span,
    /// Until the data plane applies an ACL or a route.
    pub network_apply: crate::model::time::Span,
    pub dts_suspend: crate::model::time::Span,
    pub dts_start: crate::model::time::Span,
    /// How often the copying worker looks for new orders.
    pub replication_every: crate::model::time::Span,
    /// How often the shop writes an order.
    pub order_every: crate::model::time::Span,
}
