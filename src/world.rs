//! What actions and probes reach into: the two clouds, an HTTP client, DNS, and the environment's settings.

/// The one struct that holds what is outside.
pub struct World {}
