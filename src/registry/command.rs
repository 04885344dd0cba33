//! What can be asked of a registry.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{
    LockToken, NewRoom, NewServer, OrphanClaim, RoomClaim, RoomEpoch, RoomOffer, RoomUpdate, SeatConfirmation,
    SeatRelease, SeatRequest, ServerEpoch, ServerUpdate,
};

/// One run of one node's process, as the author of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProposerId {
    /// The node.
    pub node: u64,
    /// Its process: larger at each start of the node. A new one ends what is kept of the older.
    pub incarnation: u64,
}

/// Who proposes a command, so that a command that comes twice changes nothing the second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The author.
    pub proposer: ProposerId,
    /// Its number of this command; the same at each retry.
    pub serial: u64,
    /// It has the outcome of every command below this number: they need not be kept any longer.
    pub settled_below: u64,
}

/// An operation with its author and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Cluster time in milliseconds, stamped by the leader. One older than the registry's counts as the registry's.
    pub time_ms: u64,
    /// Who proposes it; none for the cluster's own bookkeeping, which is harmless twice.
    pub origin: Option<Origin>,
    /// What to do.
    pub operation: Operation,
}

/// Short, for logs: when, and by whom.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(Origin { proposer, serial, .. }) => {
                write!(f, "command {serial} of node {} at {} ms", proposer.node, self.time_ms)
            }
            None => write!(f, "bookkeeping at {} ms", self.time_ms),
        }
    }
}

/// What to do. Each says which [`Reply`](super::Reply) it gives when it is not rejected or fenced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// Frees what is past its deadline: locks, held and away seats, parked rooms past their
    /// snapshot's time, long-offline servers. Gives `Done`.
    Tick,
    /// Registers a server, anew where it was: rooms of its older epoch are orphaned. Gives `Epoch`.
    RegisterServer(NewServer),
    /// Removes a server and disposes of its rooms. Gives `Done`.
    UnregisterServer(ServerEpoch),
    /// Changes a server. Gives `Done`.
    UpdateServer {
        /// Which, under which registration.
        server: ServerEpoch,
        /// How.
        update: ServerUpdate,
    },
    /// A server's lease has ended: it goes offline and its rooms are orphaned. Gives `Done`, also
    /// where that registration is no more.
    ExpireServer {
        /// Which, under which registration.
        server: ServerEpoch,
        /// Why, for people.
        reason: String,
    },
    /// Registers a room on a server. Gives `Room`.
    RegisterRoom {
        /// On which server, under which registration.
        server: ServerEpoch,
        /// What room.
        room: NewRoom,
    },
    /// Removes a room with its seats and its snapshot. Gives `Done`, also where it is gone already.
    UnregisterRoom {
        /// Which, under which ownership.
        room: RoomEpoch,
        /// Why, for people.
        reason: String,
    },
    /// Changes a room. Gives `Done`.
    UpdateRoom {
        /// Which, under which ownership.
        room: RoomEpoch,
        /// How.
        update: RoomUpdate,
    },
    /// Finds or places a room and takes a seat in it, in one step. Gives `Seat`.
    ReserveSeat(SeatRequest),
    /// A held or away seat is joined. Gives `Seat`.
    ConfirmSeat(SeatConfirmation),
    /// Seats of rooms that a server owns are freed or become away; those that are gone are passed over. Gives `Done`.
    ReleaseSeats {
        /// The owner of the rooms, under its registration.
        server: ServerEpoch,
        /// Which seats.
        releases: Vec<SeatRelease>,
    },
    /// Compare-and-set of a room's owner: an orphaned, parked or offered room, or one of its own. Gives `Room`, creating where it never lived.
    ClaimRoom(RoomClaim),
    /// Takes a fair share of the orphaned (and, within capacity, parked) rooms; orphans without a snapshot
    /// that had lived are disposed of. Gives `Rooms`.
    ClaimOrphans(OrphanClaim),
    /// Keeps a room's snapshot, if it is newer than the last. Gives `Done`.
    SaveSnapshot {
        /// Which room, under which ownership.
        room: RoomEpoch,
        /// Its version; above the last one's.
        version: u64,
        /// The encoded snapshot.
        bytes: Bytes,
        /// How long it is kept once its room is parked, in milliseconds; 0 = for ever.
        ttl_ms: u64,
    },
    /// Forgets a room's snapshot. Gives `Done`.
    DeleteSnapshot(RoomEpoch),
    /// Takes a lock that is free or past its time. Gives `Lock`, or the rejection `LockHeld`.
    AcquireLock {
        /// Its name, 1 to 512 bytes.
        key: String,
        /// For how long, in milliseconds, from this command's time.
        ttl_ms: u64,
    },
    /// Frees a lock that is held with this token. Gives `Done`, or the rejection `LockNotHeld`.
    ReleaseLock {
        /// Its name.
        key: String,
        /// Proof.
        token: LockToken,
    },
    /// Sets a held lock's time anew. Gives `Done`, or the rejection `LockNotHeld`.
    ExtendLock {
        /// Its name.
        key: String,
        /// Proof.
        token: LockToken,
        /// For how long, in milliseconds, from this command's time.
        ttl_ms: u64,
    },
    /// A room's owner offers it to another server, which may claim it until the offer is over; that
    /// server's end, or its draining, ends the offer too. Gives `Done`.
    OfferRoom(RoomOffer),
}
