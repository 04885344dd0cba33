//! Where a player should go: the question and the answer.

use serde::{Deserialize, Serialize};

use super::{Place, PlayerId, RoomId, RoomQuery, RoomType, RoundTrips, ServerId};

/// A player that looks for a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingRequest {
    /// Who.
    pub player_id: PlayerId,
    /// Any room of this kind.
    #[serde(default)]
    pub room_type: Option<RoomType>,
    /// This very room.
    #[serde(default)]
    pub room_id: Option<RoomId>,
    /// A server to prefer for a new room.
    #[serde(default)]
    pub preferred_server_id: Option<ServerId>,
    /// Only rooms that pass this filter.
    #[serde(default)]
    pub query: Option<RoomQuery>,
    /// Where the player is, where that is known: for [`Strategy::Geo`](crate::routing::Strategy::Geo).
    #[serde(default)]
    pub place: Place,
    /// The player's round trips to servers: for [`Strategy::Latency`](crate::routing::Strategy::Latency).
    #[serde(default)]
    pub round_trips: RoundTrips,
}

/// Where a player should go. Advice of the moment: only a reserved seat is a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum RoutingResult {
    /// A room on this server.
    Local {
        /// The room.
        room_id: RoomId,
    },
    /// A room on another server.
    Redirect {
        /// Where to connect to.
        server_address: String,
        /// The room, where it exists yet.
        room_id: Option<RoomId>,
    },
    /// No room is open; one would be made on this server.
    Create,
    /// No room is open and none can be made.
    Unavailable {
        /// Why, for people.
        reason: String,
    },
}
