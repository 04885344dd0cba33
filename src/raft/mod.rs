//! The Raft backend: consensus on the registry's commands, with log and state on disk.
//!
//! openraft decides; this module stores, moves and applies. Nothing outside of it names a type of
//! openraft's.

mod snapshot_file;
mod types;

pub use snapshot_file::{IncomingSnapshot, SNAPSHOT_CHUNK_BYTES, SnapshotFile, SnapshotReader};
pub use types::{
    Entry, EntryPayload, LogId, Member, NodeNumber, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, Vote,
};
