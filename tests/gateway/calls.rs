//! Every call, its answer and its error codes.

use roomraft::{adapter::MemoryAdapter, server::Server};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{
    cluster::{BROKEN, DUEL, RELAY, address, alone, builder, built, run},
    raw::{Raw, code},
    support::player::{Place, Player},
};

#[tokio::test]
async fn a_join_is_answered_before_the_rooms_first_word() {
    let server = alone().await;
    let mut raw = Raw::to(&server).await;
    let answer = raw.call("JoinRoom", json!({ "roomType": RELAY })).await;
    assert_eq!((&answer[0], &answer[1]), (&json!(1), &json!(1)), "{answer}");
    let first = raw.packet().await;
    assert_eq!((&first[1], &first[2]["type"]), (&json!("RoomMessage"), &json!("$state")), "{first}");
}

#[tokio::test]
async fn every_call_answers_in_the_words_of_the_protocol() {
    let server = alone().await;
    let mut player = Player::connect(&address(&server)).await.expect("connected");
    let joined = player.call("JoinRoom", json!({ "roomType": RELAY, "playerData": { "name": "Ada" } })).await;
    let joined = joined.expect("a seat");
    for field in ["roomId", "playerId", "sessionToken"] {
        assert!(joined[field].is_string(), "{joined}");
    }
    let listed = player.call("ListRooms", json!({ "type": RELAY })).await.expect("a list");
    let room = json!({
        "roomId": joined["roomId"], "roomType": RELAY, "playerCount": 1, "maxPlayers": 4, "locked": false, "metadata": {}
    });
    assert_eq!(listed, json!({ "rooms": [room] }));
    let info = player.call("GetRoomInfo", json!({ "roomId": joined["roomId"] })).await.expect("a room");
    assert_eq!(info["players"], json!([{ "id": joined["playerId"] }]));
    assert_eq!(player.call("LeaveRoom", json!({})).await, Ok(json!({ "success": true })));
    assert_eq!(player.call("LeaveRoom", json!({})).await, Ok(json!({ "success": true })), "it is idempotent");
    let over = player.call("ReconnectRoom", json!({ "sessionToken": joined["sessionToken"] })).await;
    assert_eq!(over.expect_err("left").code(), "NOT_FOUND");
    let login = player.call("Authenticate", json!({ "token": "x" })).await.expect("an answer");
    assert_eq!(login["success"], json!(false), "there is no login here");
}

#[tokio::test]
async fn a_list_passes_the_rest_of_the_query() {
    let server = alone().await;
    let _full = two_in(&server, DUEL).await;
    let _one = Player::join(&address(&server), RELAY).await.expect("a seat");
    let mut asking = Player::connect(&address(&server)).await.expect("connected");
    let cases = [
        (json!({}), vec![DUEL, RELAY]),
        (json!({ "hasSpace": true }), vec![RELAY]),
        (json!({ "limit": 1 }), vec![DUEL]),
        (json!({ "limit": 1, "offset": 1 }), vec![RELAY]),
        (json!({ "type": "unheard-of" }), vec![]),
        (json!({ "metadata": { "map": "none has it" } }), vec![]),
    ];
    for (query, expected) in cases {
        let list = asking.call("ListRooms", query.clone()).await.expect("a list");
        let types = list["rooms"].as_array().expect("rooms").iter().map(|room| room["roomType"].clone());
        assert_eq!(types.collect::<Value>(), json!(expected), "{query}");
    }
}

#[tokio::test]
async fn wrong_calls_are_refused_with_their_code() {
    let server = alone().await;
    let (_first, _second, place) = two_in(&server, DUEL).await;
    let mut raw = Raw::to(&server).await;
    let cases = [
        ("Fly", json!({}), "NOT_FOUND"),
        ("JoinRoom", json!({ "roomType": "unheard-of" }), "NOT_FOUND"),
        ("JoinRoom", json!({ "roomId": "unheard-of" }), "NOT_FOUND"),
        ("JoinRoom", json!({ "roomId": place.room_id }), "NOT_FOUND"),
        ("JoinRoom", json!({}), "INVALID_REQUEST"),
        ("JoinRoom", json!({ "roomType": 7 }), "INVALID_REQUEST"),
        ("JoinRoom", json!({ "roomType": "{}" }), "INVALID_REQUEST"),
        ("JoinRoom", json!({ "roomId": place.room_id, "reservation": "short" }), "INVALID_REQUEST"),
        ("JoinRoom", json!("arena"), "INVALID_REQUEST"),
        ("JoinRoom", json!({ "roomType": BROKEN }), "INTERNAL_ERROR"),
        ("ReconnectRoom", json!({ "sessionToken": "no token" }), "NOT_FOUND"),
        ("ReconnectRoom", json!({ "sessionToken": 7 }), "INVALID_REQUEST"),
        ("GetRoomInfo", json!({ "roomId": "unheard-of" }), "NOT_FOUND"),
        ("GetRoomInfo", json!({}), "INVALID_REQUEST"),
        ("ListRooms", json!({ "limit": -1 }), "INVALID_REQUEST"),
        ("Authenticate", json!({}), "INVALID_REQUEST"),
    ];
    for (name, input, expected) in cases {
        let answer = raw.call(name, input.clone()).await;
        assert_eq!(code(&answer), expected, "{name} {input}: {answer}");
    }
    raw.say(json!([0, 1])).await;
    assert_eq!(code(&raw.packet().await), "INVALID_REQUEST", "a call without a name");
    raw.beats().await;
}

#[tokio::test]
async fn a_server_that_is_not_registered_says_unavailable_and_can_start_later() {
    let memory = MemoryAdapter::default();
    let first = run(builder(memory.sibling(), "same")).await;
    let second = built(builder(memory, "same")).await;
    second.start().await.expect_err("the name is taken");
    let mut raw = Raw::to(&second).await;
    assert_eq!(code(&raw.call("JoinRoom", json!({ "roomType": RELAY })).await), "UNAVAILABLE");
    first.stop(true).await.expect("the backend is there");
    second.start().await.expect("the name is free");
    let joined = raw.call("JoinRoom", json!({ "roomType": RELAY })).await;
    assert!(joined[2]["sessionToken"].is_string(), "{joined}");
}

#[tokio::test]
async fn a_binary_message_with_json_is_the_same_as_a_text() {
    let server = alone().await;
    let mut raw = Raw::open(&server, "/any/path?at=all").await.expect("any path serves");
    raw.send(Message::binary(json!([0, 1, "JoinRoom", { "roomType": RELAY }]).to_string().into_bytes())).await;
    let answer = raw.packet().await;
    assert!(answer[2]["sessionToken"].is_string(), "{answer}");
}

#[tokio::test]
async fn an_id_may_be_a_text_and_comes_back_as_it_was() {
    let server = alone().await;
    let mut raw = Raw::to(&server).await;
    raw.say(json!([0, "first", "ListRooms"])).await;
    assert_eq!(raw.packet().await, json!([1, "first", { "rooms": [] }]));
}

/// Two players in one room, and where the second one sits.
async fn two_in(server: &Server, room_type: &str) -> (Player, Player, Place) {
    let (first, its) = Player::join(&address(server), room_type).await.expect("a seat");
    let (second, place) = Player::join(&address(server), room_type).await.expect("a seat");
    assert_eq!(its.room_id, place.room_id);
    (first, second, place)
}
