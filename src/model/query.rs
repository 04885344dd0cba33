//! What rooms somebody looks for.

use serde::{Deserialize, Serialize};

use super::{Metadata, RoomRegistration, RoomType, ServerId};

/// A filter over rooms; every part that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoomQuery {
    /// Rooms of this kind.
    pub room_type: Option<RoomType>,
    /// Rooms that this server owns.
    pub server_id: Option<ServerId>,
    /// `true`: rooms with a free seat; `false`: full rooms.
    pub has_space: Option<bool>,
    /// `true`: rooms that take new players; `false`: locked rooms.
    pub not_locked: Option<bool>,
    /// Rooms with all these attributes, each equal.
    pub metadata: Metadata,
    /// At most so many; all where it is not set.
    pub limit: Option<usize>,
    /// Leaves out the first so many; 0 where it is not set.
    pub offset: Option<usize>,
}

impl RoomQuery {
    /// Whether a room passes the filter; `limit` and `offset` aside.
    pub fn matches(&self, room: &RoomRegistration) -> bool {
        self.room_type.as_ref().is_none_or(|wanted| *wanted == room.room_type)
            && self.server_id.as_ref().is_none_or(|wanted| room.server_id.as_ref() == Some(wanted))
            && self.has_space.is_none_or(|wanted| wanted == room.has_space())
            && self.not_locked.is_none_or(|wanted| wanted != room.is_locked)
            && room.metadata.contains_all(&self.metadata)
    }
}
