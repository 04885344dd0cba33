//! What can be read from a registry.

use imbl::OrdSet;

use super::{
    LockRecord, Registry, SnapshotMeta,
    records::{Room, RoomNumber, RoomsOfType},
};
use crate::model::{Metadata, RoomId, RoomQuery, RoomRegistration, RoomType, Seat, ServerId, ServerRegistration};

impl Registry {
    /// Cluster time: the stamp of the newest command, in milliseconds; it never goes back.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The index of the newest command, which is how many were applied; 0 before the first.
    pub fn last_index(&self) -> u64 {
        self.last_index
    }

    /// When the next thing falls due, in milliseconds of cluster time: that is when a `Tick` is to be proposed.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.get_min().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// One server, in whatever status.
    pub fn server(&self, server_id: &ServerId) -> Option<&ServerRegistration> {
        self.servers.get(server_id).map(|server| &server.registration)
    }

    /// Every server, offline ones too, in order of their ids.
    pub fn servers(&self) -> impl Iterator<Item = &ServerRegistration> {
        self.servers.values().map(|server| &server.registration)
    }

    /// One room.
    pub fn room(&self, room_id: &RoomId) -> Option<&RoomRegistration> {
        self.room_record(room_id).map(|room| &room.registration)
    }

    /// The rooms that pass a filter, oldest first. Only rooms of the filter's server or type are looked at, if it names
    /// one.
    pub fn rooms(&self, query: &RoomQuery) -> Vec<RoomRegistration> {
        let passes = |room: &&Room| query.matches(&room.registration);
        let skipped = query.offset.unwrap_or(0);
        let limit = query.limit.unwrap_or(usize::MAX);
        let picked = self.candidates(query).filter(passes).skip(skipped).take(limit);
        picked.map(|room| room.registration.clone()).collect()
    }

    /// The rooms that wait for this server to claim them from another one, oldest first.
    pub fn rooms_offered_to(&self, server_id: &ServerId) -> Vec<RoomRegistration> {
        let offered = self.servers.get(server_id).map(|server| &server.offered);
        offered.into_iter().flat_map(|numbers| self.numbered(numbers)).map(|room| room.registration.clone()).collect()
    }

    /// Whether a room of one of these types waits for an owner, or to be disposed of for the lack of one.
    pub fn has_ownerless(&self, room_types: &[RoomType]) -> bool {
        let waits = |of_type: &RoomsOfType| {
            !(of_type.orphaned.is_empty() && of_type.lost.is_empty() && of_type.parked.is_empty())
        };
        room_types.iter().filter_map(|room_type| self.types.get(room_type)).any(waits)
    }

    fn candidates(&self, query: &RoomQuery) -> Box<dyn Iterator<Item = &Room> + '_> {
        let of_server = query.server_id.as_ref().map(|id| self.servers.get(id).map(|server| &server.rooms));
        let of_type = query.room_type.as_ref().map(|room_type| self.types.get(room_type).map(|of_type| &of_type.all));
        match of_server.or(of_type) {
            Some(numbers) => Box::new(numbers.into_iter().flat_map(|numbers| self.numbered(numbers))),
            None => Box::new(self.rooms.values().map(|room| &**room)),
        }
    }

    fn numbered<'a>(&'a self, numbers: &'a OrdSet<RoomNumber>) -> impl Iterator<Item = &'a Room> {
        numbers.iter().filter_map(|number| self.rooms.get(number).map(|room| &**room))
    }

    /// The oldest open, unlocked room of a type on an online server.
    pub fn find_available_room(&self, room_type: &RoomType) -> Option<&RoomRegistration> {
        let number = self.open_room(room_type, &Metadata::default())?;
        self.rooms.get(&number).map(|room| &room.registration)
    }

    /// The seats of a room in order of their ids; none where there is no such room.
    pub fn seats(&self, room_id: &RoomId) -> Vec<Seat> {
        let Some(room) = self.room_record(room_id) else { return Vec::new() };
        room.seats.values().map(|seat| Seat::clone(seat)).collect()
    }

    /// Who holds a lock, and until when; none where it is free.
    pub fn lock(&self, key: &str) -> Option<LockRecord> {
        self.locks.get(key).copied()
    }

    /// What is known of a room's snapshot.
    pub fn snapshot_meta(&self, room_id: &RoomId) -> Option<&SnapshotMeta> {
        self.room_record(room_id)?.snapshot.as_ref()
    }

    /// How many rooms there are, in whatever state.
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// How many players there are: joined and away.
    pub fn player_count(&self) -> u64 {
        self.players
    }
}
