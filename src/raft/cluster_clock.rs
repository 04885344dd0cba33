//! Cluster time: logical, so that jumps of wall clocks change nothing.
//!
//! Pure: readings are passed in. A leader stamps commands with the larger of two times: the newest
//! stamp that was applied, and its own continuation of the last one by its monotonic clock. So
//! stamps never go back, whoever leads, and at an election time may only lose a little.

use std::time::Duration;

use crate::clock::millis;

/// One node's continuation of cluster time.
#[derive(Debug, Clone, Default)]
pub(super) struct ClusterClock {
    /// A stamp, and the monotonic time at which it was the present.
    base: Option<(u64, Duration)>,
}

impl ClusterClock {
    /// The present, in milliseconds. `applied_ms` is the newest stamp applied, 0 in an empty cluster,
    /// whose time begins with `wall_ms`.
    pub(super) fn now_ms(&mut self, applied_ms: u64, boot: Duration, wall_ms: u64) -> u64 {
        let newest = if applied_ms == 0 { wall_ms } else { applied_ms };
        let (base_ms, base_boot) = *self.base.get_or_insert((newest, boot));
        let continued = base_ms + millis(boot.saturating_sub(base_boot));
        if applied_ms > continued {
            self.base = Some((applied_ms, boot));
        }
        continued.max(applied_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn time_begins_with_the_wall_clock_and_ignores_it_from_then_on() {
        let mut clock = ClusterClock::default();
        assert_eq!(clock.now_ms(0, at(50), 1_000), 1_000);
        assert_eq!(clock.now_ms(1_000, at(60), 9_000_000), 1_010);
        assert_eq!(clock.now_ms(1_010, at(65), 0), 1_015);
    }

    #[test]
    fn stamps_of_another_leader_carry_it_forward_and_it_never_goes_back() {
        let mut clock = ClusterClock::default();
        assert_eq!(clock.now_ms(500, at(10), 7_000), 500);
        assert_eq!(clock.now_ms(800, at(20), 7_000), 800);
        assert_eq!(clock.now_ms(800, at(25), 7_000), 805);
        assert_eq!(clock.now_ms(801, at(26), 7_000), 806);
    }
}
