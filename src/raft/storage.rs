//! A node's data folder, opened: who the node is, its log, its state machine.
//!
//! ```text
//! DATA/lock            held while the folder is used
//! DATA/identity.json   the node's number, its cluster, the count of its starts
//! DATA/log/            the Raft log and vote: the truth
//! DATA/snapshots/      the newest Raft snapshot: the truth of what the log no longer has
//! DATA/sled/           the state machine's store: rebuilt from the two whenever in doubt
//! DATA/sled.clean      there only while the node is stopped: the store is whole
//! ```

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};

use super::{
    StorageError, clean_mark,
    files::sync_tree,
    identity::Identity,
    log_store::LogStore,
    restore::restore,
    shared_registry::{Core, SharedRegistry},
    snapshot::SnapshotFolder,
    state_machine::StateMachine,
    write_behind,
};
use crate::adapter::EventHub;

/// A node's data folder. Dropping it without [`close`](Self::close) is like a crash: nothing that
/// was acknowledged is lost, and the next start rebuilds the store.
#[derive(Debug)]
pub struct Storage {
    data_dir: PathBuf,
    /// Held as long as the folder is used.
    _lock: File,
    identity: Mutex<Identity>,
    log: LogStore,
    state_machine: StateMachine,
    registry: SharedRegistry,
    snapshots: SnapshotFolder,
}

impl Storage {
    /// Opens `data_dir`, or makes it; the registry's events will come out at `events`.
    ///
    /// # Errors
    /// Any [`StorageError`]; each says what to do.
    pub async fn open(data_dir: &Path, events: EventHub) -> Result<Self, StorageError> {
        let data_dir = data_dir.to_owned();
        let folder = data_dir.clone();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&folder, events)).await;
        opened.unwrap_or_else(|error| Err(StorageError::io("open", &data_dir, &std::io::Error::other(error))))
    }

    fn open_blocking(data_dir: &Path, events: EventHub) -> Result<Self, StorageError> {
        let log_folder = data_dir.join("log");
        fs::create_dir_all(&log_folder).map_err(|error| StorageError::io("make", &log_folder, &error))?;
        let lock = lock(data_dir)?;
        let known = Identity::load(data_dir)?;
        let log = LogStore::open(&log_folder)?;
        let identity = check_identity(data_dir, known, &log)?;
        identity.save(data_dir)?;

        let snapshot_folder = data_dir.join("snapshots");
        let io = |error| StorageError::io("open", &snapshot_folder, &error);
        let snapshots = SnapshotFolder::open(snapshot_folder.clone()).map_err(io)?;
        let newest = snapshots.newest().map_err(io)?;
        let core = Core::new(restore(data_dir, newest.as_ref())?);
        if core.applied.last_applied < log.last_purged() {
            let detail = "the log goes on where no whole snapshot ends".to_owned();
            return Err(StorageError::Garbled { path: snapshot_folder, detail });
        }
        let core = Arc::new(RwLock::new(core));
        let writer =
            write_behind::start(Arc::clone(&core)).map_err(|error| StorageError::io("open", data_dir, &error))?;
        let registry = SharedRegistry::new(core, writer, events);
        let state_machine = StateMachine::new(data_dir, registry.clone(), snapshots.clone(), newest);
        let (data_dir, identity) = (data_dir.to_owned(), Mutex::new(identity));
        Ok(Self { data_dir, _lock: lock, identity, log, state_machine, registry, snapshots })
    }

    /// Who this node is.
    pub fn identity(&self) -> Identity {
        self.identity.lock().clone()
    }

    /// Keeps the id of the cluster that this node belongs to, durably. Blocks.
    ///
    /// # Errors
    /// That of the file system.
    pub fn save_cluster_id(&self, cluster_id: &str) -> Result<(), StorageError> {
        let mut identity = self.identity.lock();
        if identity.cluster_id.as_deref() == Some(cluster_id) {
            return Ok(());
        }
        let changed = Identity { cluster_id: Some(cluster_id.to_owned()), ..identity.clone() };
        changed.save(&self.data_dir)?;
        *identity = changed;
        Ok(())
    }

    /// The data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The log, for openraft.
    pub fn log(&self) -> LogStore {
        self.log.clone()
    }

    /// The state machine, for openraft.
    pub fn state_machine(&self) -> StateMachine {
        self.state_machine.clone()
    }

    /// The registry, for everybody who reads.
    pub fn registry(&self) -> &SharedRegistry {
        &self.registry
    }

    /// Where peers' snapshots are received.
    pub fn snapshots(&self) -> &SnapshotFolder {
        &self.snapshots
    }

    /// Bytes written to the log since it was opened, and those that it held then.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log.bytes_written()
    }

    /// Which file of the folder cannot be written any more and why, for people.
    pub(super) fn failure(&self) -> Option<String> {
        let log = self.log.failure().map(|reason| (self.data_dir.join("log"), reason));
        let store = || self.registry.failure().map(|reason| (self.data_dir.join("sled"), reason));
        let (path, reason) = log.or_else(store)?;
        let path = path.display();
        Some(format!(
            "{path} cannot be written ({reason}): free some space or mend the disk, and start this node again"
        ))
    }

    /// Size in bytes of the newest Raft snapshot, 0 where there is none.
    pub(super) fn snapshot_bytes(&self) -> u64 {
        self.state_machine.snapshot_bytes()
    }

    /// Closes everything in order, after `Raft::shutdown`: the next start opens the store as it is.
    ///
    /// # Errors
    /// That of the disk. The folder can be opened again all the same.
    pub async fn close(self) -> Result<(), StorageError> {
        let data_dir = self.data_dir.clone();
        let closed = tokio::task::spawn_blocking(move || self.close_blocking()).await;
        closed.unwrap_or_else(|error| Err(StorageError::io("close", &data_dir, &std::io::Error::other(error))))
    }

    fn close_blocking(self) -> Result<(), StorageError> {
        let io = |error| StorageError::io("close", &self.data_dir, &error);
        let mut identity = self.identity.lock().clone();
        if !identity.log_started && !self.log.is_pristine() {
            identity.log_started = true;
            identity.save(&self.data_dir)?;
        }
        let stopped = self.registry.stop_writer();
        self.log.close().map_err(io)?;
        let (store, mark) = stopped.map_err(io)?;
        store.close().map_err(io)?;
        sync_tree(store.folder()).map_err(io)?;
        sync_tree(&self.data_dir.join("sled")).map_err(io)?;
        clean_mark::leave(&self.data_dir, &mark).map_err(io)
    }
}

fn lock(data_dir: &Path) -> Result<File, StorageError> {
    let path = data_dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| StorageError::io("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse { folder: data_dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(StorageError::io("lock", &path, &error)),
    }
}

/// The identity of this start; refuses a folder of which a part was taken away.
fn check_identity(data_dir: &Path, known: Option<Identity>, log: &LogStore) -> Result<Identity, StorageError> {
    let pristine = log.is_pristine();
    let garbled = |path: &str, detail: &str| {
        let (path, detail) = (data_dir.join(path), detail.to_owned());
        Err(StorageError::Garbled { path, detail })
    };
    let identity = match known {
        None if !pristine => return garbled("identity.json", "it is missing, though the log is there"),
        Some(identity) if identity.log_started && pristine => return garbled("log", "the log is gone"),
        known => known.unwrap_or_else(Identity::fresh),
    };
    Ok(Identity { incarnation: identity.incarnation + 1, log_started: !pristine, ..identity })
}
