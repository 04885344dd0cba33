//! A player in a room.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{Connection, ConnectionId, Outgoing, actor::Effect, message::room_message, outbox::Outbox};
use crate::model::{PlayerId, PlayerSnapshot, RoomId, SeatId};

/// A player as its room sees it. Cheap to clone; all clones are the same player.
#[derive(Clone)]
pub struct Player {
    inner: Arc<Inner>,
}

struct Inner {
    id: PlayerId,
    room_id: RoomId,
    seat_id: SeatId,
    outbox: Arc<Outbox>,
    effects: UnboundedSender<Effect>,
    /// Cancelled when it is out of the room.
    left: CancellationToken,
    state: Mutex<State>,
}

struct State {
    connection: Option<Connection>,
    session_token: Option<String>,
    data: Value,
}

/// What a player is made of, its link aside.
pub(crate) struct Identity {
    pub(crate) id: PlayerId,
    pub(crate) room_id: RoomId,
    pub(crate) seat_id: SeatId,
    pub(crate) data: Value,
}

impl Player {
    pub(crate) fn new(identity: Identity, outbox: Arc<Outbox>, effects: UnboundedSender<Effect>) -> Self {
        let Identity { id, room_id, seat_id, data } = identity;
        let state = Mutex::new(State { connection: None, session_token: None, data });
        Self { inner: Arc::new(Inner { id, room_id, seat_id, outbox, effects, left: CancellationToken::new(), state }) }
    }

    /// Its id; the same across reconnects, wherever the room moves.
    pub fn id(&self) -> &PlayerId {
        &self.inner.id
    }

    /// Its room.
    pub fn room_id(&self) -> &RoomId {
        &self.inner.room_id
    }

    /// Its seat.
    pub fn seat_id(&self) -> SeatId {
        self.inner.seat_id
    }

    /// Its proof of being this player; none where it has not come back since its room was restored. A secret.
    pub fn session_token(&self) -> Option<String> {
        self.inner.state.lock().session_token.clone()
    }

    /// Whether it is connected just now.
    pub fn connected(&self) -> bool {
        self.inner.state.lock().connection.is_some()
    }

    /// A copy of its data.
    pub fn data(&self) -> Value {
        self.inner.state.lock().data.clone()
    }

    /// Puts other data in place.
    pub fn set_data(&self, data: Value) {
        self.inner.state.lock().data = data;
    }

    /// Changes its data in place. `change` must not call this player's methods.
    pub fn update_data<T>(&self, change: impl FnOnce(&mut Value) -> T) -> T {
        change(&mut self.inner.state.lock().data)
    }

    /// Sends a `RoomMessage`; nothing happens while it is not connected.
    pub fn send(&self, message_type: &str, data: &Value) {
        self.send_outgoing(room_message(message_type, data));
    }

    /// Sends a raw binary message; nothing happens while it is not connected.
    pub fn send_binary(&self, data: Bytes) {
        self.send_outgoing(Outgoing::Binary(data));
    }

    /// Takes it out of the room, once the present hook has returned.
    pub fn leave(&self, reason: &str) {
        let effect = Effect::Remove { player_id: self.inner.id.clone(), reason: reason.to_owned() };
        // A room that has ended has no players to remove.
        let _ = self.inner.effects.send(effect);
    }

    pub(crate) fn send_outgoing(&self, message: Outgoing) {
        if let Some(connection) = self.connection() {
            self.inner.outbox.send(&connection, message);
        }
    }

    pub(crate) fn connection(&self) -> Option<Connection> {
        self.inner.state.lock().connection.clone()
    }

    pub(crate) fn is_on(&self, connection: ConnectionId) -> bool {
        self.inner.state.lock().connection.as_ref().is_some_and(|present| present.id() == connection)
    }

    /// Links it to a connection; gives the one before.
    pub(crate) fn connect(&self, connection: Connection, session_token: String) -> Option<Connection> {
        let mut state = self.inner.state.lock();
        state.session_token = Some(session_token);
        state.connection.replace(connection)
    }

    pub(crate) fn disconnect(&self) {
        self.inner.state.lock().connection = None;
    }

    /// Marks it as out of the room.
    pub(crate) fn set_left(&self) {
        self.inner.left.cancel();
    }

    /// Returns when a connection is closed, or it does not matter to the room any more.
    pub(crate) fn closing(&self, connection: Connection) -> impl Future<Output = ()> + Send + 'static {
        let left = self.inner.left.clone();
        async move {
            tokio::select! {
                () = connection.closed() => {}
                () = left.cancelled() => {}
            }
        }
    }

    pub(crate) fn snapshot(&self) -> PlayerSnapshot {
        PlayerSnapshot { id: self.inner.id.clone(), seat_id: self.inner.seat_id, data: self.data() }
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player")
            .field("id", &self.inner.id)
            .field("room_id", &self.inner.room_id)
            .field("connected", &self.connected())
            .finish_non_exhaustive()
    }
}
