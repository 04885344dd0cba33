//! The way out to one player's connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What is sent to a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A text message: one JSON packet.
    Text(Arc<str>),
    /// A raw binary message: game data.
    Binary(Bytes),
}

/// The number of a connection, unique in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// One player's connection as rooms see it: a bounded send queue. Cheap to clone.
///
/// A player that does not read as fast as it is sent to is dropped, not buffered without end: a
/// full queue closes the connection.
#[derive(Debug, Clone)]
pub struct Connection {
    id: ConnectionId,
    queue: mpsc::Sender<Outgoing>,
    closed: CancellationToken,
    overrun: Arc<AtomicBool>,
}

impl Connection {
    /// A connection whose queue holds `capacity` messages, and the queue's other end for whoever writes to the socket.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Outgoing>) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (queue, receiver) = mpsc::channel(capacity.max(1));
        let id = ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed));
        (Self { id, queue, closed: CancellationToken::new(), overrun: Arc::default() }, receiver)
    }

    /// Its number.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Queues a message; `false` where the connection is closed, or was closed just now because its queue is full.
    pub fn send(&self, message: Outgoing) -> bool {
        if self.closed.is_cancelled() {
            return false;
        }
        let sent = self.queue.try_send(message);
        if let Err(refused) = &sent {
            self.overrun.store(matches!(refused, mpsc::error::TrySendError::Full(_)), Ordering::Release);
            self.closed.cancel();
        }
        sent.is_ok()
    }

    /// Whether it was closed because its queue was full.
    pub fn is_overrun(&self) -> bool {
        self.overrun.load(Ordering::Acquire)
    }

    /// Closes the connection; what is queued is still written.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Returns once it is closed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}
