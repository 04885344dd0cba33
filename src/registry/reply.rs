//! What a registry answers.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ProposerId, Rejection};
use crate::model::{DistributedEvent, Epoch, LockToken, RoomId, RoomRegistration, SeatGrant, SeatId, ServerId};

/// The outcome of one command, as its caller gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// A registration was granted.
    Epoch(Epoch),
    /// A room was registered or claimed.
    Room(Box<RoomRegistration>),
    /// Rooms were claimed; none is an answer too.
    Rooms(Vec<RoomRegistration>),
    /// A seat was granted or confirmed.
    Seat(Box<SeatGrant>),
    /// A lock was granted.
    Lock(LockToken),
    /// The command's epoch is not the present one: its author is no longer the owner. Nothing was changed.
    Fenced {
        /// The present epoch; 0 where the server or the ownership is gone.
        present: Epoch,
    },
    /// Refused by the rules. Nothing was changed.
    Rejected(Rejection),
}

/// A record that a command changed, named by its key; its present content is read from the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A server came, changed or went.
    Server(ServerId),
    /// A room's record came, changed or went; with it what is known of its snapshot.
    Room(RoomId),
    /// A seat came, changed or went.
    Seat(RoomId, SeatId),
    /// A lock came, changed or went.
    Lock(Arc<str>),
    /// What is kept of a proposer changed.
    Proposer(ProposerId),
    /// New snapshot bytes of a room, kept under the index of the command that wrote them.
    SnapshotSaved {
        /// The room.
        room_id: RoomId,
        /// The command's index.
        index: u64,
        /// The encoded snapshot.
        bytes: Bytes,
    },
    /// The snapshot bytes of a room that the command of this index wrote are needed no longer.
    SnapshotDropped {
        /// The room.
        room_id: RoomId,
        /// The command's index.
        index: u64,
    },
}

/// Everything that one command brought about. One value feeds all: the reply to the caller, the
/// changes to the disk, the events to the subscribers.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// For the caller.
    pub reply: Reply,
    /// For the disk. Time and revision of the registry change with every command and are not listed.
    pub changes: Vec<Change>,
    /// For the subscribers, in order, with their revisions.
    pub events: Vec<DistributedEvent>,
}
