//! Players whose room is on another server.

use roomraft::{room::RoomHandle, server::Server};
use serde_json::json;

use super::{
    cluster::{DUEL, RELAY, address, pair},
    raw::Raw,
    support::player::{Place, Player},
};

#[tokio::test]
async fn a_player_follows_a_redirect_into_the_room() {
    let (a, b) = pair().await;
    let (_ada, place) = at(&a, "a", RELAY).await;
    let (bob, bobs) = Player::join(&address(&b), RELAY).await.expect("a seat");
    assert_eq!((bobs.room_id, bob.redirects), (place.room_id, 1));
    assert_eq!(a.manager().rooms()[0].player_count(), 2);
}

#[tokio::test]
async fn word_of_a_redirect_comes_just_before_the_response() {
    let (a, b) = pair().await;
    let (_ada, place) = at(&a, "a", RELAY).await;
    let mut raw = Raw::to(&b).await;
    let word = raw.call("JoinRoom", json!({ "roomType": RELAY })).await;
    let reservation = word[2]["reservation"].as_str().expect("a reservation");
    assert_eq!(reservation.len(), 32);
    let told =
        json!({ "address": address(&a), "roomType": RELAY, "roomId": place.room_id, "reservation": reservation });
    assert_eq!(word, json!([3, "$redirect", told]));
    let output = json!({ "redirect": address(&a), "roomId": place.room_id, "reservation": reservation });
    assert_eq!(raw.packet().await, json!([1, 1, output]));
}

#[tokio::test]
async fn an_old_client_lands_in_the_room_that_it_was_sent_to() {
    let (a, b) = pair().await;
    let (_ada, place) = at(&a, "a", DUEL).await;
    let mut old = Player::connect(&address(&b)).await.expect("connected");
    let sent_on = old.call("JoinRoom", json!({ "roomType": DUEL })).await.expect("an answer");
    assert_eq!(sent_on["redirect"], json!(address(&a)));
    // The last seat of the room is held for it; it knows nothing of reservations.
    let mut old = Player::connect(&address(&a)).await.expect("connected");
    let joined = old.call("JoinRoom", json!({ "roomType": DUEL })).await.expect("a seat");
    assert_eq!(joined["roomId"], json!(place.room_id));
    assert_eq!((a.manager().rooms().len(), b.manager().rooms().len()), (1, 0), "no second room was made for it");
}

#[tokio::test]
async fn old_clients_are_never_sent_in_a_circle() {
    let (a, b) = pair().await;
    let mut inside = Vec::new();
    for number in 0..24 {
        let mut server = if number % 2 == 0 { &a } else { &b };
        let mut hops = 0;
        let player = loop {
            let mut player = Player::connect(&address(server)).await.expect("connected");
            let answer = player.call("JoinRoom", json!({ "roomType": DUEL })).await.expect("an answer");
            let Some(elsewhere) = answer["redirect"].as_str() else { break player };
            server = if elsewhere == address(&a) { &a } else { &b };
            hops += 1;
            assert!(hops <= 1, "player {number} was sent on a second time: {answer}");
        };
        inside.push(player);
    }
    let players = |server: &Server| server.manager().rooms().iter().map(RoomHandle::player_count).sum::<usize>();
    assert_eq!(players(&a) + players(&b), inside.len());
}

#[tokio::test]
async fn who_keeps_its_reservation_loses_it_to_nobody_of_the_same_address() {
    let (a, b) = pair().await;
    let (_ada, place) = at(&a, "a", DUEL).await;
    let mut late = Player::connect(&address(&b)).await.expect("connected");
    let sent_on = late.call("JoinRoom", json!({ "roomType": DUEL, "reservations": true })).await.expect("an answer");
    assert_eq!((&sent_on["redirect"], &sent_on["roomId"]), (&json!(address(&a)), &json!(place.room_id)));
    // Another one of that address, who asks where the seat is held, goes elsewhere.
    let (_bob, bobs) = Player::join(&address(&a), DUEL).await.expect("a seat");
    assert_ne!(bobs.room_id, place.room_id);
    let mut late = Player::connect(&address(&a)).await.expect("connected");
    let input = json!({ "roomId": place.room_id, "reservation": sent_on["reservation"] });
    let joined = late.call("JoinRoom", input).await.expect("its seat");
    assert_eq!(joined["roomId"], json!(place.room_id));
}

#[tokio::test]
async fn a_reservation_that_is_unknown_is_no_obstacle() {
    let (a, _b) = pair().await;
    let (_ada, place) = at(&a, "a", RELAY).await;
    let mut late = Player::connect(&address(&a)).await.expect("connected");
    let input = json!({ "roomId": place.room_id, "reservation": "00000000000000000000000000000007" });
    let joined = late.call("JoinRoom", input).await.expect("a seat nevertheless");
    assert_eq!(joined["roomId"], json!(place.room_id));
}

#[tokio::test]
async fn a_session_is_found_from_any_server() {
    let (a, b) = pair().await;
    let (ada, place) = at(&a, "a", RELAY).await;
    ada.cut();
    let mut raw = Raw::to(&b).await;
    let word = raw.call("ReconnectRoom", json!({ "sessionToken": place.session_token })).await;
    assert_eq!((&word[1], &word[2]["sessionToken"]), (&json!("$redirect"), &json!(place.session_token)), "{word}");
    let output = json!({ "redirect": address(&a), "roomId": place.room_id });
    assert_eq!(raw.packet().await, json!([1, 1, output]));
    let mut back = Player::connect(&address(&a)).await.expect("connected");
    let seat = back.call("ReconnectRoom", json!({ "sessionToken": place.session_token })).await.expect("its seat");
    assert_eq!(seat["playerId"], json!(place.player_id));
}

#[tokio::test]
async fn rooms_are_listed_by_every_server_and_their_players_by_their_own() {
    let (a, b) = pair().await;
    let (_ada, place) = at(&a, "a", RELAY).await;
    let mut asking = Player::connect(&address(&b)).await.expect("connected");
    let list = asking.call("ListRooms", json!({})).await.expect("a list");
    assert_eq!(list["rooms"][0]["roomId"], json!(place.room_id));
    let info = asking.call("GetRoomInfo", json!({ "roomId": place.room_id })).await.expect("a room");
    assert_eq!((info["playerCount"].as_u64(), info.get("players")), (Some(1), None), "{info}");
}

/// A player in a new room on this very server.
async fn at(server: &Server, name: &str, room_type: &str) -> (Player, Place) {
    let player = Player::connect(&address(server)).await.expect("connected");
    let input = json!({ "roomType": room_type, "preferredServerId": name });
    let (player, place) = player.join_with(input).await.expect("a seat");
    assert_eq!(player.redirects, 0, "the preferred server has room");
    (player, place)
}
