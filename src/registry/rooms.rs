//! Rooms are registered, changed and disposed of by their owners.

use std::sync::Arc;

use imbl::OrdMap;
use serde_json::json;

use super::{
    Registry, Rejection, Reply,
    effects::{Effects, Outcome, Refusal},
    limits,
    records::{Room, RoomNumber, Server},
};
use crate::model::{
    Epoch, EventKind, EventPayload, NewRoom, RoomEpoch, RoomId, RoomRegistration, RoomState, RoomType, RoomUpdate,
    ServerEpoch,
};

/// The longest part of a room type in a room's name: with a dash and 13 digits it fits an id.
const TYPE_IN_NAME_BYTES_MAX: usize = 100;

impl Registry {
    pub(super) fn register_room(&mut self, effects: &mut Effects, server: &ServerEpoch, room: &NewRoom) -> Outcome {
        limits::room(room)?;
        if !matches!(room.state, RoomState::Creating | RoomState::Live) {
            return Err(
                Rejection::Invalid("a new room is creating or live: register it as one of these".to_owned()).into()
            );
        }
        let owner = Arc::clone(self.server_with_room_left(server)?);
        if let Some(room_id) = &room.room_id
            && self.room_number(room_id).is_some()
        {
            return Err(Rejection::RoomExists(room_id.clone()).into());
        }
        let number = self.make_room(effects, &owner, room)?;
        self.room_reply(number)
    }

    pub(super) fn unregister_room(&mut self, effects: &mut Effects, room: &RoomEpoch, reason: &str) -> Outcome {
        if self.room_number(&room.room_id).is_some() {
            let number = self.owned_room(room)?;
            self.dispose_room(effects, number, reason);
        }
        Ok(Reply::Done)
    }

    pub(super) fn update_room(&mut self, effects: &mut Effects, room: &RoomEpoch, update: &RoomUpdate) -> Outcome {
        let number = self.owned_room(room)?;
        self.check_room_update(number, update)?;
        if update.state == Some(RoomState::Parked) {
            self.settle_seats(effects, number, 0);
        }
        let Some(before) = self.rooms.get(&number).map(|room| room.registration.clone()) else {
            return Err(Rejection::RoomUnknown(room.room_id.clone()).into());
        };
        let now_ms = effects.now_ms;
        self.change_room(effects, number, |room| change_registration(room, update, now_ms));
        announce_update(effects, &before, update);
        Ok(Reply::Done)
    }

    fn check_room_update(&self, number: RoomNumber, update: &RoomUpdate) -> Result<(), Rejection> {
        let Some(room) = self.rooms.get(&number) else { return Ok(()) };
        if let Some(metadata) = &update.metadata {
            limits::metadata("the room's metadata", metadata)?;
        }
        if let Some(max_players) = update.max_players {
            limits::max_players(max_players)?;
            let taken = room.registration.seat_count;
            if max_players < taken {
                let problem = format!("max_players is {max_players}, but {taken} seats are taken: free seats first");
                return Err(Rejection::Invalid(problem));
            }
        }
        match update.state {
            None | Some(RoomState::Live) => Ok(()),
            Some(RoomState::Parked) if room.snapshot.is_some() => Ok(()),
            Some(RoomState::Parked) => Err(Rejection::SnapshotMissing(room.registration.room_id.clone())),
            Some(RoomState::Creating | RoomState::Orphaned) => {
                Err(Rejection::Invalid("an owner makes its room live or parked, nothing else".to_owned()))
            }
        }
    }

    /// Makes a room on a server that was found fit for it.
    pub(super) fn make_room(
        &mut self,
        effects: &mut Effects,
        owner: &Arc<Server>,
        room: &NewRoom,
    ) -> Result<RoomNumber, Rejection> {
        let number = effects.index;
        let room_id = match &room.room_id {
            Some(room_id) => room_id.clone(),
            None => self.room_name(&room.room_type, number)?,
        };
        let lived = room.state == RoomState::Live;
        let registration = RoomRegistration {
            room_id,
            room_type: room.room_type.clone(),
            server_id: Some(owner.registration.server_id.clone()),
            server_address: owner.registration.player_address(),
            player_count: 0,
            max_players: room.max_players,
            is_locked: false,
            metadata: room.metadata.clone(),
            created_at: effects.now_ms,
            updated_at: effects.now_ms,
            epoch: Epoch(effects.index),
            state: room.state,
            seat_count: 0,
            snapshot_version: None,
            migration: None,
            options: if lived { String::new() } else { room.options.clone() },
        };
        let payload = EventPayload::Json(json!({ "roomType": room.room_type, "state": room.state }));
        let owner_id = Some(&owner.registration.server_id);
        effects.room_event(EventKind::RoomCreated, owner_id, &registration.room_id, payload);
        self.insert_room(
            effects,
            Room {
                number,
                registration,
                grace_ms: room.reconnect_grace_ms,
                ownerless_since: 0,
                last_server: None,
                lived,
                snapshot: None,
                seats: OrdMap::new(),
            },
        );
        Ok(number)
    }

