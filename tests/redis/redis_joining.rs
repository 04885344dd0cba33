//! Joins on three servers, a server's death, and a drain: as on the raft backend.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    nodes::{TOKEN, servers, started, write},
    support::{
        crowd::{crowd, rooms_of},
        player::{Place, Player},
        redis::{RedisCluster, RedisServer},
        wait::until,
    },
};

const PLAYERS: usize = 1_000;
const SEATS: usize = 4;
const ARENA: [&str; 4] = ["--room", "arena=relay,max_players=4,reconnect_grace_ms=30000", "--capacity", "200"];

/// A thousand players through three servers: no room is overfull, no seat is given twice, no gap is left.
async fn a_thousand_players(urls: &[String]) {
    let cluster = started(3, urls, &ARENA).await;
    let mut joins = crowd(&cluster.gateways(), PLAYERS);
    let (mut players, mut places) = (Vec::new(), Vec::<Place>::new());
    while let Some(joined) = joins.join_next().await {
        let (_, outcome) = joined.expect("no panic");
        let (player, place) = outcome.expect("every join ends in a seat");
        players.push(player);
        places.push(place);
    }
    let ids: BTreeSet<&str> = places.iter().map(|place| place.player_id.as_str()).collect();
    assert_eq!(ids.len(), PLAYERS, "no player id twice");
    let rooms = rooms_of(&places);
    assert_eq!(rooms.len(), PLAYERS / SEATS);
    assert!(rooms.values().all(|seats| seats.len() == SEATS), "no room is overfull and none is left with a gap");
    let expected: BTreeMap<String, usize> = rooms.keys().map(|room| ((*room).to_owned(), SEATS)).collect();
    for node in &cluster.nodes {
        until("a registry that agrees with the players", || async {
            let found = node.rooms().await?.iter().map(seats).collect::<BTreeMap<_, _>>();
            if found == expected { Ok(()) } else { Err(format!("{} rooms registered", found.len())) }
        })
        .await;
    }
}

fn seats(room: &Value) -> (String, usize) {
    let count = room["playerCount"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    (room["roomId"].as_str().unwrap_or_default().to_owned(), count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_thousand_players_fill_two_hundred_and_fifty_rooms_of_four_seats() {
    let redis = RedisServer::start(&[]);
    a_thousand_players(&[redis.url()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_thousand_players_fill_their_rooms_on_a_redis_cluster_too() {
    let redis = RedisCluster::start();
    a_thousand_players(&redis.urls()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn rooms_of_a_killed_server_live_on_with_their_last_snapshots() {
    let redis = RedisServer::start(&[]);
    let times = ["--server-ttl-ms", "1200", "--snapshot-interval-ms", "100"];
    let mut cluster = started(3, &[redis.url()], &[&ARENA[..], &times].concat()).await;
    let mut players = Vec::new();
    for number in 0..8 {
        // Rooms of one seat less than four fill up one after the other: each player here gets a type's oldest room.
        let (mut player, place) = Player::join(&cluster.nodes[0].gateway, "arena").await.expect("a seat");
        write(&mut player, "number", &json!(number)).await.expect("an acknowledged write");
        players.push((player, place));
    }
    let rooms: BTreeSet<String> = players.iter().map(|(_, place)| place.room_id.clone()).collect();
    until("snapshots of what was written last", || async {
        let saved = redis.cli(&["--scan", "--pattern", "*snap*"]);
        if saved.lines().count() >= rooms.len() { Ok(()) } else { Err(saved) }
    })
    .await;
    // One more interval than the snapshots need, counted by a room that goes on: its own next snapshot.
    write(&mut players[0].0, "last", &json!(true)).await.expect("an acknowledged write");
    cluster.nodes[0].kill();
    let dead = cluster.nodes[0].server_id.clone();
    until("every room on a server that lives", || async {
        let found = cluster.nodes[1].rooms().await?;
        let living = found.iter().filter(|room| room["state"] == "live" && room["serverId"] != dead.as_str());
        if living.count() == rooms.len() { Ok(()) } else { Err(json!(found).to_string()) }
    })
    .await;
    servers(&cluster.nodes[1], 2).await;
    for (_, place) in &players {
        let mut back = until("the seat in the room that moved", || async {
            let mut back = Player::connect(&cluster.nodes[1].gateway).await.map_err(|error| format!("{error:?}"))?;
            let token = json!({ "sessionToken": place.session_token });
            let answer = back.call("ReconnectRoom", token.clone()).await.map_err(|error| format!("{error:?}"))?;
            if let Some(owner) = answer["redirect"].as_str() {
                back = Player::connect(owner).await.map_err(|error| format!("{error:?}"))?;
                back.call("ReconnectRoom", token).await.map_err(|error| format!("{error:?}"))?;
            }
            Ok::<_, String>(back)
        })
        .await;
        let state = back.heard("$state").await.expect("the state");
        assert!(state["number"].is_number(), "what the snapshot had is there: {state}");
    }
    cluster.start().await;
    servers(&cluster.nodes[0], 3).await;
    assert!(cluster.nodes[0].rooms().await.expect("rooms").iter().all(|room| room["serverId"] != dead.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn drain_moves_every_room_with_its_state_and_players() {
    let redis = RedisServer::start(&[]);
    let alone = ["--room", "arena=relay,max_players=1,reconnect_grace_ms=30000"];
    let mut cluster = started(3, &[redis.url()], &alone).await;
    let mut players = Vec::new();
    for number in 0..9 {
        let (mut player, _) = Player::join(&cluster.nodes[0].gateway, "arena").await.expect("a room of its own");
        assert_eq!(player.redirects, 0, "new rooms are placed here");
        write(&mut player, "number", &json!(number)).await.expect("an acknowledged write");
        players.push(player);
    }
    assert!(drain(&cluster.nodes[0].ops, "another token").expect_err("refused").contains("token"));
    let summary = drain(&cluster.nodes[0].ops, TOKEN).expect("drained");
    let rooms = summary["rooms"].as_array().expect("a line for each room");
    assert_eq!(rooms.len(), 9, "{summary}");
    assert!(rooms.iter().all(|room| room["fate"] == "moved"), "{summary}");
    for (number, mut player) in players.into_iter().enumerate() {
        let word = player.message("$redirect").await.expect("word of where the room went");
        let mut there = Player::connect(word["address"].as_str().expect("an address")).await.expect("the new server");
        let token = json!({ "sessionToken": word["sessionToken"] });
        there.call("ReconnectRoom", token).await.expect("the seat went with the room");
        assert_eq!(there.heard("$state").await.expect("the state")["number"], number);
    }
    cluster.nodes[0].signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(cluster.nodes[0].exit().await.code(), Some(0), "{}", cluster.nodes[0].log());
    servers(&cluster.nodes[1], 2).await;
}

/// `roomraft drain`, as an operator runs it off the raft adapter.
fn drain(ops: &str, token: &str) -> Result<Value, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomraft"));
    let output = command.args(["drain", "--json", "--ops", ops]).env("ROOMRAFT_OPS_TOKEN", token).output().unwrap();
    if output.status.success() {
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
