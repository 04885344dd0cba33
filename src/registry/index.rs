//! The few ways in which records come, change and go, with every index kept in step.
//!
//! Rules are not here: the operations decide, then call these. Each notes the changed keys in the
//! [`Effects`], so an operation cannot forget the disk.

use std::sync::Arc;

use super::{
    Change, Registry,
    effects::Effects,
    records::{Due, LockRecord, Room, RoomNumber, Server, Standing},
};
use crate::model::{RoomId, RoomState, RoomType, ServerId};

/// An orphan that nobody took is parked after this time, in milliseconds.
const ORPHAN_MS: u64 = 30_000;
/// An offline server is forgotten after this time, in milliseconds.
const OFFLINE_MS: u64 = 60 * 60 * 1000;

impl Registry {
    /// The number of a room.
    pub(super) fn room_number(&self, room_id: &RoomId) -> Option<RoomNumber> {
        self.room_record(room_id).map(|room| room.number)
    }

    /// A room by its id; where the registry named it its number is read from the name, which spares a look into `named`.
    pub(super) fn room_record(&self, room_id: &RoomId) -> Option<&Arc<Room>> {
        let numbered = number_in_name(room_id).and_then(|number| self.rooms.get(&number));
        let named = || self.named.get(room_id).and_then(|number| self.rooms.get(number));
        numbered.filter(|room| room.is(room_id)).or_else(named)
    }

    pub(super) fn insert_room(&mut self, effects: &mut Effects, room: Room) {
        let room_id = &room.registration.room_id;
        if number_in_name(room_id) != Some(room.number) {
            self.named.insert(room_id.clone(), room.number);
        }
        effects.change(Change::Room(room_id.clone()));
        self.types.entry(room.registration.room_type.clone()).or_default().all.insert(room.number);
        self.enter(&room);
        self.rooms.insert(room.number, Arc::new(room));
    }

    /// Takes a room out of the registry; its seats must be gone.
    pub(super) fn remove_room(&mut self, effects: &mut Effects, number: RoomNumber) -> Option<Arc<Room>> {
        let room = self.rooms.remove(&number)?;
        debug_assert!(room.seats.is_empty(), "seats go before their room");
        self.leave(&room);
        let registration = &room.registration;
        self.named.remove(&registration.room_id);
        if let Some(of_type) = self.types.get_mut(&registration.room_type) {
            of_type.all.remove(&number);
            if of_type.all.is_empty() {
                self.types.remove(&registration.room_type);
            }
        }
        effects.change(Change::Room(registration.room_id.clone()));
        Some(room)
    }

    /// Changes anything of a room but its number, id, type and seats.
    pub(super) fn change_room(&mut self, effects: &mut Effects, number: RoomNumber, change: impl FnOnce(&mut Room)) {
        let Some(mut room) = self.rooms.remove(&number) else { return };
        self.leave(&room);
        change(Arc::make_mut(&mut room));
        self.enter(&room);
        effects.change(Change::Room(room.registration.room_id.clone()));
        self.rooms.insert(number, room);
    }

    /// Adds a server that owns no room yet, or replaces one that owns none any more.
    pub(super) fn put_server(&mut self, effects: &mut Effects, server: Server) {
        let server_id = server.registration.server_id.clone();
        self.remove_server(effects, &server_id);
        if let Some(deadline_ms) = server_deadline(&server) {
            self.deadlines.insert((deadline_ms, Due::Server(server_id.clone())));
        }
        self.servers.insert(server_id, Arc::new(server));
    }

    /// Takes out a server that owns no room any more.
    pub(super) fn remove_server(&mut self, effects: &mut Effects, server_id: &ServerId) {
        effects.change(Change::Server(server_id.clone()));
        let Some(server) = self.servers.remove(server_id) else { return };
        debug_assert!(server.rooms.is_empty(), "rooms are orphaned or disposed of before their server goes");
        debug_assert!(server.offered.is_empty(), "offers are withdrawn before their target goes");
        if let Some(deadline_ms) = server_deadline(&server) {
            self.deadlines.remove(&(deadline_ms, Due::Server(server_id.clone())));
        }
    }

    /// Changes anything of a server but its id, its counts and its rooms.
    pub(super) fn change_server(
        &mut self,
        effects: &mut Effects,
        server_id: &ServerId,
        change: impl FnOnce(&mut Server),
    ) {
        let Some(server) = self.servers.get_mut(server_id) else { return };
        let server = Arc::make_mut(server);
        let (was_online, old_deadline) = (server.is_online(), server_deadline(server));
        change(server);
        let (is_online, new_deadline) = (server.is_online(), server_deadline(server));
        let rooms = server.rooms.clone();
        if let Some(deadline_ms) = old_deadline {
            self.deadlines.remove(&(deadline_ms, Due::Server(server_id.clone())));
        }
        if let Some(deadline_ms) = new_deadline {
            self.deadlines.insert((deadline_ms, Due::Server(server_id.clone())));
        }
        if was_online != is_online {
            for number in &rooms {
                let Some(room) = self.rooms.get(number) else { continue };
                let (before, after) = (room.standing(was_online), room.standing(is_online));
                let room_type = room.registration.room_type.clone();
                self.delist(*number, &room_type, Some(server_id), before);
                self.list(*number, &room_type, Some(server_id), after);
            }
        }
        effects.change(Change::Server(server_id.clone()));
    }

