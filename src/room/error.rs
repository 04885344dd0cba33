//! What can go wrong with a room, and with getting into one.

use crate::adapter::AdapterError;

/// What a hook of a room gives when it fails, and what reaches [`on_error`](super::Room::on_error).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// The game says so. Where `on_join` gives it, the player is refused with this text.
    #[error("{0}")]
    Game(String),
    /// A hook panicked: the room ends.
    #[error("the room panicked: {0}")]
    Panicked(String),
    /// A hook did not return in time: the room ends.
    #[error("{hook} took longer than {seconds} s")]
    TimedOut {
        /// Which hook.
        hook: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// No handler is registered for this type of message.
    #[error("messages of type {0:?} are not understood here")]
    UnknownMessage(String),
    /// The data of a message is not what its handler expects.
    #[error("malformed data: {0}")]
    Malformed(String),
    /// The room saves no state.
    #[error("this room has no state to save: its `save` gives none")]
    NothingToSave,
    /// The snapshot could not be kept.
    #[error("the snapshot could not be kept: {0}")]
    Save(AdapterError),
    /// The player is in no room of this server.
    #[error("the player is in no room here: join one first")]
    NotInRoom,
    /// The room has ended meanwhile.
    #[error("the room has ended")]
    Ended,
}

impl RoomError {
    /// Whether the room cannot go on after it.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Panicked(_) | Self::TimedOut { .. })
    }
}

impl From<String> for RoomError {
    fn from(message: String) -> Self {
        Self::Game(message)
    }
}

impl From<&str> for RoomError {
    fn from(message: &str) -> Self {
        Self::Game(message.to_owned())
    }
}

impl From<serde_json::Error> for RoomError {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Why a player did not get into a room. Nothing is left behind: a seat that was taken is freed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// No such room, type or session; or the room is full or locked.
    #[error("{0}")]
    NotFound(String),
    /// Not just now: no quorum, draining, no capacity. Trying again later or elsewhere may help.
    #[error("{0}")]
    Unavailable(String),
    /// The request itself is wrong, or the room refused the player.
    #[error("{0}")]
    Invalid(String),
    /// Something broke here.
    #[error("{0}")]
    Internal(String),
}
