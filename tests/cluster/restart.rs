//! What is there again after every process was killed at once.

use serde_json::{Value, json};

use crate::{
    relay::{comes_back, saved, seated},
    support::{player::Player, process::Cluster, wait::until},
};

fn last_applied(status: &Value) -> u64 {
    status["last_applied"].as_u64().unwrap_or_default()
}

/// Kills every node in the same moment, as a power cut of the machines' processes.
fn kill_all(cluster: &mut Cluster) {
    for node in &mut cluster.nodes {
        node.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_killed_and_restarted_are_the_same_cluster_with_nothing_acknowledged_lost() {
    // Snapshots every 100 ms, so that the room's state is saved before everything dies.
    let mut cluster =
        Cluster::started(3, &["--snapshot-interval-ms", "100", "--room", "relay=relay,reconnect_grace_ms=60000"]).await;
    let (mut player, place) = Player::join(&cluster.nodes[0].gateway, "relay").await.expect("a seat");
    player.say("$set", json!({ "key": "gold", "value": 12 })).await.expect("a connection");
    until("a saved snapshot with the gold", || async {
        let rooms = cluster.any().rooms().await?;
        let saved =
            |room: &Value| room["roomId"] == place.room_id.as_str() && room["snapshotVersion"].as_u64() >= Some(1);
        if rooms.iter().any(saved) { Ok(()) } else { Err(format!("{rooms:?}")) }
    })
    .await;
    let before = cluster.any().status().await.expect("status");
    kill_all(&mut cluster);
    cluster.start().await;

    until("the same cluster, no further back", || async {
        let after = cluster.any().status().await?;
        let same = after["cluster_id"] == before["cluster_id"] && last_applied(&after) >= last_applied(&before);
        if same { Ok(()) } else { Err(format!("{before} then {after}")) }
    })
    .await;
    let owner = until("the room, live again", || async {
        let rooms = cluster.any().rooms().await?;
        let room = rooms.iter().find(|room| room["roomId"] == place.room_id.as_str());
        match room {
            Some(room) if room["state"] == "live" => Ok(room["serverAddress"].as_str().unwrap_or_default().to_owned()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let mut again = Player::connect(&owner).await.expect("the owner");
    let input = json!({ "sessionToken": place.session_token });
    let answer = again.call("ReconnectRoom", input).await.expect("its seat outlived every process");
    assert_eq!(answer["playerId"], place.player_id.as_str());
    assert_eq!(again.heard("$state").await.expect("the state")["gold"], 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_room_is_live_parked_or_disposed_of_after_all_were_killed() {
    let mut cluster =
        Cluster::started(3, &["--snapshot-interval-ms", "0", "--room", "arena=relay,max_players=1"]).await;
    let mut players = Vec::new();
    for n in 0..30 {
        players.push(Player::join(&cluster.nodes[n % 3].gateway, "arena").await.expect("a room each"));
    }
    kill_all(&mut cluster);
    cluster.start().await;
    until("no room in the name of a server that does not run it", || async {
        let rooms = cluster.any().rooms().await?;
        let settled = |room: &Value| matches!(room["state"].as_str(), Some("live" | "parked"));
        if rooms.iter().all(settled) { Ok(()) } else { Err(format!("{rooms:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_room_with_a_snapshot_lives_again_with_its_state_and_its_players_after_all_were_killed() {
    let room = "arena=relay,max_players=2,reconnect_grace_ms=600000";
    let mut cluster = Cluster::started(3, &["--snapshot-interval-ms", "100", "--room", room]).await;
    let mut players = Vec::new();
    for number in 0..12 {
        // Two in each room: the state is what the second of them wrote.
        players.push(seated(&cluster.nodes[number / 2 % 3], number).await);
    }
    for (number, seat) in players.iter_mut().enumerate() {
        if number % 2 == 1 {
            saved(cluster.any(), seat).await;
        }
    }
    kill_all(&mut cluster);
    cluster.start().await;

    for (number, (_, place)) in players.iter().enumerate() {
        let mut player = comes_back(&cluster.nodes[(number + 1) % 3].gateway, place).await;
        let state = player.heard("$state").await.expect("the state");
        assert_eq!(state["number"], number | 1, "the state of {} as it was saved", place.room_id);
        drop(player);
    }
    let rooms = cluster.any().rooms().await.expect("the rooms");
    assert_eq!(rooms.len(), 6, "no room more and none less: {rooms:?}");
    assert!(rooms.iter().all(|room| room["state"] == "live" && room["seatCount"] == 2), "{rooms:?}");
}
