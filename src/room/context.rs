//! What a room's hooks can do.

use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

use super::{
    Outgoing, Player, Room, RoomError,
    actor::{Effect, is_loss},
    core::RoomCore,
    message::room_message,
    saver::Saver,
};
use crate::{
    clock::Clock,
    model::{Metadata, PlayerId, RoomId, RoomType, RoomUpdate},
};

/// A room's view of itself, its players and its place in the cluster; given to every hook.
///
/// What is sent here leaves when the hook has returned. What changes the room itself (a kick, a
/// lock, disposal) happens then too.
#[derive(Debug)]
pub struct RoomContext {
    core: Arc<RoomCore>,
    pub(crate) saver: Saver,
}

impl RoomContext {
    pub(crate) fn new(core: Arc<RoomCore>, saver: Saver) -> Self {
        Self { core, saver }
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        &self.core.room_id
    }

    /// Its kind.
    pub fn room_type(&self) -> &RoomType {
        &self.core.room_type
    }

    /// Its players in order of their ids, those too whose connection ended and whose grace period runs.
    pub fn players(&self) -> Vec<Player> {
        self.core.players()
    }

    /// One player.
    pub fn player(&self, player_id: &PlayerId) -> Option<Player> {
        self.core.player(player_id)
    }

    /// How many players it has.
    pub fn player_count(&self) -> usize {
        self.core.player_count()
    }

    /// Its seats.
    pub fn max_players(&self) -> u32 {
        self.core.max_players()
    }

    /// Whether every seat has its player. Seats held for players on their way are not seen here.
    pub fn is_full(&self) -> bool {
        self.core.is_full()
    }

    /// Whether it takes no new players.
    pub fn is_locked(&self) -> bool {
        self.core.is_locked()
    }

    /// Its attributes.
    pub fn metadata(&self) -> Metadata {
        self.core.metadata()
    }

    /// The clock to take time from.
    pub fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// Sends a `RoomMessage` to every connected player, but to `exclude`.
    pub fn broadcast(&self, message_type: &str, data: &Value, exclude: Option<&PlayerId>) {
        self.core.broadcast(&room_message(message_type, data), exclude);
    }

    /// Sends a raw binary message to every connected player, but to `exclude`.
    pub fn broadcast_binary(&self, data: Bytes, exclude: Option<&PlayerId>) {
        self.core.broadcast(&Outgoing::Binary(data), exclude);
    }

    /// Sends a `RoomMessage` to one player; `false` where it is not here or not connected.
    pub fn send(&self, player_id: &PlayerId, message_type: &str, data: &Value) -> bool {
        let player = self.connected(player_id);
        player.inspect(|player| player.send(message_type, data)).is_some()
    }

    /// Sends a raw binary message to one player; `false` where it is not here or not connected.
    pub fn send_binary(&self, player_id: &PlayerId, data: Bytes) -> bool {
        let player = self.connected(player_id);
        player.inspect(|player| player.send_binary(data)).is_some()
    }

    /// Takes a player out of the room and tells it why; its session token is over.
    pub fn kick(&self, player_id: &PlayerId, reason: &str) {
        self.effect(Effect::Remove { player_id: player_id.clone(), reason: reason.to_owned() });
    }

    /// Takes no new players from now on; those on a seat that was reserved before still come in.
    pub fn lock(&self) {
        self.set_locked(true);
    }

    /// Takes new players again.
    pub fn unlock(&self) {
        self.set_locked(false);
    }

    /// Puts other attributes in place, here and in the registry.
    pub fn set_metadata(&self, metadata: Metadata) {
        self.core.set_metadata(metadata.clone());
        self.effect(Effect::Update(RoomUpdate { metadata: Some(metadata), ..RoomUpdate::default() }));
    }

    /// Ends the room for good, once the present hook has returned.
    pub fn dispose(&self, reason: &str) {
        self.effect(Effect::Dispose { reason: reason.to_owned() });
    }

    /// Keeps the room's present state (`ctx.save(self).await`) and goes on only when the backend
    /// has it: on the raft backend, on a majority's disks. Gives the snapshot's version. A state
    /// that is kept already is not written again. Only then tell the player that its purchase, or its
    /// score, counts: with an error it may be kept or not, and on a room that another server has
    /// taken over meanwhile it is not, and the room ends here once the hook has returned.
    ///
    /// # Errors
    /// [`RoomError::NothingToSave`], [`RoomError::Save`].
    pub fn save<R: Room>(&mut self, room: &R) -> impl Future<Output = Result<u64, RoomError>> + Send {
        // The state is taken before the first await, so that a room need not be `Sync`.
        let state = room.save();
        self.keep(state)
    }

    pub(crate) async fn keep(&mut self, state: Option<Value>) -> Result<u64, RoomError> {
        let state = state.ok_or(RoomError::NothingToSave)?;
        let outcome = self.saver.save(&self.core, state).await;
        if let Err(RoomError::Save(error)) = &outcome
            && is_loss(error)
        {
            self.effect(Effect::Lost { reason: error.to_string() });
        }
        outcome
    }

    fn connected(&self, player_id: &PlayerId) -> Option<Player> {
        self.core.player(player_id).filter(Player::connected)
    }

    fn set_locked(&self, locked: bool) {
        if self.core.set_locked(locked) {
            self.effect(Effect::Update(RoomUpdate { is_locked: Some(locked), ..RoomUpdate::default() }));
        }
    }

    fn effect(&self, effect: Effect) {
        // The task that reads them ends only after the last hook.
        let _ = self.core.effects.send(effect);
    }
}
