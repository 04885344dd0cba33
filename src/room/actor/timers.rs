//! The times at which a room does something by itself.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};

/// Which time has come.
pub(super) enum Timer {
    /// A tick, and the seconds since the last one.
    Tick(f32),
    /// A snapshot may be due.
    Snapshot,
    /// A player has not come back in time.
    Grace,
    /// The room may be empty.
    Vacancy,
}

/// A room's timers. Those that are off are `None`.
pub(super) struct Timers {
    tick: Option<Interval>,
    last_tick: Instant,
    snapshot: Option<Interval>,
    /// When the first seat of a player that is away falls free.
    pub(super) grace: Option<Instant>,
    /// When to ask whether every seat is free.
    pub(super) vacancy: Option<Instant>,
    tick_period: Option<Duration>,
    snapshot_period: Option<Duration>,
}

impl Timers {
    pub(super) fn new(tick_rate: u32, snapshot_interval: Duration) -> Self {
        Self {
            tick: None,
            last_tick: Instant::now(),
            snapshot: None,
            grace: None,
            vacancy: None,
            tick_period: (tick_rate > 0).then(|| Duration::from_secs(1) / tick_rate.max(1)),
            snapshot_period: (!snapshot_interval.is_zero()).then_some(snapshot_interval),
        }
    }

    /// Begins to count, once the room is live.
    pub(super) fn start(&mut self) {
        self.tick = self.tick_period.map(interval);
        self.snapshot = self.snapshot_period.map(interval);
        self.last_tick = Instant::now();
    }

    /// The next time that comes. Cancel-safe.
    pub(super) async fn next(&mut self) -> Timer {
        tokio::select! {
            now = due(self.tick.as_mut()) => {
                let dt = now.saturating_duration_since(self.last_tick).as_secs_f32();
                self.last_tick = now;
                Timer::Tick(dt)
            }
            _ = due(self.snapshot.as_mut()) => Timer::Snapshot,
            () = until(self.grace) => Timer::Grace,
            () = until(self.vacancy) => Timer::Vacancy,
        }
    }
}

fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    // Ticks that were missed are not made up for: a room that was held up would only fall further behind.
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

async fn due(interval: Option<&mut Interval>) -> Instant {
    match interval {
        Some(interval) => {
            interval.tick().await;
            Instant::now()
        }
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
