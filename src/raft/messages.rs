//! What one node asks of another, apart from replicating the log.
//!
//! Each stream begins with a [`StreamHead`], which says for whom of which cluster it is, so that a
//! node that has taken over an address is never taken for the one that had it.

use serde::{Deserialize, Serialize};

use super::{
    batch::Batch,
    bootstrap::{JoinAnswer, JoinRequest, PledgeAnswer, PledgeRequest, Presence},
    types::NodeNumber,
    wire::{SnapshotFrame, TransferAnswer, TransferFrame, VoteAnswer, VoteFrame, WireLogId},
};
use crate::{
    model::{ServerEpoch, ServerId},
    quic::ClusterId,
    registry::Reply,
};

/// The first frame of each stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StreamHead {
    /// The cluster that it concerns; none between nodes that have not found one yet.
    pub(super) cluster_id: Option<ClusterId>,
    /// The node that it is for; none where only the address is known.
    pub(super) target: Option<NodeNumber>,
    /// What follows.
    pub(super) kind: StreamKind,
}

/// What a stream is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum StreamKind {
    /// Frames of entries follow, each answered in order.
    Append,
    /// A snapshot's bytes follow, then comes one answer.
    Snapshot(Box<SnapshotFrame>),
    /// Nothing follows but one answer.
    Request(PeerRequest),
}

/// A request with one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum PeerRequest {
    Vote(VoteFrame),
    PreVote(VoteFrame),
    TransferLeader(TransferFrame),
    /// Who are you, and is there a cluster?
    Status,
    Pledge(PledgeRequest),
    Join(JoinRequest),
    /// Take this node out of the membership.
    Leave(NodeNumber),
    Application(ApplicationRequest),
}

/// The answer to a [`PeerRequest`] of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum PeerResponse {
    Vote(VoteAnswer),
    TransferLeader(TransferAnswer),
    Status(Presence),
    Pledge(PledgeAnswer),
    Membership(JoinAnswer),
    Application(ApplicationResponse),
}

/// A request of what runs on top of consensus, served by whoever the node was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ApplicationRequest {
    /// Propose these commands. Answered by `Replies`, one to each.
    Forward(Batch),
    /// Up to where must a read be applied that begins now? Answered by `ReadIndex`.
    ReadIndex,
    /// A server is alive. Answered by `Replies` with one reply, once the leader is known to lead still.
    Heartbeat(ServerEpoch),
    /// Messages for the subscribers of this node, encoded. Answered by `Done`.
    Publish(Vec<Vec<u8>>),
    /// When did each server's last heartbeat come? Answered by `LastHeartbeats`.
    LastHeartbeats,
}

/// The answer to an [`ApplicationRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ApplicationResponse {
    /// One reply for each command, in order.
    Replies(Vec<Reply>),
    /// A read that began before this request came sees everything once this much is applied.
    ReadIndex(ReadIndex),
    /// It is done.
    Done,
    /// It was not done.
    Refused(ApplicationRefusal),
    /// The servers, and when their last heartbeats came, in milliseconds since 1970.
    LastHeartbeats(Vec<(ServerId, u64)>),
}

/// Up to where a read must be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadIndex(WireLogId);

impl ReadIndex {
    /// For a log id.
    pub fn new(log_id: super::LogId) -> Self {
        Self(log_id.into())
    }

    /// The log id.
    pub fn log_id(self) -> super::LogId {
        self.0.into()
    }
}

/// Why a node did not do what another asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum ApplicationRefusal {
    /// It is not the leader. Nothing was done.
    #[error("it does not lead")]
    NotLeader {
        /// The leader that it knows.
        leader: Option<NodeNumber>,
    },
    /// It is not ready. Nothing was done.
    #[error("it is not ready: {0}")]
    NotReady(String),
    /// The outcome is unknown.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}

/// Why a node did not serve a stream at all. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(super) enum StreamRefusal {
    #[error("node {node} is there, node {wanted} was meant")]
    OtherNode { node: NodeNumber, wanted: NodeNumber },
    #[error("it is of cluster {}, not {}", name(*ours), name(*theirs))]
    OtherCluster { ours: Option<ClusterId>, theirs: Option<ClusterId> },
    #[error("it is not ready: {0}")]
    NotReady(String),
    #[error("it cannot read the request")]
    Malformed,
    #[error("what it got is damaged: {0}")]
    Damaged(String),
}

fn name(cluster_id: Option<ClusterId>) -> String {
    cluster_id.map_or_else(|| "none yet".to_owned(), |id| id.to_string())
}

/// An answer, or why there is none.
pub(super) type Answer<T> = Result<T, StreamRefusal>;
