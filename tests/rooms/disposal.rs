//! When a room ends, and when it must not.

use roomraft::room::RoomConfig;
use serde_json::{Value, json};

use super::{
    probe::Script,
    support::{Guest, backend, bare, define, eventually, joined, probe_type, record, redirected, say, seats, serving},
};

#[tokio::test]
async fn the_last_player_takes_the_room_with_it() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let (ann, bob) = (Guest::new("ann"), Guest::new("bob"));
    let room = manager.room(&ann.enter(&manager).await.room_id).expect("it runs here");
    bob.enter(&manager).await;
    manager.leave(&ann.id, "done").await;
    assert!(!room.is_over());
    manager.leave(&bob.id, "done").await;
    room.over().await;
    assert_eq!(record(&backend, room.id()).await, None);
    let lines: Vec<String> = script.journal().into_iter().filter(|line| !line.starts_with("join")).collect();
    assert_eq!(lines, ["create probe null", "leave ann done", "leave bob done", "dispose"]);
}

#[tokio::test]
async fn a_room_made_by_call_waits_for_its_first_player() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::default()).await;
    let room = manager.create(&probe_type(), json!({ "by": "call" })).await.expect("capacity");
    let ann = Guest::new("ann");
    assert_eq!(ann.enter(&manager).await.room_id, *room.id());
    manager.leave(&ann.id, "done").await;
    room.over().await;
}

#[tokio::test]
async fn a_room_without_auto_dispose_stays() {
    let backend = backend();
    let config = RoomConfig { auto_dispose: false, ..RoomConfig::default() };
    let manager = serving(&backend, "s1", config, &Script::default()).await;
    let ann = Guest::new("ann");
    let room = ann.enter(&manager).await.room_id;
    manager.leave(&ann.id, "done").await;
    eventually("the seat is free", async || record(&backend, &room).await.is_some_and(|row| row.seat_count == 0)).await;
    assert_eq!(ann.enter(&manager).await.room_id, room);
}

#[tokio::test]
async fn a_held_seat_keeps_the_room() {
    let backend = backend();
    let script = Script::default();
    let owner = serving(&backend, "s1", seats(4), &script).await;
    let other = bare(&backend, "s2", |options| options.capacity = 0);
    define(&other, seats(4), &script);
    other.start().await.expect("connected");
    let (ann, bob) = (Guest::new("ann"), Guest::new("bob"));
    let room = ann.enter(&owner).await.room_id;
    let redirect = redirected(bob.join_type(&other).await);
    assert_eq!(redirect.room_id, room);
    owner.leave(&ann.id, "done").await;
    eventually("ann's seat is free", async || record(&backend, &room).await.is_some_and(|row| row.seat_count == 1))
        .await;
    let arrived = joined(bob.join_room(&owner, &redirect.room_id, redirect.reservation).await);
    assert_eq!(arrived.room_id, room);
    assert!(record(&backend, &room).await.is_some_and(|row| !row.is_locked), "the room goes on as before");
    assert_eq!(script.count("dispose"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_during_dispose_revives_no_zombie() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    for round in 0..40 {
        let (ann, mut bob) = (Guest::new(&format!("a{round}")), Guest::new(&format!("b{round}")));
        ann.enter(&manager).await;
        // Later and later within the 50 ms that releases are gathered, and the disposal after them.
        let join = async {
            for _ in 0..round * 4 {
                tokio::task::yield_now().await;
            }
            bob.join_type(&manager).await
        };
        let ((), outcome) = tokio::join!(manager.leave(&ann.id, "done"), join);
        let room = joined(outcome).room_id;
        say(&manager, &bob, "say", json!(round)).await;
        assert_eq!(bob.next_of("said").await, round);
        let row = record(&backend, &room).await.expect("a room with a player is registered");
        assert!(row.seat_count >= 1 && row.player_count >= 1);
        manager.leave(&bob.id, "done").await;
        if round % 2 == 0 {
            eventually("nothing is left", async || manager.rooms().is_empty()).await;
        }
    }
    eventually("nothing is left", async || manager.rooms().is_empty()).await;
    assert_eq!(script.creations(), script.count("dispose"), "each room that was made was disposed of once");
}

#[tokio::test]
async fn a_room_that_disposes_of_itself_tells_its_players() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let (mut ann, mut bob) = (Guest::new("ann"), Guest::new("bob"));
    let room = manager.room(&ann.enter(&manager).await.room_id).expect("it runs here");
    bob.enter(&manager).await;
    say(&manager, &ann, "dispose", Value::Null).await;
    for guest in [&mut ann, &mut bob] {
        assert_eq!(guest.next_of("$left").await["reason"], "as told");
    }
    room.over().await;
    assert_eq!(record(&backend, room.id()).await, None);
    assert_eq!((script.count("leave ann as told"), script.count("leave bob as told")), (1, 1));
    assert!(manager.player_room(&ann.id).is_none());
    bob.enter(&manager).await;
}
