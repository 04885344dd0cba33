//! Events for other nodes' subscribers: at most once, in order per sender.
//!
//! Each other node has a bounded queue and one task that carries what is in it, a frame at a time,
//! the next after the answer to the last. What cannot be delivered is dropped, and counted.

use std::{collections::BTreeMap, time::Duration};

use metrics::counter;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{ApplicationRequest, ApplicationResponse, RaftNode, types::NodeNumber};
use crate::adapter::{AdapterError, AdapterResult};

/// How many events wait for one node at most.
const QUEUE_MAX: usize = 8192;
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
    queues: Mutex<BTreeMap<NodeNumber, mpsc::Sender<Vec<u8>>>>,
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
            let (queue, letters) = mpsc::channel(QUEUE_MAX);
            self.node.runtime().spawn(carry(self.node.clone(), to, self.answer_max, letters));
            queue
        });
        queue.try_send(letter).map_err(|_| {
            counter!("roomraft_events_undelivered_total").increment(1);
            AdapterError::Unavailable(format!("node {to:016x} does not take events fast enough"))
        })
    }

    /// Puts an encoded event in the queue for every other member; for those that do not keep up it is dropped.
    pub(super) fn post_all(&self, letter: &[u8]) {
        for node in self.node.others() {
            // At most once: the loss is counted.
            let _ = self.post(node, letter.to_vec());
        }
    }
}

async fn carry(node: RaftNode, to: NodeNumber, answer_max: Duration, mut letters: mpsc::Receiver<Vec<u8>>) {
    while let Some(first) = letters.recv().await {
        let mut bytes = first.len();
        let mut frame = vec![first];
        while bytes < FRAME_BYTES && frame.len() < FRAME_EVENTS_MAX {
            let Ok(letter) = letters.try_recv() else { break };
            bytes += letter.len();
            frame.push(letter);
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
