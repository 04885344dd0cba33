//! One node's commands on their way to the leader.
//!
//! ```text
//! callers ── queue ──▶ up to 4 frames under way, each retried until all of it is answered
//! ```
//! Every command gets a number, the same at each retry, so that the registry runs it once however
//! often it arrives. Concurrent commands share a frame, and as a batch an entry of the log. A command whose caller has given up is not
//! sent any more; whether it was done is then unknown.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{ApplicationRefusal, batch::Batch, proposal::Proposal, route::Route};
use crate::{
    adapter::{AdapterError, AdapterResult},
    registry::{Operation, Origin, ProposerId, Rejection, Reply, SNAPSHOT_BYTES_MAX},
};

/// How many frames are under way at once.
const FRAMES_MAX: usize = 4;
/// How many commands a frame holds at most: nobody reads the registry while they are applied.
const FRAME_COMMANDS_MAX: usize = 256;
/// A frame is full once it holds so many bytes.
const FRAME_BYTES: usize = 1024 * 1024;
/// The largest command in bytes: the largest snapshot of a room with all that goes with it. A larger one would not fit
/// into a frame to the followers, and hold up everything behind it in the log.
const COMMAND_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX + 64 * 1024;
/// How many callers wait in the queue at most.
const QUEUE_MAX: usize = 65_536;
/// From so many operations on that wait while nothing can be sent, those whose callers have given up are sought out.
const PRUNE_FROM: usize = 1024;

/// Where a node's callers hand in their operations. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Proposer {
    inbox: mpsc::Sender<Waiting>,
}

/// An operation whose caller waits.
#[derive(Debug)]
struct Waiting {
    proposal: Proposal,
    answer: oneshot::Sender<Reply>,
    /// Whether it may have reached a leader.
    sent: Arc<AtomicBool>,
}

/// An operation with its number, which its proposal holds too.
#[derive(Debug)]
struct Numbered {
    serial: u64,
    waiting: Waiting,
}

impl Proposer {
    /// Must be called on the runtime of consensus.
    pub(super) fn start(id: ProposerId, route: Arc<Route>) -> Self {
        let (inbox, callers) = mpsc::channel(QUEUE_MAX);
        let queue = Queue {
            id,
            route,
            next_serial: 1,
            waiting: VecDeque::new(),
            prune_at: PRUNE_FROM,
            unsettled: BTreeSet::new(),
            frames: JoinSet::new(),
        };
        tokio::spawn(queue.run(callers));
        Self { inbox }
    }

    /// Has an operation applied, once, and gives its outcome.
    ///
    /// # Errors
    /// `Unavailable` where it reached no leader within `deadline`; `Timeout` where it may have; `TooLarge` where it
    /// could never be replicated.
    pub(super) async fn propose(&self, operation: Operation, deadline: Duration) -> AdapterResult<Reply> {
        let proposal = encode(&operation)?;
        let (answer, answered) = oneshot::channel();
        let sent = Arc::new(AtomicBool::new(false));
        let waiting = Waiting { proposal, answer, sent: Arc::clone(&sent) };
        let outcome = timeout(deadline, async {
            self.inbox.send(waiting).await.map_err(|_| AdapterError::Disconnected)?;
            answered.await.map_err(|_| AdapterError::Timeout("the node was stopped".to_owned()))
        });
        match outcome.await {
            Ok(outcome) => outcome,
            Err(_) if sent.load(Ordering::Relaxed) => {
                Err(AdapterError::Timeout(format!("no quorum answered within {} ms", deadline.as_millis())))
            }
            Err(_) => Err(AdapterError::Unavailable(format!("no leader within {} ms", deadline.as_millis()))),
        }
    }
}

struct Queue {
    id: ProposerId,
    route: Arc<Route>,
    next_serial: u64,
    waiting: VecDeque<Waiting>,
    /// How many operations wait when those that nobody waits for are dropped.
    prune_at: usize,
    /// The numbers of commands whose outcome has not come yet.
    unsettled: BTreeSet<u64>,
    frames: JoinSet<Vec<u64>>,
}

impl Queue {
    /// Runs until the last [`Proposer`] is dropped.
    async fn run(mut self, mut callers: mpsc::Receiver<Waiting>) {
        let mut arrived = Vec::new();
        loop {
            tokio::select! {
                biased;
                Some(settled) = self.frames.join_next() => {
                    for serial in settled.into_iter().flatten() {
                        self.unsettled.remove(&serial);
                    }
                }
                count = callers.recv_many(&mut arrived, FRAME_COMMANDS_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.waiting.extend(arrived.drain(..));
                }
            }
            while self.frames.len() < FRAMES_MAX {
                let frame = self.next_frame();
                if frame.is_empty() {
                    break;
                }
                self.frames.spawn(deliver(Arc::clone(&self.route), frame));
            }
            self.prune_at = prune(&mut self.waiting, self.prune_at);
        }
    }

