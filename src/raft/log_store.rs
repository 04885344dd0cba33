//! The Raft log and vote on disk.
//!
//! One ordered writer for votes, entries, truncation and purging: raft-log under a lock. Writing
//! only fills a buffer; its flush thread writes and syncs ([`super::log_flush`]). Entries of the
//! newest file are read from memory, older ones from the page cache.
//!
//! What this does not do: repair. A tail that a crash has torn was never acknowledged and is cut
//! off; any other damage is an error that stops the node.

use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    path::Path,
    sync::{Arc, Weak},
};

use openraft::{
    OptionalSend, RaftLogReader,
    storage::{IOFlushed, LogState, RaftLogStorage},
    type_config::TypeConfigExt,
};
use parking_lot::Mutex;
use raft_log::{Types, api::raft_log_writer::RaftLogWriter};
use tokio::sync::mpsc;

use super::{
    log_codec::{LogTypes, StoredLogId, StoredPayload, StoredVote},
    log_flush::{FlushOutcome, GroupCommit},
    storage_error::StorageError,
    types::{Entry, LogId, TypeConfig, Vote},
};

/// About how many bytes of entries are read at once; one entry may be larger.
const READ_BYTES_MAX: u64 = 1024 * 1024;

/// The size of a log file, in bytes, from which on the next is begun: a new one delays who writes just then. raft-log
/// keeps the entries of the newest file in memory and lets go of them together when it is full, which delays too: 64 MiB
/// of small ones by 100 ms, half of what followers wait before they elect.
const FILE_BYTES: usize = 16 * 1024 * 1024;

/// The log store; its clones are readers of the same log.
#[derive(Debug, Clone)]
pub struct LogStore {
    shared: Arc<Mutex<GroupCommit>>,
}

impl LogStore {
    /// Opens the log in `folder`, which exists. Blocks on the disk, and must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StorageError::Garbled`] where a file is damaged; else what the file system says.
    pub(super) fn open(folder: &Path) -> Result<Self, StorageError> {
        Self::open_with_files_of(folder, FILE_BYTES)
    }

    /// As [`open`](Self::open), with another size of files, in bytes.
    pub(super) fn open_with_files_of(folder: &Path, file_bytes: usize) -> Result<Self, StorageError> {
        let config = Arc::new(log_config(folder, file_bytes)?);
        // Damaged files must give an error, whatever the library makes of them.
        let opened = std::panic::catch_unwind(|| raft_log::RaftLog::<LogTypes>::open(config));
        let log = match opened {
            Ok(Ok(log)) => log,
            Ok(Err(error)) => return Err(open_error(folder, &error)),
            Err(_) => return Err(garbled(folder, "reading it panicked")),
        };
        check_whole(folder, &log)?;
        let (done, outcomes) = mpsc::unbounded_channel();
        let shared = Arc::new(Mutex::new(GroupCommit::new(log, done)));
        tokio::spawn(run_flusher(Arc::downgrade(&shared), outcomes));
        Ok(Self { shared })
    }

    /// Whether nothing was ever written.
    pub(super) fn is_pristine(&self) -> bool {
        let group = self.shared.lock();
        group.log().is_ok_and(|log| log.log_state().vote().is_none() && log.log_state().last().is_none())
    }

    /// Up to where entries were purged.
    pub(super) fn last_purged(&self) -> Option<LogId> {
        let group = self.shared.lock();
        group.log().ok().and_then(|log| log.log_state().purged().map(|log_id| log_id.0))
    }

    /// Bytes of entries that were appended since it was opened, and of the files that were there then.
    pub(super) fn bytes_written(&self) -> u64 {
        self.shared.lock().bytes_written
    }

    /// Why nothing can be made durable any more, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        self.shared.lock().failure()
    }

    /// Makes everything durable and gives the files free; later calls are errors. Blocks.
    pub(super) fn close(&self) -> io::Result<()> {
        let Some(mut log) = self.shared.lock().close() else { return Ok(()) };
        log.flush(true, None)?;
        log.wait_worker_idle()
    }

    fn read(&self, from: u64, to: u64, bytes_max: u64) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        if from >= to {
            return Ok(entries);
        }
        let group = self.shared.lock();
        for entry in group.log()?.read(from, to) {
            let (log_id, stored) = entry?;
            bytes += stored.size;
            entries.push(Entry { log_id: log_id.0, payload: stored.payload });
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(entries)
    }
}

