//! What the registry knows of snapshots. The bytes pass through to the store and are not kept here.

use bytes::Bytes;

use super::{
    Change, Registry, Rejection, Reply,
    effects::{Effects, Outcome},
    limits,
    records::{RoomNumber, SnapshotMeta},
};
use crate::model::RoomEpoch;

impl Registry {
    pub(super) fn save_snapshot(
        &mut self,
        effects: &mut Effects,
        room: &RoomEpoch,
        version: u64,
        bytes: &Bytes,
        ttl_ms: u64,
    ) -> Outcome {
        limits::snapshot(bytes.len())?;
        let number = self.owned_room(room)?;
        if let Some(kept) = self.kept_snapshot(number)
            && version <= kept.version
        {
            let (room_id, kept) = (room.room_id.clone(), kept.version);
            return Err(Rejection::SnapshotOutdated { room_id, offered: version, kept }.into());
        }
        let snapshot = SnapshotMeta {
            version,
            epoch: room.epoch,
            size: bytes.len() as u64,
            crc32: crc32fast::hash(bytes),
            index: effects.index,
            saved_at: effects.now_ms,
            ttl_ms,
        };
        self.drop_snapshot_bytes(effects, number);
        self.change_room(effects, number, |room| {
            room.registration.snapshot_version = Some(version);
            room.snapshot = Some(snapshot);
        });
        effects.change(Change::SnapshotSaved {
            room_id: room.room_id.clone(),
            index: effects.index,
            bytes: bytes.clone(),
        });
        Ok(Reply::Done)
    }

    pub(super) fn delete_snapshot(&mut self, effects: &mut Effects, room: &RoomEpoch) -> Outcome {
        let number = self.owned_room(room)?;
        if self.kept_snapshot(number).is_some() {
            self.drop_snapshot_bytes(effects, number);
            self.change_room(effects, number, |room| {
                room.registration.snapshot_version = None;
                room.snapshot = None;
            });
        }
        Ok(Reply::Done)
    }

    /// Tells the store that the bytes of a room's present snapshot are needed no longer.
    pub(super) fn drop_snapshot_bytes(&self, effects: &mut Effects, number: RoomNumber) {
        let Some(room) = self.rooms.get(&number) else { return };
        if let Some(snapshot) = &room.snapshot {
            let room_id = room.registration.room_id.clone();
            effects.change(Change::SnapshotDropped { room_id, index: snapshot.index });
        }
    }

    fn kept_snapshot(&self, number: RoomNumber) -> Option<&SnapshotMeta> {
        self.rooms.get(&number)?.snapshot.as_ref()
    }
}
