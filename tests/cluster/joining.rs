//! Joins through several gateways at once, by players that know nothing of each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{
    crowd::{crowd, rooms_of},
    player::{Place, Player},
    process::Cluster,
    wait::until,
};

const PLAYERS: usize = 1_000;
const SEATS: usize = 4;

/// The seats taken in each live room, as the registry has them.
async fn registered(cluster: &Cluster) -> Result<BTreeMap<String, usize>, String> {
    let rooms = cluster.any().rooms().await?;
    let count = |room: &Value| room["playerCount"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    Ok(rooms.iter().map(|room| (room["roomId"].as_str().unwrap_or_default().to_owned(), count(room))).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_players_fill_two_hundred_and_fifty_rooms_of_four_seats() {
    let cluster = Cluster::started(3, &["--room", "arena=relay,max_players=4"]).await;
    let mut joins = crowd(&cluster.gateways(), PLAYERS);
    let mut players = Vec::new();
    let mut places = Vec::new();
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
    until("a registry that agrees with the players", || async {
        let found = registered(&cluster).await?;
        if found == expected { Ok(()) } else { Err(format!("{} rooms registered", found.len())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_end_in_a_seat_or_a_clear_error_while_the_leader_is_killed() {
    let mut cluster = Cluster::started(3, &["--room", "arena=relay,max_players=4"]).await;
    let leader = cluster.leader().await;
    let mut joins = crowd(&cluster.gateways(), PLAYERS);
    let (mut seated, mut refused) = (Vec::new(), Vec::new());
    while let Some(joined) = joins.join_next().await {
        match joined.expect("no panic") {
            (_, Ok((player, place))) => seated.push((player, place)),
            (_, Err(error)) => refused.push(error),
        }
        if seated.len() == PLAYERS / 4 {
            cluster.nodes[leader].kill();
        }
    }
    assert_eq!(seated.len() + refused.len(), PLAYERS, "every call came to an end");
    for error in &refused {
        let clear = matches!(error.code(), "GONE" | "UNAVAILABLE" | "NOT_FOUND" | "TIMEOUT");
        assert!(clear, "an answer that says what to do: {error:?}");
    }

    let places: Vec<Place> = seated.iter().map(|(_, place)| place.clone()).collect();
    assert!(rooms_of(&places).values().all(|seats| seats.len() <= SEATS), "no room is overfull");
    let dead = cluster.nodes[leader].server_id.clone();
    let living: BTreeMap<String, String> = until("rooms whose servers live", || async {
        let rooms = cluster.any().rooms().await?;
        let owned = |room: &Value| Some((room["roomId"].as_str()?.to_owned(), room["serverId"].as_str()?.to_owned()));
        let owners: BTreeMap<String, String> = rooms.iter().filter_map(owned).collect();
        if owners.values().any(|owner| *owner == dead) {
            Err("the dead server owns rooms".to_owned())
        } else {
            Ok(owners)
        }
    })
    .await;
    assert!(!living.is_empty(), "some rooms are on servers that live");
    for (mut player, place) in seated {
        if living.contains_key(&place.room_id) {
            let info = player.call("GetRoomInfo", json!({ "roomId": place.room_id })).await.expect("its server lives");
            let there = |listed: &Value| listed["id"] == place.player_id.as_str();
            let players = info["players"].as_array().expect("a local room lists its players");
            assert!(players.iter().any(there), "player {} lost its seat: {info}", place.player_id);
            assert!(players.len() <= SEATS, "room {} is overfull: {info}", place.room_id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_is_redirected_to_the_owner_and_comes_back_within_the_grace_period() {
    let cluster = Cluster::started(3, &["--room", "arena=relay,max_players=4"]).await;
    let (mut first, room) = Player::join(&cluster.nodes[0].gateway, "arena").await.expect("the first player");
    first.say("$set", json!({ "key": "score", "value": 7 })).await.expect("a connection");
    while first.heard("$state").await.expect("an acknowledged write")["score"] != 7 {}

    let (second, place) = Player::join(&cluster.nodes[1].gateway, "arena").await.expect("the second player");
    assert_eq!(place.room_id, room.room_id, "one open room is one room, whatever the gateway");
    assert_eq!(second.redirects, 1);
    second.cut();

    let mut again = Player::connect(&cluster.nodes[2].gateway).await.expect("a third gateway");
    let answer = again.call("ReconnectRoom", json!({ "sessionToken": place.session_token })).await.expect("a redirect");
    let owner = answer["redirect"].as_str().expect("the room lives on the first server");
    let mut again = Player::connect(owner).await.expect("the owner");
    let answer = again.call("ReconnectRoom", json!({ "sessionToken": place.session_token })).await.expect("its seat");
    assert_eq!(answer["playerId"], place.player_id.as_str(), "the player keeps its id");
    assert_eq!(again.heard("$state").await.expect("the state")["score"], 7);
}
