//! One player on several connections, one connection in several rooms.

use roomraft::{
    adapter::MemoryAdapter,
    gateway::DuplicateJoinPolicy,
    room::{Player as RoomPlayer, RoomHandle},
};
use serde_json::json;

use super::{
    cluster::{FLEETING, RELAY, address, alone, builder, run},
    support::{
        player::Player,
        wait::{DEADLINE, until},
    },
};

#[tokio::test]
async fn a_message_reaches_the_others_in_the_room() {
    let server = alone().await;
    let (mut ada, place) = Player::join(&address(&server), RELAY).await.expect("a seat");
    let (mut bob, _) = Player::join(&address(&server), RELAY).await.expect("a seat");
    ada.say("wave", json!("hello")).await.expect("sent");
    assert_eq!(bob.heard("wave").await, Ok(json!({ "from": place.player_id, "data": "hello" })));
}

#[tokio::test]
async fn a_player_whose_connection_was_cut_comes_back_as_the_same() {
    let server = alone().await;
    let (mut ada, place) = Player::join(&address(&server), RELAY).await.expect("a seat");
    assert_eq!(ada.heard("$state").await, Ok(json!({})));
    ada.say("$set", json!({ "key": "k", "value": 1 })).await.expect("sent");
    assert_eq!(ada.heard("$state").await, Ok(json!({ "k": 1 })));
    ada.cut();
    let mut back = Player::connect(&address(&server)).await.expect("connected");
    let answer = back.call("ReconnectRoom", json!({ "sessionToken": place.session_token })).await.expect("its seat");
    let same = json!({ "roomId": place.room_id, "playerId": place.player_id, "sessionToken": place.session_token });
    assert_eq!(answer, same);
    assert_eq!(back.heard("$state").await, Ok(json!({ "k": 1 })));
}

#[tokio::test]
async fn the_last_connection_has_the_seat() {
    let server = alone().await;
    let (mut old, place) = Player::join(&address(&server), RELAY).await.expect("a seat");
    let mut new = Player::connect(&address(&server)).await.expect("connected");
    new.call("ReconnectRoom", json!({ "sessionToken": place.session_token })).await.expect("its seat");
    assert!(old.ended(DEADLINE).await, "the older connection is closed");
    let (mut bob, _) = Player::join(&address(&server), RELAY).await.expect("a seat");
    new.say("wave", json!(1)).await.expect("sent");
    let wave = bob.heard("wave").await.expect("heard");
    assert_eq!(wave["from"], json!(place.player_id));
}

#[tokio::test]
async fn a_second_join_leaves_the_first_room() {
    let server = alone().await;
    let (mut ada, first) = Player::join(&address(&server), RELAY).await.expect("a seat");
    let second = ada.call("JoinRoom", json!({ "roomType": FLEETING })).await.expect("another seat");
    let info = ada.call("GetRoomInfo", json!({ "roomId": second["roomId"] })).await.expect("a room");
    assert_eq!(info["playerCount"], json!(1));
    let mut other = Player::connect(&address(&server)).await.expect("connected");
    let over = other.call("ReconnectRoom", json!({ "sessionToken": first.session_token })).await;
    assert_eq!(over.expect_err("it left").code(), "NOT_FOUND");
}

#[tokio::test]
async fn a_second_join_is_refused_where_the_server_says_so() {
    let policy = DuplicateJoinPolicy::Reject;
    let server = run(builder(MemoryAdapter::default(), "strict").duplicate_join_policy(policy)).await;
    let (mut ada, first) = Player::join(&address(&server), RELAY).await.expect("a seat");
    let refused = ada.call("JoinRoom", json!({ "roomType": FLEETING })).await.expect_err("in a room");
    assert_eq!(refused.code(), "INVALID_REQUEST");
    let info = ada.call("GetRoomInfo", json!({ "roomId": first.room_id })).await.expect("it is there still");
    assert_eq!(info["playerCount"], json!(1));
    ada.call("LeaveRoom", json!({})).await.expect("left");
    ada.call("JoinRoom", json!({ "roomType": FLEETING })).await.expect("another seat");
}

#[tokio::test]
async fn nobody_stays_behind_whose_connection_ends_while_it_joins() {
    let server = alone().await;
    for _ in 0..60 {
        let mut hasty = Player::connect(&address(&server)).await.expect("connected");
        hasty.send_text(r#"[0,1,"JoinRoom",{"roomType":"fleeting"}]"#).await.expect("sent");
        hasty.cut();
    }
    until("the room to be empty and gone", async || match server.manager().rooms() {
        rooms if rooms.is_empty() && server.connections() == 0 => Ok(()),
        rooms => Err((server.connections(), rooms.first().map(RoomHandle::player_count))),
    })
    .await;
}

#[tokio::test]
async fn a_seat_is_not_left_to_a_connection_that_ended_while_it_came_back() {
    let server = alone().await;
    let (ada, place) = Player::join(&address(&server), RELAY).await.expect("a seat");
    ada.cut();
    for _ in 0..40 {
        let mut hasty = Player::connect(&address(&server)).await.expect("connected");
        let call = json!([0, 1, "ReconnectRoom", { "sessionToken": place.session_token }]);
        hasty.send_text(&call.to_string()).await.expect("sent");
        hasty.cut();
    }
    until("the player to be away", async || {
        let players = server.manager().rooms().iter().flat_map(RoomHandle::players).collect::<Vec<RoomPlayer>>();
        let away = players.len() == 1 && !players[0].connected() && server.connections() == 0;
        if away { Ok(()) } else { Err((players, server.connections())) }
    })
    .await;
}

#[tokio::test]
async fn a_leave_counts_that_was_sent_just_before_the_end() {
    let server = alone().await;
    let (mut ada, _) = Player::join(&address(&server), RELAY).await.expect("a seat");
    ada.send_text(r#"[0,9,"LeaveRoom",{}]"#).await.expect("sent");
    ada.cut();
    until("the room to be gone with its last player", async || match server.manager().rooms() {
        rooms if rooms.is_empty() => Ok(()),
        rooms => Err(rooms[0].players()),
    })
    .await;
}

#[tokio::test]
async fn one_connection_has_one_seat_even_by_session_tokens() {
    let server = alone().await;
    let address = address(&server);
    let (one, first) = Player::join(&address, RELAY).await.expect("a seat");
    let (two, second) = Player::join(&address, RELAY).await.expect("another seat");
    one.cut();
    two.cut();

    let mut greedy = Player::connect(&address).await.expect("a connection");
    greedy.call("ReconnectRoom", json!({ "sessionToken": first.session_token })).await.expect("the first seat");
    greedy.call("ReconnectRoom", json!({ "sessionToken": second.session_token })).await.expect("the second seat");
    let again = greedy.call("ReconnectRoom", json!({ "sessionToken": first.session_token })).await;
    assert_eq!(again.expect_err("the first seat was given up for the second").code(), "NOT_FOUND");
}
