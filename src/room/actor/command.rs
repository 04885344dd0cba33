//! What reaches a room's task.

use std::fmt;

use serde_json::Value;
use tokio::sync::oneshot;

use super::departing::Departure;
use crate::{
    model::{PlayerId, RoomUpdate, SeatId},
    room::{
        Connection, ConnectionId, JoinError, JoinedRoom, Responder, RoomError, migration::Forwarded,
        token::SessionToken,
    },
};

/// One item of a room's mailbox.
pub(crate) enum RoomCommand {
    /// A player comes in, on a seat that is joined in the registry.
    Join(Box<Arrival>),
    /// A player comes back.
    Reconnect(Box<Return>),
    /// A connection ended.
    Disconnected { player_id: PlayerId, connection: ConnectionId },
    /// A player leaves of its own will.
    Leave { player_id: PlayerId, reason: String, done: oneshot::Sender<()> },
    /// A player's message.
    Message { player_id: PlayerId, message_type: String, data: Value },
    /// A message from elsewhere in the cluster.
    Remote { message_type: String, data: Value, player_id: Option<PlayerId> },
    /// What came too late to the server that had the room before.
    Forwarded(Forwarded),
    /// Keep the state now.
    Save { reply: oneshot::Sender<Result<u64, RoomError>> },
    /// Go to another server.
    Depart(Box<Departure>),
}

/// A player that comes in.
pub(crate) struct Arrival {
    pub(crate) player_id: PlayerId,
    pub(crate) data: Value,
    pub(crate) way: Way,
}

/// A player that comes back.
pub(crate) struct Return {
    pub(crate) way: Way,
}

/// How a player reaches its seat, and who waits for that.
pub(crate) struct Way {
    pub(crate) seat_id: SeatId,
    pub(crate) token: SessionToken,
    pub(crate) connection: Connection,
    pub(crate) respond: Responder,
    pub(crate) reply: oneshot::Sender<Result<JoinedRoom, JoinError>>,
}

/// What a hook wants done once it has returned.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A player is taken out of the room, and told so.
    Remove { player_id: PlayerId, reason: String },
    /// The room is no longer this server's.
    Lost { reason: String },
    /// The room ends for good.
    Dispose { reason: String },
    /// The room's record changes.
    Update(RoomUpdate),
}

/// How a room is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// For good.
    Dispose(String),
    /// Saved and given up, for another server to take; one that has no state to save ends for good.
    Park,
    /// It is no longer this server's: nothing is written any more.
    Abandon(String),
}

impl fmt::Debug for RoomCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join(_) => "Join",
            Self::Reconnect(_) => "Reconnect",
            Self::Disconnected { .. } => "Disconnected",
            Self::Leave { .. } => "Leave",
            Self::Message { .. } => "Message",
            Self::Remote { .. } => "Remote",
            Self::Forwarded(_) => "Forwarded",
            Self::Save { .. } => "Save",
            Self::Depart(_) => "Depart",
        })
    }
}
