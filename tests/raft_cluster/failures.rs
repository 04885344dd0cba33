//! Nodes that go and come back.

use roomraft::raft::{LogId, Snapshot, SnapshotFile, SnapshotMeta, Vote};

use crate::{
    cluster::{DEADLINE, Place, leader_of, places, start_all, stop_all, until, write},
    ports::free_address,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_leads_when_the_leader_stops() {
    let places = places(3);
    let mut nodes = start_all(&places).await;
    let before = write(&nodes.iter().collect::<Vec<_>>()).await;
    let leader = leader_of(&nodes).await;
    let name = nodes[leader].status().leader;
    nodes.remove(leader).stop().await;
    let index = write(&nodes.iter().collect::<Vec<_>>()).await;
    assert!(index > before);
    for node in &nodes {
        until("both follow a new leader", node, |status| status.leader.is_some() && status.leader != name).await;
    }
    // It comes back and follows.
    nodes.push(places[leader].joined().await);
    until("it has what was written meanwhile", &nodes[2], |status| status.last_applied >= index).await;
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_taken_and_nothing_is_lost() {
    let places = places(3);
    let mut nodes = start_all(&places).await;
    let index = write(&nodes.iter().collect::<Vec<_>>()).await;
    let rest = nodes.split_off(1);
    stop_all(rest).await;
    until("it knows that it has no quorum", &nodes[0], |status| !status.quorum).await;
    nodes.push(places[1].joined().await);
    let later = write(&nodes.iter().collect::<Vec<_>>()).await;
    assert!(later > index);
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_consensus_panics_says_that_it_cannot_go_on() {
    let place = Place::new("alone", free_address(), &[]);
    let node = place.joined().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let leader_id = |term| openraft::vote::leader_id_adv::LeaderId { term, node_id: u64::MAX };
    // openraft takes a snapshot from beyond its leader's term for a fault of the program.
    let meta = SnapshotMeta {
        last_log_id: Some(LogId { leader_id: leader_id(u64::MAX), index: u64::MAX }),
        ..SnapshotMeta::default()
    };
    let snapshot = Snapshot { meta, snapshot: SnapshotFile::open(file.path()).expect("opened") };
    let vote = Vote { leader_id: leader_id(1_000), committed: true };
    assert!(node.raft().install_full_snapshot(vote, snapshot).await.is_err());
    let reason = tokio::time::timeout(DEADLINE, node.fatal()).await.expect("in time");
    assert!(reason.contains("consensus"), "{reason}");
    node.stop().await;
}
