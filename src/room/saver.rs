//! Writing a room's snapshots.

use std::sync::Arc;

use serde_json::Value;

use super::{RoomError, core::RoomCore};
use crate::{
    adapter::{AdapterError, DistributedAdapter},
    model::{PlayerSnapshot, RoomSnapshot},
    registry::Rejection,
};

/// Numbers a room's snapshots and writes those that differ from the last one.
#[derive(Debug)]
pub(crate) struct Saver {
    adapter: Arc<dyn DistributedAdapter>,
    /// The version of the newest snapshot that was handed to the backend.
    version: u64,
    /// The newest snapshot that the backend has: its version and what it says.
    kept: Option<(u64, Vec<u8>)>,
}

/// A snapshot on its way.
#[derive(Debug)]
pub(crate) struct Taken {
    snapshot: RoomSnapshot,
    content: Vec<u8>,
}

impl Saver {
    pub(crate) fn new(adapter: Arc<dyn DistributedAdapter>, version: Option<u64>) -> Self {
        Self { adapter, version: version.unwrap_or_default(), kept: None }
    }

    /// Goes on from a snapshot that the room was restored from.
    pub(crate) fn restored(&mut self, snapshot: &RoomSnapshot) {
        self.version = self.version.max(snapshot.version);
        self.kept = content(&snapshot.state, &snapshot.players).ok().map(|content| (snapshot.version, content));
    }

    /// A new snapshot, or the version of the last one where nothing has changed since.
    pub(crate) fn take(&mut self, core: &RoomCore, state: Value) -> Result<Result<Taken, u64>, RoomError> {
        let players: Vec<PlayerSnapshot> = core.players().iter().map(super::Player::snapshot).collect();
        let content = content(&state, &players)?;
        if let Some((version, kept)) = &self.kept
            && *kept == content
        {
            return Ok(Err(*version));
        }
        self.version += 1;
        let snapshot = RoomSnapshot {
            room_id: core.room_id.clone(),
            room_type: core.room_type.clone(),
            state,
            players,
            version: self.version,
            timestamp: core.clock.wall_ms(),
        };
        Ok(Ok(Taken { snapshot, content }))
    }

    /// The backend has it.
    pub(crate) fn keep(&mut self, taken: Taken) {
        let newer = self.kept.as_ref().is_none_or(|(version, _)| *version < taken.snapshot.version);
        if newer {
            self.kept = Some((taken.snapshot.version, taken.content));
        }
    }

    /// Takes a snapshot and returns once the backend has it; gives its version.
    pub(crate) async fn save(&mut self, core: &RoomCore, state: Value) -> Result<u64, RoomError> {
        let mut taken = match self.take(core, state)? {
            Ok(taken) => taken,
            Err(version) => return Ok(version),
        };
        let mut outcome = taken.write(&*self.adapter, core).await;
        if let Err(AdapterError::Rejected(Rejection::SnapshotOutdated { kept, .. })) = outcome {
            // An earlier owner got further than it was known here.
            self.version = self.version.max(kept) + 1;
            taken.snapshot.version = self.version;
            outcome = taken.write(&*self.adapter, core).await;
        }
        outcome.map_err(RoomError::Save)?;
        let version = taken.snapshot.version;
        self.keep(taken);
        Ok(version)
    }
}

impl Taken {
    pub(crate) async fn write(&self, adapter: &dyn DistributedAdapter, core: &RoomCore) -> Result<(), AdapterError> {
        adapter.save_snapshot(core.epoch(), &self.snapshot).await
    }
}

fn content(state: &Value, players: &[PlayerSnapshot]) -> Result<Vec<u8>, RoomError> {
    Ok(serde_json::to_vec(&(state, players))?)
}
