//! What the backends that run a [`Registry`] share: all but how a command gets to it.
//!
//! [`RegistryBackend`] is the narrow side that memory and raft implement; every one of them is a
//! [`DistributedAdapter`] by the one implementation below, so that they cannot differ in what a
//! call means. Backends that keep no registry of their own, such as Redis, implement the adapter
//! itself.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    AdapterError, AdapterResult, Consistency, DistributedAdapter, EventFilter, EventHub, EventStream, Lease, Totals,
    outcome,
};
use crate::{
    clock::{Clock, millis},
    model::{
        DistributedEvent, Epoch, EventKind, EventPayload, LockToken, NewRoom, NewServer, NodeId, OrphanClaim, PlayerId,
        Revision, RoomClaim, RoomEpoch, RoomId, RoomOffer, RoomQuery, RoomRegistration, RoomSnapshot, RoomType,
        RoomUpdate, SeatConfirmation, SeatGrant, SeatRelease, SeatRequest, ServerEpoch, ServerId, ServerRegistration,
        ServerStatus, ServerUpdate,
    },
    registry::{Operation, Registry, Rejection, Reply},
};

/// A backend that keeps a registry and gets commands to it.
#[async_trait]
pub trait RegistryBackend: Send + Sync + fmt::Debug + 'static {
    /// The name of the backend.
    fn backend_name(&self) -> &'static str;
    /// A server's lease, and how often it is renewed.
    fn lease_terms(&self) -> Lease;
    /// What is kept of snapshots, and how long.
    fn snapshot_terms(&self) -> SnapshotTerms;
    /// The source of time for what is stamped by the caller.
    fn clock(&self) -> &Clock;
    /// Which node this handle is.
    fn node_id(&self) -> NodeId;
    /// Makes the handle ready; harmless on one that is.
    async fn open(&self) -> AdapterResult<()>;
    /// Ends its work and its subscriptions; harmless on one that is closed.
    async fn close(&self) -> AdapterResult<()>;
    /// Whether calls are taken.
    fn is_open(&self) -> bool;
    /// Round trips to other servers, by their ids, as far as they are known.
    fn round_trips_known(&self) -> BTreeMap<String, Duration> {
        BTreeMap::new()
    }
    /// Gets an operation applied, exactly once, and gives its outcome.
    async fn propose(&self, operation: Operation) -> AdapterResult<Reply>;
    /// Reads something small out of the registry as of now. `read` must be short: nothing is applied meanwhile.
    async fn look<T, F>(&self, consistency: Consistency, read: F) -> AdapterResult<T>
    where
        T: Send,
        F: FnOnce(&Registry) -> T + Send;
    /// The registry as of now: a clone that nothing changes any more, made in constant time.
    async fn view(&self, consistency: Consistency) -> AdapterResult<Registry> {
        self.look(consistency, Registry::clone).await
    }
    /// Renews a registered server's lease.
    async fn renew(&self, server: &ServerEpoch) -> AdapterResult<()>;
    /// When each server's last heartbeat came, in milliseconds since 1970, as far as is known.
    async fn last_heartbeats(&self, consistency: Consistency) -> AdapterResult<BTreeMap<ServerId, u64>>;
    /// The bytes of a room's last snapshot, as of a linearizable view.
    async fn snapshot_bytes(&self, room_id: &RoomId) -> AdapterResult<Option<Bytes>>;
    /// Where this handle's subscribers read.
    fn hub(&self) -> &EventHub;
    /// Hands an event to the subscribers of every handle.
    async fn broadcast(&self, event: DistributedEvent) -> AdapterResult<()>;
    /// Hands an event to the subscribers of one node's handle.
    async fn deliver(&self, node: NodeId, event: DistributedEvent) -> AdapterResult<()>;
}

/// What is kept of snapshots, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotTerms {
    /// The largest snapshot in bytes, encoded as JSON; 1 MiB by default.
    pub bytes_max: usize,
    /// How long a parked room and its snapshot are kept; zero = for ever. A day by default.
    pub ttl: Duration,
}

impl Default for SnapshotTerms {
    fn default() -> Self {
        Self { bytes_max: 1024 * 1024, ttl: Duration::from_hours(24) }
    }
}

/// The JSON form of a snapshot, within its limit.
///
/// # Errors
/// [`AdapterError::TooLarge`] where it is above `bytes_max`.
pub(super) fn encode_snapshot(snapshot: &RoomSnapshot, bytes_max: usize) -> AdapterResult<Bytes> {
    let bytes = serde_json::to_vec(snapshot)
        .map_err(|error| Rejection::Invalid(format!("the snapshot is no JSON: {error}")))?;
    if bytes.len() > bytes_max {
        let what = format!("the snapshot of room {}", snapshot.room_id);
        return Err(AdapterError::TooLarge { what, bytes: bytes.len(), limit: bytes_max });
    }
    Ok(Bytes::from(bytes))
}

