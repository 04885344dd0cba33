//! Seats: the rows from which every player count is derived.

use serde::{Deserialize, Serialize};

use super::{Metadata, PlayerId, RoomEpoch, RoomId, RoomRegistration, RoomType, SeatId, ServerEpoch, ServerId};

/// SHA-256 of a session token; the token itself is known to its player alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

/// Who has a seat, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SeatState {
    /// Kept for a redirected player until the deadline.
    Held,
    /// The player is there.
    Joined,
    /// The player's connection ended; kept for it until the deadline.
    Away,
}

/// One seat of one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Its id, the `reservation`.
    pub seat_id: SeatId,
    /// Whose it is.
    pub player_id: PlayerId,
    /// Hash of the session token, once joined.
    pub token: Option<TokenHash>,
    /// Whether the player is there.
    pub state: SeatState,
    /// When a held or away seat falls free, in milliseconds of cluster time; 0 for a joined one.
    pub deadline_ms: u64,
    /// Where the reservation came from, so that a player who lost it on the way finds it again; 0 = unknown.
    pub origin: u64,
}

/// Which room a seat is wanted in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SeatTarget {
    /// This very room.
    Room(RoomId),
    /// An open room of a type: on the caller's server, else the oldest anywhere, else a new one.
    Type {
        /// The kind of room.
        room_type: RoomType,
        /// Only rooms with these attributes; a new room gets them.
        metadata: Metadata,
        /// Where a new room may go, best first, 8 at most: the first that is online, has
        /// room left and serves the type gets it. Empty: no new room.
        candidates: Vec<ServerId>,
        /// What a new room's `on_create` gets, as JSON text of 16 KiB at most.
        options: String,
    },
    /// A room of a type as near as can be: in each tier of servers an open room, else a new one;
    /// where no tier has either, an open room anywhere.
    Nearest {
        /// The kind of room.
        room_type: RoomType,
        /// Only rooms with these attributes; a new room gets them.
        metadata: Metadata,
        /// Servers that are equally good, the best tier first; 8 servers at most in all. In a tier the
        /// caller's own open rooms come first, then the oldest open one, then a new one on the first
        /// server that is online, has room left and serves the type.
        tiers: Vec<Vec<ServerId>>,
        /// What a new room's `on_create` gets, as JSON text of 16 KiB at most.
        options: String,
    },
}

/// A wish for one seat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeatRequest {
    /// The id of the seat to be; a repeated request with the same id gets the same seat.
    pub seat_id: SeatId,
    /// Who wants it.
    pub player_id: PlayerId,
    /// Which room.
    pub target: SeatTarget,
    /// The server that the player is connected to: a seat in a room of its own is joined at once, any other held.
    pub caller: ServerEpoch,
    /// Hash of the session token that the player gets where the seat is joined at once.
    pub token: TokenHash,
    /// How long a seat elsewhere is held, in milliseconds.
    pub hold_ms: u64,
    /// Where the player comes from (a hash of its network address); 0 = unknown. A player with no
    /// reservation takes up a held seat of the same origin where it would otherwise be refused or sent on.
    pub origin: u64,
}

/// A seat that was granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeatGrant {
    /// The seat.
    pub seat: Seat,
    /// Its room, this seat counted.
    pub room: RoomRegistration,
    /// Whether this request made the room: its owner must now create it.
    pub created: bool,
}

/// An owner's word that a player has arrived, or come back, on its seat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeatConfirmation {
    /// The room, under the owner's epoch.
    pub room: RoomEpoch,
    /// The seat.
    pub seat_id: SeatId,
    /// Hash of the session token: a new one for a held seat; the one that the seat has for an away or joined one.
    pub token: TokenHash,
}

/// An owner's word that a player has gone from its seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatRelease {
    /// The room.
    pub room_id: RoomId,
    /// The seat.
    pub seat_id: SeatId,
    /// How long the seat is kept for the player, in milliseconds; 0 frees it at once.
    pub away_ms: u64,
}

/// A wish to own one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomClaim {
    /// Who wants it.
    pub claimant: ServerEpoch,
    /// The room, under the ownership that the claimant last saw: the compare of compare-and-set.
    pub room: RoomEpoch,
}

/// A wish to own orphaned and parked rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanClaim {
    /// Who wants them.
    pub claimant: ServerEpoch,
    /// Which kinds.
    pub room_types: Vec<RoomType>,
    /// How many at most; 256 are given at once in any case, so ask again after as many.
    pub limit: u32,
}
