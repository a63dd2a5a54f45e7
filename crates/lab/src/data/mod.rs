//! What users of the shop see: HTTP per instance, authoritative DNS, orders and their copying, client load, metrics.

pub(super) mod dns;
pub(super) mod http;
pub(super) mod load;
pub(super) mod metrics;
pub(super) mod prometheus;
pub(super) mod promql;
