//! Which room a player gets who asks for a type: an open one, or a new one on the best server that has room.
//!
//! The order is: the oldest open room of the caller's own server; a held seat that the player lost
//! on the way here; the oldest open room anywhere; a new room. Where nearness counts, an open room or
//! a new one in each tier of servers, the nearest first. All in the one command that also takes the
//! seat, so that two joins at once cannot both find the last seat, nor both make a room.

use std::sync::Arc;

use imbl::OrdSet;

use super::{
    Registry, Rejection,
    effects::{Effects, Outcome},
    limits,
    records::{Room, RoomNumber, Server},
};
use crate::model::{Metadata, NewRoom, RoomState, RoomType, SeatId, SeatRequest, ServerId};

/// The kind of room that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) room_type: &'a RoomType,
    pub(super) metadata: &'a Metadata,
    pub(super) options: &'a str,
}

impl Wish<'_> {
    fn check(self, candidates: usize) -> Result<(), Rejection> {
        limits::candidates(candidates)?;
        limits::metadata("the wanted metadata", self.metadata)?;
        limits::options(self.options)
    }
}

impl Registry {
    pub(super) fn reserve_by_type(
        &mut self,
        effects: &mut Effects,
        request: &SeatRequest,
        wish: Wish<'_>,
        candidates: &[ServerId],
    ) -> Outcome {
        wish.check(candidates.len())?;
        let Wish { room_type, metadata, .. } = wish;
        if let Some(number) = self.open_room_of(&request.caller.server_id, room_type, metadata) {
            return self.take_seat(effects, number, request, false);
        }
        if self.adopt(effects, request, room_type) {
            return self.reserve_seat(effects, request);
        }
        if let Some(number) = self.open_room(room_type, metadata) {
            return self.take_seat(effects, number, request, false);
        }
        self.reserve_in_new(effects, request, wish, candidates)
            .unwrap_or_else(|| Err(Rejection::NoCapacity(room_type.clone()).into()))
    }

    /// Tier by tier; a held seat of the player's comes before all.
    pub(super) fn reserve_nearest(
        &mut self,
        effects: &mut Effects,
        request: &SeatRequest,
        wish: Wish<'_>,
        tiers: &[Vec<ServerId>],
    ) -> Outcome {
        wish.check(tiers.iter().map(Vec::len).sum())?;
        let Wish { room_type, metadata, .. } = wish;
        if self.adopt(effects, request, room_type) {
            return self.reserve_seat(effects, request);
        }
        let caller = &request.caller.server_id;
        for tier in tiers {
            let own = tier.contains(caller).then(|| self.open_room_of(caller, room_type, metadata)).flatten();
            let open = |server_id| self.open_room_of(server_id, room_type, metadata);
            if let Some(number) = own.or_else(|| tier.iter().filter_map(open).min()) {
                return self.take_seat(effects, number, request, false);
            }
            if let Some(outcome) = self.reserve_in_new(effects, request, wish, tier) {
                return outcome;
            }
        }
        match self.open_room(room_type, metadata) {
            Some(number) => self.take_seat(effects, number, request, false),
            None => Err(Rejection::NoCapacity(room_type.clone()).into()),
        }
    }

    /// A seat in a new room on the first server that can take one; none where none can.
    fn reserve_in_new(
        &mut self,
        effects: &mut Effects,
        request: &SeatRequest,
        wish: Wish<'_>,
        candidates: &[ServerId],
    ) -> Option<Outcome> {
        let server = Arc::clone(self.first_fit(wish.room_type, candidates)?);
        let number = self.make_room(effects, &server, &new_room(&server, wish));
        Some(number.map_err(Into::into).and_then(|number| self.take_seat(effects, number, request, true)))
    }

    /// Where the request's origin has a held seat of this type on the caller's server, the requester takes it up.
    fn adopt(&mut self, effects: &mut Effects, request: &SeatRequest, room_type: &RoomType) -> bool {
        self.held_room_of(request, room_type).is_some_and(|number| self.adopt_in(effects, request, number))
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
fn new_room(server: &Server, wish: Wish<'_>) -> NewRoom {
    let Wish { room_type, metadata: wanted, options } = wish;
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
