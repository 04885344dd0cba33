//! How nodes become one cluster.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{
    player::Player,
    process::{Cluster, Node},
    wait::until,
};

/// The ids of the cluster and the servers that each node names, once all name the same servers.
async fn agreed(nodes: &[&Node], servers: usize) -> Vec<Value> {
    until("the same servers on every node", || async {
        let mut answers = Vec::new();
        for node in nodes {
            answers.push(node.status().await?);
        }
        let all = |status: &Value| status["servers"].as_array().is_some_and(|list| list.len() == servers);
        if answers.iter().all(all) { Ok(answers) } else { Err(format!("{answers:?}")) }
    })
    .await
}

fn distinct(statuses: &[Value], field: &str) -> usize {
    statuses.iter().map(|status| status[field].to_string()).collect::<BTreeSet<_>>().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_fresh_nodes_become_one_cluster_and_a_fourth_joins_it_live() {
    let cluster = Cluster::started(3, &[]).await;
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    let statuses = agreed(&nodes, 3).await;
    assert_eq!(distinct(&statuses, "cluster_id"), 1, "one cluster, not several: {statuses:?}");
    assert_eq!(distinct(&statuses, "node_id"), 3, "every node is itself");

    let mut fourth = cluster.another("s4");
    fourth.start();
    fourth.ready().await;
    let all: Vec<&Node> = nodes.iter().copied().chain([&fourth]).collect();
    let statuses = agreed(&all, 4).await;
    assert_eq!(distinct(&statuses, "cluster_id"), 1);
    let (_player, place) = Player::join(&fourth.gateway, "relay").await.expect("a join through the fourth");
    assert!(!place.room_id.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_without_peers_works_at_once() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    std::fs::write(folder.path().join("secret"), "a secret of this test alone").expect("a secret file");
    let secret = folder.path().join("secret").display().to_string();
    let mut node = Node::new(folder.path(), "alone").with(&["--secret-file", &secret]);
    node.start();
    node.ready().await;
    let (mut player, place) = Player::join(&node.gateway, "relay").await.expect("a join");
    let info = player.call("GetRoomInfo", serde_json::json!({ "roomId": place.room_id })).await.expect("the room");
    assert_eq!(info["playerCount"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_is_refused_and_says_why() {
    let cluster = Cluster::started(3, &[]).await;
    let secret = cluster.folder.path().join("secret").display().to_string();
    let mut alone = Node::new(cluster.folder.path(), "stranger").with(&["--secret-file", &secret]);
    alone.start();
    alone.ready().await;
    alone.kill();

    // The node remembers the cluster of its own, and is now pointed at this one.
    let peers = cluster.nodes.iter().map(|node| node.listen.as_str()).collect::<Vec<_>>().join(",");
    let mut node = Node::new(cluster.folder.path(), "stranger").with(&["--secret-file", &secret, "--peers", &peers]);
    node.start();
    until("the stranger's word that it is refused", || async {
        let log = node.log();
        if log.contains("cluster") && log.contains("refuse") { Ok(()) } else { Err(log) }
    })
    .await;
    let status = cluster.any().status().await.expect("the cluster is unharmed");
    assert_eq!(status["members"].as_array().map(Vec::len), Some(3), "the stranger is no member: {status}");
}