    /// Sets a lock, or removes it.
    pub(super) fn swap_lock(&mut self, effects: &mut Effects, key: &str, lock: Option<LockRecord>) {
        let (name, old) = match self.locks.remove_with_key(key) {
            Some((name, old)) => (name, Some(old)),
            None => (Arc::from(key), None),
        };
        if let Some(old) = old {
            self.deadlines.remove(&(old.deadline_ms, Due::Lock(Arc::clone(&name))));
        }
        if let Some(lock) = lock {
            self.locks.insert(Arc::clone(&name), lock);
            self.deadlines.insert((lock.deadline_ms, Due::Lock(Arc::clone(&name))));
        }
        effects.change(Change::Lock(name));
    }

    /// Enters a room in the indexes that depend on its owner and state.
    fn enter(&mut self, room: &Room) {
        let registration = &room.registration;
        let mut owner_online = false;
        if let Some(owner) = registration.server_id.as_ref().and_then(|owner| self.servers.get_mut(owner)) {
            let owner = Arc::make_mut(owner);
            owner.rooms.insert(room.number);
            owner.registration.room_count += 1;
            owner.registration.seat_count += registration.seat_count;
            owner.registration.player_count += registration.player_count;
            owner_online = owner.is_online();
        }
        if let Some(target) = room.offer().and_then(|offer| self.servers.get_mut(&offer.to)) {
            Arc::make_mut(target).offered.insert(room.number);
        }
        let standing = room.standing(owner_online);
        self.list(room.number, &registration.room_type, registration.server_id.as_ref(), standing);
        if let Some(deadline_ms) = room_deadline(room) {
            self.deadlines.insert((deadline_ms, Due::Room(room.number)));
        }
    }

    /// Takes back what [`enter`](Self::enter) did.
    fn leave(&mut self, room: &Room) {
        let registration = &room.registration;
        let mut owner_online = false;
        if let Some(owner) = registration.server_id.as_ref().and_then(|owner| self.servers.get_mut(owner)) {
            let owner = Arc::make_mut(owner);
            owner.rooms.remove(&room.number);
            owner.registration.room_count -= 1;
            owner.registration.seat_count -= registration.seat_count;
            owner.registration.player_count -= registration.player_count;
            owner_online = owner.is_online();
        }
        if let Some(target) = room.offer().and_then(|offer| self.servers.get_mut(&offer.to)) {
            Arc::make_mut(target).offered.remove(&room.number);
        }
        let standing = room.standing(owner_online);
        self.delist(room.number, &registration.room_type, registration.server_id.as_ref(), standing);
        if let Some(deadline_ms) = room_deadline(room) {
            self.deadlines.remove(&(deadline_ms, Due::Room(room.number)));
        }
    }

    pub(super) fn list(
        &mut self,
        number: RoomNumber,
        room_type: &RoomType,
        owner: Option<&ServerId>,
        standing: Standing,
    ) {
        let Some(of_type) = self.types.get_mut(room_type) else { return };
        match standing {
            Standing::Closed => {}
            Standing::Orphaned(since) => {
                of_type.orphaned.insert((since, number));
            }
            Standing::Lost(since) => {
                of_type.lost.insert((since, number));
            }
            Standing::Parked(since) => {
                of_type.parked.insert((since, number));
            }
            Standing::Open => {
                of_type.open.insert(number);
                if let Some(owner) = owner.and_then(|owner| self.servers.get_mut(owner)) {
                    Arc::make_mut(owner).open.entry(room_type.clone()).or_default().insert(number);
                }
            }
        }
    }

    pub(super) fn delist(
        &mut self,
        number: RoomNumber,
        room_type: &RoomType,
        owner: Option<&ServerId>,
        standing: Standing,
    ) {
        let Some(of_type) = self.types.get_mut(room_type) else { return };
        match standing {
            Standing::Closed => {}
            Standing::Orphaned(since) => {
                of_type.orphaned.remove(&(since, number));
            }
            Standing::Lost(since) => {
                of_type.lost.remove(&(since, number));
            }
            Standing::Parked(since) => {
                of_type.parked.remove(&(since, number));
            }
            Standing::Open => {
                of_type.open.remove(&number);
                if let Some(owner) = owner.and_then(|owner| self.servers.get_mut(owner)) {
                    let owner = Arc::make_mut(owner);
                    if let Some(open) = owner.open.get_mut(room_type) {
                        open.remove(&number);
                        if open.is_empty() {
                            owner.open.remove(room_type);
                        }
                    }
                }
            }
        }
    }
}

impl Room {
    fn is(&self, room_id: &RoomId) -> bool {
        self.registration.room_id == *room_id
    }
}

/// The number that a name of the registry's own making ends in.
fn number_in_name(room_id: &RoomId) -> Option<RoomNumber> {
    let (_, digits) = room_id.as_str().rsplit_once('-')?;
    u64::from_str_radix(digits, 36).ok()
}

fn server_deadline(server: &Server) -> Option<u64> {
    (server.offline_at > 0).then(|| server.offline_at.saturating_add(OFFLINE_MS))
}

fn room_deadline(room: &Room) -> Option<u64> {
    match room.registration.state {
        RoomState::Creating | RoomState::Live => room.offer().map(|offer| offer.deadline_ms),
        RoomState::Orphaned => Some(room.ownerless_since.saturating_add(ORPHAN_MS)),
        RoomState::Parked => {
            let ttl_ms = room.snapshot.as_ref().map_or(0, |snapshot| snapshot.ttl_ms);
            (ttl_ms > 0).then(|| room.ownerless_since.saturating_add(ttl_ms))
        }
    }
}
