//! What operators and scripts read: the shapes of the ops listener and the commands on top of it.

use std::process::Output;

use serde_json::{Value, json};

use crate::{
    command::{ended, roomraft},
    memory_node::node,
    support::{player::Player, process::Node, wait::until},
};

/// A node with one player in a room.
async fn played(folder: &tempfile::TempDir) -> (Node, Player, String) {
    let node = node(folder, &["--room", "arena=relay,max_players=8", "--capacity", "7"]).await;
    let (player, place) = Player::join(&node.gateway, "arena").await.expect("a seat");
    (node, player, place.room_id)
}

#[tokio::test]
async fn health_readiness_and_status_have_their_shape() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let (node, _player, _) = played(&folder).await;
    node.http("/healthz").await.expect("healthy");
    assert_eq!(node.http("/readyz").await.expect("ready")["ready"], true);
    let status = node.status().await.expect("a status");
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "adapter": "memory", "server_id": "s1",
        "cluster_id": null, "node_id": null, "role": "none", "term": 0, "leader": null, "quorum": true, "last_applied": 0,
        "members": [], "rooms": { "total": 1, "local": 1 }, "players": { "total": 1, "local": 1 },
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&status[key], value, "{key} in {status}");
    }
    let (host, port) = node.gateway.split_once(':').expect("an address");
    let server = &status["servers"][0];
    let expected = json!({
        "serverId": "s1", "address": host, "port": port.parse::<u16>().expect("a port"), "roomCount": 1,
        "playerCount": 1, "capacity": 7, "status": "online",
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&server[key], value, "{key} in {server}");
    }
    assert!(server["lastHeartbeat"].as_u64().is_some_and(|time| time > 1_600_000_000_000), "{server}");
}

#[tokio::test]
async fn rooms_are_listed_by_type_and_server_and_page() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let (node, _player, room_id) = played(&folder).await;
    let list = async |query: &str| {
        let answer = node.http(&format!("/rooms{query}")).await.expect("rooms");
        answer["rooms"].as_array().cloned().expect("a list")
    };
    until("the room is live", || async {
        let room = list("").await.remove(0);
        if room["state"] == "live" { Ok(()) } else { Err(room) }
    })
    .await;
    let room = list("?type=arena&server=s1&limit=1000000000&offset=0").await.remove(0);
    let expected = json!({
        "roomId": room_id, "roomType": "arena", "serverId": "s1", "serverAddress": node.gateway, "playerCount": 1,
        "maxPlayers": 8, "isLocked": false,
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&room[key], value, "{key} in {room}");
    }
    assert!(room["epoch"].is_u64() && room["createdAt"].is_u64() && room["updatedAt"].is_u64(), "{room}");
    for none in ["?type=other", "?server=s2", "?offset=1", "?limit=0"] {
        assert_eq!(list(none).await, Vec::<Value>::new(), "{none}");
    }
    for bad in ["/rooms?limit=-1", "/rooms?limit=some", "/rooms?colour=red", "/rooms?type=", "/nowhere"] {
        assert!(node.http(bad).await.is_err(), "{bad}");
    }
}

#[tokio::test]
async fn metrics_are_the_projects_own_and_count_rooms_and_players() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let (node, _player, _) = played(&folder).await;
    let Value::String(text) = node.http("/metrics").await.expect("metrics") else { panic!("metrics are text") };
    for line in [
        "roomraft_rooms{scope=\"cluster\"} 1",
        "roomraft_rooms{scope=\"server\"} 1",
        "roomraft_players{scope=\"cluster\"} 1",
        "roomraft_servers 1",
        "roomraft_quorum 1",
        "roomraft_ready 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
    let strangers: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(strangers.iter().all(|line| line.starts_with("roomraft_")), "{strangers:?}");
}

#[tokio::test]
async fn administrative_requests_need_the_token_and_no_web_page_behind_them() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &[]).await;
    let url = format!("http://{}/admin/anything", node.ops);
    let told = tokio::task::spawn_blocking(move || {
        let status = |request: ureq::RequestBuilder<ureq::typestate::WithBody>| {
            request.config().http_status_as_error(false).build().send_empty().expect("an answer").status().as_u16()
        };
        let bearer = ("authorization", "Bearer guess");
        let plain = status(ureq::post(&url).header(bearer.0, bearer.1));
        (plain, status(ureq::post(&url).header(bearer.0, bearer.1).header("origin", "http://localhost")))
    });
    assert_eq!(told.await.expect("no panic"), (403, 403), "a node without a token refuses every such request");
}

#[tokio::test]
async fn the_commands_show_what_the_node_says() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let (node, _player, room_id) = played(&folder).await;
    let show = |arguments: &[&str]| {
        let output: Output = roomraft().args(arguments).args(["--ops", &node.ops]).output().expect("it starts");
        let told = ended(output);
        assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        told.stdout
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(json(&show(&["status", "--json"]))["server_id"], "s1");
    assert_eq!(json(&show(&["servers", "--json"]))["servers"][0]["serverId"], "s1");
    assert_eq!(json(&show(&["rooms", "--type", "arena", "--json"]))["rooms"][0]["roomId"], room_id.as_str());
    assert!(show(&["status"]).contains("memory"));
    assert!(show(&["servers"]).contains("s1"));
    assert!(show(&["rooms"]).contains(&room_id));
    assert!(!show(&["rooms", "--server", "s2"]).contains(&room_id));
}
