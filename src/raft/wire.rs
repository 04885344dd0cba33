//! What consensus says between nodes, as structs of this crate's own.
//!
//! openraft's types may change with its version; what old and new nodes say to each other may not.
//! Only conversions live here: each is total one way, and gives nothing where bytes from outside
//! spell what cannot be.

use openraft::{
    Membership,
    raft::{
        AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
    vote::leader_id_adv::LeaderId,
};
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::types::{Entry, EntryPayload, LogId, Member, NodeNumber, SnapshotMeta, StoredMembership, TypeConfig, Vote};

/// A vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireVote {
    term: u64,
    node: NodeNumber,
    committed: bool,
}

impl From<Vote> for WireVote {
    fn from(vote: Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
    }
}

impl From<WireVote> for Vote {
    fn from(vote: WireVote) -> Self {
        Self { leader_id: LeaderId { term: vote.term, node_id: vote.node }, committed: vote.committed }
    }
}

/// The place of an entry in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireLogId {
    term: u64,
    node: NodeNumber,
    index: u64,
}

impl From<LogId> for WireLogId {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<WireLogId> for LogId {
    fn from(id: WireLogId) -> Self {
        Self { leader_id: LeaderId { term: id.term, node_id: id.node }, index: id.index }
    }
}

/// Who the members are: one set of voters, or two while it changes, and every node's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireMembership {
    voters: Vec<Vec<NodeNumber>>,
    nodes: Vec<(NodeNumber, Member)>,
}

impl From<&Membership<NodeNumber, Member>> for WireMembership {
    fn from(membership: &Membership<NodeNumber, Member>) -> Self {
        Self {
            voters: membership.get_joint_config().iter().map(|set| set.iter().copied().collect()).collect(),
            nodes: membership.nodes().map(|(number, member)| (*number, member.clone())).collect(),
        }
    }
}

impl WireMembership {
    /// Nothing where a voter has no address, or there are no voters although there are nodes.
    fn into_membership(self) -> Option<Membership<NodeNumber, Member>> {
        if self.voters.is_empty() && self.nodes.is_empty() {
            return Some(Membership::<NodeNumber, Member>::default());
        }
        let voters = self.voters.into_iter().map(|set| set.into_iter().collect()).collect();
        let nodes: std::collections::BTreeMap<_, _> = self.nodes.into_iter().collect();
        Membership::<NodeNumber, Member>::new(voters, nodes).ok()
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WireEntry {
    id: WireLogId,
    payload: WirePayload,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum WirePayload {
    Blank,
    Commands(Batch),
    Membership(WireMembership),
}

impl From<Entry> for WireEntry {
    fn from(entry: Entry) -> Self {
        let payload = match entry.payload {
            EntryPayload::Blank => WirePayload::Blank,
            EntryPayload::Normal(batch) => WirePayload::Commands(batch),
            EntryPayload::Membership(membership) => WirePayload::Membership((&membership).into()),
        };
        Self { id: entry.log_id.into(), payload }
    }
}

impl WireEntry {
    fn into_entry(self) -> Option<Entry> {
        let payload = match self.payload {
            WirePayload::Blank => EntryPayload::Blank,
            WirePayload::Commands(batch) => EntryPayload::Normal(batch),
            WirePayload::Membership(membership) => EntryPayload::Membership(membership.into_membership()?),
        };
        Some(Entry { log_id: self.id.into(), payload })
    }
}

/// Entries for a follower; none make a heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AppendFrame {
    vote: WireVote,
    previous: Option<WireLogId>,
    entries: Vec<WireEntry>,
    committed: Option<WireLogId>,
}

impl From<AppendEntriesRequest<TypeConfig>> for AppendFrame {
    fn from(request: AppendEntriesRequest<TypeConfig>) -> Self {
        Self {
            vote: request.vote.into(),
            previous: request.prev_log_id.map(Into::into),
            entries: request.entries.into_iter().map(Into::into).collect(),
            committed: request.leader_commit.map(Into::into),
        }
    }
}

impl AppendFrame {
    /// Nothing where an entry holds a membership that cannot be.
    pub(super) fn into_request(self) -> Option<AppendEntriesRequest<TypeConfig>> {
        Some(AppendEntriesRequest {
            vote: self.vote.into(),
            prev_log_id: self.previous.map(Into::into),
            entries: self.entries.into_iter().map(WireEntry::into_entry).collect::<Option<_>>()?,
            leader_commit: self.committed.map(Into::into),
        })
    }
}

/// What a follower says to one [`AppendFrame`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AppendAnswer {
    /// Its log is the leader's up to here.
    Matching(Option<WireLogId>),
    /// It has another entry, or none, where this one was due.
    Conflict(WireLogId),
    /// It has voted higher.
    HigherVote(WireVote),
}

impl From<StreamAppendResult<TypeConfig>> for AppendAnswer {
    fn from(result: StreamAppendResult<TypeConfig>) -> Self {
        match result {
            Ok(matching) => Self::Matching(matching.map(Into::into)),
            Err(StreamAppendError::Conflict(id)) => Self::Conflict(id.into()),
            Err(StreamAppendError::HigherVote(vote)) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<AppendAnswer> for StreamAppendResult<TypeConfig> {
    fn from(answer: AppendAnswer) -> Self {
        match answer {
            AppendAnswer::Matching(matching) => Ok(matching.map(Into::into)),
            AppendAnswer::Conflict(id) => Err(StreamAppendError::Conflict(id.into())),
            AppendAnswer::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote.into())),
        }
    }
}

/// A candidate's question, or in a pre-vote that of somebody who would like to be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VoteFrame {
    vote: WireVote,
    last: Option<WireLogId>,
    leadership_transfer: bool,
}

impl From<VoteRequest<TypeConfig>> for VoteFrame {
    fn from(request: VoteRequest<TypeConfig>) -> Self {
        let VoteRequest { vote, last_log_id, leadership_transfer } = request;
        Self { vote: vote.into(), last: last_log_id.map(Into::into), leadership_transfer }
    }
}

impl From<VoteFrame> for VoteRequest<TypeConfig> {
    fn from(frame: VoteFrame) -> Self {
        let VoteFrame { vote, last, leadership_transfer } = frame;
        Self { vote: vote.into(), last_log_id: last.map(Into::into), leadership_transfer }
    }
}

/// What a voter says to a [`VoteFrame`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VoteAnswer {
    vote: WireVote,
    granted: bool,
    last: Option<WireLogId>,
}

