//! Group commit: one flush under way, everybody else in the queue for the next.
//!
//! ```text
//! append ── waiting ──┐              ┌── the flush thread: fdatasync, completes what it covered
//! vote ───── waiting ─┴─▶ one flush ─┴─▶ word to the flusher task ──▶ the next flush, if any waits
//! ```
//! raft-log's flush thread calls back when the data are durable. Nothing is flushed there and no
//! handle of the log is dropped there (either would panic): it completes its callbacks, which are
//! only notifications, and sends word to a task.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use openraft::storage::IOFlushed;
use raft_log::api::raft_log_writer::RaftLogWriter;
use tokio::sync::mpsc;

use super::{log_codec::LogTypes, types::TypeConfig};

/// The log with the callbacks that wait for their turn. It is used under a lock.
#[derive(Debug)]
pub(super) struct GroupCommit {
    /// `None` once it is closed.
    log: Option<raft_log::RaftLog<LogTypes>>,
    /// Bytes of entries appended since the log was opened, and of the files that were there then.
    pub(super) bytes_written: u64,
    waiting: Waiting,
    in_flight: bool,
    /// Why nothing can be made durable any more: what was written before may be torn.
    failure: Arc<OnceLock<String>>,
    done: mpsc::UnboundedSender<FlushOutcome>,
}

/// Callbacks that a flush will complete, oldest first.
#[derive(Default)]
struct Waiting(Vec<IOFlushed<TypeConfig>>);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} callbacks", self.0.len())
    }
}

/// Whether a flush succeeded.
pub(super) type FlushOutcome = Result<(), String>;

impl GroupCommit {
    pub(super) fn new(log: raft_log::RaftLog<LogTypes>, done: mpsc::UnboundedSender<FlushOutcome>) -> Self {
        let bytes_written = log.on_disk_size();
        Self {
            log: Some(log),
            bytes_written,
            waiting: Waiting::default(),
            in_flight: false,
            failure: Arc::default(),
            done,
        }
    }

    pub(super) fn log(&self) -> io::Result<&raft_log::RaftLog<LogTypes>> {
        self.log.as_ref().ok_or_else(closed)
    }

    pub(super) fn log_mut(&mut self) -> io::Result<&mut raft_log::RaftLog<LogTypes>> {
        self.log.as_mut().ok_or_else(closed)
    }

    /// Takes the log away; who waits for the next flush hears that it is closed. Dropping the log flushes it.
    pub(super) fn close(&mut self) -> Option<raft_log::RaftLog<LogTypes>> {
        self.fail_waiting("the log is closed");
        self.log.take()
    }

    /// Has `callback` called once all that was written before now is durable.
    pub(super) fn complete_when_durable(&mut self, callback: IOFlushed<TypeConfig>) -> io::Result<()> {
        if let Some(failure) = self.failure() {
            callback.io_completed(Err(io::Error::other(failure.clone())));
            return Err(io::Error::other(failure));
        }
        self.waiting.0.push(callback);
        if self.in_flight { Ok(()) } else { self.start_flush() }
    }

    /// A flush has ended: starts the next if somebody waits for it.
    pub(super) fn flush_ended(&mut self) -> io::Result<()> {
        self.in_flight = false;
        if self.waiting.0.is_empty() { Ok(()) } else { self.start_flush() }
    }

    /// After a failed flush nothing more is ever acknowledged: everybody who waits hears of it, and whoever comes
    /// later.
    pub(super) fn fail(&mut self, reason: &str) {
        self.failure.get_or_init(|| reason.to_owned());
        self.fail_waiting(reason);
    }

    /// Why nothing can be made durable any more, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    fn fail_waiting(&mut self, reason: &str) {
        for callback in self.waiting.0.drain(..) {
            callback.io_completed(Err(io::Error::other(reason.to_owned())));
        }
    }

    fn start_flush(&mut self) -> io::Result<()> {
        let covered = std::mem::take(&mut self.waiting);
        self.in_flight = true;
        let (done, failure) = (self.done.clone(), Arc::clone(&self.failure));
        let report = FlushReport { covered, done, failure, told: false };
        self.log_mut()?.flush(true, Some(report))
    }
}

fn closed() -> io::Error {
    io::Error::other("the log is closed")
}

/// What the flush thread does when a flush has ended.
#[derive(Debug)]
pub(super) struct FlushReport {
    covered: Waiting,
    done: mpsc::UnboundedSender<FlushOutcome>,
    failure: Arc<OnceLock<String>>,
    told: bool,
}

impl raft_log::Callback for FlushReport {
    fn send(mut self, result: io::Result<()>) {
        let outcome = result.map_err(|error| error.to_string());
        // Whoever hears of the failure by a callback may ask for the reason at once.
        if let Err(reason) = &outcome {
            self.failure.get_or_init(|| reason.clone());
        }
        for callback in self.covered.0.drain(..) {
            callback.io_completed(outcome.clone().map_err(io::Error::other));
        }
        self.told = true;
        // Nobody listens once the log store is closed.
        let _ = self.done.send(outcome);
    }
}

impl Drop for FlushReport {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        // The flush thread has ended with this request in its queue: those who wait must not hang.
        let reason = "the log was closed before it was flushed";
        for callback in self.covered.0.drain(..) {
            callback.io_completed(Err(io::Error::other(reason)));
        }
        let _ = self.done.send(Err(reason.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use openraft::type_config::TypeConfigExt;

    use super::*;

    #[tokio::test]
    async fn after_a_failure_everybody_is_told_and_nobody_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = raft_log::Config::new(folder.path().to_str().expect("plain text"));
        let log = raft_log::RaftLog::<LogTypes>::open(Arc::new(config)).expect("opened");
        let (done, mut outcomes) = mpsc::unbounded_channel();
        let mut group = GroupCommit::new(log, done);
        group.fail("the disk is gone");
        let (callback, told) = TypeConfig::oneshot();
        let refused = group.complete_when_durable(IOFlushed::signal(callback)).expect_err("it has failed");
        assert_eq!(refused.to_string(), "the disk is gone");
        assert!(told.await.expect("told").is_err());

        // A request that the flush thread never comes to counts as a failed flush.
        let (callback, told) = TypeConfig::oneshot();
        let covered = Waiting(vec![IOFlushed::signal(callback)]);
        drop(FlushReport { covered, done: group.done.clone(), failure: Arc::default(), told: false });
        assert!(told.await.expect("told").is_err());
        assert!(matches!(outcomes.recv().await, Some(Err(_))));
    }
}
