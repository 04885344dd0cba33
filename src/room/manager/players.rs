//! Players that are in a room of this server.

use serde_json::Value;
use tokio::sync::oneshot;

use super::DistributedRoomManager;
use crate::{
    model::PlayerId,
    room::{ConnectionId, RoomError, actor::RoomCommand},
};

impl DistributedRoomManager {
    /// Takes a player out of its room; returns when `on_leave` has run. Nothing happens where it is in none.
    pub async fn leave(&self, player_id: &PlayerId, reason: &str) {
        let Some(room) = self.player_room(player_id) else { return };
        let (done, left) = oneshot::channel();
        let (player_id, reason) = (player_id.clone(), reason.to_owned());
        if room.command(RoomCommand::Leave { player_id, reason, done }).await.is_ok() {
            // Without an answer the room has ended, and the player is out of it as well.
            let _ = left.await;
        }
    }

    /// A player's connection ended. Rooms see by themselves when a connection is closed
    /// ([`Connection::close`](crate::room::Connection::close)); this is for who has not closed it.
    pub fn disconnected(&self, player_id: &PlayerId, connection: ConnectionId) {
        if let Some(room) = self.player_room(player_id) {
            room.disconnected(player_id, connection);
        }
    }

    /// Hands a player's message to its room; waits while the room's mailbox is full.
    ///
    /// # Errors
    /// [`RoomError::NotInRoom`], [`RoomError::Ended`]. What the room makes of it goes to its `on_error`.
    pub async fn handle_message(&self, player_id: &PlayerId, message_type: &str, data: Value) -> Result<(), RoomError> {
        let room = self.player_room(player_id).ok_or(RoomError::NotInRoom)?;
        let (player_id, message_type) = (player_id.clone(), message_type.to_owned());
        room.command(RoomCommand::Message { player_id, message_type, data }).await
    }
}
