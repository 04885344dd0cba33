//! The only source of time.
//!
//! Everything that decides takes time as a value; the shells read it here. Two readings, never
//! mixed: [`Clock::wall_ms`] for stamps that people read, [`Clock::boot`] for every deadline, since
//! it never jumps and counts the time that a machine was suspended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A clock: the system's, or one that a test moves by hand. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    manual: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `start_ms` until [`Clock::advance`] moves it.
    pub fn manual(start_ms: u64) -> Self {
        Self { manual: Some(Arc::new(AtomicU64::new(start_ms))) }
    }

    /// Moves a manual clock forward; the system's clock is not moved by it.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            manual.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Milliseconds since 1970 by the wall clock, which may jump.
    pub fn wall_ms(&self) -> u64 {
        match &self.manual {
            Some(manual) => manual.load(Ordering::SeqCst),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
        }
    }

    /// The reading of a manual clock; none of the system's.
    #[cfg(feature = "redis")]
    pub(crate) fn manual_ms(&self) -> Option<u64> {
        self.manual.as_ref().map(|manual| manual.load(Ordering::SeqCst))
    }

    /// Time since the machine started, suspend counted (`CLOCK_BOOTTIME`); comparable within one machine.
    pub fn boot(&self) -> Duration {
        if let Some(manual) = &self.manual {
            return Duration::from_millis(manual.load(Ordering::SeqCst));
        }
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
    }
}

/// A duration in whole milliseconds, cut off at the largest number.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
