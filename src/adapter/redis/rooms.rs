//! Rooms are registered, changed and disposed of; their snapshots are kept with them.

use bytes::Bytes;

use super::{
    core::{Arguments, Core, arguments, call_name, number, time},
    keys::ShardName,
    records, scripts,
};
use crate::{
    adapter::{AdapterError, AdapterResult},
    clock::millis,
    model::{
        DistributedEvent, Epoch, NewRoom, RoomEpoch, RoomId, RoomRegistration, RoomState, RoomUpdate, ServerEpoch,
    },
    registry::{Rejection, limits},
};

impl Core {
    pub(super) async fn register_room(&self, server: &ServerEpoch, room: &NewRoom) -> AdapterResult<RoomRegistration> {
        limits::room(room)?;
        let state = match room.state {
            RoomState::Creating => "creating",
            RoomState::Live => "live",
            _ => {
                let problem = "a new room is creating or live: register it as one of these";
                return Err(Rejection::Invalid(problem.to_owned()).into());
            }
        };
        let mut call = arguments!({
            "op": "register",
            "once": call_name(),
            "caller": server.server_id,
            "epoch": number(server.epoch.0),
            "type": room.room_type,
            "max": room.max_players.to_string(),
            "grace": number(time(room.reconnect_grace_ms)),
            "meta": records::json_text(&records::metadata_text(&room.metadata))?,
            "options": room.options,
            "state": state,
        });
        let mut shard = ShardName::of_server(&room.room_type, &server.server_id, self.options.shards);
        if let Some(room_id) = &room.room_id {
            shard = self.shard_for_name(room, room_id, shard)?;
            if ShardName::in_room_id(room_id).is_none() {
                self.take_name(room_id, &shard).await?;
            }
            call.insert("id".to_owned(), room_id.as_str().into());
        }
        let nothing = || AdapterError::Damaged("a room was neither registered nor refused".to_owned());
        let mut answer = self.shard_call_maybe(&scripts::ROOMS, &shard, &mut call, &[]).await?.ok_or_else(nothing)?;
        let room = records::room(&answer.fields()?)?;
        if self.keeps_capacity(&call, &room).await? {
            return Ok(room);
        }
        Err(Rejection::ServerFull(server.server_id.clone()).into())
    }

    /// Where a room with a name of its own goes. A name like those of a shard's own making must be that shard's.
    fn shard_for_name(&self, room: &NewRoom, room_id: &RoomId, usual: ShardName) -> AdapterResult<ShardName> {
        let Some(named) = ShardName::in_room_id(room_id) else { return Ok(usual) };
        if ShardName::of_type(&room.room_type, self.options.shards).any(|shard| shard == named) {
            return Ok(named);
        }
        let problem = format!("room id {room_id} is of the form that the registry uses: choose one without #");
        Err(Rejection::Invalid(problem).into())
    }

    pub(super) async fn unregister_room(&self, room: &RoomEpoch, reason: &str) -> AdapterResult<()> {
        let Some(shard) = self.shard_of(&room.room_id).await? else { return Ok(()) };
        let mut call = room_arguments("unregister", room);
        call.insert("reason".to_owned(), limits::reason(reason).into());
        self.shard_call(&scripts::ROOMS, &shard, call, &[]).await.map(|_| ())
    }

    pub(super) async fn update_room(&self, room: &RoomEpoch, update: &RoomUpdate) -> AdapterResult<()> {
        let mut call = room_arguments("update", room);
        if let Some(locked) = update.is_locked {
            call.insert("locked".to_owned(), if locked { "1" } else { "0" }.into());
        }
        if let Some(metadata) = &update.metadata {
            limits::metadata("the room's metadata", metadata)?;
            call.insert("meta".to_owned(), records::json_text(&records::metadata_text(metadata))?.into());
        }
        if let Some(max_players) = update.max_players {
            limits::max_players(max_players)?;
            call.insert("max".to_owned(), max_players.to_string().into());
        }
        match update.state {
            None => {}
            Some(RoomState::Live) => drop(call.insert("state".to_owned(), "live".into())),
            Some(RoomState::Parked) => {
                // Its repetition would find no owner any more.
                call.insert("state".to_owned(), "parked".into());
                call.insert("once".to_owned(), call_name().into());
            }
            Some(RoomState::Creating | RoomState::Orphaned) => {
                let problem = "an owner makes its room live or parked, nothing else";
                return Err(Rejection::Invalid(problem.to_owned()).into());
            }
        }
        let shard = self.known_shard_of(&room.room_id).await?;
        self.shard_call(&scripts::ROOMS, &shard, call, &[]).await.map(|_| ())
    }

    pub(super) async fn save_snapshot(&self, room: &RoomEpoch, version: u64, bytes: &Bytes) -> AdapterResult<()> {
        let mut call = room_arguments("save_snapshot", room);
        call.insert("version".to_owned(), number(version).into());
        call.insert("ttl_ms".to_owned(), number(time(millis(self.options.snapshots.ttl))).into());
        call.insert("by".to_owned(), call_name().into());
        let shard = self.known_shard_of(&room.room_id).await?;
        self.shard_call(&scripts::ROOMS, &shard, call, bytes).await.map(|_| ())
    }

    pub(super) async fn delete_snapshot(&self, room: &RoomEpoch) -> AdapterResult<()> {
        let shard = self.known_shard_of(&room.room_id).await?;
        let call = room_arguments("delete_snapshot", room);
        self.shard_call(&scripts::ROOMS, &shard, call, &[]).await.map(|_| ())
    }

    /// The bytes of a room's last snapshot.
    pub(super) async fn snapshot_bytes(&self, room_id: &RoomId) -> AdapterResult<Option<Vec<u8>>> {
        let Some(shard) = self.shard_of(room_id).await? else { return Ok(None) };
        let call = arguments!({ "op": "load_snapshot", "room": room_id });
        self.shard_call(&scripts::ROOMS, &shard, call, &[]).await?.bytes()
    }

    /// Sends a message to the node of a room's owner, once at most.
    pub(super) async fn send_to_room(&self, room_id: &RoomId, event: &DistributedEvent) -> AdapterResult<()> {
        let shard = self.known_shard_of(room_id).await?;
        let call = arguments!({ "op": "message", "once": call_name(), "room": room_id });
        let payload = records::json_text(&event.to_json()["payload"])?;
        self.shard_call(&scripts::ROOMS, &shard, call, payload.as_bytes()).await.map(|_| ())
    }
}

fn room_arguments(operation: &str, room: &RoomEpoch) -> Arguments {
    let Epoch(epoch) = room.epoch;
    arguments!({ "op": operation, "room": room.room_id, "epoch": number(epoch) })
}
