//! A region that the drill has declared dead is dead for Lifeboat's own clients too, or the drill would cheat by using its control plane.
//!
//! Undo is exempt: it is what brings the region back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Cloud, CloudError, Kind};

/// The set of closed regions; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    closed: Arc<Mutex<BTreeSet<(Cloud, String)>>>,
}

tokio::task_local! {
    static EXEMPT: ();
}

impl Gate {
    /// From now on calls to `region` are refused.
    pub fn close(&self, cloud: Cloud, region: &str) {
        self.lock().insert((cloud, region.to_owned()));
    }

    /// Calls to `region` go through again.
    pub fn open(&self, cloud: Cloud, region: &str) {
        self.lock().remove(&(cloud, region.to_owned()));
    }

    /// Whether `region` is closed, whoever asks.
    #[must_use]
    pub fn is_closed(&self, cloud: Cloud, region: &str) -> bool {
        self.lock().contains(&(cloud, region.to_owned()))
    }

    /// Refuses when `region` is closed and the caller is not inside [`exempt`]. Clients call this before they send anything;
    /// global services (Route 53, Alidns) do not.
    ///
    /// # Errors
    /// [`Kind::Gated`], never ambiguous: nothing was sent.
    pub fn check(&self, cloud: Cloud, region: &str, operation: &str) -> Result<(), CloudError> {
        if EXEMPT.try_with(|()| ()).is_err() && self.is_closed(cloud, region) {
            return Err(CloudError::new(cloud, operation, Kind::Gated, format!("region {region} is closed by this drill")));
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(Cloud, String)>> {
        // A set of names is whole after any panic.
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `future` as undo: closed regions are open for it.
pub async fn exempt<F: Future>(future: F) -> F::Output {
    EXEMPT.scope((), future).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_region_is_refused_except_for_undo() {
        let gate = Gate::default();
        gate.close(Cloud::Aliyun, "cn-hangzhou");
        assert_eq!(gate.check(Cloud::Aliyun, "cn-hangzhou", "ecs:X").unwrap_err().kind, Kind::Gated);
        assert!(gate.check(Cloud::Aliyun, "cn-beijing", "ecs:X").is_ok());
        assert!(exempt(async { gate.check(Cloud::Aliyun, "cn-hangzhou", "ecs:X") }).await.is_ok());
        gate.open(Cloud::Aliyun, "cn-hangzhou");
        assert!(gate.check(Cloud::Aliyun, "cn-hangzhou", "ecs:X").is_ok());
    }
}
