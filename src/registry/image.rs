//! A registry as records of bytes, and back.
//!
//! The form in which a registry lies in a store and travels in a snapshot: one record per server,
//! room, seat, lock and proposer, and a header. Derived counts and indexes are left out and made
//! anew by [`Registry::restore`]. Every value is encoded by [`codec`](crate::codec); golden-bytes
//! tests hold the format.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Change, LockRecord, ProposerId, Registry, SnapshotMeta,
    effects::Effects,
    proposers::Proposer,
    records::{Room, RoomNumber, Server},
};
use crate::{
    codec::{self, CodecError},
    model::{RoomId, RoomRegistration, Seat, SeatId, ServerId, ServerRegistration},
};

/// What a record describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecordKind {
    /// Cluster time and the newest command's index; one record, with an empty key.
    Header,
    /// A server, by its id.
    Server,
    /// A room with what is known of its snapshot, by its id.
    Room,
    /// A seat, by the room's id, a zero byte, and the seat's id in 16 bytes.
    Seat,
    /// A lock, by its key.
    Lock,
    /// The outcomes kept of a proposer, by node and incarnation, 8 bytes each.
    Proposer,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Record {
    /// What it describes.
    pub kind: RecordKind,
    /// Its unique key within the kind.
    pub key: Vec<u8>,
    /// Its content.
    pub value: Vec<u8>,
}

/// Records that do not make a registry.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// There is no header.
    #[error("the image has no header: it is not whole")]
    HeaderMissing,
    /// A value that cannot be read.
    #[error("a {kind:?} record cannot be read: {source}")]
    Malformed {
        /// Of what kind.
        kind: RecordKind,
        /// Why.
        source: CodecError,
    },
    /// A key that is not one of its kind, or not that of its value.
    #[error("the key of a {0:?} record does not fit its value")]
    Key(RecordKind),
    /// Two records of one key.
    #[error("two {0:?} records describe the same thing")]
    Twice(RecordKind),
    /// A record that needs another which is not there.
    #[error("a {kind:?} record belongs to {missing}, which the image does not have")]
    Dangling {
        /// Of what kind.
        kind: RecordKind,
        /// What it needs.
        missing: String,
    },
}

#[derive(Serialize, Deserialize)]
struct HeaderImage {
    now_ms: u64,
    last_index: u64,
}

#[derive(Serialize, Deserialize)]
struct ServerImage {
    registration: ServerRegistration,
    offline_at: u64,
}

#[derive(Serialize, Deserialize)]
struct RoomImage {
    number: RoomNumber,
    registration: RoomRegistration,
    grace_ms: u64,
    ownerless_since: u64,
    last_server: Option<ServerId>,
    lived: bool,
    snapshot: Option<SnapshotMeta>,
}

