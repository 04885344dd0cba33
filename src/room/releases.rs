//! Seats that players have left, on their way to the registry.
//!
//! Leaving is the one write that may be late: releases of all rooms are gathered for a moment and
//! written together, each by its seat id, so that one that is written twice frees nothing twice.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    adapter::{AdapterError, DistributedAdapter},
    model::{SeatId, SeatRelease, ServerEpoch},
};

/// How long releases are gathered.
const GATHER: Duration = Duration::from_millis(50);
/// How long to wait after a failure before they are written again.
const RETRY: Duration = Duration::from_millis(500);
/// Releases in one write at most.
const BATCH_MAX: usize = 4_096;

#[derive(Debug)]
enum Order {
    Release(SeatRelease),
    Settle(SeatId, oneshot::Sender<bool>),
    Flush(oneshot::Sender<()>),
}

/// Takes releases from all rooms. Cheap to clone; the writing task ends with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct Releases {
    orders: mpsc::UnboundedSender<Order>,
}

impl Releases {
    /// The ends of the queue; `server` is the registration that releases are written under.
    pub(crate) fn new(
        adapter: Arc<dyn DistributedAdapter>,
        server: watch::Receiver<Option<ServerEpoch>>,
    ) -> (Self, ReleaseWriter) {
        let (orders, received) = mpsc::unbounded_channel();
        (Self { orders }, ReleaseWriter { adapter, server, received, pending: BTreeMap::new(), due: None })
    }

    /// Frees a seat, or keeps it for a while.
    pub(crate) fn release(&self, release: SeatRelease) {
        let _ = self.orders.send(Order::Release(release));
    }

    /// A player wants its seat back: takes back word of its absence that is not written yet, and
    /// returns when none of this seat is under way any more. `false` where the player has left
    /// for good, which is not taken back.
    pub(crate) async fn settle(&self, seat_id: SeatId) -> bool {
        self.order(|done| Order::Settle(seat_id, done)).await.unwrap_or(false)
    }

    /// Writes what is gathered; returns when that was tried.
    pub(crate) async fn flush(&self) {
        // Without an answer the writer is gone, and there is nothing to wait for.
        let _ = self.order(Order::Flush).await;
    }

    async fn order<T: Send>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order + Send) -> Option<T> {
        let (done, answer) = oneshot::channel();
        self.orders.send(order(done)).ok()?;
        answer.await.ok()
    }
}

/// Writes what [`Releases`] takes.
pub(crate) struct ReleaseWriter {
    adapter: Arc<dyn DistributedAdapter>,
    server: watch::Receiver<Option<ServerEpoch>>,
    received: mpsc::UnboundedReceiver<Order>,
    pending: BTreeMap<SeatId, SeatRelease>,
    due: Option<Instant>,
}

impl ReleaseWriter {
    /// Works until the last [`Releases`] is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let due = self.due;
            let wait = async move {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = self.received.recv() => match order {
                    Some(order) => self.take(order).await,
                    None => return self.flush().await,
                },
                () = wait => self.flush().await,
            }
        }
    }

    async fn take(&mut self, order: Order) {
        match order {
            Order::Release(release) => {
                self.pending.insert(release.seat_id, release);
                self.due.get_or_insert_with(|| Instant::now() + GATHER);
            }
            Order::Settle(seat_id, done) => {
                let left = self.pending.get(&seat_id).is_some_and(|release| release.away_ms == 0);
                if !left {
                    self.pending.remove(&seat_id);
                }
                let _ = done.send(!left);
            }
            Order::Flush(done) => {
                self.flush().await;
                let _ = done.send(());
            }
        }
    }

    async fn flush(&mut self) {
        self.due = None;
        while !self.pending.is_empty() {
            let Some(server) = self.server.borrow().clone() else {
                // Not registered: every seat of this server's rooms is the registry's to free.
                return self.pending.clear();
            };
            let batch: Vec<SeatRelease> = self.pending.values().take(BATCH_MAX).cloned().collect();
            match self.adapter.release_seats(&server, batch.clone()).await {
                Err(AdapterError::Unavailable(_) | AdapterError::Timeout(_)) => {
                    self.due = Some(Instant::now() + RETRY);
                    return;
                }
                Err(error) => tracing::debug!(%error, "seats were not released: their rooms are no longer here"),
                Ok(()) => {}
            }
            for release in batch {
                self.pending.remove(&release.seat_id);
            }
        }
    }
}
