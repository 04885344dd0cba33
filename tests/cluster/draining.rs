//! `roomraft drain` and `roomraft leave`: a server is emptied while people play on it.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    player::Player,
    process::{Cluster, Node},
    wait::until,
};

const ROOMS: usize = 12;

/// Runs a command that changes something, as an operator does; gives what it printed.
async fn operate(cluster: &Cluster, command: &str, node: &Node) -> Result<Value, String> {
    let mut process = Command::new(env!("CARGO_BIN_EXE_roomraft"));
    process.args([command, "--json", "--ops", &node.ops, "--secret-file"]).arg(cluster.folder.path().join("secret"));
    let output = tokio::task::spawn_blocking(move || process.output()).await.expect("it ran").expect("it started");
    if output.status.success() {
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A player that wrote something which its room has acknowledged, in a room of its own on this node.
async fn played(node: &Node, number: usize) -> Player {
    let (mut player, _) = Player::join(&node.gateway, "arena").await.expect("a room of its own");
    assert_eq!(player.redirects, 0, "new rooms are placed here");
    player.say("$set", json!({ "key": "number", "value": number })).await.expect("a connection");
    while player.heard("$state").await.expect("the room answers")["number"] != number {}
    player
}

/// Follows the word of where the room went, with the token that came with it; gives the room's state there.
async fn moved(mut player: Player, gone_from: &Node) -> Value {
    let word = player.message("$redirect").await.expect("word of where the room went");
    let address = word["address"].as_str().expect("an address");
    assert!(!address.ends_with(gone_from.gateway.as_str()), "{address}");
    let mut there = Player::connect(address).await.expect("the new server");
    let token = json!({ "sessionToken": word["sessionToken"] });
    there.call("ReconnectRoom", token).await.expect("the seat went with the room");
    there.heard("$state").await.expect("the state")
}

async fn rooms_of(cluster: &Cluster, server_id: &str) -> usize {
    let rooms = cluster.any().rooms().await.expect("rooms");
    rooms.iter().filter(|room| room["serverId"] == server_id).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_moves_every_room_with_its_state_and_players_and_says_where() {
    let arena = "arena=relay,max_players=1,reconnect_grace_ms=30000";
    let cluster = Cluster::started(3, &["--room", arena]).await;
    let node = &cluster.nodes[cluster.leader().await];
    let mut players = Vec::new();
    for number in 0..ROOMS {
        players.push(played(node, number).await);
    }
    assert_eq!(rooms_of(&cluster, &node.server_id).await, ROOMS);

    let summary = operate(&cluster, "drain", node).await.expect("drained");
    let rooms = summary["rooms"].as_array().expect("a line for each room");
    assert_eq!(rooms.len(), ROOMS, "{summary}");
    assert!(rooms.iter().all(|room| room["fate"] == "moved"), "{summary}");
    assert_eq!(rooms_of(&cluster, &node.server_id).await, 0);
    for other in cluster.nodes.iter().filter(|other| other.server_id != node.server_id) {
        assert_eq!(rooms_of(&cluster, &other.server_id).await, ROOMS / 2, "they share them evenly: {summary}");
    }
    for (number, player) in players.into_iter().enumerate() {
        assert_eq!(moved(player, node).await["number"], number);
    }

    let refused = Player::join(&node.gateway, "arena").await.err().expect("it takes nobody any more");
    assert_eq!(refused.code(), "UNAVAILABLE");
    let again = operate(&cluster, "drain", node).await.expect("harmless twice");
    assert_eq!(again["rooms"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_gives_up_its_rooms_and_its_membership() {
    let mut cluster = Cluster::started(3, &["--room", "arena=relay,max_players=1,reconnect_grace_ms=30000"]).await;
    let place = cluster.leader().await;
    let player = played(&cluster.nodes[place], 7).await;
    let summary = operate(&cluster, "leave", &cluster.nodes[place]).await.expect("left");
    assert_eq!(summary["rooms"][0]["fate"], "moved", "{summary}");
    assert_eq!(moved(player, &cluster.nodes[place]).await["number"], 7);
    assert!(cluster.nodes[place].exit().await.success());
    until("a cluster of two", || async {
        let status = cluster.any().status().await?;
        let count = |list: &str| status[list].as_array().map(Vec::len);
        if (count("members"), count("servers")) == (Some(2), Some(2)) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    Player::join(&cluster.any().gateway, "arena").await.expect("the others go on");

    let gone = &mut cluster.nodes[place];
    gone.start();
    assert_eq!(gone.exit().await.code(), Some(1), "its data folder is of no use");
    let log = gone.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("has left cluster") && last.contains("--data-dir"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_voter_cannot_leave_and_a_stranger_can_drain_nothing() {
    let cluster = Cluster::started(1, &["--bootstrap-expect", "1"]).await;
    let problem = operate(&cluster, "leave", &cluster.nodes[0]).await.expect_err("it is the cluster");
    assert!(problem.contains("only voter"), "{problem}");
    Player::join(&cluster.nodes[0].gateway, "relay").await.expect("nothing has changed");
    std::fs::write(cluster.folder.path().join("secret"), "another secret of somebody else").expect("written");
    let problem = operate(&cluster, "drain", &cluster.nodes[0]).await.expect_err("it is refused");
    assert!(problem.contains("token"), "{problem}");
}