impl Registry {
    /// Every record, the header first, in an order that depends on the state alone.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let servers = self.servers.values().map(|server| server_record(server));
        let rooms = self.rooms.values().map(|room| room_record(room));
        let seats = self
            .rooms
            .values()
            .flat_map(|room| room.seats.values().map(|seat| seat_record(&room.registration.room_id, seat)));
        let locks = self.locks.iter().map(|(key, lock)| lock_record(key, lock));
        let proposers = self.proposers.iter().map(|(node, proposer)| proposer_record(*node, proposer));
        std::iter::once(self.header()).chain(servers).chain(rooms).chain(seats).chain(locks).chain(proposers)
    }

    /// The header: it changes with every command.
    pub fn header(&self) -> Record {
        let header = HeaderImage { now_ms: self.now_ms, last_index: self.last_index };
        Record { kind: RecordKind::Header, key: Vec::new(), value: encode(&header) }
    }

    /// What a change means for a store: kind and key of the record, and its present value; no value where it is to be
    /// deleted. `None` for the bytes of snapshots, which are no records.
    pub fn record(&self, change: &Change) -> Option<(RecordKind, Vec<u8>, Option<Vec<u8>>)> {
        let (kind, key, present) = match change {
            Change::Server(id) => {
                let record = self.servers.get(id).map(|server| server_record(server));
                (RecordKind::Server, id.as_str().as_bytes().to_vec(), record)
            }
            Change::Room(id) => {
                let record = self.room_record(id).map(|room| room_record(room));
                (RecordKind::Room, id.as_str().as_bytes().to_vec(), record)
            }
            Change::Seat(room_id, seat_id) => {
                let seat = self.room_record(room_id).and_then(|room| room.seats.get(seat_id));
                (RecordKind::Seat, seat_key(room_id, *seat_id), seat.map(|seat| seat_record(room_id, seat)))
            }
            Change::Lock(key) => {
                let record = self.locks.get(key).map(|lock| lock_record(key, lock));
                (RecordKind::Lock, key.as_bytes().to_vec(), record)
            }
            Change::Proposer(id) => {
                let present = self.proposers.get(&id.node).filter(|kept| kept.incarnation == id.incarnation);
                (RecordKind::Proposer, proposer_key(*id), present.map(|kept| proposer_record(id.node, kept)))
            }
            Change::SnapshotSaved { .. } | Change::SnapshotDropped { .. } => return None,
        };
        Some((kind, key, present.map(|record| record.value)))
    }

    /// The registry that these records describe, in whatever order they come.
    ///
    /// # Errors
    /// [`ImageError`] where they do not describe one; nothing of them is used then.
    pub fn restore(records: impl IntoIterator<Item = Record>) -> Result<Self, ImageError> {
        let mut registry = Self::default();
        let mut effects = Effects::new(0, 0);
        let (mut header, mut rooms, mut seats) = (None, Vec::new(), Vec::new());
        for record in records {
            match record.kind {
                RecordKind::Header if header.is_some() => return Err(ImageError::Twice(RecordKind::Header)),
                RecordKind::Header => header = Some(decode::<HeaderImage>(&record)?),
                RecordKind::Server => registry.restore_server(&mut effects, &record)?,
                RecordKind::Room => rooms.push(record),
                RecordKind::Seat => seats.push(record),
                RecordKind::Lock => registry.restore_lock(&mut effects, &record)?,
                RecordKind::Proposer => registry.restore_proposer(&record)?,
            }
        }
        let header = header.ok_or(ImageError::HeaderMissing)?;
        rooms.iter().try_for_each(|record| registry.restore_room(&mut effects, record))?;
        seats.iter().try_for_each(|record| registry.restore_seat(&mut effects, record))?;
        registry.now_ms = header.now_ms;
        registry.last_index = header.last_index;
        Ok(registry)
    }

    fn restore_server(&mut self, effects: &mut Effects, record: &Record) -> Result<(), ImageError> {
        let ServerImage { registration, offline_at } = decode(record)?;
        expect_key(record, registration.server_id.as_str().as_bytes())?;
        if self.servers.contains_key(&registration.server_id) {
            return Err(ImageError::Twice(record.kind));
        }
        self.put_server(effects, Server::new(registration, offline_at));
        Ok(())
    }

    fn restore_room(&mut self, effects: &mut Effects, record: &Record) -> Result<(), ImageError> {
        let image: RoomImage = decode(record)?;
        let registration = image.registration;
        expect_key(record, registration.room_id.as_str().as_bytes())?;
        if self.rooms.contains_key(&image.number) || self.room_number(&registration.room_id).is_some() {
            return Err(ImageError::Twice(record.kind));
        }
        if let Some(owner) = &registration.server_id
            && !self.servers.contains_key(owner)
        {
            return Err(ImageError::Dangling { kind: record.kind, missing: format!("server {owner}") });
        }
        if let Some(offer) = registration.migration.as_ref().filter(|migration| migration.is_open())
            && !self.servers.contains_key(&offer.to)
        {
            return Err(ImageError::Dangling { kind: record.kind, missing: format!("server {}", offer.to) });
        }
        let room = Room {
            number: image.number,
            registration,
            grace_ms: image.grace_ms,
            ownerless_since: image.ownerless_since,
            last_server: image.last_server,
            lived: image.lived,
            snapshot: image.snapshot,
            seats: imbl::OrdMap::new(),
        };
        self.insert_room(effects, room);
        Ok(())
    }

    fn restore_seat(&mut self, effects: &mut Effects, record: &Record) -> Result<(), ImageError> {
        let seat: Seat = decode(record)?;
        let room_id =
            record.key.len().checked_sub(17).and_then(|length| std::str::from_utf8(&record.key[..length]).ok());
        let room_id = room_id.and_then(|id| RoomId::new(id).ok()).ok_or(ImageError::Key(record.kind))?;
        expect_key(record, &seat_key(&room_id, seat.seat_id))?;
        let Some(number) = self.room_number(&room_id) else {
            return Err(ImageError::Dangling { kind: record.kind, missing: format!("room {room_id}") });
        };
        if self.seat_rooms.contains_key(&seat.seat_id) {
            return Err(ImageError::Twice(record.kind));
        }
        self.put_seat(effects, number, seat);
        Ok(())
    }

    fn restore_lock(&mut self, effects: &mut Effects, record: &Record) -> Result<(), ImageError> {
        let lock: LockRecord = decode(record)?;
        let key = std::str::from_utf8(&record.key).map_err(|_| ImageError::Key(record.kind))?;
        if self.locks.contains_key(key) {
            return Err(ImageError::Twice(record.kind));
        }
        self.swap_lock(effects, key, Some(lock));
        Ok(())
    }

    fn restore_proposer(&mut self, record: &Record) -> Result<(), ImageError> {
        let proposer: Proposer = decode(record)?;
        let node =
            record.key.first_chunk().map(|node| u64::from_be_bytes(*node)).ok_or(ImageError::Key(record.kind))?;
        expect_key(record, &proposer_key(ProposerId { node, incarnation: proposer.incarnation }))?;
        match self.proposers.insert(node, Arc::new(proposer)) {
            None => Ok(()),
            Some(_) => Err(ImageError::Twice(record.kind)),
        }
    }
}

