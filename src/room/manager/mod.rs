//! The rooms of one server, and the players' way to rooms wherever they are.
//!
//! Every decision that concerns more than this server is one command of the registry: finding or
//! placing a room and taking a seat in it is one step, so two servers never make two rooms for
//! one. What the registry says is then carried out here: the room's task is started, or the player
//! redirected. Nothing here waits while it holds a lock.
//!
//! | to understand | read |
//! |---|---|
//! | start, heartbeat, stop | `lifecycle` |
//! | a player's way into a room | `joins`, `seats`, `returns` |
//! | events, and what is done where they were missed | `reconcile` |
//! | rooms that go to other servers, and come from them | `migrate`, `drain` |
//! | starting a room's task | `launch`, `table` |

mod drain;
mod joins;
mod launch;
mod lifecycle;
mod migrate;
mod options;
mod placement;
mod players;
mod reconcile;
mod refusal;
mod returns;
mod routes;
mod seats;
mod snapshots;
mod table;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use options::ManagerOptions;
use table::RoomTable;

use super::{
    InvalidRoomType, JoinError, Room, RoomConfig, RoomHandle,
    releases::{ReleaseWriter, Releases},
    services::Services,
    sessions::Sessions,
    tenure::Tenure,
};
use crate::{
    adapter::{AdapterResult, Consistency, DistributedAdapter},
    model::{PlayerId, RoomId, RoomQuery, RoomRegistration, RoomType, ServerEpoch, ServerRegistration},
};

type Factory = Arc<dyn Fn() -> Box<dyn Room> + Send + Sync>;

/// The rooms of one server. Cheap to clone.
#[derive(Clone)]
pub struct DistributedRoomManager {
    inner: Arc<Inner>,
}

/// A room type that this server serves.
#[derive(Clone)]
struct Definition {
    config: RoomConfig,
    factory: Factory,
}

/// Where a manager stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Starting,
    Running,
    /// Its rooms are going, or gone, to other servers.
    Draining,
    Stopping,
    Stopped,
}

struct Inner {
    adapter: Arc<dyn DistributedAdapter>,
    options: ManagerOptions,
    services: Arc<Services>,
    table: Arc<RoomTable>,
    types: RwLock<BTreeMap<RoomType, Definition>>,
    types_changed: AtomicBool,
    phase: watch::Sender<Phase>,
    /// The present registration; none while there is none.
    server: watch::Sender<Option<ServerEpoch>>,
    release_writer: Mutex<Option<ReleaseWriter>>,
    /// Something was missed or has changed hands: reconcile now.
    wake: Notify,
    /// Some room or server has changed hands: whoever waits for that looks again.
    handovers: watch::Sender<()>,
    /// The registration may be over: send a heartbeat now.
    beat_now: Notify,
    /// Held while the rooms are handed on.
    draining: tokio::sync::Mutex<()>,
    cancel: CancellationToken,
    tasks: TaskTracker,
    /// How many placements were asked for.
    turn: AtomicU64,
}

