//! What a room can do: with its players, with its record, with time.

use roomraft::{
    model::PlayerId,
    room::{JoinError, RoomConfig, RoomError},
};
use serde_json::{Value, json};

use super::{
    probe::Script,
    support::{Guest, backend, eventually, probe_type, record, say, seats, serving},
};

#[tokio::test]
async fn a_room_sends_to_all_to_all_but_one_and_to_one() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::default()).await;
    let (mut ann, mut bob) = (Guest::new("ann"), Guest::new("bob"));
    ann.enter(&manager).await;
    bob.enter(&manager).await;
    say(&manager, &ann, "say", json!("to all")).await;
    assert_eq!(ann.next_of("said").await, "to all");
    assert_eq!(bob.next_of("said").await, "to all");
    say(&manager, &ann, "whisper", json!("to the others")).await;
    say(&manager, &ann, "say", json!("last")).await;
    assert_eq!(bob.next_of("said").await, "to the others");
    assert_eq!(ann.next_of("said").await, "last", "the sender was left out");
    say(&manager, &ann, "tell", json!({ "to": "bob", "what": 5 })).await;
    assert_eq!(bob.next_of("told").await, 5);
    assert_eq!(ann.next_of("told?").await, true);
    say(&manager, &ann, "tell", json!({ "to": "nobody", "what": 5 })).await;
    assert_eq!(ann.next_of("told?").await, false);
    say(&manager, &ann, "bytes", Value::Null).await;
    assert_eq!(bob.next().await, json!({ "binary": 5 }));
    assert_eq!(ann.next().await, json!({ "binary": 5 }));
}

#[tokio::test]
async fn a_kicked_player_is_told_leaves_once_and_frees_its_seat() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(2), &script).await;
    let (ann, mut bob) = (Guest::new("ann"), Guest::new("bob"));
    let room = ann.enter(&manager).await.room_id;
    let session = bob.enter(&manager).await.session_token;
    say(&manager, &ann, "kick", json!("bob")).await;
    let told = bob.next_of("$left").await;
    assert_eq!(told, json!({ "roomId": room, "reason": "as told", "canReconnect": false }));
    eventually("the seat is free", async || record(&backend, &room).await.is_some_and(|row| row.seat_count == 1)).await;
    assert_eq!(script.count("leave bob as told"), 1);
    assert!(manager.player_room(&bob.id).is_none());
    let back = bob.again().reconnect(&manager, &session).await;
    assert!(matches!(back, Err(JoinError::NotFound(_))), "{back:?}");
    Guest::new("cid").enter(&manager).await;
    assert_eq!(manager.rooms().len(), 1, "the seat could be taken again");
}

#[tokio::test]
async fn a_player_can_be_made_to_leave_by_its_handle() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(2), &script).await;
    let (ann, bob) = (Guest::new("ann"), Guest::new("bob"));
    let room = ann.enter(&manager).await.room_id;
    bob.enter(&manager).await;
    say(&manager, &bob, "quit", Value::Null).await;
    eventually("bob has left", async || script.count("leave bob of its own") == 1).await;
    let room = manager.room(&room).expect("ann is in it");
    // From outside of a hook as well.
    room.player(&ann.id).expect("ann is in it").leave("by an admin");
    room.over().await;
    assert_eq!(script.count("leave ann by an admin"), 1);
}

#[tokio::test]
async fn lock_and_metadata_reach_the_registry() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::default()).await;
    let ann = Guest::new("ann");
    let room = ann.enter(&manager).await.room_id;
    say(&manager, &ann, "lock", Value::Null).await;
    eventually("it is locked", async || record(&backend, &room).await.is_some_and(|row| row.is_locked)).await;
    let refused = Guest::new("bob").join_room(&manager, &room, None).await;
    assert!(matches!(&refused, Err(JoinError::NotFound(text)) if text.contains("full/locked")), "{refused:?}");
    assert_ne!(Guest::new("cid").enter(&manager).await.room_id, room, "another room is found or made");
    say(&manager, &ann, "unlock", Value::Null).await;
    say(&manager, &ann, "metadata", json!("late")).await;
    eventually("it is open again and says so", async || {
        let row = record(&backend, &room).await;
        row.is_some_and(|row| !row.is_locked && row.metadata.value("mode") == Some(&json!("late")))
    })
    .await;
    assert_eq!(Guest::new("bob").enter(&manager).await.room_id, room);
}

#[tokio::test(start_paused = true)]
async fn ticks_come_at_their_rate() {
    let backend = backend();
    let script = Script::default();
    let config = RoomConfig { tick_rate: 20, ..RoomConfig::default() };
    let manager = serving(&backend, "s1", config, &script).await;
    Guest::new("ann").enter(&manager).await;
    let ticks = || script.journal().iter().filter(|line| line.starts_with("tick")).count();
    eventually("ten ticks", async || ticks() >= 10).await;
    assert_eq!(script.count("tick 50"), ticks(), "{:?}", script.journal());
}

#[tokio::test]
async fn a_message_from_elsewhere_reaches_the_room() {
    let backend = backend();
    let script = Script::default();
    let owner = serving(&backend, "s1", seats(4), &script).await;
    let other = serving(&backend, "s2", seats(4), &Script::default()).await;
    let room = owner.create(&probe_type(), Value::Null).await.expect("capacity");
    let from = PlayerId::new("ann").expect("a valid id");
    eventually("it arrives", async || {
        other.send_to_remote_room(room.id(), "hail", json!(1), Some(&from)).await.expect("the room lives");
        script.count("remote hail 1 ann") > 0
    })
    .await;
    other.send_to_remote_room(room.id(), "hail", json!(2), None).await.expect("the room lives");
    eventually("without a player too", async || script.count("remote hail 2 nobody") == 1).await;
}

#[tokio::test]
async fn a_message_of_a_player_that_is_in_no_room_is_an_error() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::default()).await;
    let nobody = PlayerId::new("nobody").expect("a valid id");
    let outcome = manager.handle_message(&nobody, "say", Value::Null).await;
    assert!(matches!(outcome, Err(RoomError::NotInRoom)), "{outcome:?}");
    manager.leave(&nobody, "harmless").await;
}