fn server_record(server: &Server) -> Record {
    let registration =
        ServerRegistration { room_count: 0, player_count: 0, seat_count: 0, ..server.registration.clone() };
    let key = registration.server_id.as_str().as_bytes().to_vec();
    let image = ServerImage { registration, offline_at: server.offline_at };
    Record { kind: RecordKind::Server, key, value: encode(&image) }
}

fn room_record(room: &Room) -> Record {
    let registration = RoomRegistration { player_count: 0, seat_count: 0, ..room.registration.clone() };
    let key = registration.room_id.as_str().as_bytes().to_vec();
    let image = RoomImage {
        number: room.number,
        registration,
        grace_ms: room.grace_ms,
        ownerless_since: room.ownerless_since,
        last_server: room.last_server.clone(),
        lived: room.lived,
        snapshot: room.snapshot.clone(),
    };
    Record { kind: RecordKind::Room, key, value: encode(&image) }
}

fn seat_record(room_id: &RoomId, seat: &Seat) -> Record {
    Record { kind: RecordKind::Seat, key: seat_key(room_id, seat.seat_id), value: encode(seat) }
}

fn lock_record(key: &str, lock: &LockRecord) -> Record {
    Record { kind: RecordKind::Lock, key: key.as_bytes().to_vec(), value: encode(lock) }
}

fn proposer_record(node: u64, proposer: &Proposer) -> Record {
    let key = proposer_key(ProposerId { node, incarnation: proposer.incarnation });
    Record { kind: RecordKind::Proposer, key, value: encode(proposer) }
}

/// An id holds no control characters, so the zero byte ends it.
fn seat_key(room_id: &RoomId, seat_id: SeatId) -> Vec<u8> {
    [room_id.as_str().as_bytes(), &[0], &seat_id.0.to_be_bytes()].concat()
}

fn proposer_key(id: ProposerId) -> Vec<u8> {
    [id.node.to_be_bytes(), id.incarnation.to_be_bytes()].concat()
}

fn expect_key(record: &Record, key: &[u8]) -> Result<(), ImageError> {
    if record.key == key { Ok(()) } else { Err(ImageError::Key(record.kind)) }
}

#[expect(
    clippy::expect_used,
    reason = "plain data with JSON-safe metadata always encodes; a gap in an image would be silent loss"
)]
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode(value).expect("records are plain data")
}

fn decode<T: DeserializeOwned>(record: &Record) -> Result<T, ImageError> {
    codec::decode(&record.value).map_err(|source| ImageError::Malformed { kind: record.kind, source })
}
