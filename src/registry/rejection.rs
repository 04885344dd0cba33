//! Refusals by the rules: data, not faults.

use serde::{Deserialize, Serialize};

use crate::model::{RoomId, RoomType, ServerId};

/// Why the registry refused a command. Nothing was changed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The server id belongs to another node whose lease runs.
    #[error("server id {0} is in use by another node: give this one another name, or wait until that one's lease ends")]
    ServerIdTaken(ServerId),
    /// No such server, or it is offline: it must register again.
    #[error("server {0} is not registered: register it again")]
    ServerUnknown(ServerId),
    /// The server has its full number of rooms.
    #[error("server {0} has no room left: raise its capacity or add a server")]
    ServerFull(ServerId),
    /// The server does not serve the room's type.
    #[error("server {server_id} does not serve room type {room_type}: choose another one")]
    TypeNotServed {
        /// The server.
        server_id: ServerId,
        /// The type.
        room_type: RoomType,
    },
    /// The server hands its rooms on and takes no new ones.
    #[error("server {0} is draining: register the room on another server")]
    ServerDraining(ServerId),
    /// No candidate is online, has room left and serves the type.
    #[error("no server has room left for a room of type {0}: add a server or raise the capacity")]
    NoCapacity(RoomType),
    /// No such room.
    #[error("room {0} does not exist")]
    RoomUnknown(RoomId),
    /// A room with this id exists.
    #[error("room {0} exists already: choose another id, or let the registry choose")]
    RoomExists(RoomId),
    /// Every seat is taken.
    #[error("room {0} is full")]
    RoomFull(RoomId),
    /// It takes no new players.
    #[error("room {0} is locked")]
    RoomLocked(RoomId),
    /// It has no owner just now; somebody will claim it.
    #[error("room {0} has lost its server and is not yet taken over: try again shortly")]
    RoomOrphaned(RoomId),
    /// It is parked: claim it first.
    #[error("room {0} is parked: it comes back when a server claims it")]
    RoomParked(RoomId),
    /// The claim's expected ownership is no longer the present one, or its owner lives.
    #[error("room {0} is owned by another server")]
    RoomOwned(RoomId),
    /// The seat is not there, or its time is over.
    #[error("the reservation in room {0} is unknown or over: join again")]
    SeatUnknown(RoomId),
    /// The session token does not belong to the seat.
    #[error("the session token does not belong to this seat of room {0}")]
    TokenMismatch(RoomId),
    /// The snapshot is not newer than the one that is kept.
    #[error("snapshot version {offered} of room {room_id} is not above the kept version {kept}")]
    SnapshotOutdated {
        /// The room.
        room_id: RoomId,
        /// The version offered.
        offered: u64,
        /// The version kept.
        kept: u64,
    },
    /// The room has no snapshot, so it cannot be parked.
    #[error("room {0} has no snapshot: save one before it is parked")]
    SnapshotMissing(RoomId),
    /// Somebody else holds the lock.
    #[error("the lock is held by another")]
    LockHeld,
    /// The token is not the present holder's, or the lock's time is over.
    #[error("the lock is not held with this token: it was released, or its time is over")]
    LockNotHeld,
    /// A field is out of its range.
    #[error("{0}")]
    Invalid(String),
    /// A newer process of the same node has taken its place, or this command's outcome was already fetched.
    #[error("a newer process of this node proposes now: this one must stop")]
    Superseded,
}
