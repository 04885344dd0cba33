//! What the others do when one node dies.

use nix::sys::signal::Signal;

use serde_json::{Value, json};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_lagged_is_not_taken_for_dead_and_revokes_no_lease_when_it_goes_on() {
    // The lease outlasts any pause of this test: only a leader that counts its own pause as the others' would end one.
    let cluster = Cluster::started(3, &["--lease-ms", "60000", "--room", "arena=relay,max_players=1"]).await;
    let mut players = Vec::new();
    for node in &cluster.nodes {
        players.push(Player::join(&node.gateway, "arena").await.expect("a room there"));
    }
    let owners = async || {
        let rooms = cluster.any().rooms().await?;
        Ok::<_, String>(rooms.iter().map(|room| json!([room["roomId"], room["serverId"], room["epoch"]])).collect())
    };
    let before: Vec<Value> = owners().await.expect("the rooms");
    assert_eq!(before.len(), 3);
    for _ in 0..2 {
        let leader = cluster.leader().await;
        let old = &cluster.nodes[leader];
        old.signal(Signal::SIGSTOP);
        let survivor = &cluster.nodes[(leader + 1) % 3];
        until("a new leader", || async {
            let leads = survivor.status().await?["leader"].clone();
            if leads.is_string() && leads != old.server_id.as_str() { Ok(()) } else { Err(leads.to_string()) }
        })
        .await;
        old.signal(Signal::SIGCONT);
        old.ready().await;
        until("every server, still online", || async {
            let status = old.status().await?;
            let servers = status["servers"].as_array().map_or(0, Vec::len);
            if servers == 3 && status["leader"].is_string() { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }
    for (player, place) in &mut players {
        player.say("$set", json!({ "key": "here", "value": place.player_id })).await.expect("a connection");
        let state = player.heard("$state").await.expect("the room");
        let state = if state == json!({}) { player.heard("$state").await.expect("the room") } else { state };
        assert_eq!(state["here"], place.player_id.as_str(), "its room goes on");
    }
    assert_eq!(owners().await.expect("the rooms"), before, "no room has changed hands");
}
