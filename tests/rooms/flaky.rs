//! A backend that fails as it is told.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use roomraft::{
    adapter::{
        AdapterError, AdapterResult, Consistency, DistributedAdapter, EventFilter, EventHub, EventStream, Lease,
    },
    model::{
        DistributedEvent, Epoch, LockToken, NewRoom, NewServer, OrphanClaim, PlayerId, Revision, RoomClaim, RoomEpoch,
        RoomId, RoomOffer, RoomQuery, RoomRegistration, RoomSnapshot, RoomType, RoomUpdate, SeatConfirmation,
        SeatGrant, SeatRelease, SeatRequest, ServerEpoch, ServerId, ServerRegistration, ServerUpdate,
    },
};
use serde_json::Value;
use tokio::sync::Semaphore;

/// Passes every call on, unless it was told to fail.
pub(crate) struct Flaky {
    inner: Arc<dyn DistributedAdapter>,
    /// No quorum: every call but heartbeats fails and changes nothing.
    pub(crate) unavailable: AtomicBool,
    /// Nobody is there: what is said of a server is never answered.
    pub(crate) silent: AtomicBool,
    /// So many reservations are carried out and their answers lost.
    pub(crate) lost_answers: AtomicUsize,
    /// Subscribers hear nothing.
    pub(crate) deaf: AtomicBool,
    /// Rooms are taken out only with a permit of this, where it is set.
    pub(crate) unregister_gate: OnceLock<Semaphore>,
    /// Rooms that are about to be taken out.
    pub(crate) unregistering: AtomicUsize,
    silence: EventHub,
}

impl Flaky {
    pub(crate) fn new(inner: Arc<dyn DistributedAdapter>) -> Self {
        Self {
            inner,
            unavailable: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            lost_answers: AtomicUsize::new(0),
            deaf: AtomicBool::new(false),
            unregister_gate: OnceLock::new(),
            unregistering: AtomicUsize::new(0),
            silence: EventHub::default(),
        }
    }

    async fn listens(&self) {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    fn up(&self) -> AdapterResult<&dyn DistributedAdapter> {
        if self.unavailable.load(Ordering::SeqCst) {
            return Err(AdapterError::Unavailable("as told".to_owned()));
        }
        Ok(&*self.inner)
    }
}

impl fmt::Debug for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flaky")
    }
}

