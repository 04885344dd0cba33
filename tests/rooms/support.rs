//! A cluster in one process, and players that are nothing but a connection.

use std::{sync::Arc, time::Duration};

use roomraft::{
    adapter::{Consistency, DistributedAdapter, MemoryAdapter},
    model::{Metadata, Place, PlayerId, RoomId, RoomRegistration, RoomType, RoundTrips, SeatId},
    room::{
        Connection, DistributedRoomManager, JoinError, JoinOutcome, JoinRequest, JoinTarget, JoinedRoom,
        ManagerOptions, Outgoing, Redirect, RoomConfig,
    },
};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use super::probe::{Probe, Script};

/// How long a condition is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One backend, shared by the managers of a test.
pub(crate) fn backend() -> Arc<dyn DistributedAdapter> {
    Arc::new(MemoryAdapter::default())
}

/// A manager that is not started, with nothing defined.
pub(crate) fn bare(
    backend: &Arc<dyn DistributedAdapter>,
    name: &str,
    change: impl FnOnce(&mut ManagerOptions),
) -> DistributedRoomManager {
    let mut options = ManagerOptions::new(name, &format!("{name}.example"), 3000).expect("a valid name");
    options.snapshot_interval = Duration::ZERO;
    change(&mut options);
    DistributedRoomManager::new(Arc::clone(backend), options)
}

/// A started manager that serves the type `probe`.
pub(crate) async fn serving(
    backend: &Arc<dyn DistributedAdapter>,
    name: &str,
    config: RoomConfig,
    script: &Script,
) -> DistributedRoomManager {
    let manager = bare(backend, name, |_| {});
    define(&manager, config, script);
    manager.start().await.expect("the backend is there");
    manager
}

pub(crate) fn define(manager: &DistributedRoomManager, config: RoomConfig, script: &Script) {
    let script = script.clone();
    manager.define("probe", config, move || Probe::new(&script)).expect("a valid type");
}

pub(crate) fn probe_type() -> RoomType {
    RoomType::new("probe").expect("a valid type")
}

pub(crate) fn seats(max_players: u32) -> RoomConfig {
    RoomConfig { max_players, ..RoomConfig::default() }
}

/// A player: a connection and what has come out of it.
pub(crate) struct Guest {
    pub(crate) id: PlayerId,
    pub(crate) connection: Connection,
    pub(crate) data: Value,
    inbox: Receiver<Outgoing>,
}

impl Guest {
    pub(crate) fn new(name: &str) -> Self {
        let (connection, inbox) = Connection::new(256);
        Self { id: PlayerId::new(name).expect("a valid id"), connection, data: json!({ "name": name }), inbox }
    }

    /// The request of a join, whose response is `["joined", room id, player id]`.
    pub(crate) fn request(&self, target: JoinTarget, reservation: Option<SeatId>) -> JoinRequest {
        JoinRequest {
            target,
            reservation,
            player_id: self.id.clone(),
            player_data: self.data.clone(),
            connection: self.connection.clone(),
            respond: Box::new(|joined| Some(response("joined", joined))),
            origin: 0,
            preferred_server_id: None,
            place: Place::default(),
            round_trips: RoundTrips::default(),
        }
    }

    pub(crate) async fn join_type(&self, manager: &DistributedRoomManager) -> Result<JoinOutcome, JoinError> {
        manager.join(self.request(any_probe(), None)).await
    }

    pub(crate) async fn join_room(
        &self,
        manager: &DistributedRoomManager,
        room_id: &RoomId,
        reservation: Option<SeatId>,
    ) -> Result<JoinOutcome, JoinError> {
        manager.join(self.request(JoinTarget::Room(room_id.clone()), reservation)).await
    }

    /// Joins any probe room of this very server.
    pub(crate) async fn enter(&self, manager: &DistributedRoomManager) -> JoinedRoom {
        joined(self.join_type(manager).await)
    }

    /// Why it does not get into any probe room.
    pub(crate) async fn enter_fails(&self, manager: &DistributedRoomManager) -> JoinError {
        self.join_type(manager).await.expect_err("it must not get in")
    }

    pub(crate) async fn reconnect(
        &self,
        manager: &DistributedRoomManager,
        token: &str,
    ) -> Result<JoinOutcome, JoinError> {
        let respond = Box::new(|joined: &JoinedRoom| Some(response("reconnected", joined)));
        manager.reconnect(token, self.connection.clone(), respond).await
    }

    /// Closes the connection as a gateway does.
    pub(crate) fn drop_connection(&self, manager: &DistributedRoomManager) {
        self.connection.close();
        manager.disconnected(&self.id, self.connection.id());
    }

    /// A fresh connection of the same player.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.id.as_str())
    }

    /// The next message that it gets, as JSON; raw bytes as `{"binary": length}`.
    pub(crate) async fn next(&mut self) -> Value {
        let message = tokio::time::timeout(PATIENCE, self.inbox.recv()).await;
        match message.expect("a message in time").expect("the queue lives") {
            Outgoing::Text(text) => serde_json::from_str(&text).expect("JSON"),
            Outgoing::Binary(bytes) => json!({ "binary": bytes.len() }),
        }
    }

    /// The next `RoomMessage` of a type; others before it are passed over.
    pub(crate) async fn next_of(&mut self, message_type: &str) -> Value {
        loop {
            let packet = self.next().await;
            if packet[2]["type"] == message_type {
                return packet[2]["data"].clone();
            }
        }
    }

    /// What has come already.
    pub(crate) fn waiting(&mut self) -> usize {
        std::iter::from_fn(|| self.inbox.try_recv().ok()).count()
    }
}

pub(crate) fn any_probe() -> JoinTarget {
    JoinTarget::Type { room_type: probe_type(), options: Value::Null, metadata: Metadata::default() }
}

fn response(kind: &str, joined: &JoinedRoom) -> Outgoing {
    Outgoing::Text(json!([kind, joined.room_id, joined.player_id]).to_string().into())
}

pub(crate) fn joined(outcome: Result<JoinOutcome, JoinError>) -> JoinedRoom {
    match outcome {
        Ok(JoinOutcome::Joined(joined)) => joined,
        other => panic!("not joined: {other:?}"),
    }
}

pub(crate) fn redirected(outcome: Result<JoinOutcome, JoinError>) -> Redirect {
    match outcome {
        Ok(JoinOutcome::Redirect(redirect)) => redirect,
        other => panic!("not redirected: {other:?}"),
    }
}

/// What the registry says of a room.
pub(crate) async fn record(backend: &Arc<dyn DistributedAdapter>, room_id: &RoomId) -> Option<RoomRegistration> {
    backend.room(room_id, Consistency::Linearizable).await.expect("connected")
}

/// Says something to a player's room.
pub(crate) async fn say(manager: &DistributedRoomManager, guest: &Guest, message_type: &str, data: Value) {
    manager.handle_message(&guest.id, message_type, data).await.expect("the player is in a room");
}

/// Returns when a condition holds; fails the test when it does not come to hold.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < patience, "never came to hold: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