impl From<VoteResponse<TypeConfig>> for VoteAnswer {
    fn from(response: VoteResponse<TypeConfig>) -> Self {
        let VoteResponse { vote, vote_granted, last_log_id } = response;
        Self { vote: vote.into(), granted: vote_granted, last: last_log_id.map(Into::into) }
    }
}

impl From<VoteAnswer> for VoteResponse<TypeConfig> {
    fn from(answer: VoteAnswer) -> Self {
        let VoteAnswer { vote, granted, last } = answer;
        Self { vote: vote.into(), vote_granted: granted, last_log_id: last.map(Into::into) }
    }
}

/// A leader's word that another node is to lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TransferFrame {
    from: WireVote,
    to: NodeNumber,
    last: Option<WireLogId>,
}

impl From<&TransferLeaderRequest<TypeConfig>> for TransferFrame {
    fn from(request: &TransferLeaderRequest<TypeConfig>) -> Self {
        Self {
            from: (*request.from_leader()).into(),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Into::into),
        }
    }
}

impl From<TransferFrame> for TransferLeaderRequest<TypeConfig> {
    fn from(frame: TransferFrame) -> Self {
        Self::new(frame.from.into(), frame.to, frame.last.map(Into::into))
    }
}

/// What it says to a [`TransferFrame`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TransferAnswer {
    /// It stands for election, or it is not the one that is meant.
    Taken,
    /// Its vote is not the one that was expected.
    VoteChanged { expected: WireVote, actual: WireVote },
    /// Its log does not reach as far as was expected.
    LogNotFlushed { expected: Option<WireLogId>, actual: Option<WireLogId> },
}

impl From<TransferLeaderResponse<TypeConfig>> for TransferAnswer {
    fn from(response: TransferLeaderResponse<TypeConfig>) -> Self {
        match response {
            Ok(()) => Self::Taken,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                Self::VoteChanged { expected: expected.into(), actual: actual.into() }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                Self::LogNotFlushed { expected: expected.map(Into::into), actual: actual.map(Into::into) }
            }
        }
    }
}