fn log_config(folder: &Path, file_bytes: usize) -> Result<raft_log::Config, StorageError> {
    let Some(text) = folder.to_str() else {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "the path of the data folder is not UTF-8");
        return Err(StorageError::io("open", folder, &error));
    };
    let mut config = raft_log::Config::new(text);
    config.wal.chunk_max_size = Some(file_bytes);
    // The group commit is ours: waiting for more would only cost time.
    config.wal.flush_batch_wait = Some(std::time::Duration::ZERO);
    config.wal.read_buffer_size = Some(1024 * 1024);
    config.log_cache_capacity = Some(8 * 1024 * 1024);
    config.log_cache_max_items = Some(16_384);
    Ok(config)
}

fn open_error(folder: &Path, error: &io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::WouldBlock => StorageError::InUse { folder: folder.to_owned() },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull => {
            StorageError::io("open", folder, error)
        }
        _ => garbled(folder, &error.to_string()),
    }
}

/// Names the damaged file where the detail names its chunk.
fn garbled(folder: &Path, detail: &str) -> StorageError {
    let named = std::fs::read_dir(folder).ok().and_then(|files| {
        files.filter_map(Result::ok).map(|file| file.path()).find(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix("r-").and_then(|name| name.strip_suffix(".wal"));
            number.is_some_and(|number| detail.contains(number))
        })
    });
    StorageError::Garbled { path: named.unwrap_or_else(|| folder.to_owned()), detail: detail.to_owned() }
}

/// Refuses a log whose oldest files are gone: consecutive files alone do not show that.
fn check_whole(folder: &Path, log: &raft_log::RaftLog<LogTypes>) -> Result<(), StorageError> {
    let (purged, last) = (log.log_state().purged(), log.log_state().last());
    if last <= purged {
        return Ok(());
    }
    let first = LogTypes::next_log_index(purged);
    match log.read(first, first + 1).next() {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(garbled(folder, &error.to_string())),
        None => Err(garbled(folder, &format!("the entries from {first} on are missing: a file was removed"))),
    }
}

/// Starts each next flush. It ends with the log store, or with the first failure.
async fn run_flusher(shared: Weak<Mutex<GroupCommit>>, mut outcomes: mpsc::UnboundedReceiver<FlushOutcome>) {
    while let Some(outcome) = outcomes.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        let mut group = shared.lock();
        let outcome = outcome.and_then(|()| group.flush_ended().map_err(|error| error.to_string()));
        if let Err(reason) = outcome {
            tracing::error!(%reason, "the Raft log cannot be written: this node stops");
            group.fail(&reason);
            return;
        }
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to, u64::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, READ_BYTES_MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.lock().log()?.log_state().vote().map(|vote| vote.0))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let group = self.shared.lock();
        let state = group.log()?.log_state();
        let purged = state.purged().map(|log_id| log_id.0);
        Ok(LogState { last_purged_log_id: purged, last_log_id: state.last().map(|log_id| log_id.0).max(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (callback, durable) = TypeConfig::oneshot();
        {
            let mut group = self.shared.lock();
            group.log_mut()?.save_vote(StoredVote(*vote))?;
            group.complete_when_durable(IOFlushed::signal(callback))?;
        }
        durable.await.map_err(|_| io::Error::other("the log was closed before it was flushed"))?
    }

    /// Not flushed: it rides on the next append.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let mut group = self.shared.lock();
        let state = group.log()?.log_state();
        let Some(committed) = committed.map(StoredLogId) else { return Ok(()) };
        // A snapshot may be ahead of the log, which is then about to be purged up to it.
        if Some(&committed) > state.last() || Some(&committed) <= state.committed() {
            return Ok(());
        }
        group.log_mut()?.commit(committed).map(drop)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared.lock().log()?.log_state().committed().map(|log_id| log_id.0))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let stored = |entry: Entry| Ok((StoredLogId(entry.log_id), StoredPayload::new(entry.payload)?));
        let entries = entries.into_iter().map(stored).collect::<io::Result<Vec<_>>>()?;
        let mut group = self.shared.lock();
        group.bytes_written += entries.iter().map(|(_, payload)| payload.size).sum::<u64>();
        group.log_mut()?.append(entries)?;
        group.complete_when_durable(callback)
    }

    /// Durable once it returns: what follows may be a snapshot's file, which must never meet the entries that it
    /// contradicts.
    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let index = last_log_id.map_or(0, |log_id| log_id.index + 1);
        let (callback, durable) = TypeConfig::oneshot();
        {
            let mut group = self.shared.lock();
            if index >= LogTypes::next_log_index(group.log()?.log_state().last()) {
                return Ok(());
            }
            group.log_mut()?.truncate(index)?;
            group.complete_when_durable(IOFlushed::signal(callback))?;
        }
        durable.await.map_err(|_| io::Error::other("the log was closed before it was flushed"))?
    }

    /// raft-log removes files only behind a flush of the record that says what was purged.
    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        self.shared.lock().log_mut()?.purge(StoredLogId(log_id)).map(drop)
    }
}
