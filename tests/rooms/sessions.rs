//! Connections that end, and players that come back.

use std::time::Duration;

use roomraft::room::{JoinError, RoomConfig};
use serde_json::{Value, json};

use super::{
    probe::Script,
    support::{Guest, backend, eventually, joined, record, redirected, say, seats, serving},
};

fn graceful(grace: Duration) -> RoomConfig {
    RoomConfig { reconnect_grace: grace, ..seats(4) }
}

const LONG: Duration = Duration::from_mins(10);

#[tokio::test]
async fn without_a_grace_period_a_lost_connection_is_a_leave() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let ann = Guest::new("ann");
    let room = manager.room(&ann.enter(&manager).await.room_id).expect("it runs here");
    ann.drop_connection(&manager);
    ann.drop_connection(&manager);
    room.over().await;
    assert_eq!(script.count("leave ann disconnected"), 1);
    assert_eq!(script.count("disconnected ann"), 0);
}

#[tokio::test]
async fn a_closed_connection_is_seen_without_word_of_it() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let ann = Guest::new("ann");
    let room = manager.room(&ann.enter(&manager).await.room_id).expect("it runs here");
    ann.connection.close();
    room.over().await;
    assert_eq!(script.count("leave ann disconnected"), 1);
}

#[tokio::test]
async fn a_player_that_comes_back_keeps_its_id_its_data_and_its_seat() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", graceful(LONG), &script).await;
    let ann = Guest::new("ann");
    let session = ann.enter(&manager).await;
    say(&manager, &ann, "data", json!({ "gold": 7 })).await;
    ann.drop_connection(&manager);
    eventually("the room knows", async || script.count("disconnected ann") == 1).await;
    let row = record(&backend, &session.room_id).await.expect("a kept seat keeps the room");
    assert_eq!((row.player_count, row.seat_count), (1, 1));
    let room = manager.room(&session.room_id).expect("it runs here");
    assert!(room.player(&ann.id).is_some_and(|player| !player.connected()));

    let mut back = Guest::new("whoever");
    let again = joined(back.reconnect(&manager, &session.session_token).await);
    assert_eq!(again, session, "the same room, id and token");
    assert_eq!(back.next().await, json!(["reconnected", session.room_id, "ann"]));
    assert_eq!(back.next().await[2]["type"], "welcome-back");
    assert_eq!(script.count(r#"reconnected ann {"gold":7}"#), 1);
    let row = record(&backend, &session.room_id).await.expect("it lives");
    assert_eq!((row.player_count, row.seat_count), (1, 1));
    manager.leave(&ann.id, "done").await;
    let over = Guest::new("ann").reconnect(&manager, &session.session_token).await;
    assert!(matches!(over, Err(JoinError::NotFound(_))), "{over:?}");
}

#[tokio::test]
async fn grace_time_outs_leave_the_count_right() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", graceful(Duration::from_millis(30)), &script).await;
    let (ann, bob) = (Guest::new("ann"), Guest::new("bob"));
    let session = ann.enter(&manager).await;
    bob.enter(&manager).await;
    ann.drop_connection(&manager);
    eventually("ann is given up", async || script.count("leave ann did not come back in time") == 1).await;
    eventually("one seat is taken", async || {
        record(&backend, &session.room_id).await.is_some_and(|row| (row.player_count, row.seat_count) == (1, 1))
    })
    .await;
    let late = ann.again().reconnect(&manager, &session.session_token).await;
    assert!(matches!(late, Err(JoinError::NotFound(_))), "{late:?}");
    bob.drop_connection(&manager);
    eventually("the empty room ends", async || manager.rooms().is_empty()).await;
    assert_eq!(record(&backend, &session.room_id).await, None);
    assert_eq!(script.count("leave ann did not come back in time"), 1);
}

#[tokio::test]
async fn the_last_connection_has_the_seat() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", graceful(LONG), &script).await;
    let first = Guest::new("ann");
    let session = first.enter(&manager).await;
    let mut second = first.again();
    joined(second.reconnect(&manager, &session.session_token).await);
    assert!(first.connection.is_closed());
    // The older connection's end says nothing about the player.
    first.drop_connection(&manager);
    say(&manager, &second, "say", json!(1)).await;
    assert_eq!(second.next_of("said").await, 1);
    assert_eq!(script.count("disconnected ann"), 0);
}

#[tokio::test]
async fn a_token_of_another_making_is_not_found() {
    let backend = backend();
    let manager = serving(&backend, "s1", graceful(LONG), &Script::default()).await;
    let ann = Guest::new("ann");
    let session = ann.enter(&manager).await;
    let (stem, _) = session.session_token.rsplit_once('.').expect("a token has parts");
    let forged = format!("{stem}.AAAAAAAAAAAAAAAAAAAAAA");
    let unknown_room = session.session_token.replacen("probe", "other", 1);
    for token in [forged.as_str(), unknown_room.as_str(), "", "nonsense", "a.b.c"] {
        let outcome = Guest::new("eve").reconnect(&manager, token).await;
        assert!(matches!(outcome, Err(JoinError::NotFound(_))), "{token}: {outcome:?}");
    }
    assert!(!ann.connection.is_closed());
}

#[tokio::test]
async fn a_server_without_the_room_redirects_with_the_token() {
    let backend = backend();
    let owner = serving(&backend, "s1", graceful(LONG), &Script::default()).await;
    let other = serving(&backend, "s2", graceful(LONG), &Script::default()).await;
    let ann = Guest::new("ann");
    let session = ann.enter(&owner).await;
    ann.drop_connection(&owner);
    let back = ann.again();
    let redirect = redirected(back.reconnect(&other, &session.session_token).await);
    assert_eq!(redirect.address, "s1.example:3000");
    assert_eq!(redirect.room_id, session.room_id);
    assert_eq!((redirect.reservation, redirect.session_token.as_ref()), (None, Some(&session.session_token)));
    joined(back.reconnect(&owner, &session.session_token).await);
}

#[tokio::test]
async fn a_connection_that_is_too_slow_is_closed() {
    let backend = backend();
    let manager = serving(&backend, "s1", graceful(LONG), &Script::default()).await;
    let slow = Guest::new("slow");
    slow.enter(&manager).await;
    eventually("its queue is full", async || {
        say(&manager, &slow, "say", Value::Null).await;
        slow.connection.is_closed()
    })
    .await;
}
