//! Which room a player gets who asks for a type: an open one, or a new one on the best server that has room.
//!
//! The order is: the oldest open room of the caller's own server; a held seat that the player lost
//! on the way here; the oldest open room anywhere; a new room. All in the one command that also
//! takes the seat, so that two joins at once cannot both find the last seat, nor both make a room.

use std::sync::Arc;

use imbl::OrdSet;

use super::{
    Registry, Rejection,
    effects::{Effects, Outcome},
    limits,
    records::{Room, RoomNumber, Server},
};
use crate::model::{Metadata, NewRoom, RoomState, RoomType, SeatId, SeatRequest, SeatTarget, ServerId};

impl Registry {
    pub(super) fn reserve_by_type(&mut self, effects: &mut Effects, request: &SeatRequest) -> Outcome {
        let SeatTarget::Type { room_type, metadata, candidates, options } = &request.target else {
            return Err(Rejection::Invalid("the target is not a type".to_owned()).into());
        };
        limits::candidates(candidates.len())?;
        limits::metadata("the wanted metadata", metadata)?;
        limits::options(options)?;
        if let Some(number) = self.open_room_of(&request.caller.server_id, room_type, metadata) {
            return self.take_seat(effects, number, request, false);
        }
        if let Some(number) = self.held_room_of(request, room_type)
            && self.adopt_in(effects, request, number)
        {
            return self.reserve_seat(effects, request);
        }
        if let Some(number) = self.open_room(room_type, metadata) {
            return self.take_seat(effects, number, request, false);
        }
        let Some(server) = self.first_fit(room_type, candidates) else {
            return Err(Rejection::NoCapacity(room_type.clone()).into());
        };
        let server = Arc::clone(server);
        let number = self.make_room(effects, &server, &new_room(&server, room_type, metadata, options))?;
        self.take_seat(effects, number, request, true)
    }

    /// The oldest open room of a type with these attributes.
    pub(super) fn open_room(&self, room_type: &RoomType, wanted: &Metadata) -> Option<RoomNumber> {
        self.oldest_with(&self.types.get(room_type)?.open, wanted)
    }

    fn open_room_of(&self, server_id: &ServerId, room_type: &RoomType, wanted: &Metadata) -> Option<RoomNumber> {
        self.oldest_with(self.servers.get(server_id)?.open.get(room_type)?, wanted)
    }

    fn oldest_with(&self, open: &OrdSet<RoomNumber>, wanted: &Metadata) -> Option<RoomNumber> {
        if wanted.is_empty() {
            return open.get_min().copied();
        }
        let fits = |number: &&RoomNumber| {
            self.rooms.get(*number).is_some_and(|room| room.registration.metadata.contains_all(wanted))
        };
        open.iter().find(fits).copied()
    }

    /// A room of the type on the caller's server in which the request's origin has a held seat.
    fn held_room_of(&self, request: &SeatRequest, room_type: &RoomType) -> Option<RoomNumber> {
        if request.origin == 0 {
            return None;
        }
        let first = (request.origin, 0, SeatId(0));
        let last = (request.origin, u64::MAX, SeatId(u128::MAX));
        let fits = |number: &RoomNumber| {
            self.rooms.get(number).is_some_and(|room| {
                let registration = &room.registration;
                registration.room_type == *room_type
                    && registration.server_id.as_ref() == Some(&request.caller.server_id)
            })
        };
        self.held_by_origin.range(first..=last).map(|(_, number, _)| *number).find(fits)
    }

    fn first_fit(&self, room_type: &RoomType, candidates: &[ServerId]) -> Option<&Arc<Server>> {
        let fits = |server: &&Arc<Server>| {
            server.is_online() && server.has_room_left() && server.registration.room_types.contains_key(room_type)
        };
        candidates.iter().filter_map(|candidate| self.servers.get(candidate)).find(fits)
    }
}

/// A room as its type's server describes it, with the attributes that the request adds.
fn new_room(server: &Server, room_type: &RoomType, wanted: &Metadata, options: &str) -> NewRoom {
    let spec = server.registration.room_types.get(room_type);
    let metadata = match spec.map(|spec| &spec.metadata) {
        Some(own) if wanted.is_empty() => own.clone(),
        Some(own) => own.entries().iter().chain(wanted.entries()).map(|(k, v)| (k.clone(), v.clone())).collect(),
        None => wanted.clone(),
    };
    NewRoom {
        room_id: None,
        room_type: room_type.clone(),
        max_players: spec.map_or(1, |spec| spec.max_players),
        reconnect_grace_ms: spec.map_or(0, |spec| spec.reconnect_grace_ms),
        metadata,
        state: RoomState::Creating,
        options: options.to_owned(),
    }
}

impl Room {
    /// Why the room takes no new player now.
    pub(super) fn refusal(&self) -> Option<Rejection> {
        let registration = &self.registration;
        let room_id = || registration.room_id.clone();
        match registration.state {
            RoomState::Orphaned => Some(Rejection::RoomOrphaned(room_id())),
            RoomState::Parked => Some(Rejection::RoomParked(room_id())),
            RoomState::Creating | RoomState::Live if registration.is_locked => Some(Rejection::RoomLocked(room_id())),
            RoomState::Creating | RoomState::Live if !registration.has_space() => Some(Rejection::RoomFull(room_id())),
            RoomState::Creating | RoomState::Live => None,
        }
    }
}
