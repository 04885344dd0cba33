//! Servers that stop, start again, or lose their place.

use std::{sync::atomic::Ordering, time::Duration};

use roomraft::{
    model::{RoomQuery, RoomState, ServerStatus},
    room::{DistributedRoomManager, JoinError, RoomConfig},
};
use serde_json::{Value, json};

use super::{
    lab::Lab,
    probe::Script,
    support::{Guest, backend, bare, define, eventually, joined, probe_type, record, say, seats, serving},
};

fn graceful() -> RoomConfig {
    RoomConfig { reconnect_grace: Duration::from_mins(10), ..seats(4) }
}

async fn state_of(manager: &DistributedRoomManager, guest: &mut Guest) -> Value {
    say(manager, guest, "save", Value::Null).await;
    guest.next_of("saved").await
}

#[tokio::test]
async fn a_server_that_starts_again_goes_on_with_its_rooms() {
    let lab = Lab::new().await;
    let handle = lab.handle();
    let script = Script::saving();
    let before = serving(&handle, "s1", graceful(), &script).await;
    let mut ann = Guest::new("ann");
    let session = ann.enter(&before).await;
    say(&before, &ann, "write", json!("kept")).await;
    assert_eq!(state_of(&before, &mut ann).await, 1);
    lab.crash(&handle).await;
    let after = serving(&lab.handle(), "s1", graceful(), &script).await;
    eventually("the room runs again", async || after.room(&session.room_id).is_some()).await;
    let mut back = ann.again();
    assert_eq!(joined(back.reconnect(&after, &session.session_token).await), session);
    assert_eq!(back.next_of("welcome-back").await, json!({ "written": "kept" }));
    assert_eq!(script.count(r#"reconnected ann {"name":"ann"}"#), 1);
    assert_eq!(script.count(r#"restore {"written":"kept"} with 1 players"#), 1);
    assert_eq!(script.creations(), 1, "restored, not made anew");
    say(&after, &back, "write", json!("newer")).await;
    assert_eq!(state_of(&after, &mut back).await, 2, "versions go on");
}

#[tokio::test]
async fn a_player_that_the_snapshot_does_not_know_comes_in_anew_on_its_seat() {
    let lab = Lab::new().await;
    let (backend, handle) = (lab.backend(), lab.handle());
    let script = Script::saving();
    let before = serving(&handle, "s1", graceful(), &script).await;
    let mut ann = Guest::new("ann");
    ann.enter(&before).await;
    state_of(&before, &mut ann).await;
    let bob = Guest::new("bob");
    let session = bob.enter(&before).await;
    lab.crash(&handle).await;
    let after = serving(&lab.handle(), "s1", graceful(), &script).await;
    let back = bob.again();
    eventually("the room is claimed", async || after.room(&session.room_id).is_some()).await;
    assert_eq!(joined(back.reconnect(&after, &session.session_token).await), session);
    assert_eq!(script.count("join bob null"), 1);
    assert_eq!(record(&backend, &session.room_id).await.map(|row| row.seat_count), Some(2));
}

#[tokio::test]
async fn a_room_that_never_was_saved_is_disposed_of() {
    let lab = Lab::new().await;
    let (backend, handle) = (lab.backend(), lab.handle());
    let script = Script::default();
    let before = serving(&handle, "s1", graceful(), &script).await;
    let session = Guest::new("ann").enter(&before).await;
    lab.crash(&handle).await;
    let after = serving(&lab.handle(), "s1", graceful(), &script).await;
    eventually("it is gone", async || record(&backend, &session.room_id).await.is_none()).await;
    let outcome = Guest::new("ann").reconnect(&after, &session.session_token).await;
    assert!(matches!(outcome, Err(JoinError::NotFound(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_room_that_cannot_be_restored_is_disposed_of() {
    let lab = Lab::new().await;
    let (backend, handle) = (lab.backend(), lab.handle());
    let script = Script::saving();
    let before = serving(&handle, "s1", graceful(), &script).await;
    let mut ann = Guest::new("ann");
    let session = ann.enter(&before).await;
    state_of(&before, &mut ann).await;
    script.fail_restore.store(true, Ordering::SeqCst);
    lab.crash(&handle).await;
    let after = serving(&lab.handle(), "s1", graceful(), &script).await;
    eventually("it is gone", async || record(&backend, &session.room_id).await.is_none()).await;
    assert_eq!(script.count("error restoring failed as told"), 1);
    eventually("nothing runs", async || after.rooms().is_empty()).await;
}

#[tokio::test]
async fn a_graceful_stop_parks_rooms_and_a_join_by_id_brings_them_back() {
    let backend = backend();
    let script = Script::saving();
    let first = serving(&backend, "s1", graceful(), &script).await;
    let mut ann = Guest::new("ann");
    let session = ann.enter(&first).await;
    say(&first, &ann, "write", json!("parked")).await;
    first.stop(true).await.expect("connected");
    let second = bare(&backend, "s2", |options| options.enable_failover = false);
    define(&second, graceful(), &script);
    second.start().await.expect("connected");
    assert_eq!(ann.next_of("$left").await["canReconnect"], true);
    let row = record(&backend, &session.room_id).await.expect("a parked room is kept");
    assert_eq!((row.state, row.server_id, row.snapshot_version), (RoomState::Parked, None, Some(1)));
    assert_eq!(script.count("dispose"), 0);
    assert_eq!(second.servers().await.expect("connected").len(), 1, "the stopped server is gone");

    let bob = Guest::new("bob");
    assert_eq!(joined(bob.join_room(&second, &session.room_id, None).await).room_id, session.room_id);
    let mut back = ann.again();
    assert_eq!(joined(back.reconnect(&second, &session.session_token).await), session);
    assert_eq!(back.next_of("welcome-back").await, json!({ "written": "parked" }));
    let row = record(&backend, &session.room_id).await.expect("it lives");
    assert_eq!((row.state, row.player_count), (RoomState::Live, 2));
}

#[tokio::test]
async fn a_parked_room_comes_back_for_a_session_and_by_call() {
    let backend = backend();
    let script = Script::saving();
    let first = serving(&backend, "s1", graceful(), &script).await;
    let room = first.create(&probe_type(), Value::Null).await.expect("capacity").id().clone();
    let session = Guest::new("ann").enter(&first).await;
    assert_eq!(session.room_id, room);
    first.stop(true).await.expect("connected");
    let second = bare(&backend, "s2", |options| options.enable_failover = false);
    define(&second, graceful(), &script);
    second.start().await.expect("connected");
    assert_eq!(joined(Guest::new("ann").reconnect(&second, &session.session_token).await), session);
    second.stop(true).await.expect("connected");
    let third = bare(&backend, "s3", |options| options.enable_failover = false);
    define(&third, graceful(), &script);
    third.start().await.expect("connected");
    assert_eq!(third.restore_from_snapshot(&room).await.expect("it was saved").id(), &room);
    assert!(third.room(&room).is_some_and(|room| room.player_count() == 1));
}

#[tokio::test]
async fn while_a_server_drains_nobody_joins() {
    let backend = backend();
    let (script, gate) = Script::gated();
    gate.add_permits(1);
    let manager = serving(&backend, "s1", graceful(), &script).await;
    let ann = Guest::new("ann");
    ann.enter(&manager).await;
    say(&manager, &ann, "wait", Value::Null).await;
    let (stopped, ()) = tokio::join!(manager.stop(true), async {
        eventually("it says that it drains", async || {
            let server = backend.server(&manager.options().server_id).await.expect("connected");
            server.is_some_and(|server| server.status == ServerStatus::Draining)
        })
        .await;
        let outcome = Guest::new("bob").join_type(&manager).await;
        assert!(matches!(outcome, Err(JoinError::Unavailable(_))), "{outcome:?}");
        gate.add_permits(1);
    });
    stopped.expect("connected");
    // It had no state to save.
    assert_eq!(script.count("dispose"), 1);
    assert_eq!(manager.query_distributed_rooms(&RoomQuery::default()).await.expect("connected"), []);
}

#[tokio::test]
async fn an_abrupt_stop_disposes_of_everything() {
    let backend = backend();
    let script = Script::saving();
    let manager = serving(&backend, "s1", graceful(), &script).await;
    let mut ann = Guest::new("ann");
    let room = ann.enter(&manager).await.room_id;
    state_of(&manager, &mut ann).await;
    manager.stop(false).await.expect("connected");
    assert_eq!(record(&backend, &room).await, None);
    assert_eq!(backend.load_snapshot(&room).await.expect("connected"), None);
    assert_eq!((script.count("dispose"), script.count("leave ann the server is stopping")), (1, 1));
}

#[tokio::test]
async fn a_server_that_lost_its_place_stops_its_rooms_and_registers_again() {
    let backend = backend();
    let script = Script::default();
    let manager = bare(&backend, "s1", |options| options.heartbeat_interval = Duration::from_millis(20));
    define(&manager, graceful(), &script);
    manager.start().await.expect("connected");
    let mut ann = Guest::new("ann");
    let room = ann.enter(&manager).await.room_id;
    let lost = manager.server_epoch().expect("registered");
    backend.unregister_server(&lost).await.expect("connected");
    assert_eq!(ann.next_of("$left").await["canReconnect"], false, "the room went with the registration");
    eventually("it is registered anew", async || {
        manager.server_epoch().is_some_and(|server| server.epoch > lost.epoch)
    })
    .await;
    eventually("the room is over here", async || manager.room(&room).is_none()).await;
    assert_eq!(script.count("dispose"), 0, "it was not this server's to dispose of");
    Guest::new("bob").enter(&manager).await;
}
