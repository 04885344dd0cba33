//! What a node can say of the cluster from where it stands.

use std::{collections::BTreeMap, time::Duration};

use openraft::{Instant, RaftMetrics, ServerState};

use super::types::{Member, NodeNumber, TypeConfig};
use crate::quic::ClusterId;

/// The part that a node has in consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RaftRole {
    /// It leads.
    Leader,
    /// It votes and follows.
    Follower,
    /// It follows without a vote, or is no member yet.
    Learner,
    /// It stands for election.
    Candidate,
}

impl RaftRole {
    /// Its name in `/status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Learner => "learner",
            Self::Candidate => "candidate",
        }
    }
}

/// One member, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its number as 16 hexadecimal digits.
    pub node_id: String,
    /// The name of its server.
    pub server_id: String,
    /// What its peers dial.
    pub addr: String,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it answered this node lately.
    pub reachable: bool,
    /// Entries that it has not applied and this node knows of; none where it does not answer.
    pub lag: Option<u64>,
}

/// The cluster as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftStatus {
    /// The cluster's number as 32 hexadecimal digits; none before the node is a member.
    pub cluster_id: Option<String>,
    /// This node's number as 16 hexadecimal digits.
    pub node_id: String,
    /// Its part.
    pub role: RaftRole,
    /// The present term.
    pub term: u64,
    /// The name of the leader's server, if a leader is known.
    pub leader: Option<String>,
    /// Whether a quorum was heard of lately: by a leader itself, else through a leader that answers.
    pub quorum: bool,
    /// The last log index that this node has applied; 0 = none.
    pub last_applied: u64,
    /// The members in order of their numbers.
    pub members: Vec<MemberStatus>,
}

/// Puts together what consensus says of itself and who answered lately, with what each has applied. A leader that no
/// quorum has answered for `quorum_silence` does not have one.
pub(super) fn status(
    metrics: &RaftMetrics<TypeConfig>,
    cluster_id: Option<ClusterId>,
    answered: &BTreeMap<NodeNumber, u64>,
    quorum_silence: Duration,
) -> RaftStatus {
    let membership = &metrics.membership_config;
    let role = match metrics.state {
        ServerState::Leader => RaftRole::Leader,
        ServerState::Follower => RaftRole::Follower,
        ServerState::Candidate => RaftRole::Candidate,
        _ => RaftRole::Learner,
    };
    let last_applied = metrics.last_applied.map_or(0, |id| id.index);
    let newest = answered.values().copied().chain([last_applied]).max().unwrap_or(0);
    let voters: Vec<_> = membership.voter_ids().collect();
    let member = |(node, member): (&NodeNumber, &Member)| {
        let applied = if *node == metrics.id { Some(last_applied) } else { answered.get(node).copied() };
        MemberStatus {
            node_id: format!("{node:016x}"),
            server_id: member.server_id.clone(),
            addr: member.addr.clone(),
            voter: voters.contains(node),
            reachable: applied.is_some(),
            lag: applied.map(|applied| newest.saturating_sub(applied)),
        }
    };
    let leader = metrics.current_leader;
    let quorum = if role == RaftRole::Leader {
        voters.len() == 1 || metrics.last_quorum_acked.is_some_and(|acked| acked.elapsed() < quorum_silence)
    } else {
        leader.is_some_and(|leader| answered.contains_key(&leader))
    };
    RaftStatus {
        cluster_id: cluster_id.map(|id| id.to_string()),
        node_id: format!("{:016x}", metrics.id),
        role,
        term: metrics.current_term,
        leader: leader.and_then(|leader| membership.get_node(&leader)).map(|member| member.server_id.clone()),
        quorum,
        last_applied,
        members: membership.nodes().map(member).collect(),
    }
}
