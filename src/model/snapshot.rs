//! A room's saved state.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{PlayerId, RoomId, RoomType, SeatId};

/// A player as a snapshot keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayerSnapshot {
    /// Its id.
    pub id: PlayerId,
    /// Its seat, so that a restored room knows whom to expect.
    pub seat_id: SeatId,
    /// Its data.
    pub data: Value,
}

/// A room's state at one moment, from which another server can go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomSnapshot {
    /// The room.
    pub room_id: RoomId,
    /// Its kind.
    pub room_type: RoomType,
    /// What the room's `save` gave.
    pub state: Value,
    /// Its players and their data.
    pub players: Vec<PlayerSnapshot>,
    /// Counts up by one at each save of a room, across owners; an older or equal one is refused.
    pub version: u64,
    /// When it was taken, in milliseconds since 1970; for people, never compared.
    pub timestamp: u64,
}
