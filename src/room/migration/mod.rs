//! A room's way from this server to another while both live: what is asked, and what came of it.
//!
//! ```text
//!  source                       registry                       target
//!  freeze, save (quorum) ─────► snapshot
//!  offer that version ────────► offered ─────────────────────► claim (epoch compared)
//!  waits, frozen                claimed ◄─────────────────────┘ restore
//!  forwards, redirects ◄─────── live ◄──────────────────────── declare
//! ```
//! Only a claim changes the owner. A source that waits too long claims its own room anew: one of
//! the two claims wins. Whoever dies in between leaves a record from which the others go on.
//!
//! | to understand | read |
//! |---|---|
//! | what the source makes of the record | `outlook` |
//! | which server gets which room | `spread` |
//! | messages that came too late | `forward` |
//! | the source's steps | `actor::departing` |
//! | the target's | `manager::migrate`, `actor::arriving` |

mod forward;
mod outlook;
mod report;
#[cfg(test)]
mod simulation;
mod spread;

use std::time::Duration;

pub(crate) use forward::{FORWARDED, Forwarded};
pub(crate) use outlook::{Outlook, Verdict};
pub use report::{DrainReport, DrainedRoom, RoomFate};
pub(crate) use spread::{Load, spread};

use super::RoomError;
use crate::{
    adapter::AdapterError,
    model::{RoomId, RoomType, ServerId},
};

/// A room that runs on another server now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomMoved {
    /// The room.
    pub room_id: RoomId,
    /// Its kind.
    pub room_type: RoomType,
    /// Where it runs now.
    pub to: ServerId,
    /// Its players at the time.
    pub players: usize,
    /// From its last action here until the other server had it running.
    pub frozen: Duration,
}

/// Why a room did not move. Unless it is [`Lost`](Self::Lost) it goes on here as before.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// It does not run on this server, or its end came first.
    #[error("room {0} does not run on this server")]
    NotHere(RoomId),
    /// This server is not registered, or its lease is over.
    #[error("this server has no place in its cluster just now: try again")]
    NotServing,
    /// It has no state to save, so no other server could go on with it.
    #[error("room {0} has no state to save: it cannot move, only end")]
    NothingToSave(RoomId),
    /// Its state could not be kept.
    #[error(transparent)]
    Save(RoomError),
    /// The registry refused the offer: the target is full, draining, gone, or does not serve the type.
    #[error("the offer was refused: {0}")]
    Refused(AdapterError),
    /// The target did not take it in time, or could not restore it and gave it back.
    #[error("server {target} did not take the room: {reason}")]
    NotTaken {
        /// The target.
        target: ServerId,
        /// What happened, for people.
        reason: String,
    },
    /// The room did not come to it in time: a hook holds it up, or the registry does not answer.
    #[error("room {0} was not ready to move in time: a hook holds it up, or the registry does not answer")]
    TimedOut(RoomId),
    /// The room is no longer this server's, and not the target's either.
    #[error("the room was lost on the way: {0}")]
    Lost(String),
}
