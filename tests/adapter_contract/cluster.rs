//! A backend as the tests use it: its handles, and servers that live or crash.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use roomraft::{
    adapter::{AdapterError, AdapterResult, Consistency, DistributedAdapter, EventItem, EventStream},
    model::{
        DistributedEvent, Metadata, NewRoom, NewServer, NodeId, PlayerId, RoomEpoch, RoomId, RoomRegistration,
        RoomSnapshot, RoomState, RoomType, RoomTypeSpec, SeatGrant, SeatId, SeatRequest, SeatTarget, ServerEpoch,
        ServerId, ServerStatus, TokenHash,
    },
    registry::Rejection,
};
use serde_json::json;

use crate::wait::{DEADLINE, until};

/// One handle of a backend.
pub type Handle = Arc<dyn DistributedAdapter>;

/// The token that a player of these tests has.
pub const TOKEN: TokenHash = TokenHash([7; 32]);

/// What a backend gives to the suite.
pub struct Backend {
    /// Connected handles of one registry; calls are spread over them.
    pub handles: Vec<Handle>,
    /// One more handle, not connected yet.
    pub spare: Handle,
    /// Into how many parts a room type is divided; within one, finding a room and
    /// making one is one step, and older rooms come first.
    pub parts: usize,
    /// Whatever must live as long, such as folders and processes.
    #[expect(dead_code, reason = "it is dropped with the backend, and never read")]
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A running backend.
pub struct Cluster {
    backend: Backend,
    next: AtomicUsize,
    /// Tells the names of one run from those of another.
    run: u32,
}

impl Cluster {
    pub fn new(backend: Backend) -> Self {
        assert!(!backend.handles.is_empty(), "a backend has at least one handle");
        Self { backend, next: AtomicUsize::new(0), run: rand::random() }
    }

    /// The handles in turn, so that what follows one another is seldom on one handle.
    pub fn any(&self) -> &Handle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.backend.handles[turn % self.backend.handles.len()]
    }

    pub fn handles(&self) -> &[Handle] {
        &self.backend.handles
    }

    pub fn parts(&self) -> usize {
        self.backend.parts
    }

    pub fn spare(&self) -> &Handle {
        &self.backend.spare
    }

    /// Stops every handle, so that nothing writes to a folder that is being removed.
    pub async fn stop(self) {
        let all = self.backend.handles.iter().chain([&self.backend.spare]);
        for stopped in join_all(all.map(|handle| handle.disconnect())).await {
            stopped.unwrap();
        }
    }

    /// A name that no other test uses.
    pub fn name(&self, stem: &str) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{stem}-{:08x}-{number}", self.run)
    }

    pub fn room_type(&self) -> RoomType {
        RoomType::new(self.name("type")).unwrap()
    }

    /// A server on the next handle that serves one type, with rooms of two seats, and lives until it is dropped.
    pub async fn server(&self, room_type: &RoomType, capacity: u32) -> Server {
        self.server_with(room_type, capacity, |_| {}).await
    }

    pub async fn server_with(
        &self,
        room_type: &RoomType,
        capacity: u32,
        change: impl FnOnce(&mut NewServer),
    ) -> Server {
        let spec = RoomTypeSpec { max_players: 2, reconnect_grace_ms: 0, metadata: Metadata::default() };
        let mut server = NewServer {
            server_id: ServerId::new(self.name("server")).unwrap(),
            address: "game.example".to_owned(),
            port: 3000,
            capacity,
            metadata: Metadata::default(),
            room_types: [(room_type.clone(), spec)].into(),
            node_id: NodeId(0),
        };
        change(&mut server);
        Server::start(Arc::clone(self.any()), server).await
    }

    pub async fn room(&self, room_id: &RoomId) -> Option<RoomRegistration> {
        self.any().room(room_id, Consistency::Linearizable).await.unwrap()
    }

    /// The room, which must be there.
    pub async fn present(&self, room: &RoomRegistration) -> RoomRegistration {
        self.room(&room.room_id).await.expect("the room is registered")
    }
}

/// A server whose heartbeats go on until it crashes or is dropped.
pub struct Server {
    pub handle: Handle,
    pub registered: NewServer,
    pub epoch: ServerEpoch,
    heartbeats: Heartbeats,
}

struct Heartbeats(tokio::task::JoinHandle<()>);

