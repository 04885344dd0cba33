//! The state machine at start: from the store where that is known to be whole, else from the
//! newest Raft snapshot; the log behind it is replayed by openraft.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use super::{
    StorageError,
    clean_mark::{self, CleanMark},
    snapshot::{SnapshotItem, read_snapshot},
    snapshot_file::SnapshotFile,
    store::{AppliedState, Store, StoreBatch, StoredItem},
    types::{LogId, SnapshotMeta},
};
use crate::{
    model::{RoomId, RoomQuery},
    registry::{Record, Registry},
};

/// The folder of the store's folders: one per generation, since a Raft snapshot is installed into a new one
/// while the older is still read. They are not renamed, because sled opens its larger files by path.
const FOLDER: &str = "sled";
/// How long sled may take to open and scan before it is given up: a garbled one may never end.
const OPEN_DEADLINE: Duration = Duration::from_mins(1);
/// A batch that fills a new store, in bytes.
const FILL_BYTES: usize = 4 * 1024 * 1024;

/// A state machine with its store.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) registry: Registry,
    pub(super) applied: AppliedState,
    pub(super) store: Store,
}

/// Restores the state machine in `data_dir`. Blocks.
pub(super) fn restore(
    data_dir: &Path,
    snapshot: Option<&(SnapshotMeta, SnapshotFile)>,
) -> Result<Restored, StorageError> {
    let folder = data_dir.join(FOLDER);
    let covered = snapshot.and_then(|(meta, _)| meta.last_log_id);
    let reason = match clean_mark::take(data_dir).map_err(|error| StorageError::io("read", data_dir, &error))? {
        Some(mark) => match load_newest(&folder, &mark, covered) {
            Ok(restored) => return Ok(restored),
            Err(reason) => Some(reason),
        },
        None => folder.exists().then(|| "this node was not stopped in order".to_owned()),
    };
    if let Some(reason) = reason {
        tracing::warn!(%reason, snapshot = ?covered.map(|log_id| log_id.index), "sled is rebuilt from the newest Raft snapshot and the log");
    }
    rebuild(&folder, snapshot).map_err(|error| StorageError::io("rebuild", &folder, &error))
}

/// A new, empty store beside those that are there. Blocks.
pub(super) fn new_store(data_dir: &Path) -> io::Result<Store> {
    let folder = data_dir.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let newest = generations(&folder)?.pop().map_or(0, |(number, _)| number);
    Store::open(&folder.join((newest + 1).to_string()))
}

/// Fills an empty store from a Raft snapshot. What it gives counts only as a whole. Blocks.
pub(super) fn fill(store: Store, file: &SnapshotFile) -> io::Result<Restored> {
    let mut filler = Filler { store, batch: StoreBatch::default(), bytes: 0, contents: Contents::default() };
    let meta = read_snapshot(file, |item| filler.take(item))?;
    let Filler { store, mut batch, contents, .. } = filler;
    let applied = AppliedState { last_applied: meta.last_log_id, membership: meta.last_membership };
    batch.put_applied(&applied)?;
    store.write(batch)?;
    let registry = contents.into_registry()?;
    Ok(Restored { registry, applied, store })
}

fn rebuild(folder: &Path, snapshot: Option<&(SnapshotMeta, SnapshotFile)>) -> io::Result<Restored> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(folder)?,
    }
    let store = Store::open(&folder.join("1"))?;
    match snapshot {
        Some((_, file)) => fill(store, file),
        None => Ok(Restored { registry: Registry::default(), applied: AppliedState::default(), store }),
    }
}

/// Loads the newest generation, and removes what an older one left.
fn load_newest(folder: &Path, mark: &CleanMark, covered: Option<LogId>) -> Result<Restored, String> {
    let mut generations = generations(folder).map_err(|error| error.to_string())?;
    let (_, newest) = generations.pop().ok_or("there is no database")?;
    for (_, older) in generations {
        fs::remove_dir_all(older).map_err(|error| error.to_string())?;
    }
    let restored = load_with_deadline(newest, OPEN_DEADLINE)?;
    if restored.applied.last_applied != mark.last_applied {
        return Err("it is not at the log index of the clean-shutdown mark".to_owned());
    }
    if CleanMark::of(mark.last_applied, &restored.registry) != *mark {
        return Err("its records are not those of the clean-shutdown mark".to_owned());
    }
    if restored.applied.last_applied < covered {
        return Err("the newest Raft snapshot is ahead of it".to_owned());
    }
    Ok(restored)
}

