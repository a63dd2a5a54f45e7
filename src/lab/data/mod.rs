//! What users of the shop see: HTTP per instance, authoritative DNS, order replication, client load, metrics.