impl Drop for Heartbeats {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    pub async fn start(handle: Handle, server: NewServer) -> Self {
        let epoch = handle.register_server(server.clone()).await.unwrap();
        let epoch = ServerEpoch { server_id: server.server_id.clone(), epoch };
        let (renewing, renewed) = (Arc::clone(&handle), epoch.clone());
        let heartbeats = tokio::spawn(async move {
            let mut turns = tokio::time::interval(renewing.lease().renewal);
            loop {
                turns.tick().await;
                let _ = renewing.heartbeat(&renewed).await;
            }
        });
        Self { handle, registered: server, epoch, heartbeats: Heartbeats(heartbeats) }
    }

    pub fn id(&self) -> &ServerId {
        &self.epoch.server_id
    }

    /// Stops the heartbeats, and returns once the cluster has noticed.
    pub async fn crash(&self) {
        self.heartbeats.0.abort();
        until("a crashed server goes offline", async || {
            let server = self.handle.server(self.id()).await.map_err(|error| error.to_string())?;
            match server.map(|server| server.status) {
                Some(ServerStatus::Offline) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    pub async fn room(&self, room_type: &RoomType) -> RoomRegistration {
        self.room_with(room_type, |_| {}).await
    }

    /// A live room of two seats with the changes wanted.
    pub async fn room_with(&self, room_type: &RoomType, change: impl FnOnce(&mut NewRoom)) -> RoomRegistration {
        let mut room = new_room(room_type);
        change(&mut room);
        self.handle.register_room(&self.epoch, room).await.unwrap()
    }

    /// A request for a seat by a new player who is connected to this server.
    pub fn request(&self, target: SeatTarget) -> SeatRequest {
        let seat_id = SeatId::random();
        SeatRequest {
            seat_id,
            player_id: PlayerId::new(format!("player-{seat_id}")).unwrap(),
            target,
            caller: self.epoch.clone(),
            token: TOKEN,
            hold_ms: 60_000,
            origin: 0,
        }
    }

    pub async fn join(&self, target: SeatTarget) -> AdapterResult<SeatGrant> {
        self.handle.reserve_seat(self.request(target)).await
    }
}

pub fn new_room(room_type: &RoomType) -> NewRoom {
    NewRoom {
        room_id: None,
        room_type: room_type.clone(),
        max_players: 2,
        reconnect_grace_ms: 0,
        metadata: Metadata::default(),
        state: RoomState::Live,
        options: String::new(),
    }
}

/// Any room of a type, or a new one on one of these servers.
pub fn any_room(room_type: &RoomType, candidates: &[&Server]) -> SeatTarget {
    SeatTarget::Type {
        room_type: room_type.clone(),
        metadata: Metadata::default(),
        candidates: candidates.iter().map(|server| server.id().clone()).collect(),
        options: String::new(),
    }
}

pub fn by_id(room: &RoomRegistration) -> SeatTarget {
    SeatTarget::Room(room.room_id.clone())
}

pub fn snapshot(room: &RoomRegistration, version: u64) -> RoomSnapshot {
    RoomSnapshot {
        room_id: room.room_id.clone(),
        room_type: room.room_type.clone(),
        state: json!({ "round": version }),
        players: Vec::new(),
        version,
        timestamp: 0,
    }
}

/// The rejection that a call ended in.
#[track_caller]
pub fn rejection<T: std::fmt::Debug>(result: AdapterResult<T>) -> Rejection {
    match result {
        Err(AdapterError::Rejected(rejection)) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}

/// Whether a call was fenced.
pub fn is_fenced<T>(result: &AdapterResult<T>) -> bool {
    matches!(result, Err(AdapterError::Fenced { .. }))
}

/// The next event that passes the test; others are skipped.
pub async fn next_event(stream: &mut EventStream, wanted: impl Fn(&DistributedEvent) -> bool) -> Arc<DistributedEvent> {
    let search = async {
        loop {
            match stream.next().await {
                Some(EventItem::Event(event)) if wanted(&event) => return event,
                Some(_) => {}
                None => panic!("the subscription ended"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, search).await.expect("the event came in time")
}

/// The next event that concerns a room.
pub async fn next_of_room(stream: &mut EventStream, room: &RoomEpoch) -> Arc<DistributedEvent> {
    next_event(stream, |event| event.room_id.as_ref() == Some(&room.room_id)).await
}

/// A duration in milliseconds.
pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
