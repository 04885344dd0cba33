//! What is kept of a room, and when.

use std::time::Duration;

use roomraft::{
    model::RoomClaim,
    room::{RoomConfig, RoomError},
};
use serde_json::{Value, json};

use super::{
    probe::Script,
    support::{Guest, backend, bare, define, eventually, record, say, seats, serving},
};

#[tokio::test]
async fn a_save_goes_on_when_the_backend_has_it() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::saving()).await;
    let mut ann = Guest::new("ann");
    let room = ann.enter(&manager).await.room_id;
    say(&manager, &ann, "write", json!("first")).await;
    say(&manager, &ann, "save", Value::Null).await;
    assert_eq!(ann.next_of("saved").await, 1);
    let kept = backend.load_snapshot(&room).await.expect("connected").expect("it was kept");
    assert_eq!(kept.state, json!({ "written": "first" }));
    assert_eq!((kept.version, kept.players.len()), (1, 1));
    assert_eq!((&kept.players[0].id, &kept.players[0].data), (&ann.id, &json!({ "name": "ann" })));
    say(&manager, &ann, "save", Value::Null).await;
    assert_eq!(ann.next_of("saved").await, 1, "what is kept already is not written again");
    say(&manager, &ann, "write", json!("second")).await;
    assert_eq!(manager.save_snapshot(&room).await.expect("it saves"), 2);
}

#[tokio::test]
async fn a_room_without_state_has_nothing_to_save() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::default()).await;
    let room = Guest::new("ann").enter(&manager).await.room_id;
    assert!(matches!(manager.save_snapshot(&room).await, Err(RoomError::NothingToSave)));
    let missing = "probe-zzz".try_into().expect("a valid id");
    assert!(matches!(manager.save_snapshot(&missing).await, Err(RoomError::Ended)));
}

#[tokio::test(start_paused = true)]
async fn periodic_snapshots_are_written_only_when_something_has_changed() {
    let backend = backend();
    let script = Script::saving();
    let manager = bare(&backend, "s1", |options| options.snapshot_interval = Duration::from_secs(30));
    // The ticks show how much time has passed.
    define(&manager, RoomConfig { tick_rate: 1, ..RoomConfig::default() }, &script);
    manager.start().await.expect("connected");
    let ann = Guest::new("ann");
    let room = ann.enter(&manager).await.room_id;
    let version = async || record(&backend, &room).await.and_then(|row| row.snapshot_version);
    let seconds = || script.journal().iter().filter(|line| line.starts_with("tick")).count();
    while seconds() < 200 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(version().await, Some(1), "six intervals, one state");
    say(&manager, &ann, "write", json!(1)).await;
    let before = seconds();
    while seconds() < before + 100 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(version().await, Some(2));
}

#[tokio::test]
async fn a_save_under_an_older_ownership_is_refused_and_ends_the_room() {
    let backend = backend();
    let script = Script::saving();
    let manager = bare(&backend, "s1", |options| options.enable_failover = false);
    define(&manager, seats(4), &script);
    manager.start().await.expect("connected");
    let mut ann = Guest::new("ann");
    let room = manager.room(&ann.enter(&manager).await.room_id).expect("it runs here");
    say(&manager, &ann, "save", Value::Null).await;
    assert_eq!(ann.next_of("saved").await, 1);
    let row = record(&backend, room.id()).await.expect("it lives");
    let claimant = manager.server_epoch().expect("registered");
    backend.claim_room(RoomClaim { claimant, room: row.room_epoch() }).await.expect("its own room");
    say(&manager, &ann, "write", json!("late")).await;
    say(&manager, &ann, "save", Value::Null).await;
    room.over().await;
    let refused = |line: &String| line.starts_with("error the snapshot could not be kept: the epoch is over");
    assert_eq!(script.journal().iter().filter(|line| refused(line)).count(), 1);
    let kept = backend.load_snapshot(room.id()).await.expect("connected").expect("the older one");
    assert_eq!((kept.version, kept.state), (1, json!({ "written": Value::Null })));
}

#[tokio::test]
async fn a_snapshot_goes_with_its_room() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::saving()).await;
    let ann = Guest::new("ann");
    let room = manager.room(&ann.enter(&manager).await.room_id).expect("it runs here");
    room.save().await.expect("it saves");
    manager.leave(&ann.id, "done").await;
    room.over().await;
    assert_eq!(backend.load_snapshot(room.id()).await.expect("connected"), None);
    eventually("nothing is left", async || manager.rooms().is_empty()).await;
    assert!(matches!(room.save().await, Err(RoomError::Ended)));
}
