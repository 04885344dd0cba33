//! The registry in Redis or Redis Cluster.
//!
//! There is no registry in this process: what the registry's rules say is done by scripts inside Redis, each of them one
//! step of one *shard*, the rooms of one type (`{type#k}`). A script is the unit of change: no half-written room, no
//! check that is old when it is acted upon, and nothing that another handle could see in between. All keys of a shard
//! are in one slot; what concerns several, such as the end of a server, is done in steps that anyone can finish
//! (`pending`). Each call may be repeated after a lost reply without doing its work twice.
//!
//! ```text
//! {servers}   rows, leases, what is pending        {name:…}  a room's chosen name -> its shard
//! {type#k}    rooms, seats, snapshots, indexes,    {lock:…}  one lock
//!             copies of the servers' rows
//! ```
//!
//! What differs from the other backends is Redis's own: writes that were acknowledged can be lost when Redis fails over
//! or restarts without its data, and events are delivered at most once. Epochs go on from the time of day then, so an
//! owner from before the loss never acts under an epoch of after it.

mod answer;
mod bus;
mod capacity;
mod connection;
mod core;
mod failure;
mod keys;
mod link;
mod locks;
mod options;
mod ownership;
mod pending;
mod reads;
mod records;
mod rooms;
mod scripts;
mod seats;
mod servers;
mod view;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

pub use self::options::{RedisOptions, RedisTls};
#[cfg(feature = "cli")]
pub(crate) use self::options::{name_problem, urls_problem};
use self::{
    bus::Bus,
    core::{Core, arguments},
    link::Link,
};
use super::{
    AdapterError, AdapterResult, Consistency, DistributedAdapter, EventFilter, EventHub, EventStream, Lease, Totals,
    backend::{decode_snapshot, encode_snapshot},
};
use crate::model::{
    DistributedEvent, Epoch, EventKind, EventPayload, LockToken, NewRoom, NewServer, OrphanClaim, PlayerId, Revision,
    RoomClaim, RoomEpoch, RoomId, RoomOffer, RoomQuery, RoomRegistration, RoomSnapshot, RoomType, RoomUpdate,
    SeatConfirmation, SeatGrant, SeatRelease, SeatRequest, ServerEpoch, ServerId, ServerRegistration, ServerStatus,
    ServerUpdate,
};

/// The longest time between two looks for what is due.
const TICK_MAX: Duration = Duration::from_secs(1);
/// The longest time between two heartbeats.
const RENEWAL_MAX: Duration = Duration::from_secs(5);

/// One handle of a registry in Redis. It connects when it is told to, and again by itself when a connection is lost.
#[derive(Debug)]
pub struct RedisAdapter {
    core: Arc<Core>,
    hub: EventHub,
    session: tokio::sync::Mutex<Option<Session>>,
    ticking: Mutex<CancellationToken>,
}

/// What lives from connect to disconnect.
struct Session {
    bus: Arc<Bus>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl RedisAdapter {
    /// A handle that is not connected yet.
    pub fn new(options: RedisOptions) -> Self {
        Self {
            core: Arc::new(Core::new(options)),
            hub: EventHub::default(),
            session: tokio::sync::Mutex::new(None),
            ticking: Mutex::new(CancellationToken::new()),
        }
    }

    /// All servers of one registry must agree on the number of shards.
    async fn agree(&self) -> AdapterResult<()> {
        let own = self.core.options.shards;
        let call = arguments!({ "op": "agree", "shards_per_type": own.to_string() });
        let agreed: u32 = self.core.servers_call(&call).await?.number()?;
        if agreed == own {
            return Ok(());
        }
        let prefix = &self.core.options.prefix;
        let problem = format!(
            "this server has {own} shards per room type, but the registry under {prefix} has {agreed}: set the same \
             number, or choose another prefix"
        );
        Err(AdapterError::Startup(problem))
    }
}

/// Sees to what is due until it is stopped. What fails now is tried again the next time.
async fn tick_until(core: Arc<Core>, stop: CancellationToken) {
    let turn = (core.options.server_ttl / 4).clamp(Duration::from_millis(10), TICK_MAX);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(turn) => {}
        }
        if let Err(error) = core.tick().await {
            tracing::debug!(%error, "what is due in Redis waits");
        }
    }
}

