//! The state machine's records in sled: a store that may always be thrown away.
//!
//! It spares a node that was stopped in order the replay of its log, and holds the snapshots of
//! rooms, which are not kept in memory. It is never the truth: that is the newest Raft snapshot
//! and the log behind it. sled's `flush` is no fsync and a garbled database may open and lie, so
//! it is opened only where [`super::clean_mark`] vouches for it, else dropped and made anew.
//!
//! All kinds of records share one tree, told apart by the first byte of their keys, since sled
//! writes a batch over several trees only in a transaction, which would hold up readers. Every
//! value begins with a checksum of its key and content.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::types::{LogId, StoredMembership};
use crate::{
    codec,
    model::RoomId,
    registry::{Record, RecordKind},
};

/// The file that sled keeps locked while it is open.
const DATABASE_FILE: &str = "db";
const APPLIED_KEY: &[u8] = b"a";
const ROOM_BYTES: u8 = b'b';
/// sled's page cache in bytes: the registry itself is in memory, so little is read.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// How far the state machine has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AppliedState {
    pub(super) last_applied: Option<LogId>,
    pub(super) membership: StoredMembership,
}

/// What is written in one step.
#[derive(Default)]
pub(super) struct StoreBatch {
    batch: sled::Batch,
}

impl fmt::Debug for StoreBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreBatch")
    }
}

impl StoreBatch {
    pub(super) fn put(&mut self, kind: RecordKind, key: &[u8], value: &[u8]) {
        self.insert(record_key(kind, key), value);
    }

    pub(super) fn remove(&mut self, kind: RecordKind, key: &[u8]) {
        self.batch.remove(record_key(kind, key));
    }

    pub(super) fn put_room_bytes(&mut self, room_id: &RoomId, index: u64, bytes: &[u8]) {
        self.insert(room_bytes_key(room_id, index), bytes);
    }

    pub(super) fn remove_room_bytes(&mut self, room_id: &RoomId, index: u64) {
        self.batch.remove(room_bytes_key(room_id, index));
    }

    pub(super) fn put_applied(&mut self, applied: &AppliedState) -> io::Result<()> {
        let value = codec::encode(applied).map_err(io::Error::other)?;
        self.insert(APPLIED_KEY.to_vec(), &value);
        Ok(())
    }

    fn insert(&mut self, key: Vec<u8>, content: &[u8]) {
        let value = [&checksum(&key, content).to_be_bytes(), content].concat();
        self.batch.insert(key, value);
    }
}

/// One thing that a scan finds.
#[derive(Debug)]
pub(super) enum StoredItem {
    Applied(AppliedState),
    Record(Record),
    RoomBytes { room_id: RoomId, index: u64, bytes: Bytes },
}

