//! What a room's task, its hooks and its handles share.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc::UnboundedSender};
use tokio_util::sync::CancellationToken;

use super::{Connection, Outgoing, Player, RoomConfig, actor::Effect, outbox::Outbox};
use crate::{
    clock::Clock,
    model::{Epoch, Metadata, PlayerId, RoomEpoch, RoomId, RoomRegistration, RoomType, SeatId},
};

/// One room on this server, seen from all sides.
#[derive(Debug)]
pub(crate) struct RoomCore {
    pub(crate) room_id: RoomId,
    pub(crate) room_type: RoomType,
    /// The present ownership: a room that was offered and not taken goes on under a new one.
    epoch: AtomicU64,
    /// Frozen, on its way to another server: its task alone knows what its record means.
    moving: AtomicBool,
    /// Rung when the registry has news of the room.
    pub(crate) stirred: Notify,
    pub(crate) config: RoomConfig,
    pub(crate) clock: Clock,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) effects: UnboundedSender<Effect>,
    /// Cancelled when it has begun: created or restored, and declared live.
    pub(crate) begun: CancellationToken,
    /// Why it ended, once it has.
    pub(crate) ended: OnceLock<Ended>,
    /// Cancelled when its task is over.
    pub(crate) gone: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    players: BTreeMap<PlayerId, Player>,
    max_players: u32,
    is_locked: bool,
    metadata: Metadata,
}

/// How a room ended on this server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ended {
    /// It could not be created or restored.
    Failed(String),
    /// It was disposed of.
    Disposed(String),
    /// It was given up with a snapshot.
    Parked,
    /// Another server runs it: its record.
    Moved(Box<RoomRegistration>),
    /// It is no longer this server's.
    Lost(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(reason) => write!(f, "failed: {reason}"),
            Self::Disposed(reason) => write!(f, "disposed of: {reason}"),
            Self::Parked => f.write_str("parked"),
            Self::Moved(owner) => match &owner.server_id {
                Some(server) => write!(f, "moved to {server}"),
                None => f.write_str("moved"),
            },
            Self::Lost(reason) => write!(f, "lost: {reason}"),
        }
    }
}

impl RoomCore {
    pub(crate) fn new(
        row: &RoomRegistration,
        config: RoomConfig,
        clock: Clock,
        outbox: Arc<Outbox>,
        effects: UnboundedSender<Effect>,
    ) -> Self {
        let state = State {
            players: BTreeMap::new(),
            max_players: row.max_players,
            is_locked: row.is_locked,
            metadata: row.metadata.clone(),
        };
        Self {
            room_id: row.room_id.clone(),
            room_type: row.room_type.clone(),
            epoch: AtomicU64::new(row.epoch.0),
            moving: AtomicBool::new(false),
            stirred: Notify::new(),
            config,
            clock,
            outbox,
            effects,
            begun: CancellationToken::new(),
            ended: OnceLock::new(),
            gone: CancellationToken::new(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn room_epoch(&self) -> RoomEpoch {
        RoomEpoch { room_id: self.room_id.clone(), epoch: self.epoch() }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    pub(crate) fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }

    pub(crate) fn is_moving(&self) -> bool {
        self.moving.load(Ordering::Acquire)
    }

    pub(crate) fn set_moving(&self, moving: bool) {
        self.moving.store(moving, Ordering::Release);
    }

    pub(crate) fn players(&self) -> Vec<Player> {
        self.state.lock().players.values().cloned().collect()
    }

    pub(crate) fn player(&self, player_id: &PlayerId) -> Option<Player> {
        self.state.lock().players.get(player_id).cloned()
    }

    pub(crate) fn player_on_seat(&self, seat_id: SeatId) -> Option<Player> {
        self.state.lock().players.values().find(|player| player.seat_id() == seat_id).cloned()
    }

    pub(crate) fn player_count(&self) -> usize {
        self.state.lock().players.len()
    }

    pub(crate) fn insert(&self, player: Player) {
        self.state.lock().players.insert(player.id().clone(), player);
    }

    pub(crate) fn remove(&self, player_id: &PlayerId) -> Option<Player> {
        let removed = self.state.lock().players.remove(player_id);
        removed.inspect(Player::set_left)
    }

    pub(crate) fn max_players(&self) -> u32 {
        self.state.lock().max_players
    }

    pub(crate) fn is_full(&self) -> bool {
        let state = self.state.lock();
        u32::try_from(state.players.len()).is_ok_and(|players| players >= state.max_players)
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.state.lock().is_locked
    }

    pub(crate) fn metadata(&self) -> Metadata {
        self.state.lock().metadata.clone()
    }

    /// Sets the lock; whether that is a change.
    pub(crate) fn set_locked(&self, locked: bool) -> bool {
        std::mem::replace(&mut self.state.lock().is_locked, locked) != locked
    }

    pub(crate) fn set_metadata(&self, metadata: Metadata) {
        self.state.lock().metadata = metadata;
    }

    /// Sends one message to every connected player but one.
    pub(crate) fn broadcast(&self, message: &Outgoing, exclude: Option<&PlayerId>) {
        let connections: Vec<Connection> = {
            let state = self.state.lock();
            let wanted = state.players.iter().filter(|(player_id, _)| Some(*player_id) != exclude);
            wanted.filter_map(|(_, player)| player.connection()).collect()
        };
        for connection in &connections {
            self.outbox.send(connection, message.clone());
        }
    }
}
