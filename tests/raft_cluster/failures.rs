//! Nodes that go and come back.

use crate::cluster::{leader_of, places, start_all, stop_all, until, write};

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
async fn a_follower_far_behind_catches_up_by_snapshot() {
    let mut places = places(3);
    for place in &mut places {
        place.config.snapshots.entries_kept = 0;
    }
    let mut nodes = start_all(&places).await;
    let leader = leader_of(&nodes).await;
    let behind = (leader + 1) % 3;
    nodes.remove(behind).stop().await;
    let others: Vec<_> = nodes.iter().collect();
    let mut index = 0;
    for _ in 0..50 {
        index = write(&others).await;
    }
    for node in &nodes {
        until("all of it is applied", node, |status| status.last_applied >= index).await;
        node.raft().trigger().snapshot().await.expect("it runs");
        let wait = node.raft().wait(Some(crate::cluster::DEADLINE));
        wait.metrics(|metrics| metrics.snapshot.is_some_and(|id| id.index >= index), "a snapshot")
            .await
            .expect("a snapshot is made");
        node.raft().trigger().purge_log(index).await.expect("it runs");
        let wait = node.raft().wait(Some(crate::cluster::DEADLINE));
        wait.metrics(|metrics| metrics.purged.is_some_and(|id| id.index >= index), "purged")
            .await
            .expect("the log is purged behind it");
    }
    let node = places[behind].joined().await;
    until("it has caught up", &node, |status| status.last_applied >= index).await;
    let wait = node.raft().wait(Some(crate::cluster::DEADLINE));
    wait.metrics(|metrics| metrics.snapshot.is_some_and(|id| id.index >= index), "installed")
        .await
        .expect("it came by snapshot");
    nodes.push(node);
    stop_all(nodes).await;
}
