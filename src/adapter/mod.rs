//! The backend of distributed rooms: one trait, several implementations.
//!
//! [`DistributedAdapter`] states what a backend does; the contract suite under
//! `tests/adapter_contract` proves it of each. Rooms, gateway and operations are written against
//! the trait and do not know which backend they run on.

mod backend;
mod carry_over;
mod error;
mod events;
mod leases;
mod memory;
mod outcome;
#[cfg(feature = "raft")]
mod raft;
#[cfg(feature = "redis")]
mod redis;

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;

pub use backend::{RegistryBackend, SnapshotTerms};
pub use carry_over::{CarriedOver, carry_over};
pub use error::AdapterError;
pub use events::{EVENT_BYTES_KEPT, EVENTS_KEPT, EventFilter, EventHub, EventItem, EventStream};
#[cfg(feature = "raft")]
pub(crate) use leases::LeaseTable;
pub use memory::{MemoryAdapter, MemoryOptions};
#[cfg(feature = "raft")]
pub use raft::{RaftAdapter, RaftOptions};
#[cfg(feature = "redis")]
pub use redis::{RedisAdapter, RedisOptions, RedisTls};
#[cfg(feature = "cli")]
pub(crate) use redis::{name_problem as redis_name_problem, urls_problem as redis_urls_problem};

use crate::model::{
    DistributedEvent, Epoch, LockToken, NewRoom, NewServer, OrphanClaim, PlayerId, Revision, RoomClaim, RoomEpoch,
    RoomId, RoomOffer, RoomQuery, RoomRegistration, RoomSnapshot, RoomType, RoomUpdate, SeatConfirmation, SeatGrant,
    SeatRelease, SeatRequest, ServerEpoch, ServerId, ServerRegistration, ServerUpdate,
};

/// What an adapter's calls give.
pub type AdapterResult<T> = Result<T, AdapterError>;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// It sees every write that was acknowledged before it began, on whichever handle.
    #[default]
    Linearizable,
    /// It may lag behind; it needs no quorum and no network. For lobby lists and metrics.
    Local,
}

/// Counts of rooms and players.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rooms in the cluster, in whatever state.
    pub rooms: u64,
    /// Players in them, joined and away.
    pub players: u64,
    /// Rooms of the server that was asked about.
    pub own_rooms: u64,
    /// Players in these.
    pub own_players: u64,
}

/// A server's lease: how long it counts as alive after a heartbeat, and how often to send one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The server may act as owner until send time + 0.9 × this length.
    pub length: Duration,
    /// Time between heartbeats.
    pub renewal: Duration,
}

