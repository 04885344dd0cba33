//! The registry: servers, rooms, seats, locks and what is known of snapshots.
//!
//! Pure: a [`Command`] goes in, an [`Applied`] comes out, and nothing else changes a registry. The
//! same commands give the same state and the same bytes on every node. It reads no clock (time
//! comes inside the command), uses no randomness, no I/O, no hash order; it holds no snapshot
//! bytes. The shells around it carry out what `Applied` says: the reply goes to the caller, the
//! changes to the disk, the events to the subscribers.
//!
//! ```text
//! Command ─ expire what is due ─ once per serial ─ operation ─┬─ Reply    to the caller
//!              (expiry)           (proposers)   (servers, rooms, ├─ Change   to the disk   (image)
//!                                                seats, …)    └─ Event    to subscribers
//!                                                    │
//!                            index, seat_rows: records and all their indexes
//! ```
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod command;
mod effects;
mod expiry;
mod image;
mod index;
pub(crate) mod limits;
mod locks;
mod offers;
mod ownership;
mod placement;
mod proposers;
mod query;
mod records;
mod rejection;
mod reply;
mod rooms;
mod seat_rows;
mod seats;
mod servers;
mod snapshots;

use std::sync::Arc;

pub use command::{Command, Operation, Origin, ProposerId};
pub use image::{ImageError, Record, RecordKind};
use imbl::{OrdMap, OrdSet};
pub use limits::{
    CANDIDATES_MAX, CLAIMED_ROOMS_MAX, LOCK_KEY_BYTES_MAX, MAX_PLAYERS_MAX, METADATA_BYTES_MAX, OPTIONS_BYTES_MAX,
    RELEASES_MAX, SNAPSHOT_BYTES_MAX,
};
pub(crate) use offers::MOVE_GRACE_MS;
#[cfg(feature = "redis")]
pub(crate) use ownership::SHARE_MS;
pub use records::{LockRecord, SnapshotMeta};
pub use rejection::Rejection;
pub use reply::{Applied, Change, Reply};

use self::{
    effects::{Effects, Outcome, Refusal},
    proposers::Proposer,
    records::{Due, Room, RoomNumber, RoomsOfType, Server},
};
use crate::model::{RoomId, RoomType, SeatId, ServerId};

/// The state that all servers share. Cheap to clone: a clone is a snapshot beside which the original goes on.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    now_ms: u64,
    last_index: u64,
    servers: OrdMap<ServerId, Arc<Server>>,
    rooms: OrdMap<RoomNumber, Arc<Room>>,
    locks: OrdMap<Arc<str>, LockRecord>,
    proposers: OrdMap<u64, Arc<Proposer>>,
    // What follows is derived from the above, and kept in step by `index` and `seat_rows` alone.
    players: u64,
    /// Rooms whose names do not end in their numbers.
    named: OrdMap<RoomId, RoomNumber>,
    types: OrdMap<RoomType, RoomsOfType>,
    seat_rooms: OrdMap<SeatId, RoomNumber>,
    held_by_origin: OrdSet<(u64, RoomNumber, SeatId)>,
    deadlines: OrdSet<(u64, Due)>,
}

impl Registry {
    /// Applies one command. Commands are counted, from 1: a command's index becomes the epoch or token of whatever it
    /// grants.
    pub fn apply(&mut self, command: &Command) -> Applied {
        self.last_index += 1;
        self.now_ms = self.now_ms.max(command.time_ms);
        let mut effects = Effects::new(self.last_index, self.now_ms);
        self.expire_due(&mut effects);
        let reply = match command.origin {
            Some(origin) => self.run_once(&mut effects, origin, &command.operation),
            None => self.run(&mut effects, &command.operation),
        };
        effects.finish(reply)
    }

    fn run(&mut self, effects: &mut Effects, operation: &Operation) -> Reply {
        self.operate(effects, operation).unwrap_or_else(Refusal::into_reply)
    }

    fn operate(&mut self, effects: &mut Effects, operation: &Operation) -> Outcome {
        match operation {
            Operation::Tick => Ok(Reply::Done),
            Operation::RegisterServer(server) => self.register_server(effects, server),
            Operation::UnregisterServer(server) => self.unregister_server(effects, server),
            Operation::UpdateServer { server, update } => self.update_server(effects, server, update),
            Operation::ExpireServer { server, reason } => {
                self.expire_server(effects, server, reason);
                Ok(Reply::Done)
            }
            Operation::RegisterRoom { server, room } => self.register_room(effects, server, room),
            Operation::UnregisterRoom { room, reason } => self.unregister_room(effects, room, reason),
            Operation::UpdateRoom { room, update } => self.update_room(effects, room, update),
            Operation::ReserveSeat(request) => self.reserve_seat(effects, request),
            Operation::ConfirmSeat(confirmation) => self.confirm_seat(effects, confirmation),
            Operation::ReleaseSeats { server, releases } => self.release_seats(effects, server, releases),
            Operation::ClaimRoom(claim) => self.claim_room(effects, claim),
            Operation::OfferRoom(offer) => self.offer_room(effects, offer),
            Operation::ClaimOrphans(claim) => self.claim_orphans(effects, claim),
            Operation::SaveSnapshot { room, version, bytes, ttl_ms } => {
                self.save_snapshot(effects, room, *version, bytes, *ttl_ms)
            }
            Operation::DeleteSnapshot(room) => self.delete_snapshot(effects, room),
            Operation::AcquireLock { key, ttl_ms } => self.acquire_lock(effects, key, *ttl_ms),
            Operation::ReleaseLock { key, token } => self.release_lock(effects, key, *token),
            Operation::ExtendLock { key, token, ttl_ms } => self.extend_lock(effects, key, *token, *ttl_ms),
        }
    }
}
