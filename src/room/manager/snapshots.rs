//! Rooms by call: made, saved, brought back.

use std::sync::Arc;

use serde_json::Value;

use super::{
    DistributedRoomManager,
    refusal::{refusal, room_not_open},
};
use crate::{
    adapter::{AdapterError, Consistency},
    model::{NewRoom, RoomId, RoomState, RoomType},
    registry::Rejection,
    room::{JoinError, RoomError, RoomHandle, core::Ended},
};

impl DistributedRoomManager {
    /// Makes a room on this server and returns when `on_create` has run. It stays without players
    /// until its first one has come.
    ///
    /// # Errors
    /// [`JoinError::NotFound`] where the type is not defined here, [`JoinError::Internal`] where
    /// `on_create` failed (nothing is left of the room), else as a join.
    pub async fn create(&self, room_type: &RoomType, options: Value) -> Result<RoomHandle, JoinError> {
        let server = self.inner.gate()?;
        let definition = self.inner.definition(room_type);
        let config = definition.ok_or_else(|| not_defined(room_type))?.config;
        let spec = config.spec();
        let room = NewRoom {
            room_id: None,
            room_type: room_type.clone(),
            max_players: spec.max_players,
            reconnect_grace_ms: spec.reconnect_grace_ms,
            metadata: spec.metadata,
            state: RoomState::Creating,
            options: if options.is_null() { String::new() } else { options.to_string() },
        };
        let row = self.inner.adapter.register_room(&server, room).await.map_err(|error| refusal(&error))?;
        let room = self.inner.ensure(&row)?.ok_or_else(|| room_not_open(&row.room_id))?;
        live(&room).await?;
        Ok(room)
    }

    /// Keeps the present state of a room of this server; gives the snapshot's version once the backend has it.
    ///
    /// # Errors
    /// [`RoomError::Ended`] where it does not run here, [`RoomError::NothingToSave`], [`RoomError::Save`].
    pub async fn save_snapshot(&self, room_id: &RoomId) -> Result<u64, RoomError> {
        self.room(room_id).ok_or(RoomError::Ended)?.save().await
    }

    /// Brings a room without an owner back on this server, from its snapshot. One that runs here is left as it is.
    ///
    /// # Errors
    /// [`JoinError::NotFound`] where there is no such room or its type is not defined here,
    /// [`JoinError::Unavailable`] where another server runs it or this one is full.
    pub async fn restore_from_snapshot(&self, room_id: &RoomId) -> Result<RoomHandle, JoinError> {
        let inner = &self.inner;
        let server = inner.gate()?;
        if let Some(room) = self.room(room_id) {
            return Ok(room);
        }
        let row = inner.adapter.room(room_id, Consistency::Linearizable).await.map_err(|error| refusal(&error))?;
        let row = row.ok_or_else(|| room_not_open(room_id))?;
        if inner.definition(&row.room_type).is_none() {
            return Err(not_defined(&row.room_type));
        }
        let row = match row.server_id.as_ref() {
            Some(owner) if *owner == server.server_id => row,
            Some(_) => return Err(refusal(&AdapterError::Rejected(Rejection::RoomOwned(room_id.clone())))),
            None => inner.claim(&server, row.room_epoch()).await.map_err(|error| refusal(&error))?,
        };
        let room = Arc::clone(inner).ensure(&row)?.ok_or_else(|| room_not_open(room_id))?;
        live(&room).await?;
        Ok(room)
    }
}

/// Returns once a room has begun.
async fn live(room: &RoomHandle) -> Result<(), JoinError> {
    match room.begun().await {
        Ok(()) => Ok(()),
        Err(Ended::Failed(reason)) => Err(JoinError::Internal(format!("the room could not be made: {reason}"))),
        Err(_) => Err(JoinError::Unavailable("the room ended before it began: try again".to_owned())),
    }
}

fn not_defined(room_type: &RoomType) -> JoinError {
    JoinError::NotFound(format!("room type {room_type} is not defined on this server"))
}