#[async_trait]
impl DistributedAdapter for Flaky {
    async fn connect(&self) -> AdapterResult<()> {
        self.inner.connect().await
    }
    async fn disconnect(&self) -> AdapterResult<()> {
        self.inner.disconnect().await
    }
    fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    async fn register_server(&self, server: NewServer) -> AdapterResult<Epoch> {
        self.up()?.register_server(server).await
    }
    async fn unregister_server(&self, server: &ServerEpoch) -> AdapterResult<()> {
        self.listens().await;
        self.up()?.unregister_server(server).await
    }
    async fn heartbeat(&self, server: &ServerEpoch) -> AdapterResult<()> {
        self.listens().await;
        self.inner.heartbeat(server).await
    }
    fn lease(&self) -> Lease {
        self.inner.lease()
    }
    async fn servers(&self, consistency: Consistency) -> AdapterResult<Vec<ServerRegistration>> {
        self.up()?.servers(consistency).await
    }
    async fn server(&self, server_id: &ServerId) -> AdapterResult<Option<ServerRegistration>> {
        self.up()?.server(server_id).await
    }
    async fn update_server(&self, server: &ServerEpoch, update: ServerUpdate) -> AdapterResult<()> {
        self.listens().await;
        self.up()?.update_server(server, update).await
    }
    async fn register_room(&self, server: &ServerEpoch, room: NewRoom) -> AdapterResult<RoomRegistration> {
        self.up()?.register_room(server, room).await
    }
    async fn unregister_room(&self, room: &RoomEpoch, reason: &str) -> AdapterResult<()> {
        self.unregistering.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = self.unregister_gate.get() {
            gate.acquire().await.expect("never closed").forget();
        }
        self.up()?.unregister_room(room, reason).await
    }
    async fn update_room(&self, room: &RoomEpoch, update: RoomUpdate) -> AdapterResult<()> {
        self.up()?.update_room(room, update).await
    }
    async fn room(&self, room_id: &RoomId, consistency: Consistency) -> AdapterResult<Option<RoomRegistration>> {
        self.up()?.room(room_id, consistency).await
    }
    async fn rooms(&self, query: &RoomQuery, consistency: Consistency) -> AdapterResult<Vec<RoomRegistration>> {
        self.up()?.rooms(query, consistency).await
    }
    async fn find_available_room(&self, room_type: &RoomType) -> AdapterResult<Option<RoomRegistration>> {
        self.up()?.find_available_room(room_type).await
    }
    async fn reserve_seat(&self, request: SeatRequest) -> AdapterResult<SeatGrant> {
        let answer = self.up()?.reserve_seat(request).await;
        let lose = |left: usize| left.checked_sub(1);
        if self.lost_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
            return Err(AdapterError::Timeout("as told".to_owned()));
        }
        answer
    }
    async fn confirm_seat(&self, confirmation: SeatConfirmation) -> AdapterResult<SeatGrant> {
        self.up()?.confirm_seat(confirmation).await
    }
    async fn release_seats(&self, server: &ServerEpoch, releases: Vec<SeatRelease>) -> AdapterResult<()> {
        self.up()?.release_seats(server, releases).await
    }
    async fn claim_room(&self, claim: RoomClaim) -> AdapterResult<RoomRegistration> {
        self.up()?.claim_room(claim).await
    }
    async fn offer_room(&self, offer: RoomOffer) -> AdapterResult<()> {
        self.up()?.offer_room(offer).await
    }
    async fn offered_rooms(&self, server: &ServerId, fresh: Consistency) -> AdapterResult<Vec<RoomRegistration>> {
        self.up()?.offered_rooms(server, fresh).await
    }
    async fn claim_orphans(&self, claim: OrphanClaim) -> AdapterResult<Vec<RoomRegistration>> {
        self.up()?.claim_orphans(claim).await
    }
    async fn save_snapshot(&self, epoch: Epoch, snapshot: &RoomSnapshot) -> AdapterResult<()> {
        self.up()?.save_snapshot(epoch, snapshot).await
    }
    async fn load_snapshot(&self, room_id: &RoomId) -> AdapterResult<Option<RoomSnapshot>> {
        self.up()?.load_snapshot(room_id).await
    }
    async fn delete_snapshot(&self, room: &RoomEpoch) -> AdapterResult<()> {
        self.up()?.delete_snapshot(room).await
    }
    async fn publish(&self, event: DistributedEvent) -> AdapterResult<()> {
        self.up()?.publish(event).await
    }
    async fn subscribe(&self, filter: EventFilter, since: Option<Revision>) -> AdapterResult<EventStream> {
        if self.deaf.load(Ordering::SeqCst) {
            return Ok(self.silence.subscribe(filter, None));
        }
        self.inner.subscribe(filter, since).await
    }
    async fn send_to_room(
        &self,
        room_id: &RoomId,
        message_type: &str,
        data: Value,
        player_id: Option<&PlayerId>,
    ) -> AdapterResult<()> {
        self.up()?.send_to_room(room_id, message_type, data, player_id).await
    }
    async fn acquire_lock(&self, key: &str, ttl: Duration) -> AdapterResult<Option<LockToken>> {
        self.up()?.acquire_lock(key, ttl).await
    }
    async fn release_lock(&self, key: &str, token: LockToken) -> AdapterResult<bool> {
        self.up()?.release_lock(key, token).await
    }
    async fn extend_lock(&self, key: &str, token: LockToken, ttl: Duration) -> AdapterResult<bool> {
        self.up()?.extend_lock(key, token, ttl).await
    }
}
