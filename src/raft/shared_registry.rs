//! The registry of this node: written by the state machine, read by everybody.

use std::{
    io,
    sync::{Arc, mpsc},
};

use bytes::Bytes;
use parking_lot::RwLock;

use super::{
    clean_mark::CleanMark,
    pending::{Pending, PendingBatch, RoomBytesMap},
    restore::Restored,
    store::{AppliedState, Store},
    types::LogId,
    write_behind::Order,
};
use crate::{
    adapter::EventHub,
    model::{DistributedEvent, Revision, RoomId},
    registry::{Change, Registry, Reply, SnapshotMeta},
};

/// The registry in memory, and what of it is not on disk yet. It is used under a lock.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) registry: Registry,
    pub(super) applied: AppliedState,
    pub(super) pending: Pending,
    pub(super) store: Arc<Store>,
    /// Why the store cannot be written any more: the node stops.
    pub(super) failure: Option<String>,
    /// The node is stopping: what would be applied now is applied after the next start.
    closed: bool,
}

/// What came of one entry.
#[derive(Debug, Default)]
pub(super) struct EntryApplied {
    /// One for each of its commands.
    pub(super) replies: Vec<Reply>,
    pub(super) changes: Vec<Change>,
    pub(super) events: Vec<DistributedEvent>,
}

/// What one write to the store is about, and what to read it from.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) batch: PendingBatch,
    pub(super) registry: Registry,
    pub(super) applied: AppliedState,
    pub(super) store: Arc<Store>,
}

/// The node's registry. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SharedRegistry {
    core: Arc<RwLock<Core>>,
    writer: mpsc::Sender<Order>,
    events: EventHub,
}

impl Core {
    pub(super) fn new(restored: Restored) -> Self {
        let Restored { registry, applied, store } = restored;
        Self { registry, applied, pending: Pending::default(), store: Arc::new(store), failure: None, closed: false }
    }

    pub(super) fn take_unwritten(&mut self) -> Option<Unwritten> {
        let batch = self.pending.take()?;
        let (registry, applied) = (self.registry.clone(), self.applied.clone());
        Some(Unwritten { batch, registry, applied, store: Arc::clone(&self.store) })
    }
}

impl SharedRegistry {
    pub(super) fn new(core: Arc<RwLock<Core>>, writer: mpsc::Sender<Order>, events: EventHub) -> Self {
        Self { core, writer, events }
    }

    /// The registry as it is now: a clone that nothing changes any more, made in constant time.
    pub fn view(&self) -> Registry {
        self.core.read().registry.clone()
    }

    /// Reads something small out of the registry, without a clone. `read` must be short: nothing is applied meanwhile.
    pub fn read<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        read(&self.core.read().registry)
    }

    /// The place of the newest entry that was applied.
    pub fn last_applied(&self) -> Option<LogId> {
        self.core.read().applied.last_applied
    }

    /// Why the store cannot be written any more, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        self.core.read().failure.clone()
    }

    /// Where this node's events come out.
    pub fn events(&self) -> &EventHub {
        &self.events
    }

    /// The encoded snapshot of a room with what is known of it.
    ///
    /// # Errors
    /// That of the disk; `InvalidData` where the bytes are not those that were saved.
    pub async fn load_snapshot(&self, room_id: &RoomId) -> io::Result<Option<(SnapshotMeta, Bytes)>> {
        // A newer snapshot may take the place of the one that is being read: then that one is read.
        for _ in 0..8 {
            let (meta, in_memory, store) = {
                let core = self.core.read();
                let Some(meta) = core.registry.snapshot_meta(room_id).cloned() else { return Ok(None) };
                let in_memory = core.pending.room_bytes(&(room_id.clone(), meta.index));
                (meta, in_memory, Arc::clone(&core.store))
            };
            let bytes = match in_memory {
                Some(bytes) => Some(bytes),
                None => stored_bytes(store, room_id.clone(), meta.index).await?,
            };
            match bytes {
                Some(bytes) if crc32fast::hash(&bytes) == meta.crc32 => return Ok(Some((meta, bytes))),
                Some(_) => {
                    let problem = format!("the snapshot of room {room_id} is not the one that was saved");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                }
                None => tokio::task::yield_now().await,
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("the snapshot of room {room_id} is missing")))
    }

    /// Applies one entry, as a whole: `change` does it and says what has changed.
    pub(super) fn apply(
        &self,
        log_id: LogId,
        change: impl FnOnce(&mut Core) -> EntryApplied,
    ) -> io::Result<Vec<Reply>> {
        let (replies, events, wake) = {
            let mut core = self.core.write();
            if let Some(failure) = &core.failure {
                return Err(io::Error::other(failure.clone()));
            }
            if core.closed {
                return Err(io::Error::other("the state machine is closed"));
            }
            let EntryApplied { replies, changes, events } = change(&mut core);
            core.applied.last_applied = Some(log_id);
            (replies, events, core.pending.note(changes))
        };
        self.events.publish(events);
        if wake {
            self.wake_writer();
        }
        Ok(replies)
    }

    pub(super) fn applied(&self) -> AppliedState {
        self.core.read().applied.clone()
    }

    /// Everything that a Raft snapshot is built from. It must be followed by [`build_ends`](Self::build_ends).
    pub(super) fn build_begins(&self) -> (Registry, AppliedState, [RoomBytesMap; 2], Arc<Store>) {
        let mut core = self.core.write();
        let in_memory = core.pending.build_begins();
        (core.registry.clone(), core.applied.clone(), in_memory, Arc::clone(&core.store))
    }

    pub(super) fn build_ends(&self) {
        if self.core.write().pending.build_ends() {
            self.wake_writer();
        }
    }

    /// Replaces everything at once, as a snapshot is installed.
    pub(super) fn replace(&self, restored: Restored) {
        let revision = Revision { index: restored.registry.last_index(), ordinal: u32::MAX };
        let older = {
            let mut core = self.core.write();
            core.registry = restored.registry;
            core.applied = restored.applied;
            core.pending.reset();
            std::mem::replace(&mut core.store, Arc::new(restored.store))
        };
        // A build may still read from it: it goes with its last user.
        older.remove_when_dropped();
        self.events.lag(revision);
    }

    /// Writes what is left and ends the writer; gives the store and what it holds now. Blocks.
    pub(super) fn stop_writer(&self) -> io::Result<(Arc<Store>, CleanMark)> {
        let (done, ended) = mpsc::channel();
        let stopped = || io::Error::other("the store's writer has ended");
        self.core.write().closed = true;
        self.writer.send(Order::Stop(done)).map_err(|_| stopped())?;
        ended.recv().map_err(|_| stopped())?;
        let core = self.core.read();
        match &core.failure {
            Some(failure) => Err(io::Error::other(failure.clone())),
            None => Ok((Arc::clone(&core.store), CleanMark::of(core.applied.last_applied, &core.registry))),
        }
    }

    fn wake_writer(&self) {
        // Where the writer has ended its failure is told by the next apply.
        let _ = self.writer.send(Order::Changed);
    }
}

async fn stored_bytes(store: Arc<Store>, room_id: RoomId, index: u64) -> io::Result<Option<Bytes>> {
    tokio::task::spawn_blocking(move || store.room_bytes(&room_id, index)).await.map_err(io::Error::other)?
}
