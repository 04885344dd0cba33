//! The Raft backend: consensus on the registry's commands, with log and state on disk.
//!
//! openraft decides; this module stores, moves and applies. Nothing outside of it names a type of
//! openraft's.

mod append_stream;
mod batch;
mod bootstrap;
mod clean_mark;
mod cluster_clock;
mod config;
mod departure;
mod files;
mod front;
mod identity;
mod leader;
mod leases;
mod letters;
mod links;
mod log_codec;
#[cfg(test)]
mod log_damage_tests;
mod log_flush;
mod log_marks;
mod log_store;
mod mailroom;
mod membership;
mod membership_plan;
mod messages;
mod neighbours;
mod network;
mod node;
mod pending;
mod proposal;
mod proposer;
mod reads;
mod restore;
mod rounds;
mod route;
mod run;
mod service;
mod settings;
mod shared_registry;
mod snapshot;
mod snapshot_file;
mod snapshot_trigger;
mod state_machine;
mod status;
mod storage;
mod storage_error;
mod store;
mod types;
mod wire;
mod write_behind;

pub use batch::Batch;
pub use bootstrap::BootstrapError;
pub use config::{RaftConfig, RaftConfigError, RaftTiming, SnapshotLimits};
pub use front::{FrontTimes, RaftFront};
pub use identity::Identity;
pub use log_store::LogStore;
pub use messages::{ApplicationRefusal, ApplicationRequest, ApplicationResponse, ReadIndex};
pub use node::{AskError, RaftNode, RaftNodeError};
pub use proposal::Proposal;
pub use service::PeerHandler;
pub use shared_registry::SharedRegistry;
pub use snapshot::SnapshotFolder;
pub use snapshot_file::{IncomingSnapshot, SNAPSHOT_CHUNK_BYTES, SnapshotFile, SnapshotReader};
pub use snapshot_trigger::trigger_snapshots;
pub use state_machine::{SnapshotBuilder, StateMachine};
pub use status::{MemberStatus, RaftRole, RaftStatus};
pub use storage::Storage;
pub use storage_error::StorageError;
pub use types::{
    Entry, EntryPayload, LogId, Member, NodeNumber, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, Vote,
};

/// openraft's handle with this crate's types.
pub type RaftHandle = openraft::Raft<TypeConfig, StateMachine>;