/// An open database. Every method blocks on the disk.
pub(super) struct Store {
    folder: PathBuf,
    /// `None` once it is closed.
    database: RwLock<Option<sled::Db>>,
    replaced: AtomicBool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the database in `folder`, or makes one.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let database = RwLock::new(Some(config.open().map_err(sled_error)?));
        Ok(Self { folder: folder.to_owned(), database, replaced: AtomicBool::new(false) })
    }

    /// Writes a batch, wholly or not at all; not durably.
    pub(super) fn write(&self, batch: StoreBatch) -> io::Result<()> {
        self.with(|database| database.apply_batch(batch.batch).map_err(sled_error))
    }

    /// The snapshot of a room that the command of this index wrote.
    pub(super) fn room_bytes(&self, room_id: &RoomId, index: u64) -> io::Result<Option<Bytes>> {
        let key = room_bytes_key(room_id, index);
        let value = self.with(|database| database.get(&key).map_err(sled_error))?;
        value.map(|value| checked(&key, &value).map(Bytes::copy_from_slice)).transpose()
    }

    /// Hands everything to `take`, in order of the keys, each checked.
    pub(super) fn scan(&self, mut take: impl FnMut(StoredItem) -> io::Result<()>) -> io::Result<()> {
        self.with(|database| {
            for pair in database.iter() {
                let (key, value) = pair.map_err(sled_error)?;
                take(stored_item(&key, checked(&key, &value)?)?)?;
            }
            Ok(())
        })
    }

    /// Writes out what sled holds back and closes it; the files are not yet synced.
    pub(super) fn close(&self) -> io::Result<()> {
        let Some(database) = self.database.write().take() else { return Ok(()) };
        database.flush().map_err(sled_error)?;
        drop(database);
        // sled's own threads hold the database a little longer: its file is locked as long as they do.
        File::open(self.folder.join(DATABASE_FILE))?.lock()
    }

    /// Another store has taken its place: its folder goes with its last user.
    pub(super) fn remove_when_dropped(&self) {
        self.replaced.store(true, Ordering::Relaxed);
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn with<T>(&self, work: impl FnOnce(&sled::Db) -> io::Result<T>) -> io::Result<T> {
        match &*self.database.read() {
            Some(database) => work(database),
            None => Err(io::Error::other("the store is closed")),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.replaced.load(Ordering::Relaxed) {
            return;
        }
        let (database, folder) = (self.database.get_mut().take(), std::mem::take(&mut self.folder));
        let remove = move || {
            drop(database);
            if let Err(error) = std::fs::remove_dir_all(&folder) {
                tracing::warn!(folder = %folder.display(), %error, "a replaced store is left over until the next start");
            }
        };
        // The last user may be a runtime's worker, which must not wait for the disk.
        let _ = std::thread::Builder::new().name("store-removal".to_owned()).spawn(remove);
    }
}

fn stored_item(key: &[u8], content: &[u8]) -> io::Result<StoredItem> {
    if key == APPLIED_KEY {
        return codec::decode(content).map(StoredItem::Applied).map_err(damaged);
    }
    match key.split_first() {
        Some((&ROOM_BYTES, rest)) => {
            let (room_id, index) = rest.split_last_chunk::<8>().ok_or_else(|| damaged("a key is too short"))?;
            let room_id = room_id.strip_suffix(&[0]).and_then(|id| std::str::from_utf8(id).ok());
            let room_id = room_id.and_then(|id| RoomId::new(id).ok()).ok_or_else(|| damaged("a key is no room's"))?;
            let bytes = Bytes::copy_from_slice(content);
            Ok(StoredItem::RoomBytes { room_id, index: u64::from_be_bytes(*index), bytes })
        }
        Some((byte, rest)) => {
            let kind = kind_of(*byte).ok_or_else(|| damaged("a key of an unknown kind"))?;
            Ok(StoredItem::Record(Record { kind, key: rest.to_vec(), value: content.to_vec() }))
        }
        None => Err(damaged("an empty key")),
    }
}

const KINDS: [(RecordKind, u8); 6] = [
    (RecordKind::Header, b'h'),
    (RecordKind::Server, b's'),
    (RecordKind::Room, b'r'),
    (RecordKind::Seat, b't'),
    (RecordKind::Lock, b'l'),
    (RecordKind::Proposer, b'p'),
];

fn kind_of(byte: u8) -> Option<RecordKind> {
    KINDS.iter().find(|(_, known)| *known == byte).map(|(kind, _)| *kind)
}

fn record_key(kind: RecordKind, key: &[u8]) -> Vec<u8> {
    let byte = match kind {
        RecordKind::Header => b'h',
        RecordKind::Server => b's',
        RecordKind::Room => b'r',
        RecordKind::Seat => b't',
        RecordKind::Lock => b'l',
        RecordKind::Proposer => b'p',
    };
    [&[byte], key].concat()
}

/// An id holds no control characters, so the zero byte ends it.
fn room_bytes_key(room_id: &RoomId, index: u64) -> Vec<u8> {
    [&[ROOM_BYTES], room_id.as_str().as_bytes(), &[0], &index.to_be_bytes()].concat()
}

fn checksum(key: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(content);
    hasher.finalize()
}

fn checked<'a>(key: &[u8], value: &'a [u8]) -> io::Result<&'a [u8]> {
    match value.split_first_chunk::<4>() {
        Some((expected, content)) if u32::from_be_bytes(*expected) == checksum(key, content) => Ok(content),
        _ => Err(damaged("the checksum of a record does not fit")),
    }
}

fn damaged(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

fn sled_error(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_scanned_and_a_wrong_checksum_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened");
        let room_id = RoomId::new("arena-1").expect("an id");
        let mut batch = StoreBatch::default();
        for (kind, _) in KINDS {
            batch.put(kind, b"key", b"value");
        }
        batch.put_room_bytes(&room_id, 7, b"state");
        batch.put_applied(&AppliedState::default()).expect("encodes");
        store.write(batch).expect("written");
        assert_eq!(store.room_bytes(&room_id, 7).expect("read").as_deref(), Some(&b"state"[..]));
        assert_eq!(store.room_bytes(&room_id, 8).expect("read"), None);

        let mut found = Vec::new();
        store
            .scan(|item| {
                found.push(match item {
                    StoredItem::Record(record) => format!("{:?}", record.kind),
                    StoredItem::Applied(_) => "applied".to_owned(),
                    StoredItem::RoomBytes { room_id, index, .. } => format!("{room_id}/{index}"),
                });
                Ok(())
            })
            .expect("scanned");
        found.sort();
        assert_eq!(found, ["Header", "Lock", "Proposer", "Room", "Seat", "Server", "applied", "arena-1/7"]);

        let mut batch = StoreBatch::default();
        batch.batch.insert(record_key(RecordKind::Lock, b"key"), b"0000value".to_vec());
        store.write(batch).expect("written");
        assert!(store.scan(|_| Ok(())).is_err());
    }
}
