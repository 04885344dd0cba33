//! Lines in the log about strangers at the port: as many as people can read, however many there are.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Time between two lines.
const PAUSE: Duration = Duration::from_secs(5);

/// Decides which complaints are written down.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    passed_over: u64,
}

impl Complaints {
    /// Whether to write the present complaint down, and how many were passed over since the last one that was.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            state.passed_over += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.passed_over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_stands_for_all_that_came_meanwhile() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.admit(start), Some(0));
        assert_eq!(complaints.admit(start), None);
        assert_eq!(complaints.admit(start + PAUSE / 2), None);
        assert_eq!(complaints.admit(start + PAUSE), Some(2));
    }
}
