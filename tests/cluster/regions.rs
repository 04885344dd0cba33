//! Players land near where they are: on the nearest server that can take them, then on the next.

use std::{collections::BTreeSet, time::Duration};

use roomraft::{
    client::{Client, ClientConfig, JoinOptions},
    model::RoomType,
};
use serde_json::{Value, json};

use crate::support::{player::Player, process::Cluster, wait::until};

/// Where the servers `s1`, `s2` and `s3` are: Frankfurt, Tokyo and Ashburn.
const PLACES: [(&str, &str); 3] = [("europe", "50.11,8.68"), ("asia", "35.68,139.77"), ("america", "39.04,-77.49")];

/// Three servers in three regions; each runs `capacity` rooms of one seat.
async fn continents(capacity: &str) -> Cluster {
    let common = ["--strategy", "geo", "--capacity", capacity, "--room", "arena=relay,max_players=1"];
    let mut cluster = Cluster::new(3, &common);
    let nodes = std::mem::take(&mut cluster.nodes).into_iter().zip(PLACES);
    let placed = nodes.map(|(node, (region, point))| node.with(&["--region", region, "--coordinates", point]));
    cluster.nodes = placed.collect();
    cluster.start().await;
    cluster
}

/// Joins with these fields added, and tells which server the room is on.
async fn lands(cluster: &Cluster, gateway: &str, fields: Value) -> Result<(Player, String), String> {
    let mut input = json!({ "roomType": "arena", "reservations": true });
    input.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
    let player = Player::connect(gateway).await.map_err(|error| format!("{error:?}"))?;
    let (player, seat) = player.join_with(input).await.map_err(|error| format!("{error:?}"))?;
    let owner = until("the room's owner", || async {
        let rooms = cluster.any().rooms().await?;
        let room = rooms.iter().find(|room| room["roomId"] == seat.room_id.as_str());
        room.and_then(|room| room["serverId"].as_str()).map(str::to_owned).ok_or_else(|| seat.room_id.clone())
    })
    .await;
    Ok((player, owner))
}

fn paris() -> Value {
    json!({ "place": { "latitude": 48.86, "longitude": 2.35 } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_of_each_region_land_on_its_server_until_it_is_full_and_then_on_the_next() {
    let cluster = continents("3").await;
    let lima = json!({ "place": { "latitude": -12.05, "longitude": -77.04 } });
    let tokyo = json!({ "place": { "region": "asia" } });
    let mut players = Vec::new();
    for gateway in cluster.gateways() {
        for (fields, nearest) in [(paris(), "s1"), (tokyo.clone(), "s2"), (lima.clone(), "s3")] {
            let (player, owner) = lands(&cluster, &gateway, fields.clone()).await.expect("a seat");
            assert_eq!(owner, nearest, "{fields} through {gateway}");
            players.push(player);
        }
    }
    let full = lands(&cluster, &cluster.nodes[0].gateway, paris()).await;
    let error = full.map(|(_, owner)| owner).expect_err("nine rooms are all there can be");
    assert!(error.contains("UNAVAILABLE"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_go_to_the_next_nearest_where_the_nearest_is_full_or_dead() {
    let mut cluster = continents("2").await;
    let seoul = json!({ "place": { "latitude": 37.57, "longitude": 126.98 } });
    let mut owners = Vec::new();
    let mut players = Vec::new();
    for _ in 0..3 {
        let (player, owner) = lands(&cluster, &cluster.nodes[2].gateway, seoul.clone()).await.expect("a seat");
        owners.push(owner);
        players.push(player);
    }
    assert_eq!(owners, ["s2", "s2", "s1"], "Frankfurt is nearer to Seoul than Ashburn");

    cluster.nodes[0].kill();
    let (_player, owner) =
        until("a seat on a server that lives", || async { lands(&cluster, &cluster.nodes[1].gateway, paris()).await })
            .await;
    assert_eq!(owner, "s3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_land_where_their_round_trip_is_shortest() {
    let cluster = Cluster::started(3, &["--strategy", "latency", "--room", "arena=relay,max_players=4"]).await;
    let [first, second, third] = [0, 1, 2].map(|place| cluster.nodes[place].gateway.clone());
    let by_address = json!({ "roundTrips": { second: 9, first.clone(): 80, third.clone(): 200 } });
    let mut players = Vec::new();
    for gateway in cluster.gateways() {
        for (fields, nearest) in [
            (json!({ "roundTrips": { "s3": 5, "s2": 40 } }), "s3"),
            (by_address.clone(), "s2"),
            (json!({ "roundTrips": { "s1": 900, "s2": 2000, "s3": 4000 } }), "s1"),
        ] {
            let (player, owner) = lands(&cluster, &gateway, fields.clone()).await.expect("a seat");
            assert_eq!(owner, nearest, "{fields} through {gateway}");
            players.push(player);
        }
    }
    let mut stranger = Player::connect(&first).await.expect("a connection");
    let wrong = json!({ "roomType": "arena", "roundTrips": { "s1": -4 } });
    let refusal = stranger.call("JoinRoom", wrong).await.expect_err("no time");
    assert_eq!(refusal.code(), "INVALID_REQUEST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_measures_all_servers_and_joins_with_what_it_found() {
    let cluster = Cluster::started(3, &["--strategy", "latency"]).await;
    let limit = Duration::from_secs(10);
    let config = ClientConfig { measure_limit: Some(limit), ..ClientConfig::default() };
    let (client, _events) = Client::connect(cluster.gateways(), config).await.expect("connected");
    let measured = client.measure_round_trips(limit).await.expect("an open client");
    let expected: BTreeSet<String> = cluster.gateways().into_iter().collect();
    assert_eq!(measured.entries().keys().cloned().collect::<BTreeSet<_>>(), expected);
    let relay = RoomType::new("relay").expect("a name");
    client.join(JoinOptions::room_type(relay)).await.expect("a seat");
}
