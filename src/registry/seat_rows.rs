//! Seat rows come, change and go; every count and index that follows from them is kept here.

use std::sync::Arc;

use super::{
    Change, Registry,
    effects::Effects,
    records::{Due, RoomNumber},
};
use crate::model::{Seat, SeatId, SeatState};

impl Registry {
    /// Adds a seat, or replaces the one with its id.
    pub(super) fn put_seat(&mut self, effects: &mut Effects, number: RoomNumber, seat: Seat) {
        let seat_id = seat.seat_id;
        let seat = Arc::new(seat);
        self.swap_seat(effects, number, seat_id, Some(&seat));
    }

    pub(super) fn remove_seat(
        &mut self,
        effects: &mut Effects,
        number: RoomNumber,
        seat_id: SeatId,
    ) -> Option<Arc<Seat>> {
        self.swap_seat(effects, number, seat_id, None)
    }

    fn swap_seat(
        &mut self,
        effects: &mut Effects,
        number: RoomNumber,
        seat_id: SeatId,
        seat: Option<&Arc<Seat>>,
    ) -> Option<Arc<Seat>> {
        let room = Arc::make_mut(self.rooms.get_mut(&number)?);
        let before = room.standing(true);
        let old = match seat {
            Some(seat) => room.seats.insert(seat_id, Arc::clone(seat)),
            None => room.seats.remove(&seat_id),
        };
        let counts = Counts::of(seat) - Counts::of(old.as_ref());
        counts.add_to(&mut room.registration.seat_count, &mut room.registration.player_count);
        let after = room.standing(true);
        effects.change(Change::Seat(room.registration.room_id.clone(), seat_id));
        let flipped = (before != after).then(|| room.registration.room_type.clone());
        let mut owner_online = false;
        if let Some(owner) = room.registration.server_id.as_ref().and_then(|owner| self.servers.get_mut(owner)) {
            let owner = Arc::make_mut(owner);
            counts.add_to(&mut owner.registration.seat_count, &mut owner.registration.player_count);
            owner_online = owner.is_online();
        }
        self.players = self.players.saturating_add_signed(counts.players.into());
        if let Some(room_type) = flipped.filter(|_| owner_online) {
            let owner = self.rooms.get(&number).and_then(|room| room.registration.server_id.clone());
            self.delist(number, &room_type, owner.as_ref(), before);
            self.list(number, &room_type, owner.as_ref(), after);
        }
        self.index_seat(number, seat_id, old.as_deref(), seat.map(|seat| &**seat));
        old
    }

    fn index_seat(&mut self, number: RoomNumber, seat_id: SeatId, old: Option<&Seat>, new: Option<&Seat>) {
        if let Some(deadline_ms) = old.and_then(seat_deadline) {
            self.deadlines.remove(&(deadline_ms, Due::Seat(number, seat_id)));
        }
        if let Some(origin) = old.and_then(held_origin) {
            self.held_by_origin.remove(&(origin, number, seat_id));
        }
        if let Some(deadline_ms) = new.and_then(seat_deadline) {
            self.deadlines.insert((deadline_ms, Due::Seat(number, seat_id)));
        }
        if let Some(origin) = new.and_then(held_origin) {
            self.held_by_origin.insert((origin, number, seat_id));
        }
        match (old, new) {
            (None, Some(_)) => {
                self.seat_rooms.insert(seat_id, number);
            }
            (Some(_), None) => {
                self.seat_rooms.remove(&seat_id);
            }
            _ => {}
        }
    }
}

fn seat_deadline(seat: &Seat) -> Option<u64> {
    (seat.state != SeatState::Joined).then_some(seat.deadline_ms)
}

fn held_origin(seat: &Seat) -> Option<u64> {
    (seat.state == SeatState::Held && seat.origin != 0).then_some(seat.origin)
}

/// What one seat adds to the counts.
#[derive(Debug, Clone, Copy)]
struct Counts {
    seats: i32,
    players: i32,
}

impl Counts {
    fn of(seat: Option<&Arc<Seat>>) -> Self {
        let player = |seat: &Arc<Seat>| i32::from(seat.state != SeatState::Held);
        Self { seats: i32::from(seat.is_some()), players: seat.map_or(0, player) }
    }

    fn add_to(self, seats: &mut u32, players: &mut u32) {
        *seats = seats.saturating_add_signed(self.seats);
        *players = players.saturating_add_signed(self.players);
    }
}

impl std::ops::Sub for Counts {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { seats: self.seats - other.seats, players: self.players - other.players }
    }
}
