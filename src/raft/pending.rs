//! What the state machine has changed and the store does not have yet.
//!
//! Records are noted by their keys alone and read from the registry when they are written, so
//! that many changes of one record cost one write. The bytes of room snapshots wait here until
//! they are in the store; those that are dropped before that are never written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use crate::{model::RoomId, registry::Change};

/// A room's snapshot: the room and the index of the command that wrote it.
pub(super) type RoomBytesKey = (RoomId, u64);
/// Snapshots of rooms in memory.
pub(super) type RoomBytesMap = Arc<BTreeMap<RoomBytesKey, Bytes>>;

/// The changes since the last write.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Whether anything was applied at all, be it without any change.
    touched: bool,
    dirty: BTreeSet<Change>,
    fresh: BTreeMap<RoomBytesKey, Bytes>,
    /// Those that the present write is about: still read from here.
    flushing: RoomBytesMap,
    dropped: BTreeSet<RoomBytesKey>,
    /// Raft snapshots that are being built from the store: nothing is deleted under them.
    builds: usize,
    held: BTreeSet<RoomBytesKey>,
}

/// What one write is about.
#[derive(Debug)]
pub(super) struct PendingBatch {
    pub(super) dirty: BTreeSet<Change>,
    pub(super) saved: RoomBytesMap,
    pub(super) dropped: BTreeSet<RoomBytesKey>,
}

impl Pending {
    /// Notes that something was applied; tells whether it is the first since the last write.
    pub(super) fn note(&mut self, changes: Vec<Change>) -> bool {
        for change in changes {
            match change {
                Change::SnapshotSaved { room_id, index, bytes } => {
                    self.fresh.insert((room_id, index), bytes);
                }
                Change::SnapshotDropped { room_id, index } => self.drop_room_bytes((room_id, index)),
                record => {
                    self.dirty.insert(record);
                }
            }
        }
        !std::mem::replace(&mut self.touched, true)
    }

    fn drop_room_bytes(&mut self, key: RoomBytesKey) {
        if self.fresh.remove(&key).is_some() {
            return;
        }
        if self.builds > 0 {
            self.held.insert(key);
        } else {
            self.dropped.insert(key);
        }
    }

    /// The bytes of a room's snapshot, where they are not in the store yet.
    pub(super) fn room_bytes(&self, key: &RoomBytesKey) -> Option<Bytes> {
        self.fresh.get(key).or_else(|| self.flushing.get(key)).cloned()
    }

    /// Everything since the last write, if anything; it counts as unwritten until [`written`](Self::written).
    pub(super) fn take(&mut self) -> Option<PendingBatch> {
        if !std::mem::take(&mut self.touched) {
            return None;
        }
        self.flushing = Arc::new(std::mem::take(&mut self.fresh));
        Some(PendingBatch {
            dirty: std::mem::take(&mut self.dirty),
            saved: Arc::clone(&self.flushing),
            dropped: std::mem::take(&mut self.dropped),
        })
    }

    /// The batch that was taken last is in the store.
    pub(super) fn written(&mut self) {
        self.flushing = RoomBytesMap::default();
    }

    /// A Raft snapshot is about to be built; gives the bytes that are not in the store.
    pub(super) fn build_begins(&mut self) -> [RoomBytesMap; 2] {
        self.builds += 1;
        [Arc::new(self.fresh.clone()), Arc::clone(&self.flushing)]
    }

    /// A build has ended; tells whether there is something to write now.
    pub(super) fn build_ends(&mut self) -> bool {
        self.builds = self.builds.saturating_sub(1);
        if self.builds > 0 || self.held.is_empty() {
            return false;
        }
        self.dropped.append(&mut self.held);
        !std::mem::replace(&mut self.touched, true)
    }

    /// Everything was replaced, store included: only the builds of the older one go on.
    pub(super) fn reset(&mut self) {
        *self = Self { builds: self.builds, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room_id() -> RoomId {
        RoomId::new("arena-1").expect("an id")
    }

    fn saved(index: u64) -> Change {
        Change::SnapshotSaved { room_id: room_id(), index, bytes: Bytes::from_static(b"state") }
    }

    fn dropped(index: u64) -> Change {
        Change::SnapshotDropped { room_id: room_id(), index }
    }

    #[test]
    fn bytes_that_are_dropped_in_time_are_never_written() {
        let mut pending = Pending::default();
        assert!(pending.note(vec![saved(1)]));
        assert!(!pending.note(vec![saved(2), dropped(1)]));
        let batch = pending.take().expect("touched");
        assert_eq!(batch.saved.keys().map(|key| key.1).collect::<Vec<_>>(), [2]);
        assert!(batch.dropped.is_empty());
        assert!(pending.room_bytes(&(room_id(), 2)).is_some(), "it is read from here until it is written");
        pending.written();
        assert!(pending.room_bytes(&(room_id(), 2)).is_none());
        assert!(pending.take().is_none());
    }

    #[test]
    fn nothing_is_deleted_under_a_build() {
        let mut pending = Pending::default();
        pending.note(vec![saved(1)]);
        pending.take();
        pending.written();
        pending.build_begins();
        pending.note(vec![dropped(1)]);
        assert!(pending.take().expect("touched").dropped.is_empty());
        assert!(pending.build_ends(), "there is something to write");
        assert_eq!(pending.take().expect("touched").dropped.len(), 1);
    }
}
