//! A server hands all its rooms on.

use std::collections::BTreeMap;

use roomraft::{
    model::{RoomQuery, RoomState, ServerStatus},
    room::{JoinError, RoomFate},
};
use serde_json::{Value, json};

use super::{
    probe::Script,
    support::{Guest, backend, bare, define, joined, probe_type, record, redirected, say, seats, serving},
};

#[tokio::test]
async fn a_drained_server_has_spread_its_rooms_evenly_and_stays_up() {
    let backend = backend();
    let script = Script::saving();
    let source = serving(&backend, "s1", seats(1), &script).await;
    let mut sessions = Vec::new();
    for number in 0..20 {
        let guest = Guest::new(&format!("guest-{number}"));
        sessions.push(guest.enter(&source).await);
        say(&source, &guest, "write", json!(number)).await;
    }
    let others = [serving(&backend, "s2", seats(1), &script).await, serving(&backend, "s3", seats(1), &script).await];
    let report = source.drain().await;
    assert_eq!((report.moved(), report.parked(), report.disposed(), report.stayed()), (20, 0, 0, 0), "{report:?}");
    assert_eq!(report.players_moved(), 20);
    let mut shares = BTreeMap::new();
    for room in &report.rooms {
        let RoomFate::Moved { to, .. } = &room.fate else { panic!("{room:?}") };
        *shares.entry(to.to_string()).or_insert(0) += 1;
        assert_eq!(record(&backend, &room.room_id).await.and_then(|row| row.server_id).as_ref(), Some(to));
    }
    assert_eq!(shares, BTreeMap::from([("s2".to_owned(), 10), ("s3".to_owned(), 10)]));

    let server = backend.server(&source.options().server_id).await.expect("connected").expect("registered");
    assert_eq!((server.status, server.room_count), (ServerStatus::Draining, 0));
    assert!(source.rooms().is_empty() && !source.is_serving());
    assert!(matches!(Guest::new("late").enter_fails(&source).await, JoinError::Unavailable(_)));
    for (number, session) in sessions.iter().enumerate() {
        // Asked where it was, a player learns where its room is.
        let mut guest = Guest::new(session.player_id.as_str());
        let redirect = redirected(guest.reconnect(&source, &session.session_token).await);
        let there = others.iter().find(|manager| redirect.address.starts_with(manager.options().server_id.as_str()));
        let there = there.expect("one of the others");
        assert_eq!(joined(guest.reconnect(there, &session.session_token).await), *session);
        assert_eq!(guest.next_of("welcome-back").await, json!({ "written": number }));
    }
    assert_eq!(source.drain().await.rooms, [], "a second time there is nothing to do");
    source.stop(true).await.expect("connected");
    assert_eq!(backend.server(&source.options().server_id).await.expect("connected"), None);
    let rooms = others[0].query_distributed_rooms(&RoomQuery::default()).await.expect("connected");
    assert_eq!(rooms.len(), 20, "the stop took nothing with it");
}

#[tokio::test]
async fn what_nobody_can_take_is_parked_with_its_snapshot_and_what_has_no_state_ends() {
    let backend = backend();
    let script = Script::saving();
    let source = serving(&backend, "s1", seats(4), &script).await;
    source.define("stateless", seats(4), || super::probe::Probe::new(&Script::default())).expect("a valid type");
    let narrow = bare(&backend, "s2", |options| options.capacity = 1);
    define(&narrow, seats(4), &script);
    narrow.start().await.expect("connected");
    for _ in 0..3 {
        source.create(&probe_type(), Value::Null).await.expect("capacity");
    }
    let stateless = source.create(&"stateless".try_into().expect("a valid type"), Value::Null).await.expect("capacity");
    let report = source.drain().await;
    assert_eq!((report.moved(), report.parked(), report.disposed(), report.stayed()), (1, 2, 1, 0), "{report:?}");
    for room in &report.rooms {
        let row = record(&backend, &room.room_id).await;
        match &room.fate {
            RoomFate::Moved { to, .. } => assert_eq!(row.and_then(|row| row.server_id).as_ref(), Some(to)),
            RoomFate::Parked => {
                let row = row.expect("a parked room is kept");
                assert_eq!((row.state, row.server_id), (RoomState::Parked, None));
                assert!(backend.load_snapshot(&room.room_id).await.expect("connected").is_some());
            }
            fate => {
                assert_eq!((&room.room_id, row), (stateless.id(), None), "{fate:?}");
            }
        }
    }
    source.stop(true).await.expect("connected");
    let parked = report.rooms.iter().filter(|room| room.fate == RoomFate::Parked);
    for room in parked {
        assert!(backend.load_snapshot(&room.room_id).await.expect("connected").is_some(), "also after the stop");
    }
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["rooms"][0]["fate"].as_str().is_some(), json["rooms"][0]["roomId"].is_string(), "{json}");
}

#[tokio::test]
async fn a_server_that_never_ran_has_nothing_to_drain() {
    let backend = backend();
    let manager = bare(&backend, "s1", |_| {});
    assert_eq!(manager.drain().await.rooms, []);
    define(&manager, seats(4), &Script::default());
    manager.start().await.expect("it can still start");
    Guest::new("ann").enter(&manager).await;
}
