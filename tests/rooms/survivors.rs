//! What the other servers do, and leave, when one is slow or lost.

use std::time::Duration;

use roomraft::{
    model::{RoomQuery, RoomState, RoomType},
    room::{DistributedRoomManager, JoinTarget, JoinedRoom, RoomConfig},
};
use serde_json::{Value, json};

use super::{
    lab::Lab,
    probe::{Probe, Script},
    support::{Guest, bare, define, eventually, joined, record, redirected, say, seats},
};

/// A server that sends heartbeats only when it is told to.
async fn server(lab: &Lab, name: &str, capacity: u32, script: &Script) -> DistributedRoomManager {
    let manager = bare(&lab.handle(), name, |options| {
        options.heartbeat_interval = Duration::from_hours(1);
        options.capacity = capacity;
    });
    define(&manager, keeping(), script);
    manager.start().await.expect("connected");
    manager
}

async fn beat(manager: &DistributedRoomManager) {
    let server = manager.server_epoch().expect("registered");
    manager.adapter().heartbeat(&server).await.expect("its lease runs");
}

fn keeping() -> RoomConfig {
    RoomConfig { reconnect_grace: Duration::from_hours(1), ..seats(1) }
}

/// A player in a room of this server whose state is kept.
async fn kept(manager: &DistributedRoomManager, name: &str) -> Guest {
    let mut guest = Guest::new(name);
    guest.enter(manager).await;
    say(manager, &guest, "write", json!(name)).await;
    say(manager, &guest, "save", Value::Null).await;
    guest.next_of("saved").await;
    guest
}

#[tokio::test]
async fn one_missed_ping_delists_no_room() {
    let lab = Lab::new().await;
    let (slow, other) =
        (server(&lab, "s1", 10, &Script::saving()).await, server(&lab, "s2", 10, &Script::saving()).await);
    let _ann = kept(&slow, "ann").await;
    // Five seconds apart by default: two pings in a row do not come.
    for _ in 0..3 {
        lab.pass(14);
        beat(&slow).await;
        beat(&other).await;
    }
    let rooms = other.query_distributed_rooms(&RoomQuery::default()).await.expect("connected");
    assert_eq!(rooms.len(), 1);
    assert_eq!((rooms[0].state, rooms[0].server_id.as_ref()), (RoomState::Live, Some(&slow.options().server_id)));
    assert!(other.rooms().is_empty(), "nobody took it over");
}

#[tokio::test]
async fn where_survivors_are_full_a_room_has_no_server_until_there_is_capacity() {
    let lab = Lab::new().await;
    let script = Script::saving();
    let (dying, full) = (server(&lab, "s1", 10, &script).await, server(&lab, "s2", 1, &script).await);
    let (_ann, bob) = (kept(&dying, "ann").await, kept(&full, "bob").await);
    let room_id = dying.rooms()[0].id().clone();
    dying.adapter().disconnect().await.expect("memory");
    lab.pass(8);
    beat(&full).await;
    lab.pass(8);
    let lost = record(&lab.backend(), &room_id).await.expect("it has a snapshot");
    assert_eq!((lost.state, lost.server_id), (RoomState::Orphaned, None), "nobody is sent to the dead server");
    for _ in 0..3 {
        beat(&full).await;
        lab.pass(12);
    }
    let parked = record(&lab.backend(), &room_id).await.expect("it has a snapshot");
    assert_eq!((parked.state, parked.server_id), (RoomState::Parked, None));

    full.leave(&bob.id, "makes place").await;
    eventually("the room, where there is capacity now", async || full.room(&room_id).is_some()).await;
    assert_eq!(script.count(r#"restore {"written":"ann"} with 1 players"#), 1);
}

#[tokio::test]
async fn a_player_that_was_sent_to_a_dead_server_in_vain_gets_its_seat_when_the_room_is_taken_over() {
    let lab = Lab::new().await;
    let script = Script::saving();
    let (dying, other) = (server(&lab, "s1", 10, &script).await, server(&lab, "s2", 10, &script).await);
    let ann = Guest::new("ann");
    let session = ann.enter(&dying).await;
    say(&dying, &ann, "save", Value::Null).await;
    eventually("a snapshot", async || {
        dying.adapter().load_snapshot(&session.room_id).await.is_ok_and(|it| it.is_some())
    })
    .await;
    dying.adapter().disconnect().await.expect("memory");

    let sent = redirected(ann.again().reconnect(&other, &session.session_token).await);
    let back = ann.again();
    let respond = Box::new(|_: &JoinedRoom| None);
    let connection = back.connection.clone();
    let returning = other.reconnect_past(&session.session_token, Some(&sent.address), connection, respond);
    let (answer, ()) = tokio::join!(returning, async {
        lab.pass(8);
        beat(&other).await;
        lab.pass(8);
    });
    assert_eq!(joined(answer), session);
}

#[tokio::test]
async fn rooms_of_two_types_made_of_one_kind_are_each_restored_as_their_own() {
    let lab = Lab::new().await;
    let (ranked, casual) = (Script::saving(), Script::saving());
    let serve = async |name: &str| {
        let manager = bare(&lab.handle(), name, |options| options.heartbeat_interval = Duration::from_hours(1));
        for (room_type, script) in [("ranked", &ranked), ("casual", &casual)] {
            let script = script.clone();
            manager.define(room_type, keeping(), move || Probe::new(&script)).expect("a type");
        }
        manager.start().await.expect("connected");
        manager
    };
    let first = serve("s1").await;
    for room_type in ["ranked", "casual"] {
        let mut guest = Guest::new(room_type);
        let target = JoinTarget::Type {
            room_type: RoomType::new(room_type).expect("a type"),
            options: Value::Null,
            metadata: roomraft::model::Metadata::default(),
        };
        joined(first.join(guest.request(target, None)).await);
        say(&first, &guest, "write", json!(room_type)).await;
        say(&first, &guest, "save", Value::Null).await;
        guest.next_of("saved").await;
    }
    first.adapter().disconnect().await.expect("memory");
    lab.pass(16);
    let second = serve("s2").await;
    eventually("both rooms", async || second.rooms().len() == 2).await;
    for (room_type, script) in [("ranked", &ranked), ("casual", &casual)] {
        let line = format!(r#"restore {{"written":"{room_type}"}} with 1 players"#);
        eventually("each by its own type", async || script.count(&line) == 1).await;
        let rooms = second.rooms_by_type(&RoomType::new(room_type).expect("a type"));
        assert_eq!(rooms.len(), 1);
    }
}
