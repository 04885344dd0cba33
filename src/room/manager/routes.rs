//! Where a player should go, as advice of the moment.

use super::DistributedRoomManager;
use crate::{
    adapter::{AdapterResult, Consistency},
    model::{RoomQuery, RoomRegistration, RoutingRequest, RoutingResult, ServerId, ServerRegistration},
    routing::Plan,
};

impl DistributedRoomManager {
    /// Says where a player should go; nothing is reserved, so another may be faster.
    pub async fn route(&self, request: &RoutingRequest) -> AdapterResult<RoutingResult> {
        let (inner, own) = (&self.inner, &self.inner.options.server_id);
        if let Some(room_id) = &request.room_id {
            let room = inner.adapter.room(room_id, Consistency::Linearizable).await?;
            return Ok(room.map_or_else(|| unavailable("the room does not exist"), |room| to_room(&room, own)));
        }
        let room_type = request.room_type.clone().or_else(|| request.query.as_ref()?.room_type.clone());
        let query = RoomQuery {
            room_type: room_type.clone(),
            has_space: Some(true),
            not_locked: Some(true),
            ..request.query.clone().unwrap_or_default()
        };
        let rooms = inner.adapter.rooms(&query, Consistency::Local).await?;
        if room_type.is_none() {
            let open = to_open(&rooms, own);
            return Ok(open.unwrap_or_else(|| unavailable("no room is open, and no room type was named")));
        }
        let servers = inner.adapter.servers(Consistency::Local).await?;
        let tiers = match inner.plan(RoutingRequest { room_type, ..request.clone() }, &servers) {
            Plan::Nearest(tiers) => tiers,
            Plan::Anywhere(candidates) => match to_open(&rooms, own) {
                Some(open) => return Ok(open),
                None => vec![candidates],
            },
        };
        let found = tiers.iter().find_map(|tier| to_tier(tier, &rooms, &servers, own));
        Ok(found.or_else(|| to_open(&rooms, own)).unwrap_or_else(|| to_new(None, own)))
    }
}

/// An open room of a tier, else a new one there.
fn to_tier(
    tier: &[ServerId],
    rooms: &[RoomRegistration],
    servers: &[ServerRegistration],
    own: &ServerId,
) -> Option<RoutingResult> {
    let is_there = |room: &&RoomRegistration| room.server_id.as_ref().is_some_and(|owner| tier.contains(owner));
    let rooms: Vec<RoomRegistration> = rooms.iter().filter(is_there).cloned().collect();
    let best = tier.iter().find_map(|server_id| servers.iter().find(|server| server.server_id == *server_id));
    to_open(&rooms, own).or_else(|| best.map(|server| to_new(Some(server), own)))
}

/// One room: where it is.
fn to_room(room: &RoomRegistration, own: &ServerId) -> RoutingResult {
    match &room.server_id {
        Some(owner) if owner == own => RoutingResult::Local { room_id: room.room_id.clone() },
        Some(_) => redirect_to(room),
        None => unavailable("the room has no server just now"),
    }
}

/// An open room: one here, else the oldest.
fn to_open(rooms: &[RoomRegistration], own: &ServerId) -> Option<RoutingResult> {
    let here = rooms.iter().find(|room| room.server_id.as_ref() == Some(own));
    let here = here.map(|room| RoutingResult::Local { room_id: room.room_id.clone() });
    here.or_else(|| rooms.iter().find(|room| room.server_id.is_some()).map(redirect_to))
}

/// A new room, on the best candidate.
fn to_new(best: Option<&ServerRegistration>, own: &ServerId) -> RoutingResult {
    match best {
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