    fn next_frame(&mut self) -> Vec<Numbered> {
        let (mut frame, mut bytes) = (Vec::new(), 0);
        while frame.len() < FRAME_COMMANDS_MAX && bytes < FRAME_BYTES {
            let Some(mut waiting) = self.waiting.pop_front() else { break };
            if waiting.answer.is_closed() {
                continue;
            }
            bytes += waiting.proposal.operation_bytes();
            let serial = self.next_serial;
            self.next_serial += 1;
            self.unsettled.insert(serial);
            let settled_below = self.unsettled.first().copied().unwrap_or(serial);
            waiting.proposal = waiting.proposal.by(Origin { proposer: self.id, serial, settled_below });
            frame.push(Numbered { serial, waiting });
        }
        frame
    }
}

fn encode(operation: &Operation) -> AdapterResult<Proposal> {
    let proposal = Proposal::new(operation).map_err(|error| Rejection::Invalid(error.to_string()))?;
    let bytes = proposal.operation_bytes();
    if bytes > COMMAND_BYTES_MAX {
        let what = "a write to the registry".to_owned();
        return Err(AdapterError::TooLarge { what, bytes, limit: COMMAND_BYTES_MAX });
    }
    Ok(proposal)
}

/// Drops what nobody waits for any more once `at` operations wait; gives the count at which to look again. Without a
/// quorum nothing leaves the queue otherwise, however long that lasts.
fn prune(waiting: &mut VecDeque<Waiting>, at: usize) -> usize {
    if waiting.len() < at {
        return at;
    }
    waiting.retain(|waiting| !waiting.answer.is_closed());
    PRUNE_FROM.max(waiting.len() * 2)
}

/// Gets a frame to the leader, again and again, until each command is answered or given up; gives their numbers.
async fn deliver(route: Arc<Route>, frame: Vec<Numbered>) -> Vec<u64> {
    let serials = frame.iter().map(|numbered| numbered.serial).collect();
    let mut unanswered = frame;
    loop {
        unanswered.retain(|numbered| !numbered.waiting.answer.is_closed());
        if unanswered.is_empty() {
            return serials;
        }
        // While a try is under way its outcome is unknown; a definite refusal takes that back, unless an earlier
        // try ended without one.
        let before: Vec<bool> =
            unanswered.iter().map(|numbered| numbered.waiting.sent.swap(true, Ordering::Relaxed)).collect();
        let batch = Batch::new(unanswered.iter().map(|numbered| &numbered.waiting.proposal));
        let outcome = match batch {
            Ok(batch) => route.propose(batch).await,
            Err(error) => Err(ApplicationRefusal::NotReady(error.to_string())),
        };
        match outcome {
            Ok(replies) if replies.len() == unanswered.len() => {
                for (numbered, reply) in unanswered.into_iter().zip(replies) {
                    // Where the caller has given up, it does not want to know.
                    let _ = numbered.waiting.answer.send(reply);
                }
                return serials;
            }
            // An answer to another question says nothing of this one.
            Ok(_) | Err(ApplicationRefusal::Unknown(_)) => {}
            Err(_) => {
                for (numbered, before) in unanswered.iter().zip(before) {
                    numbered.waiting.sent.store(before, Ordering::Relaxed);
                }
            }
        }
        route.back_off().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> (Waiting, oneshot::Receiver<Reply>) {
        let (answer, answered) = oneshot::channel();
        let proposal = encode(&Operation::Tick).expect("plain data");
        (Waiting { proposal, answer, sent: Arc::default() }, answered)
    }

    #[test]
    fn what_nobody_waits_for_does_not_pile_up() {
        let (mut queue, mut at, mut callers) = (VecDeque::new(), PRUNE_FROM, Vec::new());
        for number in 0..100_000 {
            let (waiting, answered) = waiting();
            queue.push_back(waiting);
            if number < 3_000 {
                callers.push(answered);
            }
            at = prune(&mut queue, at);
            assert!(queue.len() <= 2 * callers.len() + PRUNE_FROM, "{} wait after {number}", queue.len());
        }
        let left = queue.iter().filter(|waiting| !waiting.answer.is_closed()).count();
        assert_eq!(left, 3_000, "nobody who waits is dropped");
    }

    #[test]
    fn a_command_that_no_frame_could_hold_is_refused() {
        let key = "k".repeat(COMMAND_BYTES_MAX);
        let error = encode(&Operation::AcquireLock { key, ttl_ms: 1 }).expect_err("too large");
        assert!(matches!(error, AdapterError::TooLarge { limit: COMMAND_BYTES_MAX, .. }), "{error}");
        const { assert!(COMMAND_BYTES_MAX + FRAME_BYTES < crate::quic::FRAME_BYTES_MAX) };
    }
}