    /// A name that no other room has, nor can get: it ends in the command's index. Only a room whose
    /// server chose such a name by itself can be in the way; then a digit more is tried.
    fn room_name(&self, room_type: &RoomType, number: RoomNumber) -> Result<RoomId, Rejection> {
        let mut end = room_type.as_str().len().min(TYPE_IN_NAME_BYTES_MAX);
        while !room_type.as_str().is_char_boundary(end) {
            end -= 1;
        }
        let mut name = format!("{}-{}", &room_type.as_str()[..end], base36(number));
        loop {
            let room_id = RoomId::new(&name).map_err(|error| Rejection::Invalid(error.to_string()))?;
            if self.room_number(&room_id).is_none() {
                return Ok(room_id);
            }
            name.push('_');
        }
    }

    /// Removes a room with its seats and its snapshot.
    pub(super) fn dispose_room(&mut self, effects: &mut Effects, number: RoomNumber, reason: &str) {
        let Some(room) = self.rooms.get(&number) else { return };
        for seat_id in room.seats.clone().keys() {
            self.free_seat(effects, number, *seat_id);
        }
        self.drop_snapshot_bytes(effects, number);
        let Some(room) = self.remove_room(effects, number) else { return };
        let owner = room.registration.server_id.as_ref().or(room.last_server.as_ref());
        let payload = EventPayload::Reason(limits::reason(reason));
        effects.room_event(EventKind::RoomDisposed, owner, &room.registration.room_id, payload);
    }

    /// The room under this very ownership.
    pub(super) fn owned_room(&self, room: &RoomEpoch) -> Result<RoomNumber, Refusal> {
        let Some(record) = self.room_record(&room.room_id) else {
            return Err(Rejection::RoomUnknown(room.room_id.clone()).into());
        };
        let registration = &record.registration;
        match registration.server_id {
            None => Err(Refusal::Fenced(Epoch(0))),
            Some(_) if registration.epoch != room.epoch => Err(Refusal::Fenced(registration.epoch)),
            Some(_) => Ok(record.number),
        }
    }

    pub(super) fn room_reply(&self, number: RoomNumber) -> Outcome {
        let room = self.rooms.get(&number).ok_or(Refusal::Fenced(Epoch(0)))?;
        Ok(Reply::Room(Box::new(room.registration.clone())))
    }
}

fn change_registration(room: &mut Room, update: &RoomUpdate, now_ms: u64) {
    let registration = &mut room.registration;
    registration.is_locked = update.is_locked.unwrap_or(registration.is_locked);
    registration.max_players = update.max_players.unwrap_or(registration.max_players);
    registration.updated_at = now_ms;
    if let Some(metadata) = &update.metadata {
        registration.metadata = metadata.clone();
    }
    match update.state {
        Some(RoomState::Live) => {
            registration.state = RoomState::Live;
            registration.options = String::new();
            registration.migration = None;
            room.lived = true;
        }
        Some(RoomState::Parked) => room.leave_owner(RoomState::Parked, now_ms),
        _ => {}
    }
}

fn announce_update(effects: &mut Effects, before: &RoomRegistration, update: &RoomUpdate) {
    let (owner, room_id) = (before.server_id.as_ref(), &before.room_id);
    let lock_changed = update.is_locked.filter(|locked| *locked != before.is_locked);
    if let Some(locked) = lock_changed {
        let kind = if locked { EventKind::RoomLocked } else { EventKind::RoomUnlocked };
        effects.room_event(kind, owner, room_id, EventPayload::None);
    }
    if update.metadata.is_some() || update.max_players.is_some() || update.state.is_some() {
        effects.room_event(EventKind::RoomUpdated, owner, room_id, EventPayload::None);
    }
}

/// A number in base 36, as in the names of rooms.
pub(super) fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut reversed = Vec::new();
    loop {
        reversed.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
        if number == 0 {
            return reversed.into_iter().rev().collect();
        }
    }
}