impl DistributedRoomManager {
    /// A manager on a backend. Nothing happens before [`start`](Self::start).
    pub fn new(adapter: Arc<dyn DistributedAdapter>, options: ManagerOptions) -> Self {
        let server = watch::Sender::new(None);
        let (releases, release_writer) = Releases::new(Arc::clone(&adapter), server.subscribe());
        let services = Services {
            adapter: Arc::clone(&adapter),
            clock: options.clock.clone(),
            tenure: Arc::new(Tenure::new(options.clock.clone())),
            sessions: Arc::new(Sessions::default()),
            releases,
            snapshot_interval: options.snapshot_interval,
        };
        let inner = Inner {
            adapter,
            options,
            services: Arc::new(services),
            table: Arc::default(),
            types: RwLock::default(),
            types_changed: AtomicBool::new(false),
            phase: watch::Sender::new(Phase::New),
            server,
            release_writer: Mutex::new(Some(release_writer)),
            wake: Notify::new(),
            handovers: watch::Sender::new(()),
            beat_now: Notify::new(),
            draining: tokio::sync::Mutex::default(),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            turn: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Serves a room type: `factory` makes the game's part of each new room. A type that is defined
    /// again is replaced; rooms that run keep what they have. After the start the registry learns
    /// of it within a second.
    ///
    /// # Errors
    /// [`InvalidRoomType`] where the name cannot be a room type's, or an option is out of its range.
    pub fn define<R: Room>(
        &self,
        room_type: &str,
        config: RoomConfig,
        factory: impl Fn() -> R + Send + Sync + 'static,
    ) -> Result<(), InvalidRoomType> {
        let invalid = |problem| InvalidRoomType { room_type: room_type.to_owned(), problem };
        let name = RoomType::new(room_type).map_err(|error| invalid(error.to_string()))?;
        if let Some(problem) = config.problem() {
            return Err(invalid(problem));
        }
        let factory: Factory = Arc::new(move || Box::new(factory()));
        self.inner.types.write().insert(name, Definition { config, factory });
        self.inner.types_changed.store(true, Ordering::Release);
        self.inner.wake.notify_one();
        Ok(())
    }

    /// What it was made with.
    pub fn options(&self) -> &ManagerOptions {
        &self.inner.options
    }

    /// The backend.
    pub fn adapter(&self) -> &Arc<dyn DistributedAdapter> {
        &self.inner.adapter
    }

    /// Whether this server is registered and its lease runs.
    pub fn is_serving(&self) -> bool {
        let running = *self.inner.phase.borrow() == Phase::Running;
        running && self.inner.server.borrow().is_some() && self.inner.services.tenure.may_act()
    }

    /// This server's present registration.
    pub fn server_epoch(&self) -> Option<ServerEpoch> {
        self.inner.server.borrow().clone()
    }

    /// The servers that are online.
    pub async fn servers(&self) -> AdapterResult<Vec<ServerRegistration>> {
        self.inner.adapter.servers(Consistency::Linearizable).await
    }

    /// The rooms of the cluster that pass a filter, oldest first; read locally, so it may lag a moment behind.
    pub async fn query_distributed_rooms(&self, query: &RoomQuery) -> AdapterResult<Vec<RoomRegistration>> {
        self.inner.adapter.rooms(query, Consistency::Local).await
    }

    /// A room that runs on this server.
    pub fn room(&self, room_id: &RoomId) -> Option<RoomHandle> {
        self.inner.table.room(room_id)
    }

    /// The rooms that run on this server, in order of their ids.
    pub fn rooms(&self) -> Vec<RoomHandle> {
        self.inner.table.rooms()
    }

    /// The rooms of one type that run on this server, in order of their ids.
    pub fn rooms_by_type(&self, room_type: &RoomType) -> Vec<RoomHandle> {
        let mut rooms = self.inner.table.rooms();
        rooms.retain(|room| room.room_type() == room_type);
        rooms
    }

    /// The room of this server that a player is in.
    pub fn player_room(&self, player_id: &PlayerId) -> Option<RoomHandle> {
        self.inner.services.sessions.room(player_id)
    }

    /// Sends a message to a room, wherever it runs: its `on_remote_message` gets it, at most once.
    pub async fn send_to_remote_room(
        &self,
        room_id: &RoomId,
        message_type: &str,
        data: Value,
        player_id: Option<&PlayerId>,
    ) -> AdapterResult<()> {
        self.inner.adapter.send_to_room(room_id, message_type, data, player_id).await
    }
}

impl Inner {
    /// This server's registration, where it takes players just now.
    fn gate(&self) -> Result<ServerEpoch, JoinError> {
        if *self.phase.borrow() == Phase::Draining {
            return Err(JoinError::Unavailable("this server is draining: connect to another one".to_owned()));
        }
        self.session_gate()
    }

    /// The same for players that have a session: one that drains still knows where their rooms are.
    fn session_gate(&self) -> Result<ServerEpoch, JoinError> {
        let refuse = |why: &str| Err(JoinError::Unavailable(why.to_owned()));
        match *self.phase.borrow() {
            Phase::New | Phase::Starting => refuse("this server has not started yet: try again shortly"),
            Phase::Stopping | Phase::Stopped => refuse("this server is stopping: connect to another one"),
            Phase::Running | Phase::Draining => match self.server.borrow().clone() {
                Some(server) if self.services.tenure.may_act() => Ok(server),
                _ => refuse("this server has lost touch with its cluster: try again, or connect to another one"),
            },
        }
    }

    fn definition(&self, room_type: &RoomType) -> Option<Definition> {
        self.types.read().get(room_type).cloned()
    }
}

impl fmt::Debug for DistributedRoomManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistributedRoomManager")
            .field("server_id", &self.inner.options.server_id)
            .field("rooms", &self.inner.table.len())
            .finish_non_exhaustive()
    }
}
