//! Seats are reserved, confirmed and freed. The rows are the only count of players.

use super::{
    Registry, Rejection, Reply,
    effects::{Effects, Outcome, Refusal},
    limits,
    placement::Wish,
    records::{Room, RoomNumber},
};
use crate::model::{
    Epoch, EventKind, EventPayload, RoomId, Seat, SeatConfirmation, SeatGrant, SeatId, SeatRelease, SeatRequest,
    SeatState, SeatTarget, ServerEpoch,
};

impl Registry {
    pub(super) fn reserve_seat(&mut self, effects: &mut Effects, request: &SeatRequest) -> Outcome {
        limits::hold(request.hold_ms)?;
        self.present_server(&request.caller)?;
        if let Some(number) = self.seat_rooms.get(&request.seat_id) {
            return self.reserve_again(effects, *number, request);
        }
        match &request.target {
            SeatTarget::Room(room_id) => self.reserve_in_room(effects, request, room_id),
            SeatTarget::Type { room_type, metadata, candidates, options } => {
                let wish = Wish { room_type, metadata, options };
                self.reserve_by_type(effects, request, wish, candidates)
            }
            SeatTarget::Nearest { room_type, metadata, tiers, options } => {
                let wish = Wish { room_type, metadata, options };
                self.reserve_nearest(effects, request, wish, tiers)
            }
        }
    }

    fn reserve_again(&mut self, effects: &mut Effects, number: RoomNumber, request: &SeatRequest) -> Outcome {
        let grant = self.seat_grant(number, request.seat_id, false);
        let Some(SeatGrant { seat, room, .. }) = grant.filter(|grant| grant.seat.player_id == request.player_id) else {
            return Err(Rejection::Invalid("the seat id is another player's: choose a random one".to_owned()).into());
        };
        let moved = room.server_id.as_ref() != Some(&request.caller.server_id);
        if moved && seat.state == SeatState::Away && seat.token == Some(request.token) {
            // The room moved before it let the player in: the seat is the player's to take up there.
            if let Some(room) = self.rooms.get(&number) {
                announce_player(effects, room, &seat, EventKind::PlayerLeft);
            }
            let deadline_ms = effects.now_ms.saturating_add(request.hold_ms);
            self.put_seat(effects, number, Seat { token: None, state: SeatState::Held, deadline_ms, ..seat });
        }
        self.granted(number, request.seat_id, false)
    }

    fn reserve_in_room(&mut self, effects: &mut Effects, request: &SeatRequest, room_id: &RoomId) -> Outcome {
        let Some(room) = self.room_record(room_id) else {
            return Err(Rejection::RoomUnknown(room_id.clone()).into());
        };
        let number = room.number;
        match room.refusal() {
            None => self.take_seat(effects, number, request, false),
            Some(Rejection::RoomFull(_) | Rejection::RoomLocked(_)) if self.adopt_in(effects, request, number) => {
                self.granted(number, request.seat_id, false)
            }
            Some(rejection) => Err(rejection.into()),
        }
    }

    /// Takes a seat in a room that has one free.
    pub(super) fn take_seat(
        &mut self,
        effects: &mut Effects,
        number: RoomNumber,
        request: &SeatRequest,
        created: bool,
    ) -> Outcome {
        let owner = self.rooms.get(&number).and_then(|room| room.registration.server_id.as_ref());
        let local = owner == Some(&request.caller.server_id);
        let seat = Seat {
            seat_id: request.seat_id,
            player_id: request.player_id.clone(),
            token: local.then_some(request.token),
            state: if local { SeatState::Joined } else { SeatState::Held },
            deadline_ms: if local { 0 } else { effects.now_ms.saturating_add(request.hold_ms) },
            origin: request.origin,
        };
        self.put_seat(effects, number, seat.clone());
        let room = self.rooms.get(&number).ok_or(Refusal::Fenced(Epoch(0)))?;
        if local {
            announce_player(effects, room, &seat, EventKind::PlayerJoined);
        }
        Ok(Reply::Seat(Box::new(SeatGrant { seat, room: room.registration.clone(), created })))
    }