/// A backend of distributed rooms.
///
/// Every call before [`connect`](Self::connect) or after [`disconnect`](Self::disconnect) is
/// [`AdapterError::Disconnected`]. Writes name the epoch of the server or of the room's
/// ownership and are [`AdapterError::Fenced`] where it is not the present one. Every write may
/// be repeated by its caller after `Timeout` or `Unavailable` without harm where its docs say
/// that it is idempotent.
#[async_trait]
pub trait DistributedAdapter: Send + Sync + fmt::Debug + 'static {
    /// Makes the adapter ready; harmless on a connected one.
    async fn connect(&self) -> AdapterResult<()>;
    /// Ends its work and its subscriptions; harmless on a disconnected one.
    async fn disconnect(&self) -> AdapterResult<()>;
    /// Whether calls are taken.
    fn is_connected(&self) -> bool;
    /// The name of the backend: `memory`, `raft` or `redis`.
    fn name(&self) -> &'static str;
    /// This server's round trips to the others, by their ids, as far as the backend knows them; raft
    /// does, from its connections. None by default.
    fn round_trips(&self) -> BTreeMap<String, Duration> {
        BTreeMap::new()
    }

    /// Registers a server, online and with a fresh lease. Where the id was registered, the rooms of the older epoch
    /// are orphaned at once.
    async fn register_server(&self, server: NewServer) -> AdapterResult<Epoch>;
    /// Removes a server and disposes of its rooms. Idempotent.
    async fn unregister_server(&self, server: &ServerEpoch) -> AdapterResult<()>;
    /// Renews a server's lease. `Rejected(ServerUnknown)` or `Fenced` where its registration is over: register again.
    async fn heartbeat(&self, server: &ServerEpoch) -> AdapterResult<()>;
    /// The length of a server's lease on this backend, and how often to renew it.
    fn lease(&self) -> Lease;
    /// The servers that are online, in order of their ids.
    async fn servers(&self, consistency: Consistency) -> AdapterResult<Vec<ServerRegistration>>;
    /// One server, in whatever status.
    async fn server(&self, server_id: &ServerId) -> AdapterResult<Option<ServerRegistration>>;
    /// Changes a server. Idempotent.
    async fn update_server(&self, server: &ServerEpoch, update: ServerUpdate) -> AdapterResult<()>;

    /// Registers a room on a server.
    async fn register_room(&self, server: &ServerEpoch, room: NewRoom) -> AdapterResult<RoomRegistration>;
    /// Removes a room, its seats and its snapshot. Idempotent. `reason` is for people.
    async fn unregister_room(&self, room: &RoomEpoch, reason: &str) -> AdapterResult<()>;
    /// Changes a room. Idempotent.
    async fn update_room(&self, room: &RoomEpoch, update: RoomUpdate) -> AdapterResult<()>;
    /// One room.
    async fn room(&self, room_id: &RoomId, consistency: Consistency) -> AdapterResult<Option<RoomRegistration>>;
    /// The rooms that pass a filter, oldest first.
    async fn rooms(&self, query: &RoomQuery, consistency: Consistency) -> AdapterResult<Vec<RoomRegistration>>;
    /// How many rooms and players there are, in all and on one server, as this handle knows them now. For metrics: a
    /// backend that keeps count need not read the rooms.
    async fn totals(&self, server_id: &ServerId) -> AdapterResult<Totals> {
        let rooms = self.rooms(&RoomQuery::default(), Consistency::Local).await?;
        let mut totals = Totals::default();
        for room in rooms {
            totals.rooms += 1;
            totals.players += u64::from(room.player_count);
            if room.server_id.as_ref() == Some(server_id) {
                totals.own_rooms += 1;
                totals.own_players += u64::from(room.player_count);
            }
        }
        Ok(totals)
    }
    /// The oldest open, unlocked room of a type on an online server. Advice of the moment: only
    /// [`reserve_seat`](Self::reserve_seat) is a promise.
    async fn find_available_room(&self, room_type: &RoomType) -> AdapterResult<Option<RoomRegistration>>;
    /// The rooms that a server owns, oldest first.
    async fn rooms_by_server(&self, server_id: &ServerId) -> AdapterResult<Vec<RoomRegistration>> {
        let query = RoomQuery { server_id: Some(server_id.clone()), ..RoomQuery::default() };
        self.rooms(&query, Consistency::Linearizable).await
    }

    /// Finds or places a room and takes one seat in it, in one step. Idempotent by the seat id.
    async fn reserve_seat(&self, request: SeatRequest) -> AdapterResult<SeatGrant>;
    /// Turns a held or away seat into a joined one. Idempotent. `Rejected(SeatUnknown)` once its time is over.
    async fn confirm_seat(&self, confirmation: SeatConfirmation) -> AdapterResult<SeatGrant>;
    /// Frees seats of rooms that the server owns, or keeps them for a while. Idempotent; those that are gone are
    /// passed over.
    async fn release_seats(&self, server: &ServerEpoch, releases: Vec<SeatRelease>) -> AdapterResult<()>;
    /// Takes a room over, by compare-and-set of its ownership.
    async fn claim_room(&self, claim: RoomClaim) -> AdapterResult<RoomRegistration>;
    /// Offers a room to another server, which may claim it until the offer is over: by its time, when either server
    /// goes offline, when the target drains, or when the owner claims its own room anew. The room stays the owner's
    /// until then. Idempotent.
    async fn offer_room(&self, offer: RoomOffer) -> AdapterResult<()>;
    /// The rooms that wait for a server to claim them from another one, oldest first.
    async fn offered_rooms(
        &self,
        server_id: &ServerId,
        consistency: Consistency,
    ) -> AdapterResult<Vec<RoomRegistration>>;
    /// Takes over up to the caller's fair share of the rooms that lost their owner.
    async fn claim_orphans(&self, claim: OrphanClaim) -> AdapterResult<Vec<RoomRegistration>>;

    /// Keeps a room's snapshot if its version is above the last one's. Durable once it returns, as far as the
    /// backend is. `TooLarge` above the backend's limit (1 MiB by default).
    async fn save_snapshot(&self, epoch: Epoch, snapshot: &RoomSnapshot) -> AdapterResult<()>;
    /// The last snapshot that was kept of a room.
    async fn load_snapshot(&self, room_id: &RoomId) -> AdapterResult<Option<RoomSnapshot>>;
    /// Forgets a room's snapshot. Idempotent.
    async fn delete_snapshot(&self, room: &RoomEpoch) -> AdapterResult<()>;

    /// Publishes an event of the application's own to every subscriber in the cluster, at most once, in order per
    /// publisher. Registry events are made by the backend itself.
    async fn publish(&self, event: DistributedEvent) -> AdapterResult<()>;
    /// Events from now on, or from after `since`. Where those are no longer kept the stream begins with `Lagged`.
    /// What happened shortly before may still be on its way, and come too.
    /// Dropping the stream unsubscribes.
    async fn subscribe(&self, filter: EventFilter, since: Option<Revision>) -> AdapterResult<EventStream>;
    /// Sends a message to a room, wherever it lives: its owner's subscribers get it as `room:message`, at most once,
    /// in order per sender. `Rejected(RoomUnknown)` or `Rejected(RoomOrphaned)` where nobody could get it.
    async fn send_to_room(
        &self,
        room_id: &RoomId,
        message_type: &str,
        data: serde_json::Value,
        player_id: Option<&PlayerId>,
    ) -> AdapterResult<()>;

    /// Takes a lock for `ttl`; `None` where somebody else holds it.
    async fn acquire_lock(&self, key: &str, ttl: Duration) -> AdapterResult<Option<LockToken>>;
    /// Frees a lock; `false` where it was not held with this token any more.
    async fn release_lock(&self, key: &str, token: LockToken) -> AdapterResult<bool>;
    /// Holds a lock for `ttl` from now; `false` where it was not held with this token any more.
    async fn extend_lock(&self, key: &str, token: LockToken, ttl: Duration) -> AdapterResult<bool>;
}
