//! How a type of room behaves.

use std::time::Duration;

use crate::model::{Metadata, RoomTypeSpec};

/// Seats that a room may have at most.
pub const MAX_PLAYERS_LIMIT: u32 = 100_000;
/// Ticks per second that a room may have at most.
pub const TICK_RATE_LIMIT: u32 = 1_000;
/// The longest time that a seat is kept for a player whose connection ended.
pub const RECONNECT_GRACE_LIMIT: Duration = Duration::from_hours(24);

/// The options of one type of room.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomConfig {
    /// Seats, 1 to [`MAX_PLAYERS_LIMIT`]. Default 16.
    pub max_players: u32,
    /// Calls of `on_tick` per second, 0 (none) to [`TICK_RATE_LIMIT`]. Default 0.
    pub tick_rate: u32,
    /// Whether the room is disposed of when its last player has left and no seat is held. Default true.
    pub auto_dispose: bool,
    /// How long a seat is kept for a player whose connection ended, up to [`RECONNECT_GRACE_LIMIT`];
    /// zero = not at all. Default zero.
    pub reconnect_grace: Duration,
    /// Attributes of each new room. Default none.
    pub metadata: Metadata,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            max_players: 16,
            tick_rate: 0,
            auto_dispose: true,
            reconnect_grace: Duration::ZERO,
            metadata: Metadata::default(),
        }
    }
}

/// A room type that cannot be defined so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("room type {room_type:?}: {problem}")]
pub struct InvalidRoomType {
    /// The type's name, as it was given.
    pub room_type: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl RoomConfig {
    /// What is out of its range, if anything.
    pub fn problem(&self) -> Option<String> {
        if !(1..=MAX_PLAYERS_LIMIT).contains(&self.max_players) {
            return Some(format!("max_players is {}, it must be 1 to {MAX_PLAYERS_LIMIT}", self.max_players));
        }
        if self.tick_rate > TICK_RATE_LIMIT {
            return Some(format!("tick_rate is {}, it must be 0 to {TICK_RATE_LIMIT} per second", self.tick_rate));
        }
        if self.reconnect_grace > RECONNECT_GRACE_LIMIT {
            let hours = RECONNECT_GRACE_LIMIT.as_secs() / 3600;
            return Some(format!("reconnect_grace is above {hours} hours: choose a shorter one"));
        }
        None
    }

    /// What the registry is told of the type.
    pub(crate) fn spec(&self) -> RoomTypeSpec {
        RoomTypeSpec {
            max_players: self.max_players,
            reconnect_grace_ms: crate::clock::millis(self.reconnect_grace),
            metadata: self.metadata.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_checked_and_named() {
        assert_eq!(RoomConfig::default().problem(), None);
        let none = RoomConfig { max_players: 0, ..RoomConfig::default() };
        assert!(none.problem().is_some_and(|problem| problem.contains("max_players")));
        let fast = RoomConfig { tick_rate: 5_000, ..RoomConfig::default() };
        assert!(fast.problem().is_some_and(|problem| problem.contains("tick_rate")));
    }
}