    /// Where the request's origin has a held seat in this room of the caller's own, the requester takes it up.
    pub(super) fn adopt_in(&mut self, effects: &mut Effects, request: &SeatRequest, number: RoomNumber) -> bool {
        let owner = self.rooms.get(&number).and_then(|room| room.registration.server_id.as_ref());
        if owner != Some(&request.caller.server_id) || request.origin == 0 {
            return false;
        }
        let first = (request.origin, number, SeatId(0));
        let last = (request.origin, number, SeatId(u128::MAX));
        let held = self.held_by_origin.range(first..=last).next().copied();
        let Some((_, _, held_id)) = held else { return false };
        self.remove_seat(effects, number, held_id);
        self.take_seat(effects, number, request, false).is_ok()
    }

    pub(super) fn confirm_seat(&mut self, effects: &mut Effects, confirmation: &SeatConfirmation) -> Outcome {
        let number = self.owned_room(&confirmation.room)?;
        let room_id = &confirmation.room.room_id;
        let seat = self.rooms.get(&number).and_then(|room| room.seats.get(&confirmation.seat_id));
        let Some(seat) = seat.cloned() else { return Err(Rejection::SeatUnknown(room_id.clone()).into()) };
        let joined =
            Seat { token: Some(confirmation.token), state: SeatState::Joined, deadline_ms: 0, ..Seat::clone(&seat) };
        match seat.state {
            SeatState::Held => {
                self.put_seat(effects, number, joined);
                if let Some(room) = self.rooms.get(&number) {
                    announce_player(effects, room, &seat, EventKind::PlayerJoined);
                }
            }
            _ if seat.token != Some(confirmation.token) => {
                return Err(Rejection::TokenMismatch(room_id.clone()).into());
            }
            SeatState::Away => self.put_seat(effects, number, joined),
            SeatState::Joined => {}
        }
        self.granted(number, confirmation.seat_id, false)
    }

    pub(super) fn release_seats(
        &mut self,
        effects: &mut Effects,
        server: &ServerEpoch,
        releases: &[SeatRelease],
    ) -> Outcome {
        limits::releases(releases.len())?;
        self.present_server(server)?;
        for release in releases {
            self.release_seat(effects, server, release);
        }
        Ok(Reply::Done)
    }

    fn release_seat(&mut self, effects: &mut Effects, server: &ServerEpoch, release: &SeatRelease) {
        let Some(room) = self.room_record(&release.room_id) else { return };
        if room.registration.server_id.as_ref() != Some(&server.server_id) {
            return;
        }
        let number = room.number;
        let Some(seat) = room.seats.get(&release.seat_id).cloned() else { return };
        if release.away_ms == 0 {
            self.free_seat(effects, number, release.seat_id);
        } else if seat.state == SeatState::Joined {
            let deadline_ms = effects.now_ms.saturating_add(release.away_ms);
            self.put_seat(effects, number, Seat { state: SeatState::Away, deadline_ms, ..Seat::clone(&seat) });
        }
    }

    /// A seat falls free; if a player had it, that player has left.
    pub(super) fn free_seat(&mut self, effects: &mut Effects, number: RoomNumber, seat_id: SeatId) {
        let Some(room) = self.rooms.get(&number) else { return };
        let Some(seat) = room.seats.get(&seat_id) else { return };
        if seat.state != SeatState::Held {
            announce_player(effects, room, seat, EventKind::PlayerLeft);
        }
        self.remove_seat(effects, number, seat_id);
    }

    fn granted(&self, number: RoomNumber, seat_id: SeatId, created: bool) -> Outcome {
        let grant = self.seat_grant(number, seat_id, created);
        grant.map(|grant| Reply::Seat(Box::new(grant))).ok_or(Refusal::Fenced(Epoch(0)))
    }

    fn seat_grant(&self, number: RoomNumber, seat_id: SeatId, created: bool) -> Option<SeatGrant> {
        let room = self.rooms.get(&number)?;
        let seat = Seat::clone(room.seats.get(&seat_id)?);
        Some(SeatGrant { seat, room: room.registration.clone(), created })
    }
}

fn announce_player(effects: &mut Effects, room: &Room, seat: &Seat, kind: EventKind) {
    let registration = &room.registration;
    let payload = EventPayload::Player(seat.player_id.clone());
    effects.room_event(kind, registration.server_id.as_ref(), &registration.room_id, payload);
}