/// Reads a snapshot's JSON form.
///
/// # Errors
/// [`AdapterError::Damaged`] where it is not one.
pub(super) fn decode_snapshot(room_id: &RoomId, bytes: &[u8]) -> AdapterResult<RoomSnapshot> {
    serde_json::from_slice(bytes)
        .map_err(|error| AdapterError::Damaged(format!("the snapshot of room {room_id}: {error}")))
}

fn with_heartbeat(mut server: ServerRegistration, seen: &BTreeMap<ServerId, u64>) -> ServerRegistration {
    if let Some(seen) = seen.get(&server.server_id) {
        server.last_heartbeat = server.last_heartbeat.max(*seen);
    }
    server
}

#[async_trait]
impl<B: RegistryBackend> DistributedAdapter for B {
    async fn connect(&self) -> AdapterResult<()> {
        self.open().await
    }

    async fn disconnect(&self) -> AdapterResult<()> {
        self.close().await
    }

    fn is_connected(&self) -> bool {
        self.is_open()
    }

    fn name(&self) -> &'static str {
        self.backend_name()
    }

    fn round_trips(&self) -> BTreeMap<String, Duration> {
        self.round_trips_known()
    }

    async fn register_server(&self, server: NewServer) -> AdapterResult<Epoch> {
        let server = NewServer { node_id: self.node_id(), ..server };
        let server_id = server.server_id.clone();
        let epoch = outcome::epoch(self.propose(Operation::RegisterServer(server)).await?)?;
        self.renew(&ServerEpoch { server_id, epoch }).await?;
        Ok(epoch)
    }

    async fn unregister_server(&self, server: &ServerEpoch) -> AdapterResult<()> {
        outcome::done(self.propose(Operation::UnregisterServer(server.clone())).await?)
    }

    async fn heartbeat(&self, server: &ServerEpoch) -> AdapterResult<()> {
        self.renew(server).await
    }

    fn lease(&self) -> Lease {
        self.lease_terms()
    }

    async fn servers(&self, consistency: Consistency) -> AdapterResult<Vec<ServerRegistration>> {
        let registry = self.view(consistency).await?;
        let seen = self.last_heartbeats(consistency).await?;
        let online = registry.servers().filter(|server| server.status == ServerStatus::Online);
        Ok(online.map(|server| with_heartbeat(server.clone(), &seen)).collect())
    }

    async fn server(&self, server_id: &ServerId) -> AdapterResult<Option<ServerRegistration>> {
        let server = self.look(Consistency::Linearizable, |registry| registry.server(server_id).cloned()).await?;
        let Some(server) = server else { return Ok(None) };
        let seen = self.last_heartbeats(Consistency::Linearizable).await?;
        Ok(Some(with_heartbeat(server, &seen)))
    }

    async fn update_server(&self, server: &ServerEpoch, update: ServerUpdate) -> AdapterResult<()> {
        outcome::done(self.propose(Operation::UpdateServer { server: server.clone(), update }).await?)
    }

    async fn register_room(&self, server: &ServerEpoch, room: NewRoom) -> AdapterResult<RoomRegistration> {
        outcome::room(self.propose(Operation::RegisterRoom { server: server.clone(), room }).await?)
    }

    async fn unregister_room(&self, room: &RoomEpoch, reason: &str) -> AdapterResult<()> {
        let operation = Operation::UnregisterRoom { room: room.clone(), reason: reason.to_owned() };
        outcome::done(self.propose(operation).await?)
    }

    async fn update_room(&self, room: &RoomEpoch, update: RoomUpdate) -> AdapterResult<()> {
        outcome::done(self.propose(Operation::UpdateRoom { room: room.clone(), update }).await?)
    }

    async fn room(&self, room_id: &RoomId, consistency: Consistency) -> AdapterResult<Option<RoomRegistration>> {
        self.look(consistency, |registry| registry.room(room_id).cloned()).await
    }

    async fn rooms(&self, query: &RoomQuery, consistency: Consistency) -> AdapterResult<Vec<RoomRegistration>> {
        Ok(self.view(consistency).await?.rooms(query))
    }

    async fn totals(&self, server_id: &ServerId) -> AdapterResult<Totals> {
        let totals = |registry: &Registry| {
            let own = registry.server(server_id);
            Totals {
                rooms: registry.room_count() as u64,
                players: registry.player_count(),
                own_rooms: own.map_or(0, |server| u64::from(server.room_count)),
                own_players: own.map_or(0, |server| u64::from(server.player_count)),
            }
        };
        self.look(Consistency::Local, totals).await
    }

    async fn find_available_room(&self, room_type: &RoomType) -> AdapterResult<Option<RoomRegistration>> {
        let find = |registry: &Registry| registry.find_available_room(room_type).cloned();
        self.look(Consistency::Linearizable, find).await
    }

    async fn reserve_seat(&self, request: SeatRequest) -> AdapterResult<SeatGrant> {
        outcome::seat(self.propose(Operation::ReserveSeat(request)).await?)
    }

    async fn confirm_seat(&self, confirmation: SeatConfirmation) -> AdapterResult<SeatGrant> {
        outcome::seat(self.propose(Operation::ConfirmSeat(confirmation)).await?)
    }

    async fn release_seats(&self, server: &ServerEpoch, releases: Vec<SeatRelease>) -> AdapterResult<()> {
        outcome::done(self.propose(Operation::ReleaseSeats { server: server.clone(), releases }).await?)
    }

    async fn claim_room(&self, claim: RoomClaim) -> AdapterResult<RoomRegistration> {
        outcome::room(self.propose(Operation::ClaimRoom(claim)).await?)
    }

    async fn offer_room(&self, offer: RoomOffer) -> AdapterResult<()> {
        outcome::done(self.propose(Operation::OfferRoom(offer)).await?)
    }

    async fn offered_rooms(
        &self,
        server_id: &ServerId,
        consistency: Consistency,
    ) -> AdapterResult<Vec<RoomRegistration>> {
        Ok(self.view(consistency).await?.rooms_offered_to(server_id))
    }

    async fn claim_orphans(&self, claim: OrphanClaim) -> AdapterResult<Vec<RoomRegistration>> {
        // Every server asks each second, mostly in vain: that must not cost a logged command.
        let registry = self.view(Consistency::Linearizable).await?;
        let claimant = registry.server(&claim.claimant.server_id);
        let is_present = claimant
            .is_some_and(|server| server.epoch == claim.claimant.epoch && server.status != ServerStatus::Offline);
        if is_present && !registry.has_ownerless(&claim.room_types) {
            return Ok(Vec::new());
        }
        outcome::rooms(self.propose(Operation::ClaimOrphans(claim)).await?)
    }

    async fn save_snapshot(&self, epoch: Epoch, snapshot: &RoomSnapshot) -> AdapterResult<()> {
        let terms = self.snapshot_terms();
        let operation = Operation::SaveSnapshot {
            room: RoomEpoch { room_id: snapshot.room_id.clone(), epoch },
            version: snapshot.version,
            bytes: encode_snapshot(snapshot, terms.bytes_max)?,
            ttl_ms: millis(terms.ttl),
        };
        outcome::done(self.propose(operation).await?)
    }

    async fn load_snapshot(&self, room_id: &RoomId) -> AdapterResult<Option<RoomSnapshot>> {
        let bytes = self.snapshot_bytes(room_id).await?;
        bytes.map(|bytes| decode_snapshot(room_id, &bytes)).transpose()
    }

    async fn delete_snapshot(&self, room: &RoomEpoch) -> AdapterResult<()> {
        outcome::done(self.propose(Operation::DeleteSnapshot(room.clone())).await?)
    }

    async fn publish(&self, event: DistributedEvent) -> AdapterResult<()> {
        if !self.is_open() {
            return Err(AdapterError::Disconnected);
        }
        self.broadcast(DistributedEvent { revision: None, ..event }).await
    }

    async fn subscribe(&self, filter: EventFilter, since: Option<Revision>) -> AdapterResult<EventStream> {
        if !self.is_open() {
            return Err(AdapterError::Disconnected);
        }
        Ok(self.hub().subscribe(filter, since))
    }

    async fn send_to_room(
        &self,
        room_id: &RoomId,
        message_type: &str,
        data: serde_json::Value,
        player_id: Option<&PlayerId>,
    ) -> AdapterResult<()> {
        let registry = self.view(Consistency::Linearizable).await?;
        let room = registry.room(room_id).ok_or_else(|| Rejection::RoomUnknown(room_id.clone()))?;
        let owner = room.server_id.as_ref().and_then(|server_id| registry.server(server_id));
        let owner = owner.ok_or_else(|| Rejection::RoomOrphaned(room_id.clone()))?;
        let event = DistributedEvent {
            kind: EventKind::RoomMessage,
            server_id: Some(owner.server_id.clone()),
            room_id: Some(room_id.clone()),
            payload: EventPayload::Message {
                message_type: message_type.to_owned(),
                data,
                player_id: player_id.cloned(),
            },
            timestamp: self.clock().wall_ms(),
            revision: None,
        };
        self.deliver(owner.node_id, event).await
    }

    async fn acquire_lock(&self, key: &str, ttl: Duration) -> AdapterResult<Option<LockToken>> {
        let operation = Operation::AcquireLock { key: key.to_owned(), ttl_ms: millis(ttl) };
        outcome::lock(self.propose(operation).await?)
    }

    async fn release_lock(&self, key: &str, token: LockToken) -> AdapterResult<bool> {
        outcome::still_held(self.propose(Operation::ReleaseLock { key: key.to_owned(), token }).await?)
    }

    async fn extend_lock(&self, key: &str, token: LockToken, ttl: Duration) -> AdapterResult<bool> {
        let operation = Operation::ExtendLock { key: key.to_owned(), token, ttl_ms: millis(ttl) };
        outcome::still_held(self.propose(operation).await?)
    }
}
