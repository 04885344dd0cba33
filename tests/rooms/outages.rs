//! What happens while the registry does not answer, and after.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use roomraft::{
    adapter::{AdapterError, DistributedAdapter},
    clock::Clock,
    model::RoomState,
    room::{JoinError, RoomError},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    flaky::Flaky,
    probe::Script,
    support::{Guest, backend, bare, define, eventually, probe_type, record, redirected, say, seats, serving},
};

/// A backend, and a flaky way to it.
fn flaky() -> (Arc<dyn DistributedAdapter>, Arc<Flaky>, Arc<dyn DistributedAdapter>) {
    let backend = backend();
    let flaky = Arc::new(Flaky::new(Arc::clone(&backend)));
    let adapter = Arc::clone(&flaky) as Arc<dyn DistributedAdapter>;
    (backend, flaky, adapter)
}

#[tokio::test]
async fn a_lost_answer_takes_no_second_seat() {
    let (backend, flaky, adapter) = flaky();
    let manager = serving(&adapter, "s1", seats(4), &Script::default()).await;
    flaky.lost_answers.store(2, Ordering::SeqCst);
    let room = Guest::new("ann").enter(&manager).await.room_id;
    assert_eq!(record(&backend, &room).await.map(|row| row.seat_count), Some(1));
    assert_eq!(manager.rooms().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_seat_whose_grant_was_never_heard_of_is_freed() {
    let (backend, flaky, adapter) = flaky();
    let manager = serving(&adapter, "s1", seats(4), &Script::default()).await;
    let room = manager.create(&probe_type(), Value::Null).await.expect("capacity");
    flaky.lost_answers.store(4, Ordering::SeqCst);
    let outcome = Guest::new("ann").enter_fails(&manager).await;
    assert!(matches!(outcome, JoinError::Unavailable(_)), "{outcome:?}");
    assert_eq!(record(&backend, room.id()).await.map(|row| row.seat_count), Some(1), "nobody knows of it yet");
    eventually("it is free", async || record(&backend, room.id()).await.is_some_and(|row| row.seat_count == 0)).await;
}

#[tokio::test(start_paused = true)]
async fn without_quorum_joins_are_refused_and_what_was_left_to_say_is_said_later() {
    let (backend, flaky, adapter) = flaky();
    let script = Script::saving();
    let manager = serving(&adapter, "s1", seats(4), &script).await;
    let (mut ann, bob) = (Guest::new("ann"), Guest::new("bob"));
    let room = ann.enter(&manager).await.room_id;
    bob.enter(&manager).await;
    flaky.unavailable.store(true, Ordering::SeqCst);
    let outcome = Guest::new("cid").enter_fails(&manager).await;
    assert!(matches!(outcome, JoinError::Unavailable(_)), "{outcome:?}");
    assert!(matches!(manager.save_snapshot(&room).await, Err(RoomError::Save(_))));
    say(&manager, &ann, "lock", Value::Null).await;
    manager.leave(&bob.id, "done").await;
    say(&manager, &ann, "say", json!("we play on")).await;
    assert_eq!(ann.next_of("said").await, "we play on");
    flaky.unavailable.store(false, Ordering::SeqCst);
    eventually("lock and leave are known", async || {
        record(&backend, &room).await.is_some_and(|row| row.is_locked && row.seat_count == 1)
    })
    .await;
    assert_eq!(manager.save_snapshot(&room).await.expect("the backend is back"), 2);
}

#[tokio::test]
async fn nobody_gets_a_seat_in_a_room_that_is_ending() {
    let (backend, flaky, adapter) = flaky();
    flaky.unregister_gate.set(Semaphore::new(0)).expect("not set before");
    let manager = serving(&adapter, "s1", seats(4), &Script::default()).await;
    let other = serving(&backend, "s2", seats(4), &Script::default()).await;
    let ann = Guest::new("ann");
    let room = ann.enter(&manager).await.room_id;
    manager.leave(&ann.id, "done").await;
    eventually("the room is ending", async || flaky.unregistering.load(Ordering::SeqCst) == 1).await;
    let by_id = Guest::new("bob").join_room(&other, &room, None).await;
    assert!(matches!(by_id, Err(JoinError::NotFound(_))), "{by_id:?}");
    let elsewhere = Guest::new("cid").enter(&other).await.room_id;
    assert_ne!(elsewhere, room);
    assert_eq!(record(&backend, &room).await.map(|row| row.seat_count), Some(0));
    flaky.unregister_gate.get().expect("it was set").add_permits(1);
    eventually("it is gone", async || record(&backend, &room).await.is_none()).await;
}

#[tokio::test]
async fn a_missed_event_is_made_good_by_comparison() {
    let (_, flaky, deaf) = flaky();
    flaky.deaf.store(true, Ordering::SeqCst);
    let script = Script::default();
    let owner = serving(&deaf, "s1", seats(4), &script).await;
    let other = bare(&deaf, "s2", |options| options.capacity = 0);
    define(&other, seats(4), &Script::default());
    other.start().await.expect("connected");
    let redirect = redirected(Guest::new("ann").join_type(&other).await);
    eventually("the room is made", async || owner.room(&redirect.room_id).is_some()).await;
    eventually("on_create has run", async || script.creations() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_on_create_that_never_ends_is_given_up_and_leaves_nothing() {
    let backend = backend();
    let (script, gate) = Script::gated();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let outcome = Guest::new("ann").enter_fails(&manager).await;
    assert!(matches!(&outcome, JoinError::Internal(text) if text.contains("30 s")), "{outcome:?}");
    assert!(manager.rooms().is_empty());
    gate.add_permits(10);
    Guest::new("ann").enter(&manager).await;
    assert_eq!(script.creations(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_lease_has_ended_does_nothing_until_it_is_renewed() {
    let backend = backend();
    let clock = Clock::manual(1_000_000);
    let manager = bare(&backend, "s1", |options| options.clock = clock.clone());
    define(&manager, seats(4), &Script::default());
    manager.start().await.expect("connected");
    let mut ann = Guest::new("ann");
    ann.enter(&manager).await;
    ann.next_of("welcome").await;
    // The lease is 15 s long; a server keeps back a tenth of it.
    clock.advance(Duration::from_millis(13_500));
    assert!(!manager.is_serving());
    let outcome = Guest::new("bob").enter_fails(&manager).await;
    assert!(matches!(outcome, JoinError::Unavailable(_)), "{outcome:?}");
    say(&manager, &ann, "say", json!("later")).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ann.waiting(), 0, "nothing is said by a server that may have been replaced");
    // The next heartbeat renews it.
    assert_eq!(ann.next_of("said").await, "later");
    assert!(manager.is_serving());
}

#[tokio::test]
async fn a_server_stops_without_the_cluster_once_its_lease_is_over() {
    let (_backend, flaky, adapter) = flaky();
    let clock = Clock::manual(1_000_000);
    let manager = bare(&adapter, "s1", |options| options.clock = clock.clone());
    define(&manager, seats(4), &Script::default());
    manager.start().await.expect("the backend is there");
    flaky.silent.store(true, Ordering::SeqCst);
    let stopping = tokio::spawn({
        let manager = manager.clone();
        async move { manager.stop(true).await }
    });
    eventually("it has begun", async || !manager.is_serving()).await;
    clock.advance(Duration::from_mins(1));
    let outcome = stopping.await.expect("no panic");
    assert!(matches!(&outcome, Err(AdapterError::Unavailable(why)) if why.contains("lease")), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_the_cluster_does_not_hear_of_at_once_loses_no_room_and_no_state() {
    let (backend, flaky, adapter) = flaky();
    let clock = Clock::manual(1_000_000);
    let manager = bare(&adapter, "s1", |options| options.clock = clock.clone());
    define(&manager, seats(4), &Script::saving());
    manager.start().await.expect("the backend is there");
    let ann = Guest::new("ann");
    let room = ann.enter(&manager).await.room_id;
    manager.save_snapshot(&room).await.expect("a first snapshot");
    say(&manager, &ann, "write", json!("after the snapshot")).await;
    // An election: nobody answers, and the lease is over before somebody does.
    flaky.unavailable.store(true, Ordering::SeqCst);
    let stopping = tokio::spawn({
        let manager = manager.clone();
        async move { manager.stop(true).await }
    });
    eventually("it has begun", async || !manager.is_serving()).await;
    clock.advance(Duration::from_secs(14));
    tokio::time::sleep(Duration::from_secs(2)).await;
    flaky.unavailable.store(false, Ordering::SeqCst);
    stopping.await.expect("no panic").expect("stopped");
    let row = record(&backend, &room).await.expect("the room is not disposed of");
    assert_eq!((row.state, row.server_id), (RoomState::Parked, None));
    let saved = backend.load_snapshot(&room).await.expect("an answer").expect("a snapshot");
    assert_eq!(saved.state["written"], "after the snapshot");
}