impl Drop for RedisAdapter {
    fn drop(&mut self) {
        self.ticking.lock().cancel();
    }
}

#[async_trait]
impl DistributedAdapter for RedisAdapter {
    async fn connect(&self) -> AdapterResult<()> {
        let mut session = self.session.lock().await;
        if session.is_some() {
            return Ok(());
        }
        let link = Link::open(&self.core.options).await?;
        *self.core.link.lock() = Some(link);
        let opened = async {
            self.agree().await?;
            Bus::open(&self.core.options, self.hub.clone()).await
        };
        match opened.await {
            Ok(bus) => *session = Some(Session { bus: Arc::new(bus) }),
            Err(error) => {
                *self.core.link.lock() = None;
                return Err(error);
            }
        }
        self.hub.reopen();
        let stop = CancellationToken::new();
        *self.ticking.lock() = stop.clone();
        tokio::spawn(tick_until(Arc::clone(&self.core), stop));
        Ok(())
    }

    async fn disconnect(&self) -> AdapterResult<()> {
        let mut session = self.session.lock().await;
        if session.take().is_some() {
            self.ticking.lock().cancel();
            *self.core.link.lock() = None;
            self.hub.close();
        }
        Ok(())
    }

    fn is_connected(&self) -> bool {
        self.core.link.lock().is_some()
    }