/// Opens and scans on a thread of its own: sled may panic or never come back.
fn load_with_deadline(folder: PathBuf, deadline: Duration) -> Result<Restored, String> {
    let (done, outcome) = mpsc::channel();
    let work = move || {
        let loaded = std::panic::catch_unwind(|| load(&folder));
        let loaded = loaded.unwrap_or_else(|_| Err(io::Error::other("sled panicked")));
        // Nobody listens after the deadline.
        let _ = done.send(loaded.map_err(|error| error.to_string()));
    };
    std::thread::Builder::new().name("sled-open".to_owned()).spawn(work).map_err(|error| error.to_string())?;
    outcome.recv_timeout(deadline).unwrap_or_else(|_| Err(format!("it was not open after {} s", deadline.as_secs())))
}

fn load(folder: &Path) -> io::Result<Restored> {
    let store = Store::open(folder)?;
    let mut contents = Contents::default();
    let mut applied = None;
    store.scan(|item| {
        match item {
            StoredItem::Applied(found) => applied = Some(found),
            StoredItem::Record(record) => contents.records.push(record),
            StoredItem::RoomBytes { room_id, index, bytes } => contents.note_room_bytes(room_id, index, &bytes),
        }
        Ok(())
    })?;
    // A node that was stopped before it applied anything has an empty store.
    let registry = if applied.is_none() { Registry::default() } else { contents.into_registry()? };
    Ok(Restored { registry, applied: applied.unwrap_or_default(), store })
}

fn generations(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut generations = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(number) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()) {
            generations.push((number, path));
        }
    }
    generations.sort();
    Ok(generations)
}

/// Records, and checksums of the room snapshots that came with them.
#[derive(Debug, Default)]
struct Contents {
    records: Vec<Record>,
    room_bytes: BTreeMap<(RoomId, u64), u32>,
}

impl Contents {
    fn note_room_bytes(&mut self, room_id: RoomId, index: u64, bytes: &[u8]) {
        self.room_bytes.insert((room_id, index), crc32fast::hash(bytes));
    }

    fn into_registry(self) -> io::Result<Registry> {
        let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
        let registry = Registry::restore(self.records).map_err(|error| invalid(error.to_string()))?;
        for room in registry.rooms(&RoomQuery::default()) {
            let Some(meta) = registry.snapshot_meta(&room.room_id) else { continue };
            if self.room_bytes.get(&(room.room_id.clone(), meta.index)) != Some(&meta.crc32) {
                return Err(invalid(format!("the snapshot of room {} is missing or garbled", room.room_id)));
            }
        }
        Ok(registry)
    }
}

struct Filler {
    store: Store,
    batch: StoreBatch,
    /// Bytes in the batch.
    bytes: usize,
    contents: Contents,
}

impl Filler {
    fn take(&mut self, item: SnapshotItem) -> io::Result<()> {
        match item {
            SnapshotItem::Record(record) => {
                self.batch.put(record.kind, &record.key, &record.value);
                self.bytes += record.value.len();
                self.contents.records.push(record);
            }
            SnapshotItem::RoomBytes { room_id, index, bytes } => {
                self.batch.put_room_bytes(&room_id, index, &bytes);
                self.bytes += bytes.len();
                self.contents.note_room_bytes(room_id, index, &bytes);
            }
            SnapshotItem::Meta(_) | SnapshotItem::End { .. } => {}
        }
        if self.bytes >= FILL_BYTES {
            self.bytes = 0;
            self.store.write(std::mem::take(&mut self.batch))?;
        }
        Ok(())
    }
}
