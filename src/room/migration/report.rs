//! What became of the rooms of a server that drained.

use std::time::Duration;

use serde::Serialize;

use crate::model::{RoomId, RoomType, ServerId};

/// What became of one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "fate")]
#[non_exhaustive]
pub enum RoomFate {
    /// Another server runs it.
    #[serde(rename_all = "camelCase")]
    Moved {
        /// Which.
        to: ServerId,
        /// From its last action here until the other server had it running.
        #[serde(rename = "frozenMs", serialize_with = "as_ms")]
        frozen: Duration,
    },
    /// No server could take it: it is saved, and comes back as soon as one can, or when somebody joins it.
    Parked,
    /// It ended for good.
    Disposed {
        /// Why.
        reason: String,
    },
    /// It is still here, or what became of it is not known here.
    Stayed {
        /// Why.
        reason: String,
    },
}

/// One room of a drained server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainedRoom {
    /// The room.
    pub room_id: RoomId,
    /// Its kind.
    pub room_type: RoomType,
    /// Its players at the time.
    pub players: usize,
    /// What became of it.
    #[serde(flatten)]
    pub fate: RoomFate,
}

/// What became of the rooms of a server that drained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainReport {
    /// Every room that it had, in order of their ids.
    pub rooms: Vec<DrainedRoom>,
    /// How long it took.
    #[serde(rename = "tookMs", serialize_with = "as_ms")]
    pub took: Duration,
}

impl DrainReport {
    /// How many rooms other servers run now.
    pub fn moved(&self) -> usize {
        self.count(|fate| matches!(fate, RoomFate::Moved { .. }))
    }

    /// How many rooms wait, saved, for a server.
    pub fn parked(&self) -> usize {
        self.count(|fate| *fate == RoomFate::Parked)
    }

    /// How many rooms ended.
    pub fn disposed(&self) -> usize {
        self.count(|fate| matches!(fate, RoomFate::Disposed { .. }))
    }

    /// How many rooms are still here.
    pub fn stayed(&self) -> usize {
        self.count(|fate| matches!(fate, RoomFate::Stayed { .. }))
    }

    /// Players of the rooms that moved.
    pub fn players_moved(&self) -> usize {
        let moved = self.rooms.iter().filter(|room| matches!(room.fate, RoomFate::Moved { .. }));
        moved.map(|room| room.players).sum()
    }

    fn count(&self, of: impl Fn(&RoomFate) -> bool) -> usize {
        self.rooms.iter().filter(|room| of(&room.fate)).count()
    }
}

fn as_ms<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(crate::clock::millis(*time))
}
