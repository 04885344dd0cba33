//! Finding, making and filling rooms.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use roomraft::{
    adapter::Consistency,
    model::{Metadata, RoomQuery},
    room::{JoinError, JoinOutcome, JoinTarget, ManagerOptions, RoomConfig},
};
use serde_json::{Value, json};

use super::{
    probe::Script,
    support::{Guest, any_probe, backend, bare, define, eventually, joined, probe_type, redirected, seats, serving},
};

#[tokio::test(flavor = "multi_thread")]
async fn finding_and_creating_are_two_steps() {
    let backend = backend();
    let (script, gate) = Script::gated();
    let mut managers = Vec::new();
    for name in ["s1", "s2", "s3", "s4"] {
        managers.push(serving(&backend, name, seats(16), &script).await);
    }
    let guests: Vec<Guest> = (0..8).map(|number| Guest::new(&format!("p{number}"))).collect();
    let joins = guests.iter().zip(managers.iter().cycle()).map(|(guest, manager)| guest.join_type(manager));
    // While `on_create` waits every join is under way.
    let (outcomes, ()) = tokio::join!(join_all(joins), async {
        eventually("the room is being made", async || script.creations() == 1).await;
        eventually("all have a seat", async || {
            let rooms = backend.rooms(&RoomQuery::default(), Consistency::Linearizable).await.expect("connected");
            rooms.iter().map(|room| room.seat_count).sum::<u32>() == 8
        })
        .await;
        gate.add_permits(100);
    });
    assert_eq!(script.creations(), 1, "one room for all");
    let here = outcomes.iter().filter(|outcome| matches!(outcome, Ok(JoinOutcome::Joined(_)))).count();
    let sent_on = outcomes.iter().filter(|outcome| matches!(outcome, Ok(JoinOutcome::Redirect(_)))).count();
    assert_eq!((here, sent_on), (2, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_free_seat_fifty_joins() {
    let backend = backend();
    let script = Script::default();
    let owner = serving(&backend, "s1", seats(1), &script).await;
    let other = bare(&backend, "s2", |options| options.capacity = 0);
    define(&other, seats(1), &script);
    other.start().await.expect("connected");
    let room = owner.create(&probe_type(), Value::Null).await.expect("capacity");
    let guests: Vec<Guest> = (0..50).map(|number| Guest::new(&format!("p{number}"))).collect();
    let outcomes = join_all(guests.iter().map(|guest| guest.join_room(&other, room.id(), None))).await;
    let promised = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(promised, 1, "one seat, one promise");
    let told = outcomes.iter().filter(|outcome| matches!(outcome, Err(JoinError::NotFound(_)))).count();
    assert_eq!(told, 49);
}

#[tokio::test(flavor = "multi_thread")]
async fn overfull_rooms_do_not_come_about() {
    let backend = backend();
    let script = Script::default();
    let first = serving(&backend, "s1", seats(10), &script).await;
    let second = serving(&backend, "s2", seats(10), &script).await;
    let guests: Vec<Guest> = (0..95).map(|number| Guest::new(&format!("p{number}"))).collect();
    let managers = [&first, &second];
    join_all(guests.iter().zip(managers.iter().cycle()).map(|(guest, manager)| async move {
        let Ok(JoinOutcome::Redirect(redirect)) = guest.join_type(manager).await else { return };
        let target = managers.iter().find(|manager| redirect.address.starts_with(manager.options().server_id.as_str()));
        let target = target.expect("one of the two");
        joined(guest.join_room(target, &redirect.room_id, redirect.reservation).await);
    }))
    .await;
    let rooms = backend.rooms(&RoomQuery::default(), Consistency::Linearizable).await.expect("connected");
    assert_eq!(rooms.iter().map(|room| room.player_count).sum::<u32>(), 95);
    assert!(rooms.iter().all(|room| room.player_count <= 10 && room.seat_count <= 10), "{rooms:?}");
    let here: usize = managers.iter().flat_map(|manager| manager.rooms()).map(|room| room.player_count()).sum();
    assert_eq!(here, 95, "every seat has its player");
}

#[tokio::test]
async fn a_timed_out_create_makes_no_second_room_and_leaves_no_seat() {
    let backend = backend();
    let (script, gate) = Script::gated();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let hasty = Guest::new("hasty");
    {
        let join = hasty.join_type(&manager);
        tokio::pin!(join);
        tokio::select! {
            _ = &mut join => panic!("the room cannot be made yet"),
            () = eventually("the room is being made", async || script.creations() == 1) => {}
        }
    }
    hasty.drop_connection(&manager);
    let patient = Guest::new("patient");
    let (outcome, ()) = tokio::join!(patient.join_type(&manager), async { gate.add_permits(10) });
    let room = manager.room(&joined(outcome).room_id).expect("it runs here");
    assert_eq!(script.creations(), 1);
    eventually("the hasty one has left", async || script.count("leave hasty disconnected") == 1).await;
    eventually("its seat is free", async || {
        let row = backend.room(room.id(), Consistency::Linearizable).await.expect("connected");
        row.is_some_and(|row| row.seat_count == 1)
    })
    .await;
}

#[tokio::test]
async fn a_failed_on_create_leaves_nothing() {
    let backend = backend();
    let script = Script::default();
    script.fail_create.store(true, Ordering::SeqCst);
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let outcome = Guest::new("p1").join_type(&manager).await;
    assert!(matches!(&outcome, Err(JoinError::Internal(text)) if text.contains("as told")), "{outcome:?}");
    let rooms = backend.rooms(&RoomQuery::default(), Consistency::Linearizable).await.expect("connected");
    assert_eq!(rooms, []);
    assert!(manager.rooms().is_empty());
    assert!(matches!(manager.create(&probe_type(), Value::Null).await, Err(JoinError::Internal(_))));
    script.fail_create.store(false, Ordering::SeqCst);
    Guest::new("p1").enter(&manager).await;
}

#[tokio::test]
async fn joins_before_start_and_after_stop_are_refused() {
    let backend = backend();
    let script = Script::default();
    let manager = bare(&backend, "s1", |_| {});
    define(&manager, seats(4), &script);
    let early = Guest::new("p1").join_type(&manager).await;
    assert!(matches!(early, Err(JoinError::Unavailable(_))), "{early:?}");
    manager.start().await.expect("connected");
    manager.start().await.expect("harmless");
    Guest::new("p1").enter(&manager).await;
    manager.stop(true).await.expect("connected");
    let late = Guest::new("p2").join_type(&manager).await;
    assert!(matches!(late, Err(JoinError::Unavailable(_))), "{late:?}");
    let token = Guest::new("p2").reconnect(&manager, "x.y.z").await;
    assert!(matches!(token, Err(JoinError::Unavailable(_))), "{token:?}");
    manager.stop(true).await.expect("harmless");
}

#[tokio::test]
async fn a_type_that_nobody_serves_is_not_found_and_a_full_cluster_unavailable() {
    let backend = backend();
    let script = Script::default();
    let manager = bare(&backend, "s1", |options: &mut ManagerOptions| options.capacity = 1);
    define(&manager, seats(1), &script);
    manager.start().await.expect("connected");
    let unknown = JoinTarget::Type {
        room_type: "chess".try_into().expect("a valid type"),
        options: Value::Null,
        metadata: Metadata::default(),
    };
    let guest = Guest::new("p1");
    let outcome = manager.join(guest.request(unknown, None)).await;
    assert!(matches!(&outcome, Err(JoinError::NotFound(text)) if text.contains("chess")), "{outcome:?}");
    guest.enter(&manager).await;
    let outcome = Guest::new("p2").join_type(&manager).await;
    assert!(matches!(outcome, Err(JoinError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_join_by_query_finds_or_makes_a_room_with_these_attributes() {
    let backend = backend();
    let script = Script::default();
    let config = RoomConfig { metadata: [("mode", "duel"), ("map", "isle")].into_iter().collect(), ..seats(4) };
    let manager = serving(&backend, "s1", config, &script).await;
    let wish = |mode: &str| JoinTarget::Type {
        room_type: probe_type(),
        options: json!({ "level": 3 }),
        metadata: [("mode", mode)].into_iter().collect(),
    };
    let duel = joined(manager.join(Guest::new("p1").request(wish("duel"), None)).await);
    let team = joined(manager.join(Guest::new("p2").request(wish("team"), None)).await);
    let team_again = joined(manager.join(Guest::new("p3").request(wish("team"), None)).await);
    assert_ne!(duel.room_id, team.room_id);
    assert_eq!(team.room_id, team_again.room_id);
    let room = manager.room(&team.room_id).expect("it runs here");
    assert_eq!(room.metadata().value("mode"), Some(&json!("team")));
    assert_eq!(room.metadata().value("map"), Some(&json!("isle")));
    assert_eq!(script.count(r#"create probe {"level":3}"#), 2);
}

#[tokio::test]
async fn a_player_is_in_one_room_at_a_time() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let guest = Guest::new("p1");
    guest.enter(&manager).await;
    let twice = guest.join_type(&manager).await;
    assert!(matches!(&twice, Err(JoinError::Invalid(text)) if text.contains("leave it first")), "{twice:?}");
    manager.leave(&guest.id, "moving on").await;
    assert_eq!(script.count("leave p1 moving on"), 1);
    assert!(manager.player_room(&guest.id).is_none());
    guest.enter(&manager).await;
}

#[tokio::test]
async fn the_response_comes_before_what_on_join_sent() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::default()).await;
    let mut guest = Guest::new("p1");
    let room = guest.enter(&manager).await;
    assert_eq!(guest.next().await, json!(["joined", room.room_id, "p1"]));
    assert_eq!(guest.next().await, json!([3, "RoomMessage", { "type": "welcome", "data": { "players": 1 } }]));
}

#[tokio::test]
async fn a_player_that_on_join_refuses_has_no_seat_and_hears_only_why() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(4), &script).await;
    let room = manager.create(&probe_type(), Value::Null).await.expect("capacity");
    script.refuse_players.store(true, Ordering::SeqCst);
    let mut guest = Guest::new("p1");
    let outcome = guest.join_room(&manager, room.id(), None).await;
    assert_eq!(outcome, Err(JoinError::Invalid("nobody is let in".to_owned())));
    eventually("the seat is free", async || {
        let row = backend.room(room.id(), Consistency::Linearizable).await.expect("connected");
        row.is_some_and(|row| row.seat_count == 0)
    })
    .await;
    assert_eq!(guest.waiting(), 0);
    assert!(!script.journal().iter().any(|line| line.starts_with("leave")), "it was never in");
    script.refuse_players.store(false, Ordering::SeqCst);
    joined(guest.join_room(&manager, room.id(), None).await);
}

#[tokio::test]
async fn a_room_placed_on_another_server_is_made_there_before_its_player_arrives() {
    let backend = backend();
    let here = Script::default();
    let there = Script::default();
    let full = bare(&backend, "s1", |options| options.capacity = 0);
    define(&full, seats(4), &here);
    full.start().await.expect("connected");
    let free = serving(&backend, "s2", seats(4), &there).await;
    let redirect = redirected(full.join(Guest::new("p1").request(any_probe(), None)).await);
    eventually("the room is made where it was placed", async || free.room(&redirect.room_id).is_some()).await;
    eventually("on_create has run", async || there.creations() == 1).await;
    assert_eq!(here.creations(), 0);
}
