//! What a join asks for and what comes of it.

use std::fmt;

use serde_json::Value;

use super::{Connection, Outgoing};
use crate::model::{Metadata, Place, PlayerId, RoomId, RoomType, RoundTrips, SeatId, ServerId};

/// A player at the door.
pub struct JoinRequest {
    /// Where it wants to go.
    pub target: JoinTarget,
    /// The seat that a redirect gave it.
    pub reservation: Option<SeatId>,
    /// Who it is. On a seat that was reserved the seat's player id counts instead.
    pub player_id: PlayerId,
    /// What becomes its [`data`](super::Player::data) in the room.
    pub player_data: Value,
    /// The way out to it.
    pub connection: Connection,
    /// Makes the response packet.
    pub respond: Responder,
    /// A hash of its network address: an old client that lost its reservation in a redirect is known
    /// again by it. 0 for one that keeps its reservations, and where it is unknown.
    pub origin: u64,
    /// A server to prefer for a new room.
    pub preferred_server_id: Option<ServerId>,
    /// Where the player is; by default where its server is.
    pub place: Place,
    /// Its round trips to servers; by default its server's own.
    pub round_trips: RoundTrips,
}

/// Where a player wants to go.
#[derive(Debug, Clone, PartialEq)]
pub enum JoinTarget {
    /// Any open room of a type, else a new one.
    Type {
        /// The kind of room.
        room_type: RoomType,
        /// What a new room's `on_create` gets; 16 KiB of JSON at most.
        options: Value,
        /// Only rooms with these attributes; a new room gets them.
        metadata: Metadata,
    },
    /// This very room.
    Room(RoomId),
}

/// Makes the response packet of a join; the room queues it before anything that `on_join` sent to the player.
/// `None` where no packet is wanted.
pub type Responder = Box<dyn FnOnce(&JoinedRoom) -> Option<Outgoing> + Send>;

/// A player in a room of this server.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinedRoom {
    /// The room.
    pub room_id: RoomId,
    /// The player, under the id that it keeps.
    pub player_id: PlayerId,
    /// Proof of being this player, for reconnecting; valid until it leaves or its grace period is over.
    pub session_token: String,
}

/// A player's way to the server where its room is.
#[derive(Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where to connect to: `address:port`.
    pub address: String,
    /// The kind of room.
    pub room_type: RoomType,
    /// The room.
    pub room_id: RoomId,
    /// The seat that is kept for the player there, for `JoinRoom`.
    pub reservation: Option<SeatId>,
    /// Its session token instead, for `ReconnectRoom`.
    pub session_token: Option<String>,
}

/// What came of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinOutcome {
    /// The player is in a room of this server; its response is queued.
    Joined(JoinedRoom),
    /// The player's room is elsewhere.
    Redirect(Redirect),
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest")
            .field("target", &self.target)
            .field("player_id", &self.player_id)
            .field("reservation", &self.reservation)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JoinedRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token is a secret: logs name the room and the player only.
        f.debug_struct("JoinedRoom")
            .field("room_id", &self.room_id)
            .field("player_id", &self.player_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect")
            .field("address", &self.address)
            .field("room_id", &self.room_id)
            .field("reservation", &self.reservation)
            .finish_non_exhaustive()
    }
}
