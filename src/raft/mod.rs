//! The Raft backend: consensus on the registry's commands, with log and state on disk.
//!
//! openraft decides; this module stores, moves and applies. Nothing outside of it names a type of
//! openraft's.

mod clean_mark;
mod config;
mod files;
mod identity;
mod log_codec;
#[cfg(test)]
mod log_damage_tests;
mod log_flush;
mod log_store;
mod pending;
mod restore;
mod shared_registry;
mod snapshot;
mod snapshot_file;
mod snapshot_trigger;
mod state_machine;
mod storage;
mod storage_error;
mod store;
mod types;
mod write_behind;

pub use config::{RaftConfig, RaftConfigError, RaftTiming, SnapshotLimits};
pub use identity::Identity;
pub use log_store::LogStore;
pub use shared_registry::SharedRegistry;
pub use snapshot::SnapshotFolder;
pub use snapshot_file::{IncomingSnapshot, SNAPSHOT_CHUNK_BYTES, SnapshotFile, SnapshotReader};
pub use snapshot_trigger::trigger_snapshots;
pub use state_machine::{SnapshotBuilder, StateMachine};
pub use storage::Storage;
pub use storage_error::StorageError;
pub use types::{
    Entry, EntryPayload, LogId, Member, NodeNumber, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, Vote,
};
