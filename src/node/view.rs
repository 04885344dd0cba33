//! What operators can ask of this process beyond the registry.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

use crate::{
    adapter::{Consistency, DistributedAdapter, RaftAdapter},
    model::{NodeId, ServerId},
    ops::{ClusterStatus, MemberStatus, NodeView, Role},
    raft::{self, RaftRole, RaftStatus},
    room::DistributedRoomManager,
};

/// The time in which the backend must answer to count as there.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// A node whose backend is no Raft group.
pub(super) struct PlainView {
    pub(super) adapter: Arc<dyn DistributedAdapter>,
    pub(super) manager: DistributedRoomManager,
    /// What the backend knows this process by, if it has a name for it.
    pub(super) node_id: Option<NodeId>,
}

#[async_trait]
impl NodeView for PlainView {
    async fn cluster(&self) -> ClusterStatus {
        let answer = timeout(ANSWER_TIME, self.adapter.servers(Consistency::Linearizable)).await;
        let node_id = self.node_id.map(|node_id| node_id.to_string());
        ClusterStatus { node_id, quorum: matches!(answer, Ok(Ok(_))), ..ClusterStatus::default() }
    }

    async fn readiness(&self) -> Result<(), String> {
        serving(&self.manager)
    }
}

/// A node of a Raft group.
pub(super) struct RaftView {
    pub(super) adapter: Arc<RaftAdapter>,
    pub(super) manager: DistributedRoomManager,
}

#[async_trait]
impl NodeView for RaftView {
    async fn cluster(&self) -> ClusterStatus {
        self.adapter.node().map_or_else(ClusterStatus::default, |node| cluster_status(node.status()))
    }

    async fn readiness(&self) -> Result<(), String> {
        match self.adapter.node().map(|node| node.status()) {
            None => Err("this node has not started yet".to_owned()),
            Some(status) if status.cluster_id.is_none() => Err("this node waits for its cluster to form".to_owned()),
            Some(status) if !status.quorum => Err("no quorum has been heard of lately".to_owned()),
            Some(_) => serving(&self.manager),
        }
    }
}

fn cluster_status(status: RaftStatus) -> ClusterStatus {
    let server = |name: String| ServerId::new(name).ok();
    let member = |member: raft::MemberStatus| MemberStatus {
        node_id: member.node_id,
        server_id: server(member.server_id),
        addr: member.addr,
        voter: member.voter,
        reachable: member.reachable,
        lag: member.lag,
    };
    ClusterStatus {
        cluster_id: status.cluster_id,
        node_id: Some(status.node_id),
        role: match status.role {
            RaftRole::Leader => Role::Leader,
            RaftRole::Follower => Role::Follower,
            RaftRole::Learner => Role::Learner,
            RaftRole::Candidate => Role::Candidate,
        },
        term: status.term,
        leader: status.leader.and_then(server),
        quorum: status.quorum,
        last_applied: status.last_applied,
        members: status.members.into_iter().map(member).collect(),
    }
}

/// Whether this server is registered and holds its lease.
pub(super) fn serving(manager: &DistributedRoomManager) -> Result<(), String> {
    if manager.is_serving() {
        Ok(())
    } else if manager.server_epoch().is_none() {
        Err("this server is not registered".to_owned())
    } else {
        Err("this server's lease has ended, or it is stopping".to_owned())
    }
}
