//! Sleeping until an instant as exactly as the system can: the runtime's own timers know only whole milliseconds.

use std::io;

use tokio::time::Instant;

/// A timer of the system.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Timer {
    file: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
    /// What it is set to.
    set: Option<Instant>,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// One that is not set. Must be made inside a runtime.
    ///
    /// # Errors
    /// When the system has none left.
    #[expect(deprecated, reason = "its unsafe successor asks for a file that stays open: an OwnedFd is one")]
    pub(super) fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let file = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self { file: tokio::io::unix::AsyncFd::with_interest(file, tokio::io::Interest::READABLE)?, set: None })
    }

    /// Returns at `due`, or at once if that is over. May be dropped and called again.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) async fn until(&mut self, due: Instant) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        if self.set != Some(due) {
            let once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            timerfd_settime(&self.file, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: once, it_value: value })?;
            self.set = Some(due);
        }
        loop {
            let mut ready = self.file.readable().await?;
            // A timer that was set anew meanwhile has nothing to read yet.
            if let Ok(read) = ready.try_io(|file| Ok(rustix::io::read(file, &mut [0; 8])?)) {
                self.set = None;
                return read.map(drop);
            }
        }
    }
}

/// Where the system has no such thing, whole milliseconds have to do.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn until(&mut self, due: Instant) -> io::Result<()> {
        tokio::time::sleep_until(due).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_never_returns_early_and_can_be_set_anew() {
        let mut timer = Timer::new().unwrap();
        let begun = Instant::now();
        let (soon, late) = (begun + Duration::from_millis(3), begun + Duration::from_secs(60));
        // Dropped before it is over, and set to something earlier.
        assert!(futures_util::FutureExt::now_or_never(timer.until(late)).is_none());
        timer.until(soon).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(3) && begun.elapsed() < Duration::from_secs(50));
        timer.until(begun).await.unwrap();
        timer.until(begun + Duration::from_millis(6)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(6));
    }
}