    fn name(&self) -> &'static str {
        "redis"
    }

    async fn register_server(&self, server: NewServer) -> AdapterResult<Epoch> {
        self.core.register_server(&server).await
    }

    async fn unregister_server(&self, server: &ServerEpoch) -> AdapterResult<()> {
        self.core.unregister_server(server).await
    }

    async fn heartbeat(&self, server: &ServerEpoch) -> AdapterResult<()> {
        self.core.heartbeat(server).await
    }

    fn lease(&self) -> Lease {
        let length = self.core.options.server_ttl;
        Lease { length, renewal: (length / 3).clamp(Duration::from_millis(1), RENEWAL_MAX) }
    }

    async fn servers(&self, consistency: Consistency) -> AdapterResult<Vec<ServerRegistration>> {
        let servers = self.core.server_views(consistency).await?;
        let all = servers.iter().map(|server| &server.registration);
        Ok(all.filter(|server| server.status == ServerStatus::Online).cloned().collect())
    }

    async fn server(&self, server_id: &ServerId) -> AdapterResult<Option<ServerRegistration>> {
        Ok(self.core.server_view(server_id).await?.map(|server| server.registration))
    }

    async fn update_server(&self, server: &ServerEpoch, update: ServerUpdate) -> AdapterResult<()> {
        self.core.update_server(server, &update).await
    }

    async fn register_room(&self, server: &ServerEpoch, room: NewRoom) -> AdapterResult<RoomRegistration> {
        self.core.register_room(server, &room).await
    }

    async fn unregister_room(&self, room: &RoomEpoch, reason: &str) -> AdapterResult<()> {
        self.core.unregister_room(room, reason).await
    }

    async fn update_room(&self, room: &RoomEpoch, update: RoomUpdate) -> AdapterResult<()> {
        self.core.update_room(room, &update).await
    }

    async fn room(&self, room_id: &RoomId, _: Consistency) -> AdapterResult<Option<RoomRegistration>> {
        self.core.room(room_id).await
    }

    async fn rooms(&self, query: &RoomQuery, _: Consistency) -> AdapterResult<Vec<RoomRegistration>> {
        self.core.rooms(query).await
    }

    async fn totals(&self, server_id: &ServerId) -> AdapterResult<Totals> {
        self.core.totals(server_id).await
    }

    async fn find_available_room(&self, room_type: &RoomType) -> AdapterResult<Option<RoomRegistration>> {
        self.core.find_available_room(room_type).await
    }

    async fn reserve_seat(&self, request: SeatRequest) -> AdapterResult<SeatGrant> {
        self.core.reserve_seat(&request).await
    }

    async fn confirm_seat(&self, confirmation: SeatConfirmation) -> AdapterResult<SeatGrant> {
        self.core.confirm_seat(&confirmation).await
    }

    async fn release_seats(&self, server: &ServerEpoch, releases: Vec<SeatRelease>) -> AdapterResult<()> {
        self.core.release_seats(server, &releases).await
    }

    async fn claim_room(&self, claim: RoomClaim) -> AdapterResult<RoomRegistration> {
        self.core.claim_room(&claim).await
    }

    async fn offer_room(&self, offer: RoomOffer) -> AdapterResult<()> {
        self.core.offer_room(&offer).await
    }

    async fn offered_rooms(&self, server_id: &ServerId, _: Consistency) -> AdapterResult<Vec<RoomRegistration>> {
        self.core.offered_rooms(server_id).await
    }

    async fn claim_orphans(&self, claim: OrphanClaim) -> AdapterResult<Vec<RoomRegistration>> {
        self.core.claim_orphans(&claim).await
    }

    async fn save_snapshot(&self, epoch: Epoch, snapshot: &RoomSnapshot) -> AdapterResult<()> {
        let bytes = encode_snapshot(snapshot, self.core.options.snapshots.bytes_max)?;
        let room = RoomEpoch { room_id: snapshot.room_id.clone(), epoch };
        self.core.save_snapshot(&room, snapshot.version, &bytes).await
    }

    async fn load_snapshot(&self, room_id: &RoomId) -> AdapterResult<Option<RoomSnapshot>> {
        let bytes = self.core.snapshot_bytes(room_id).await?;
        bytes.map(|bytes| decode_snapshot(room_id, &bytes)).transpose()
    }

    async fn delete_snapshot(&self, room: &RoomEpoch) -> AdapterResult<()> {
        self.core.delete_snapshot(room).await
    }

    async fn publish(&self, event: DistributedEvent) -> AdapterResult<()> {
        let event = DistributedEvent { revision: None, ..event };
        let channel = self.core.options.events_channel();
        self.core.link()?.publish(&channel, &event.to_json().to_string()).await
    }

    async fn subscribe(&self, filter: EventFilter, since: Option<Revision>) -> AdapterResult<EventStream> {
        let link = self.core.link()?;
        if since.is_none()
            && let Some(bus) = self.session.lock().await.as_ref().map(|session| Arc::clone(&session.bus))
        {
            bus.catch_up(&link).await;
        }
        Ok(self.hub.subscribe(filter, since))
    }

    async fn send_to_room(
        &self,
        room_id: &RoomId,
        message_type: &str,
        data: serde_json::Value,
        player_id: Option<&PlayerId>,
    ) -> AdapterResult<()> {
        let payload =
            EventPayload::Message { message_type: message_type.to_owned(), data, player_id: player_id.cloned() };
        let event = DistributedEvent {
            kind: EventKind::RoomMessage,
            server_id: None,
            room_id: Some(room_id.clone()),
            payload,
            timestamp: 0,
            revision: None,
        };
        self.core.send_to_room(room_id, &event).await
    }

    async fn acquire_lock(&self, key: &str, ttl: Duration) -> AdapterResult<Option<LockToken>> {
        self.core.acquire_lock(key, ttl).await
    }

    async fn release_lock(&self, key: &str, token: LockToken) -> AdapterResult<bool> {
        self.core.release_lock(key, token).await
    }

    async fn extend_lock(&self, key: &str, token: LockToken, ttl: Duration) -> AdapterResult<bool> {
        self.core.extend_lock(key, token, ttl).await
    }
}
