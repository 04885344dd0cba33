//! How long this server may act as the owner of its rooms.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;

/// The longest time between two looks at the clock of somebody who waits for the end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The deadline of a server's lease, by the clock that counts suspend. It is compared inline before
/// each thing that a room does; no timer sets a flag, so a process that was stopped and goes on
/// finds out before it acts. What remains is one action already past its check.
#[derive(Debug)]
pub(crate) struct Tenure {
    clock: Clock,
    /// `None` until the first lease: nothing runs under it yet.
    deadline: watch::Sender<Option<Duration>>,
}

impl Tenure {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, deadline: watch::Sender::new(None) }
    }

    /// Whether the lease still runs.
    pub(crate) fn may_act(&self) -> bool {
        self.deadline.borrow().is_none_or(|deadline| self.clock.boot() < deadline)
    }

    /// A heartbeat that was sent at `sent` was acknowledged.
    pub(crate) fn extend(&self, sent: Duration, lease: Duration) {
        // A tenth is kept back for the difference between two machines' clocks.
        let until = sent + lease / 10 * 9;
        self.deadline.send_if_modified(|deadline| {
            let later = deadline.is_none_or(|deadline| deadline < until);
            if later {
                *deadline = Some(until);
            }
            later
        });
    }

    /// Returns once a lease was there and has been over for `patience`.
    pub(crate) async fn over_for(&self, patience: Duration) {
        let mut deadline = self.deadline.subscribe();
        loop {
            let end = *deadline.borrow_and_update();
            let left = end.map(|end| (end + patience).saturating_sub(self.clock.boot()));
            match left {
                Some(left) if left.is_zero() => return,
                // A suspended process finds it over earlier than a timer would say.
                Some(left) => tokio::time::sleep(left.min(LOOK_EVERY)).await,
                // The sender lives as long as `self`.
                None => drop(deadline.changed().await),
            }
        }
    }

    /// Returns once the lease runs.
    pub(crate) async fn renewed(&self) {
        let mut deadline = self.deadline.subscribe();
        // The sender lives as long as `self`, so this ends by the condition alone.
        let _ = deadline.wait_for(|deadline| deadline.is_none_or(|deadline| self.clock.boot() < deadline)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_at_nine_tenths_after_the_heartbeat_was_sent() {
        let clock = Clock::manual(10_000);
        let tenure = Tenure::new(clock.clone());
        assert!(tenure.may_act());
        tenure.extend(clock.boot(), Duration::from_secs(1));
        clock.advance(Duration::from_millis(899));
        assert!(tenure.may_act());
        clock.advance(Duration::from_millis(1));
        assert!(!tenure.may_act());
        tenure.extend(Duration::from_secs(10), Duration::from_millis(500));
        assert!(!tenure.may_act(), "an older heartbeat shortens nothing and lengthens nothing");
    }
}
