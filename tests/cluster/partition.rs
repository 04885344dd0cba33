//! A network that is cut: one node with its game server on one side, a majority on the other.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    relay::{comes_back, saved, seated},
    support::{
        network::Network,
        player::{CallError, Place, Player},
        process::{Cluster, Node},
        wait::until,
    },
};

/// Snapshots often, seats kept for longer than the test takes.
const ARGUMENTS: [&str; 4] =
    ["--snapshot-interval-ms", "100", "--room", "arena=relay,max_players=1,reconnect_grace_ms=60000"];

/// Owner and epoch of each room, where a node lists them all as live.
async fn owners(node: &Node) -> Result<BTreeMap<String, (String, u64)>, String> {
    let rooms = node.rooms().await?;
    let row = |room: &Value| {
        let owner = room["serverId"].as_str().filter(|_| room["state"] == "live")?;
        Some((room["roomId"].as_str()?.to_owned(), (owner.to_owned(), room["epoch"].as_u64()?)))
    };
    rooms.iter().map(|room| row(room).ok_or_else(|| format!("not live: {room}"))).collect()
}

/// Waits until the other side serves every room of the node that is cut off.
async fn moved_away(majority: &Node, cut: &Node, places: &[Place]) {
    until("every room on the majority's side", || async {
        let owners = owners(majority).await?;
        let away = |place: &&Place| owners.get(&place.room_id).is_some_and(|(owner, _)| *owner != cut.server_id);
        let count = places.iter().filter(away).count();
        if count == places.len() { Ok(()) } else { Err(format!("{count} of {}", places.len())) }
    })
    .await;
}

async fn serves_no_joins(node: &Node) {
    until("joins refused on the minority's side", || async {
        match Player::join(&node.gateway, "arena").await {
            Err(CallError::Refused { code, .. }) if code == "UNAVAILABLE" => Ok(()),
            other => Err(format!("{:?}", other.map(|(_, place)| place))),
        }
    })
    .await;
    until("the minority's word that it is not ready", || async {
        if node.http("/readyz").await.is_err() { Ok(()) } else { Err("still ready") }
    })
    .await;
}

/// Waits until all nodes say the same of every room; each runs on its owner and nowhere else.
async fn one_registry(cluster: &Cluster, places: &[Place]) {
    cluster.leader().await;
    let agreed = until("one registry on every node", || async {
        let mut views = Vec::new();
        for node in &cluster.nodes {
            let servers = node.status().await?["servers"].as_array().map_or(0, Vec::len);
            views.push((servers, owners(node).await?));
        }
        let all = |(servers, rooms): &(usize, BTreeMap<_, _>)| *servers == 3 && rooms.len() >= places.len();
        if views.iter().all(|view| all(view) && *view == views[0]) {
            Ok(views.swap_remove(0).1)
        } else {
            Err(format!("{views:?}"))
        }
    })
    .await;
    for place in places {
        let (owner, _) = &agreed[&place.room_id];
        until("one server that runs the room, its owner", || async {
            let mut running = Vec::new();
            for node in &cluster.nodes {
                let mut asker = Player::connect(&node.gateway).await.map_err(|error| format!("{error:?}"))?;
                let info = asker.call("GetRoomInfo", json!({ "roomId": place.room_id })).await;
                if info.map_err(|error| format!("{error:?}"))?["players"].is_array() {
                    running.push(node.server_id.clone());
                }
            }
            if running == [owner.clone()] { Ok(()) } else { Err(format!("{running:?} run a room of {owner}")) }
        })
        .await;
    }
}

async fn a_node_is_cut_off(leads: bool) {
    let (mut cluster, network): (Cluster, Network) = Cluster::on_a_network(3, &ARGUMENTS).await;
    cluster.start().await;
    let place_of_cut = if leads { cluster.leader().await } else { cluster.follower().await };
    let cut = &cluster.nodes[place_of_cut];
    let majority: Vec<&Node> = cluster.nodes.iter().filter(|node| node.server_id != cut.server_id).collect();
    let mut players = Vec::new();
    for number in 0..3 {
        players.push(seated(cut, number).await);
    }
    let (_other, undisturbed) = seated(majority[0], 7).await;
    let mut places: Vec<Place> = players.iter().map(|(_, place)| place.clone()).collect();
    for seat in &mut players {
        saved(majority[0], seat).await;
    }

    network.cut_off(&cut.listen);
    serves_no_joins(cut).await;
    moved_away(majority[0], cut, &places).await;
    // The old copies take what their players say for nothing.
    for (player, _) in &mut players {
        player.say("$set", json!({ "key": "number", "value": "too late" })).await.expect("a connection");
    }
    let mut returned = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let mut player = comes_back(&majority[number % 2].gateway, place).await;
        assert_eq!(player.heard("$state").await.expect("the state")["number"], number);
        player.say("$set", json!({ "key": "after", "value": number })).await.expect("a connection");
        player.heard("$state").await.expect("an acknowledged write on the majority's side");
        returned.push(player);
    }

    network.heal();
    for (player, place) in &mut players {
        loop {
            let (name, data) = player.next_message().await.expect("word of where the room is");
            let acknowledged =
                name == "RoomMessage" && data["type"] == "$state" && data["data"]["number"] == "too late";
            assert!(!acknowledged, "the old copy of {} acknowledged a write", place.room_id);
            if name == "$redirect" {
                assert_eq!(data["sessionToken"], place.session_token.as_str());
                break;
            }
        }
    }
    places.push(undisturbed);
    one_registry(&cluster, &places).await;
    for (number, place) in places.iter().take(3).enumerate() {
        let mut player = comes_back(&cut.gateway, place).await;
        let state = player.heard("$state").await.expect("the state");
        assert_eq!((&state["number"], &state["after"]), (&json!(number), &json!(number)), "nothing late came through");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_with_its_rooms_serves_nobody_and_loses_them_to_the_majority() {
    Box::pin(a_node_is_cut_off(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_cut_off_with_its_rooms_serves_nobody_and_loses_them_to_the_majority() {
    Box::pin(a_node_is_cut_off(false)).await;
}
