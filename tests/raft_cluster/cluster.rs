//! A few nodes on free ports, with folders that last as long as the test.

use std::{
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use roomraft::{
    adapter::EventHub,
    model::ServerId,
    quic::{ClusterSecret, ClusterSecurity},
    raft::{Batch, Proposal, RaftConfig, RaftHandle, RaftNode, RaftStatus},
    registry::Operation,
};
use tempfile::TempDir;

use crate::ports::free_address;

/// Far more than anything takes here, even on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// What a test starts nodes from, again and again if need be.
pub(crate) struct Place {
    pub(crate) config: RaftConfig,
    _folder: TempDir,
}

/// How the nodes of all clusters here know each other. Stretched once, since that takes its time.
fn common_security() -> ClusterSecurity {
    static COMMON: OnceLock<ClusterSecurity> = OnceLock::new();
    COMMON.get_or_init(|| security("the secret of the cluster tests")).clone()
}

pub(crate) fn security(secret: &str) -> ClusterSecurity {
    ClusterSecurity::Secret(ClusterSecret::parse(secret).expect("long enough"))
}

impl Place {
    pub(crate) fn new(name: &str, listen: SocketAddr, peers: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server_id = ServerId::new(name).expect("a name");
        let mut config = RaftConfig::new(server_id, folder.path().join("data"), common_security());
        config.listen = listen;
        config.peers = peers.iter().map(ToString::to_string).collect();
        Self { config, _folder: folder }
    }

    pub(crate) async fn start(&self) -> RaftNode {
        RaftNode::start(self.config.clone(), EventHub::default()).await.expect("the node starts")
    }

    pub(crate) async fn joined(&self) -> RaftNode {
        let node = self.start().await;
        joined(&node).await;
        node
    }
}

/// `count` places that list each other.
pub(crate) fn places(count: usize) -> Vec<Place> {
    let addresses: Vec<_> = (0..count).map(|_| free_address()).collect();
    let place = |at: usize| Place::new(&format!("s{}", at + 1), addresses[at], &addresses);
    (0..count).map(place).collect()
}

/// Starts all of them, and waits until each is a member and sees them all.
pub(crate) async fn start_all(places: &[Place]) -> Vec<RaftNode> {
    let mut nodes = Vec::new();
    for place in places {
        nodes.push(place.start().await);
    }
    for node in &nodes {
        joined(node).await;
    }
    for node in &nodes {
        until("every node sees a leader and all members", node, |status| {
            status.leader.is_some() && status.members.len() == places.len()
        })
        .await;
    }
    nodes
}

pub(crate) async fn joined(node: &RaftNode) -> String {
    tokio::time::timeout(DEADLINE, node.joined()).await.expect("in time").expect("it becomes a member").to_string()
}

/// Waits until a node's status is as wished.
pub(crate) async fn until(what: &str, node: &RaftNode, wish: impl Fn(&RaftStatus) -> bool) -> RaftStatus {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let status = node.status();
        if wish(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{what}: {status:?}");
        pause().await;
    }
}

/// Lets others run for a moment between two looks at a condition.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Writes one command through whichever of these nodes leads, and gives its log index.
pub(crate) async fn write(nodes: &[&RaftNode]) -> u64 {
    let deadline = Instant::now() + DEADLINE;
    loop {
        for node in nodes {
            let raft: &RaftHandle = node.raft();
            let tick = Proposal::new(&Operation::Tick).expect("plain data");
            let command = Batch::new([&tick]).expect("plain data").at(1);
            let written = tokio::time::timeout(Duration::from_secs(2), raft.client_write(command)).await;
            if let Ok(Ok(response)) = written {
                return response.log_id.index;
            }
        }
        assert!(Instant::now() < deadline, "nobody takes a write");
        pause().await;
    }
}

/// The place in `nodes` of the one that leads.
pub(crate) async fn leader_of(nodes: &[RaftNode]) -> usize {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let leads = |node: &RaftNode| node.status().role == roomraft::raft::RaftRole::Leader;
        if let Some(at) = nodes.iter().position(leads) {
            return at;
        }
        assert!(Instant::now() < deadline, "nobody leads");
        pause().await;
    }
}

/// Stops them all at once.
pub(crate) async fn stop_all(nodes: Vec<RaftNode>) {
    for node in nodes {
        node.stop().await;
    }
}
