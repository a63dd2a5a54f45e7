//! What a service sees differently while one call of a spoilt kind is looked at. Task-local, so that no other call notices.

use lifeboat_notation::time::Timestamp;

tokio::task_local! {
    static SKEW: i64;
    static FAILING: String;
}

/// Looks at a call with the service's clock off by so many nanoseconds.
pub(super) async fn with_skew<F: Future>(nanos: i64, call: F) -> F::Output {
    SKEW.scope(nanos, call).await
}

/// Looks at a call with this member of its batch failing.
pub(super) async fn with_failing<F: Future>(id: String, call: F) -> F::Output {
    FAILING.scope(id, call).await
}

/// The time on the service's clock, by which signatures are judged.
pub(crate) fn told(now: Timestamp) -> Timestamp {
    SKEW.try_with(|nanos| Timestamp::from_nanos(now.as_nanos().saturating_add(*nanos))).unwrap_or(now)
}

/// Whether the service's clock is off.
pub(crate) fn is_skewed() -> bool {
    SKEW.try_with(|_| ()).is_ok()
}

/// Whether this member of the batch in hand is to fail.
pub(crate) fn fails(id: &str) -> bool {
    FAILING.try_with(|failing| failing == id).unwrap_or(false)
}
