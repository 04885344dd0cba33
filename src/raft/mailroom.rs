//! Events for other nodes' subscribers: at most once, in order per sender.
//!
//! Each other node has a bounded queue and one task that carries what is in it, a frame at a time,
//! the next after the answer to the last. What cannot be delivered is dropped, and counted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use metrics::counter;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{ApplicationRequest, ApplicationResponse, RaftNode, types::NodeNumber};
use crate::adapter::{AdapterError, AdapterResult};

/// How many events wait for one node at most.
const QUEUE_MAX: usize = 8192;
/// How many bytes of events wait for one node at most.
const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A frame is full once it holds so many bytes.
const FRAME_BYTES: usize = 1024 * 1024;
/// How many events a frame holds at most.
const FRAME_EVENTS_MAX: usize = 1024;

/// The largest event in bytes.
pub(super) const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// The queues to other nodes.
#[derive(Debug)]
pub(super) struct Mailroom {
    node: RaftNode,
    /// How long another node may take to answer.
    answer_max: Duration,
    queues: Mutex<BTreeMap<NodeNumber, Queue>>,
}

/// What waits for one node.
#[derive(Debug)]
struct Queue {
    letters: mpsc::Sender<Letter>,
    /// A permit for each byte.
    room: Arc<Semaphore>,
}

/// An encoded event, and the room in the queue that it takes until it was carried.
#[derive(Debug)]
struct Letter {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl Queue {
    fn put(&self, bytes: Vec<u8>) -> Option<()> {
        let size = u32::try_from(bytes.len()).ok()?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(size).ok()?;
        self.letters.try_send(Letter { bytes, _room: room }).ok()
    }
}

impl Mailroom {
    pub(super) fn new(node: RaftNode, answer_max: Duration) -> Self {
        Self { node, answer_max, queues: Mutex::default() }
    }

    /// Puts an encoded event in the queue for a node.
    ///
    /// # Errors
    /// `Unavailable` where the queue is full.
    pub(super) fn post(&self, to: NodeNumber, letter: Vec<u8>) -> AdapterResult<()> {
        let mut queues = self.queues.lock();
        let queue = queues.entry(to).or_insert_with(|| {
            let (letters, inbox) = mpsc::channel(QUEUE_MAX);
            self.node.runtime().spawn(carry(self.node.clone(), to, self.answer_max, inbox));
            Queue { letters, room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)) }
        });
        queue.put(letter).ok_or_else(|| {
            counter!("roomraft_events_undelivered_total").increment(1);
            AdapterError::Unavailable(format!("node {to:016x} does not take events fast enough"))
        })
    }

    /// Puts an encoded event in the queue for every other member; for those that do not keep up it is dropped.
    pub(super) fn post_all(&self, letter: &[u8]) {
        let others = self.node.others();
        // The queue of a node that is no member any more ends when it is empty.
        self.queues.lock().retain(|node, _| others.contains(node));
        for node in others {
            // At most once: the loss is counted.
            let _ = self.post(node, letter.to_vec());
        }
    }
}

async fn carry(node: RaftNode, to: NodeNumber, answer_max: Duration, mut letters: mpsc::Receiver<Letter>) {
    while let Some(first) = letters.recv().await {
        let mut bytes = first.bytes.len();
        let mut frame = vec![first.bytes];
        while bytes < FRAME_BYTES && frame.len() < FRAME_EVENTS_MAX {
            let Ok(letter) = letters.try_recv() else { break };
            bytes += letter.bytes.len();
            frame.push(letter.bytes);
        }
        let count = frame.len() as u64;
        match node.ask(to, ApplicationRequest::Publish(frame), answer_max).await {
            Ok(ApplicationResponse::Done) => {}
            Ok(other) => undelivered(to, count, &format!("{other:?}")),
            Err(error) => undelivered(to, count, &error.to_string()),
        }
    }
}

fn undelivered(to: NodeNumber, count: u64, reason: &str) {
    counter!("roomraft_events_undelivered_total").increment(count);
    tracing::debug!(node = to, count, reason, "events were not delivered");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_full_by_bytes_as_well() {
        let (letters, mut inbox) = mpsc::channel(QUEUE_MAX);
        let queue = Queue { letters, room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)) };
        let taken = (0..QUEUE_MAX).take_while(|_| queue.put(vec![0; EVENT_BYTES_MAX]).is_some()).count();
        assert_eq!(taken, QUEUE_BYTES_MAX / EVENT_BYTES_MAX);
        drop(inbox.try_recv().expect("a letter"));
        assert!(queue.put(vec![0; EVENT_BYTES_MAX]).is_some(), "what was carried makes room");
    }
}
