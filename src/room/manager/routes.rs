//! Where a player should go, as advice of the moment.

use super::{DistributedRoomManager, placement::candidates};
use crate::{
    adapter::{AdapterResult, Consistency},
    model::{RoomQuery, RoomRegistration, RoutingRequest, RoutingResult, ServerId, ServerRegistration},
};

impl DistributedRoomManager {
    /// Says where a player should go; nothing is reserved, so another may be faster.
    pub async fn route(&self, request: &RoutingRequest) -> AdapterResult<RoutingResult> {
        let adapter = &self.inner.adapter;
        let own = &self.inner.options.server_id;
        if let Some(room_id) = &request.room_id {
            let room = adapter.room(room_id, Consistency::Linearizable).await?;
            return Ok(room.map_or_else(|| unavailable("the room does not exist"), |room| to_room(&room, own)));
        }
        let query = RoomQuery {
            room_type: request.room_type.clone().or_else(|| request.query.as_ref()?.room_type.clone()),
            has_space: Some(true),
            not_locked: Some(true),
            ..request.query.clone().unwrap_or_default()
        };
        let rooms = adapter.rooms(&query, Consistency::Local).await?;
        let servers = adapter.servers(Consistency::Local).await?;
        Ok(to_any(&rooms, &servers, &query, own, request.preferred_server_id.as_ref()))
    }
}

/// One room: where it is.
fn to_room(room: &RoomRegistration, own: &ServerId) -> RoutingResult {
    match &room.server_id {
        Some(owner) if owner == own => RoutingResult::Local { room_id: room.room_id.clone() },
        Some(_) => redirect_to(room),
        None => unavailable("the room has no server just now"),
    }
}

/// Any room: an open one here, else the oldest open one, else a new one.
fn to_any(
    rooms: &[RoomRegistration],
    servers: &[ServerRegistration],
    query: &RoomQuery,
    own: &ServerId,
    preferred: Option<&ServerId>,
) -> RoutingResult {
    if let Some(room) = rooms.iter().find(|room| room.server_id.as_ref() == Some(own)) {
        return RoutingResult::Local { room_id: room.room_id.clone() };
    }
    if let Some(room) = rooms.iter().find(|room| room.server_id.is_some()) {
        return redirect_to(room);
    }
    let Some(room_type) = &query.room_type else { return unavailable("no room is open, and no room type was named") };
    let first = candidates(servers, room_type, own, preferred).into_iter().next();
    let first = first.and_then(|first| servers.iter().find(|server| server.server_id == first));
    match first {
        Some(server) if server.server_id == *own => RoutingResult::Create,
        Some(server) => RoutingResult::Redirect { server_address: server.player_address(), room_id: None },
        None => unavailable("no room is open, and no server has room left for a new one"),
    }
}

fn redirect_to(room: &RoomRegistration) -> RoutingResult {
    RoutingResult::Redirect { server_address: room.server_address.clone(), room_id: Some(room.room_id.clone()) }
}

fn unavailable(reason: &str) -> RoutingResult {
    RoutingResult::Unavailable { reason: reason.to_owned() }
}
