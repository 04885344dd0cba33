//! Servers, rooms and locks as a registry holds them: the public records and what only the registry knows.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::model::{
    LockToken, RoomMigration, RoomRegistration, RoomState, RoomType, Seat, SeatId, ServerId, ServerRegistration,
    ServerStatus,
};

/// A room by the index of the command that made it: shorter than its id, and in order of age.
pub(super) type RoomNumber = u64;

/// What is known of a room's snapshot; the bytes are kept elsewhere, under room and index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// Its version.
    pub version: u64,
    /// The ownership that saved it.
    pub epoch: crate::model::Epoch,
    /// Size of the encoded snapshot in bytes.
    pub size: u64,
    /// CRC-32 of the encoded snapshot.
    pub crc32: u32,
    /// The index of the command that wrote it.
    pub index: u64,
    /// When, in milliseconds of cluster time.
    pub saved_at: u64,
    /// How long it is kept once its room is parked, in milliseconds; 0 = for ever.
    pub ttl_ms: u64,
}

/// A server and what is derived for it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// The record; its counts are derived and not written to disk.
    pub(super) registration: ServerRegistration,
    /// When it went offline, in milliseconds of cluster time; 0 while it is not.
    pub(super) offline_at: u64,
    /// The rooms that it owns.
    pub(super) rooms: OrdSet<RoomNumber>,
    /// The rooms of others that are offered to it: it is to have room for them.
    pub(super) offered: OrdSet<RoomNumber>,
    /// Those of them that take players, by type.
    pub(super) open: OrdMap<RoomType, OrdSet<RoomNumber>>,
}

impl Server {
    pub(super) fn new(registration: ServerRegistration, offline_at: u64) -> Self {
        Self { registration, offline_at, rooms: OrdSet::new(), offered: OrdSet::new(), open: OrdMap::new() }
    }

    pub(super) fn is_online(&self) -> bool {
        self.registration.status == ServerStatus::Online
    }

    pub(super) fn has_room_left(&self) -> bool {
        self.rooms_left() > 0
    }

    /// How many more rooms it may get, beside those that are offered to it.
    pub(super) fn rooms_left(&self) -> u32 {
        let offered = u32::try_from(self.offered.len()).unwrap_or(u32::MAX);
        self.registration.capacity.saturating_sub(self.registration.room_count).saturating_sub(offered)
    }
}

/// A room, its seats, and what only the registry knows of it.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) number: RoomNumber,
    /// The record; its counts are derived and not written to disk.
    pub(super) registration: RoomRegistration,
    /// How long a seat is kept when its player's connection, or the room's server, is lost.
    pub(super) grace_ms: u64,
    /// When it became orphaned or parked, in milliseconds of cluster time.
    pub(super) ownerless_since: u64,
    /// Who owned it last.
    pub(super) last_server: Option<ServerId>,
    /// Whether it was ever live: then it cannot be made anew, only restored.
    pub(super) lived: bool,
    pub(super) snapshot: Option<SnapshotMeta>,
    pub(super) seats: OrdMap<SeatId, Arc<Seat>>,
}

/// Where a room stands in the indexes. A function of the room and of its owner's status, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Owned, and not offered to players.
    Closed,
    /// Owned, and offered to players.
    Open,
    /// To be claimed, since then.
    Orphaned(u64),
    /// Orphaned with nothing to restore it from, since then.
    Lost(u64),
    /// To be claimed when there is room, since then.
    Parked(u64),
}

impl Room {
    /// The offer that stands for it.
    pub(super) fn offer(&self) -> Option<&RoomMigration> {
        self.registration.migration.as_ref().filter(|migration| migration.is_open())
    }

    pub(super) fn standing(&self, owner_online: bool) -> Standing {
        match self.registration.state {
            RoomState::Orphaned if self.lived && self.snapshot.is_none() => Standing::Lost(self.ownerless_since),
            RoomState::Orphaned => Standing::Orphaned(self.ownerless_since),
            RoomState::Parked => Standing::Parked(self.ownerless_since),
            RoomState::Creating | RoomState::Live => {
                let open = owner_online && !self.registration.is_locked && self.registration.has_space();
                if open { Standing::Open } else { Standing::Closed }
            }
        }
    }
}

/// The rooms of one type, by where they stand.
#[derive(Debug, Clone, Default)]
pub(super) struct RoomsOfType {
    pub(super) all: OrdSet<RoomNumber>,
    pub(super) open: OrdSet<RoomNumber>,
    /// Orphans by age as orphans.
    pub(super) orphaned: OrdSet<(u64, RoomNumber)>,
    pub(super) lost: OrdSet<(u64, RoomNumber)>,
    pub(super) parked: OrdSet<(u64, RoomNumber)>,
}

/// A lock that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// The holder's proof.
    pub token: LockToken,
    /// When it falls free, in milliseconds of cluster time.
    pub deadline_ms: u64,
}

/// What falls due at a deadline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A held or away seat falls free.
    Seat(RoomNumber, SeatId),
    /// An ownerless room is parked or disposed of, or an offer is over.
    Room(RoomNumber),
    /// A lock falls free.
    Lock(Arc<str>),
    /// An offline server is forgotten.
    Server(ServerId),
}
