//! The types that consensus is instantiated with.
//!
//! What is replicated is a [`Batch`] of the registry's commands; what comes back is a [`Reply`] to each. A Raft member
//! is named by a random number and carries its address and the name of its server, so that the
//! membership itself tells every node where its peers are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::batch::Batch;
use crate::registry::Reply;

/// The number of a Raft member, as openraft wants it; [`crate::model::NodeId`] elsewhere.
pub type NodeNumber = u64;

/// One member of the cluster, as the membership keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where its peers reach it by QUIC: `host:port`.
    pub addr: String,
    /// The name of the server that runs in it, so that a wiped node can take its dead self's place.
    pub server_id: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.server_id, self.addr)
    }
}

openraft::declare_raft_types!(
    /// The types of this crate's Raft group.
    pub TypeConfig:
        D = Batch,
        R = Vec<Reply>,
        NodeId = NodeNumber,
        Node = Member,
);

/// The place of an entry in the log: its leader's term and its index.
pub type LogId = openraft::alias::LogIdOf<TypeConfig>;
/// What a node has voted for.
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
/// One entry of the log.
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
/// What an entry carries: nothing, a command, or a membership.
pub type EntryPayload = openraft::alias::PayloadOf<TypeConfig>;
/// A membership with the place where it was decided.
pub type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot covers.
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
/// A snapshot: what it covers, and its file.
pub type Snapshot = openraft::alias::SnapshotOf<TypeConfig, super::SnapshotFile>;
