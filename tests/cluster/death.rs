//! What the others do when one node dies.

use nix::sys::signal::Signal;

use crate::support::{player::Player, process::Cluster, wait::until};

async fn joins_work_again(cluster: &Cluster) {
    for gateway in cluster.gateways() {
        until("a join through a survivor", || async {
            Player::join(&gateway, "relay").await.map(|_| ()).map_err(|error| format!("{error:?}"))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_joins_go_on_without_a_follower() {
    let mut cluster = Cluster::started(3, &[]).await;
    let follower = cluster.follower().await;
    cluster.nodes[follower].kill();
    for gateway in cluster.gateways() {
        Player::join(&gateway, "relay").await.expect("a join that never noticed");
    }
    assert!(!cluster.any().rooms().await.expect("a read").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_work_again_after_the_leader_died() {
    let mut cluster = Cluster::started(3, &[]).await;
    let leader = cluster.leader().await;
    cluster.nodes[leader].kill();
    joins_work_again(&cluster).await;
    assert_ne!(cluster.leader().await, leader);

    cluster.start().await;
    joins_work_again(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_goes_offline_and_no_player_is_sent_to_it() {
    let mut cluster = Cluster::started(3, &["--room", "arena=relay,max_players=4"]).await;
    let follower = cluster.follower().await;
    let (_player, place) = Player::join(&cluster.nodes[follower].gateway, "arena").await.expect("a room there");
    let dead = cluster.nodes[follower].server_id.clone();
    cluster.nodes[follower].kill();
    until("the registry without the dead server", || async {
        let status = cluster.any().status().await?;
        let servers = status["servers"].as_array().cloned().unwrap_or_default();
        if servers.iter().any(|server| server["serverId"] == dead.as_str()) { Err(status.to_string()) } else { Ok(()) }
    })
    .await;
    let gateway = cluster.any().gateway.clone();
    let (_other, found) = Player::join(&gateway, "arena").await.expect("another room");
    assert_ne!(found.room_id, place.room_id, "a room whose server died is not offered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_leader_is_replaced_and_follows_when_it_goes_on() {
    let cluster = Cluster::started(3, &[]).await;
    let leader = cluster.leader().await;
    cluster.nodes[leader].signal(Signal::SIGSTOP);
    let survivor = &cluster.nodes[(leader + 1) % 3];
    until("a new leader", || async {
        let status = survivor.status().await?;
        let old = cluster.nodes[leader].server_id.as_str();
        if status["leader"].is_string() && status["leader"] != old { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    cluster.nodes[leader].signal(Signal::SIGCONT);
    cluster.nodes[leader].ready().await;
    assert_ne!(cluster.leader().await, leader, "a leader that was away does not take over by itself");
}
