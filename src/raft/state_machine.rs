//! What committed entries do: they are applied to the registry, nothing else is.
//!
//! What came of an entry feeds everything: the replies go to the callers, the changes to the store
//! behind, the events to the subscribers. The state machine decides nothing of its own.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{Stream, StreamExt};
use openraft::{
    OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
};
use parking_lot::Mutex;

use super::{
    pending::RoomBytesMap,
    restore::{fill, new_store},
    shared_registry::{EntryApplied, SharedRegistry},
    snapshot::{SnapshotFolder, SnapshotItem, SnapshotWriter},
    snapshot_file::SnapshotFile,
    store::{AppliedState, Store},
    types::{EntryPayload, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig},
};
use crate::{
    codec::CodecError,
    model::RoomQuery,
    registry::{Applied, Command, Registry},
};

/// The state machine of a node. Cheap to clone: its clones are the same one.
#[derive(Debug, Clone)]
pub struct StateMachine {
    data_dir: Arc<PathBuf>,
    registry: SharedRegistry,
    snapshots: SnapshotFolder,
    current: CurrentSnapshot,
}

/// The newest Raft snapshot.
pub(super) type CurrentSnapshot = Arc<Mutex<Option<(SnapshotMeta, SnapshotFile)>>>;

impl StateMachine {
    pub(super) fn new(
        data_dir: &Path,
        registry: SharedRegistry,
        snapshots: SnapshotFolder,
        current: Option<(SnapshotMeta, SnapshotFile)>,
    ) -> Self {
        let current = Arc::new(Mutex::new(current));
        Self { data_dir: Arc::new(data_dir.to_owned()), registry, snapshots, current }
    }

    /// Size in bytes of the newest Raft snapshot, 0 where there is none.
    pub(super) fn snapshot_bytes(&self) -> u64 {
        self.current.lock().as_ref().map_or(0, |(_, file)| file.length())
    }

    /// Whether the newest Raft snapshot is known to be damaged on the disk.
    pub(super) fn snapshot_is_damaged(&self) -> bool {
        self.current.lock().as_ref().is_some_and(|(_, file)| file.is_damaged())
    }
}

/// A newer snapshot may have come meanwhile: that one stays.
fn keep_newer(current: &CurrentSnapshot, meta: &SnapshotMeta, file: &SnapshotFile) {
    let mut current = current.lock();
    if current.as_ref().is_none_or(|(present, _)| present.last_log_id <= meta.last_log_id) {
        *current = Some((meta.clone(), file.clone()));
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn apply_all(registry: &mut Registry, commands: &[Command]) -> EntryApplied {
    let mut all = EntryApplied::default();
    for command in commands {
        let Applied { reply, changes, events } = registry.apply(command);
        all.replies.push(reply);
        all.changes.extend(changes);
        all.events.extend(events);
    }
    all
}

fn unknown_operation(log_id: LogId, error: &CodecError) -> io::Error {
    let problem =
        format!("entry {} of the log cannot be applied ({error}): run the other nodes' version", log_id.index);
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let AppliedState { last_applied, membership } = self.registry.applied();
        Ok((last_applied, membership))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let log_id = entry.log_id;
            let replies = match entry.payload {
                EntryPayload::Normal(batch) => {
                    let commands = batch.commands().map_err(|error| unknown_operation(log_id, &error))?;
                    self.registry.apply(log_id, |core| apply_all(&mut core.registry, &commands))?
                }
                EntryPayload::Membership(membership) => self.registry.apply(log_id, |core| {
                    core.applied.membership = StoredMembership::new(Some(log_id), membership);
                    EntryApplied::default()
                })?,
                EntryPayload::Blank => self.registry.apply(log_id, |_| EntryApplied::default())?,
            };
            if let Some(responder) = responder {
                responder.send(replies);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let (registry, applied, in_memory, store) = self.registry.build_begins();
        let (snapshots, current) = (self.snapshots.clone(), Arc::clone(&self.current));
        let view = View { registry, in_memory, store, _build: Build(self.registry.clone()) };
        SnapshotBuilder { view: Arc::new(view), applied, snapshots, current }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotFile) -> io::Result<()> {
        let (data_dir, snapshots) = (Arc::clone(&self.data_dir), self.snapshots.clone());
        let last = meta.last_log_id;
        let (restored, file) = blocking(move || {
            let restored = fill(new_store(&data_dir)?, &snapshot)?;
            if restored.applied.last_applied != last {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the snapshot is not the one announced"));
            }
            File::open(snapshot.path())?.sync_all()?;
            Ok((restored, snapshots.keep(snapshot.path(), last)?))
        })
        .await?;
        self.registry.replace(restored);
        keep_newer(&self.current, meta, &file);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.current.lock().clone().map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// The state of one moment, from which a Raft snapshot is built while the state machine goes on.
#[derive(Debug)]
pub struct SnapshotBuilder {
    view: Arc<View>,
    applied: AppliedState,
    snapshots: SnapshotFolder,
    current: CurrentSnapshot,
}

#[derive(Debug)]
struct View {
    registry: Registry,
    in_memory: [RoomBytesMap; 2],
    store: Arc<Store>,
    _build: Build,
}

/// While it exists, room snapshots stay in the store.
#[derive(Debug)]
struct Build(SharedRegistry);

impl Drop for Build {
    fn drop(&mut self) {
        self.0.build_ends();
    }
}

impl View {
    fn write(&self, writer: &mut SnapshotWriter) -> io::Result<()> {
        for record in self.registry.records() {
            writer.push(&SnapshotItem::Record(record))?;
        }
        for room in self.registry.rooms(&RoomQuery::default()) {
            let Some(meta) = self.registry.snapshot_meta(&room.room_id) else { continue };
            let key = (room.room_id, meta.index);
            let in_memory = self.in_memory.iter().find_map(|rooms| rooms.get(&key).cloned());
            let bytes = match in_memory {
                Some(bytes) => Some(bytes),
                None => self.store.room_bytes(&key.0, key.1)?,
            };
            let Some(bytes) = bytes.filter(|bytes| crc32fast::hash(bytes) == meta.crc32) else {
                let problem = format!("the snapshot of room {} is missing or garbled in the store", key.0);
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            };
            writer.push(&SnapshotItem::RoomBytes { room_id: key.0, index: key.1, bytes })?;
        }
        Ok(())
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let meta =
            SnapshotMeta { last_log_id: self.applied.last_applied, last_membership: self.applied.membership.clone() };
        let (view, snapshots, covered) = (Arc::clone(&self.view), self.snapshots.clone(), meta.clone());
        let file = blocking(move || snapshots.write(&covered, |writer| view.write(writer))).await?;
        keep_newer(&self.current, &meta, &file);
        tracing::info!(index = ?meta.last_log_id.map(|log_id| log_id.index), bytes = file.length(), "made a Raft snapshot");
        Ok(Snapshot { meta, snapshot: file })
    }
}
