//! Rooms in the registry.

use serde::{Deserialize, Serialize};

use super::{Epoch, Metadata, RoomId, RoomMigration, RoomType, ServerId};

/// Where a room stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomState {
    /// Its owner runs `on_create`; seats can be taken, players wait.
    Creating,
    /// Its owner runs it.
    Live,
    /// Its owner is gone; somebody will claim it.
    Orphaned,
    /// It has a snapshot and no owner; not offered by find, claimed on demand.
    Parked,
}

/// A room as the registry knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomRegistration {
    /// Its unique name.
    pub room_id: RoomId,
    /// Its kind.
    pub room_type: RoomType,
    /// Its owner; none while it is orphaned or parked.
    pub server_id: Option<ServerId>,
    /// Its owner's `address:port`; empty without an owner.
    pub server_address: String,
    /// Players in it: joined and away.
    pub player_count: u32,
    /// Its seats.
    pub max_players: u32,
    /// Whether it takes new players.
    pub is_locked: bool,
    /// Free-form attributes.
    pub metadata: Metadata,
    /// When it was registered, in milliseconds of cluster time.
    pub created_at: u64,
    /// When it last changed, in milliseconds of cluster time.
    pub updated_at: u64,
    /// What granted its present ownership.
    pub epoch: Epoch,
    /// Where it stands in its life.
    pub state: RoomState,
    /// Seats taken: held, joined and away. The room is full when they reach `max_players`.
    pub seat_count: u32,
    /// The version of its last snapshot.
    pub snapshot_version: Option<u64>,
    /// While it is creating: what its `on_create` gets, as JSON text; empty otherwise.
    #[serde(default)]
    pub options: String,
    /// While it is on its way to another server: between which, and how far.
    #[serde(default)]
    pub migration: Option<RoomMigration>,
}

impl RoomRegistration {
    /// Whether a seat is free.
    pub fn has_space(&self) -> bool {
        self.seat_count < self.max_players
    }

    /// The room under its present ownership.
    pub fn room_epoch(&self) -> RoomEpoch {
        RoomEpoch { room_id: self.room_id.clone(), epoch: self.epoch }
    }
}

/// A room under one ownership: what its owner's writes name, so that those of an older owner are fenced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomEpoch {
    /// The room.
    pub room_id: RoomId,
    /// What granted the ownership.
    pub epoch: Epoch,
}

/// A room as its server asks to have it registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewRoom {
    /// A name of its own, or `None` for one that the registry makes from the type.
    pub room_id: Option<RoomId>,
    /// Its kind.
    pub room_type: RoomType,
    /// Its seats; at least 1.
    pub max_players: u32,
    /// How long a seat is kept for a player whose connection ended, in milliseconds.
    pub reconnect_grace_ms: u64,
    /// Free-form attributes.
    pub metadata: Metadata,
    /// [`RoomState::Creating`] until `on_create` has run, or [`RoomState::Live`] at once.
    pub state: RoomState,
    /// What `on_create` gets, as JSON text of 16 KiB at most; kept while the room is creating.
    pub options: String,
}

/// A change to a room by its owner; `None` leaves the field as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoomUpdate {
    /// Whether it takes new players.
    pub is_locked: Option<bool>,
    /// All its attributes anew.
    pub metadata: Option<Metadata>,
    /// Its seats; never below those taken.
    pub max_players: Option<u32>,
    /// [`RoomState::Live`] once created or restored; [`RoomState::Parked`] gives a room with a snapshot up.
    pub state: Option<RoomState>,
}
