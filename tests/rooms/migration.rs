//! A room goes to another server while both live.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use roomraft::{
    adapter::DistributedAdapter,
    model::{Metadata, NewServer, NodeId, RoomState, RoomTypeSpec, ServerId},
    registry::Rejection,
    room::{DistributedRoomManager, MigrationError, RoomConfig},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    probe::Script,
    support::{Guest, backend, bare, define, eventually, joined, probe_type, record, redirected, say, seats, serving},
};

fn id(manager: &DistributedRoomManager) -> ServerId {
    manager.options().server_id.clone()
}

/// Two servers and a player in a room of the first.
struct Pair {
    backend: Arc<dyn DistributedAdapter>,
    source: DistributedRoomManager,
    target: DistributedRoomManager,
    script: Script,
}

impl Pair {
    async fn new(config: RoomConfig, script: Script) -> Self {
        let backend = backend();
        let source = serving(&backend, "s1", config.clone(), &script).await;
        let target = serving(&backend, "s2", config, &script).await;
        Self { backend, source, target, script }
    }

    /// Rooms that save, and whose `wait` waits for a permit.
    async fn gated(config: RoomConfig) -> (Self, Arc<Semaphore>) {
        let (mut script, gate) = Script::gated();
        script.saves = true;
        gate.add_permits(1);
        (Self::new(config, script).await, gate)
    }
}

#[tokio::test]
async fn a_room_moves_with_its_state_and_its_players_also_without_a_grace_period() {
    let Pair { backend, source, target, script } = Pair::new(seats(4), Script::saving()).await;
    let mut ann = Guest::new("ann");
    let session = ann.enter(&source).await;
    say(&source, &ann, "write", json!("kept")).await;
    let before = record(&backend, &session.room_id).await.expect("it lives");
    let moved = source.migrate_room(&session.room_id, &id(&target)).await.expect("the target takes it");
    assert_eq!((&moved.room_id, &moved.to, moved.players), (&session.room_id, &id(&target), 1));

    let redirect = loop {
        let packet = ann.next().await;
        if packet[1] == "$redirect" {
            break packet[2].clone();
        }
    };
    assert_eq!(redirect["address"], "s2.example:3000");
    assert_eq!(redirect["sessionToken"], session.session_token.as_str());
    assert!(source.rooms().is_empty() && source.player_room(&ann.id).is_none());
    let row = record(&backend, &session.room_id).await.expect("it lives");
    assert_eq!((row.state, row.server_id, row.migration), (RoomState::Live, Some(id(&target)), None));
    assert!(row.epoch > before.epoch);

    let mut back = ann.again();
    assert_eq!(joined(back.reconnect(&target, &session.session_token).await), session);
    assert_eq!(back.next_of("welcome-back").await, json!({ "written": "kept" }));
    assert_eq!(record(&backend, &session.room_id).await.map(|row| row.player_count), Some(1));
    let ended = |line: &String| line.starts_with("leave") || line.starts_with("dispose");
    assert_eq!(script.journal().iter().filter(|line| ended(line)).count(), 0);
    assert_eq!(script.creations(), 1);
}