impl From<TransferAnswer> for TransferLeaderResponse<TypeConfig> {
    fn from(answer: TransferAnswer) -> Self {
        match answer {
            TransferAnswer::Taken => Ok(()),
            TransferAnswer::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged { expected: expected.into(), actual: actual.into() })
            }
            TransferAnswer::LogNotFlushed { expected, actual } => Err(TransferLeaderError::LogNotFlushed {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            }),
        }
    }
}

/// What comes before a snapshot's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotFrame {
    vote: WireVote,
    last: Option<WireLogId>,
    membership_id: Option<WireLogId>,
    membership: WireMembership,
    /// How many bytes follow.
    pub(super) length: u64,
}

impl SnapshotFrame {
    pub(super) fn new(vote: Vote, meta: &SnapshotMeta, length: u64) -> Self {
        Self {
            vote: vote.into(),
            last: meta.last_log_id.map(Into::into),
            membership_id: meta.last_membership.log_id().map(Into::into),
            membership: meta.last_membership.membership().into(),
            length,
        }
    }

    /// Nothing where the membership cannot be.
    pub(super) fn into_parts(self) -> Option<(Vote, SnapshotMeta)> {
        let membership = self.membership.into_membership()?;
        let last_membership = StoredMembership::new(self.membership_id.map(Into::into), membership);
        Some((self.vote.into(), SnapshotMeta { last_log_id: self.last.map(Into::into), last_membership }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{codec, raft::Proposal, registry::Operation};

    fn member(name: &str) -> Member {
        Member { addr: format!("{name}:7400"), server_id: name.to_owned() }
    }

    fn log_id(index: u64) -> LogId {
        LogId { leader_id: LeaderId { term: 3, node_id: u64::MAX }, index }
    }

    fn membership() -> Membership<NodeNumber, Member> {
        let voters = vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])];
        let nodes: BTreeMap<_, _> = [(1, member("a")), (2, member("b")), (3, member("c")), (4, member("d"))].into();
        Membership::<NodeNumber, Member>::new(voters, nodes).expect("every voter has an address")
    }

    #[test]
    fn entries_survive_the_wire() {
        let tick = Proposal::new(&Operation::Tick).expect("plain data");
        let batch = Batch::new([&tick]).expect("plain data").at(5);
        let entry = |index, payload| Entry { log_id: log_id(index), payload };
        let request = AppendEntriesRequest::<TypeConfig> {
            vote: Vote { leader_id: LeaderId { term: 3, node_id: 9 }, committed: true },
            prev_log_id: Some(log_id(6)),
            entries: vec![
                entry(7, EntryPayload::Blank),
                entry(8, EntryPayload::Normal(batch)),
                entry(9, EntryPayload::Membership(membership())),
            ],
            leader_commit: None,
        };
        let bytes = codec::encode(&AppendFrame::from(request.clone())).expect("plain data");
        let back = codec::decode::<AppendFrame>(&bytes).expect("whole").into_request().expect("it can be");
        assert_eq!(back.entries, request.entries);
        assert_eq!((back.vote, back.prev_log_id), (request.vote, request.prev_log_id));
    }

    #[test]
    fn a_snapshots_head_survives_the_wire() {
        let last_membership = StoredMembership::new(Some(log_id(4)), membership());
        let meta = SnapshotMeta { last_log_id: Some(log_id(5)), last_membership };
        let vote = Vote { leader_id: LeaderId { term: 4, node_id: 1 }, committed: true };
        let bytes = codec::encode(&SnapshotFrame::new(vote, &meta, 77)).expect("plain data");
        let frame = codec::decode::<SnapshotFrame>(&bytes).expect("whole");
        assert_eq!((frame.length, frame.into_parts()), (77, Some((vote, meta))));
    }

    #[test]
    fn a_voter_without_an_address_is_no_membership() {
        let wrong = WireMembership { voters: vec![vec![1, 2]], nodes: vec![(1, member("a"))] };
        assert_eq!(wrong.into_membership(), None);
    }
}