#[tokio::test]
async fn what_is_queued_at_the_freeze_follows_the_room_in_order() {
    let (Pair { source, target, script, .. }, gate) = Pair::gated(seats(4)).await;
    let ann = Guest::new("ann");
    let bob = Guest::new("bob");
    let session = ann.enter(&source).await;
    bob.enter(&source).await;
    say(&source, &ann, "wait", Value::Null).await;
    let room = source.room(&session.room_id).expect("it runs here");
    let to = id(&target);
    let (moved, ()) = tokio::join!(source.migrate_room(&session.room_id, &to), async {
        // The order to leave is in the mailbox by now: the hook holds it up.
        for number in 0..5 {
            say(&source, &ann, "append", json!(number)).await;
        }
        source.send_to_remote_room(&session.room_id, "greeting", json!("hi"), None).await.expect("it is registered");
        tokio::task::yield_now().await;
        let leaving = source.clone();
        let leaver = bob.id.clone();
        tokio::spawn(async move { leaving.leave(&leaver, "done").await });
        tokio::task::yield_now().await;
        gate.add_permits(1);
    });
    moved.expect("the target takes it");
    assert!(room.is_over());
    let mut back = ann.again();
    joined(back.reconnect(&target, &session.session_token).await);
    assert_eq!(back.next_of("welcome-back").await["appended"], json!([0, 1, 2, 3, 4]));
    eventually("what came from elsewhere has followed", async || script.count(r#"remote greeting "hi" nobody"#) == 1)
        .await;
    eventually("the one that left has left there", async || script.count("leave bob done") == 1).await;
}

#[tokio::test]
async fn what_follows_a_room_never_overtakes_a_player_that_is_back() {
    let Pair { backend, source, target, script } = Pair::new(seats(4), Script::saving()).await;
    let ann = Guest::new("ann");
    let session = ann.enter(&source).await;
    source.migrate_room(&session.room_id, &id(&target)).await.expect("the target takes it");
    let follow = async |number: u32| {
        let item = json!({ "kind": "message", "playerId": "ann", "messageType": "append", "data": number });
        backend.send_to_room(&session.room_id, "$forwarded", item, None).await.expect("it is registered");
        target.send_to_remote_room(&session.room_id, "mark", json!(number), None).await.expect("it is registered");
        eventually("both have come", async || script.count(&format!("remote mark {number} nobody")) == 1).await;
    };
    follow(1).await;
    let mut back = ann.again();
    joined(back.reconnect(&target, &session.session_token).await);
    assert_eq!(back.next_of("welcome-back").await["appended"], json!([1]));
    follow(2).await;
    let room = target.room(&session.room_id).expect("it runs there");
    room.save().await.expect("it saves");
    let kept = backend.load_snapshot(&session.room_id).await.expect("connected").expect("it was kept");
    assert_eq!(kept.state["appended"], json!([1]), "what was said before it came back is older than what it says now");
}

#[tokio::test]
async fn a_player_that_was_coming_in_is_sent_after_the_room_with_its_seat() {
    let (Pair { backend, source, target, script }, gate) = Pair::gated(seats(2)).await;
    let ann = Guest::new("ann");
    let session = ann.enter(&source).await;
    say(&source, &ann, "wait", Value::Null).await;
    let bob = Guest::new("bob");
    let to = id(&target);
    let (moved, came) = tokio::join!(source.migrate_room(&session.room_id, &to), async {
        let coming = source.clone();
        let request = bob.request(super::support::any_probe(), None);
        let coming = tokio::spawn(async move { coming.join(request).await });
        eventually("its seat is taken", async || {
            record(&backend, &session.room_id).await.is_some_and(|row| row.seat_count == 2)
        })
        .await;
        tokio::task::yield_now().await;
        gate.add_permits(1);
        coming.await.expect("no panic")
    });
    moved.expect("the target takes it");
    let redirect = redirected(came);
    assert_eq!((&redirect.address, &redirect.room_id), (&"s2.example:3000".to_owned(), &session.room_id));
    // The room has two seats: without its own this player would not get in.
    let place = joined(bob.join_room(&target, &session.room_id, redirect.reservation).await);
    assert_eq!(place.player_id, bob.id);
    assert_eq!(script.count(r#"join bob {"name":"bob"}"#), 1, "with its data, once");
    assert_eq!(record(&backend, &session.room_id).await.map(|row| row.seat_count), Some(2));
}

#[tokio::test]
async fn a_session_is_resumed_where_the_room_went() {
    let (Pair { source, target, .. }, gate) = Pair::gated(seats(4)).await;
    let ann = Guest::new("ann");
    let session = ann.enter(&source).await;
    say(&source, &ann, "wait", Value::Null).await;
    let back = ann.again();
    let to = id(&target);
    let (moved, resumed) = tokio::join!(source.migrate_room(&session.room_id, &to), async {
        let waiting = back.reconnect(&source, &session.session_token);
        let (resumed, ()) = tokio::join!(waiting, async { gate.add_permits(1) });
        resumed
    });
    moved.expect("the target takes it");
    let redirect = redirected(resumed);
    assert_eq!(redirect.session_token.as_deref(), Some(session.session_token.as_str()));
    assert_eq!(joined(back.reconnect(&target, &session.session_token).await), session);
}

#[tokio::test]
async fn a_room_that_the_target_cannot_restore_goes_on_at_its_source() {
    let Pair { backend, source, target, script } = Pair::new(seats(4), Script::saving()).await;
    let mut ann = Guest::new("ann");
    let session = ann.enter(&source).await;
    say(&source, &ann, "write", json!("mine")).await;
    let before = record(&backend, &session.room_id).await.expect("it lives");
    script.fail_restore.store(true, Ordering::SeqCst);
    let outcome = source.migrate_room(&session.room_id, &id(&target)).await;
    assert!(
        matches!(&outcome, Err(MigrationError::NotTaken { target: named, .. }) if *named == id(&target)),
        "{outcome:?}"
    );
    let row = record(&backend, &session.room_id).await.expect("it lives");
    assert_eq!((row.server_id, row.state, row.migration), (Some(id(&source)), RoomState::Live, None));
    assert!(row.epoch > before.epoch, "it was claimed twice");
    // Its player never noticed, and has its seat for good.
    say(&source, &ann, "save", Value::Null).await;
    assert_eq!(ann.next_of("saved").await, 1);
    say(&source, &ann, "write", json!("newer")).await;
    say(&source, &ann, "save", Value::Null).await;
    assert_eq!(ann.next_of("saved").await, 2, "its writes are taken under the new ownership");
    assert_eq!(record(&backend, &session.room_id).await.map(|row| row.player_count), Some(1));
    eventually("nothing is left on the target", async || target.rooms().is_empty()).await;
    assert_eq!(script.count("dispose"), 0);

    script.fail_restore.store(false, Ordering::SeqCst);
    source.migrate_room(&session.room_id, &id(&target)).await.expect("now it can");
    let mut back = ann.again();
    joined(back.reconnect(&target, &session.session_token).await);
    assert_eq!(back.next_of("welcome-back").await, json!({ "written": "newer" }));
}

/// A server that is registered and does nothing.
async fn mute(backend: &Arc<dyn DistributedAdapter>, name: &str, capacity: u32) -> ServerId {
    let server_id = ServerId::new(name).expect("a valid id");
    let spec = RoomTypeSpec { max_players: 4, reconnect_grace_ms: 0, metadata: Metadata::default() };
    let server = NewServer {
        server_id: server_id.clone(),
        address: format!("{name}.example"),
        port: 3000,
        capacity,
        metadata: Metadata::default(),
        room_types: BTreeMap::from([(probe_type(), spec)]),
        node_id: NodeId(0),
    };
    backend.register_server(server).await.expect("connected");
    server_id
}

#[tokio::test]
async fn a_room_whose_target_does_not_answer_goes_on_at_its_source() {
    let backend = backend();
    let script = Script::saving();
    let source = bare(&backend, "s1", |options| options.migration_timeout = Duration::from_millis(300));
    define(&source, seats(4), &script);
    source.start().await.expect("connected");
    let mute = mute(&backend, "mute", 9).await;
    let mut ann = Guest::new("ann");
    let session = ann.enter(&source).await;
    let outcome = source.migrate_room(&session.room_id, &mute).await;
    assert!(matches!(outcome, Err(MigrationError::NotTaken { .. })), "{outcome:?}");
    assert_eq!(record(&backend, &session.room_id).await.and_then(|row| row.server_id), Some(id(&source)));
    say(&source, &ann, "write", json!(1)).await;
    say(&source, &ann, "save", Value::Null).await;
    assert_eq!(ann.next_of("saved").await, 2);
}

#[tokio::test]
async fn a_target_that_goes_offline_meanwhile_is_not_waited_for() {
    let backend = backend();
    let script = Script::saving();
    let source = bare(&backend, "s1", |options| options.migration_timeout = Duration::from_mins(5));
    define(&source, seats(4), &script);
    source.start().await.expect("connected");
    let mute = mute(&backend, "mute", 9).await;
    let session = Guest::new("ann").enter(&source).await;
    let (outcome, ()) = tokio::join!(source.migrate_room(&session.room_id, &mute), async {
        eventually("it is offered", async || {
            record(&backend, &session.room_id).await.is_some_and(|row| row.migration.is_some())
        })
        .await;
        let server = backend.server(&mute).await.expect("connected").expect("registered");
        backend.unregister_server(&server.server_epoch()).await.expect("connected");
    });
    assert!(matches!(outcome, Err(MigrationError::NotTaken { .. })), "{outcome:?}");
    assert!(source.room(&session.room_id).is_some());
}

#[tokio::test]
async fn what_cannot_move_stays_and_says_why() {
    let Pair { backend, source, target, script } = Pair::new(seats(4), Script::saving()).await;
    let full = mute(&backend, "full", 0).await;
    let session = Guest::new("ann").enter(&source).await;
    let room = &session.room_id;
    let refused = |outcome: Result<_, MigrationError>| match outcome {
        Err(MigrationError::Refused(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let nobody = ServerId::new("nobody").expect("a valid id");
    assert_eq!(refused(source.migrate_room(room, &full).await), Rejection::ServerFull(full.clone()).to_string());
    let unknown = Rejection::ServerUnknown(nobody.clone()).to_string();
    assert_eq!(refused(source.migrate_room(room, &nobody).await), unknown);
    assert!(refused(source.migrate_room(room, &id(&source)).await).contains("already"));
    let elsewhere = target.migrate_room(room, &id(&source)).await;
    assert!(matches!(elsewhere, Err(MigrationError::NotHere(_))), "{elsewhere:?}");
    assert!(source.room(room).is_some());
    assert_eq!(script.count("dispose"), 0);

    let stateless = serving(&backend, "s3", seats(4), &Script::default()).await;
    let room = stateless.create(&probe_type(), Value::Null).await.expect("capacity");
    let outcome = stateless.migrate_room(room.id(), &id(&target)).await;
    assert!(matches!(outcome, Err(MigrationError::NothingToSave(_))), "{outcome:?}");
    assert!(!room.is_over());
}
