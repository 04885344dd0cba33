//! Players whose room is on another server.

use std::time::Duration;

use roomraft::{
    model::{PlayerId, RoomId, SeatId},
    room::{JoinError, RoomConfig},
};
use serde_json::Value;

use super::{
    probe::Script,
    support::{
        Guest, any_probe, backend, bare, define, eventually, joined, probe_type, record, redirected, seats, serving,
    },
};

#[tokio::test]
async fn a_redirect_carries_room_id_and_reservation() {
    let backend = backend();
    let script = Script::default();
    let owner = serving(&backend, "s1", seats(2), &script).await;
    let other = serving(&backend, "s2", seats(2), &Script::default()).await;
    let room = owner.create(&probe_type(), Value::Null).await.expect("capacity");
    let ann = Guest::new("ann");
    let redirect = redirected(ann.join_type(&other).await);
    assert_eq!((redirect.address.as_str(), &redirect.room_id), ("s1.example:3000", room.id()));
    assert!(redirect.reservation.is_some() && redirect.session_token.is_none());
    assert_eq!(record(&backend, room.id()).await.map(|row| (row.player_count, row.seat_count)), Some((0, 1)));

    // The player may have another id by now: the seat's counts.
    let mut arrived = Guest::new("somebody");
    arrived.data = ann.data.clone();
    let joined_room = joined(arrived.join_room(&owner, &redirect.room_id, redirect.reservation).await);
    assert_eq!(joined_room.player_id, ann.id);
    assert_eq!(script.count(r#"join ann {"name":"ann"}"#), 1, "with the player's data");
    assert_eq!(record(&backend, room.id()).await.map(|row| (row.player_count, row.seat_count)), Some((1, 1)));
}

#[tokio::test]
async fn a_join_by_id_redirects_too() {
    let backend = backend();
    let owner = serving(&backend, "s1", seats(2), &Script::default()).await;
    let other = serving(&backend, "s2", seats(2), &Script::default()).await;
    let room = owner.create(&probe_type(), Value::Null).await.expect("capacity");
    let redirect = redirected(Guest::new("ann").join_room(&other, room.id(), None).await);
    assert_eq!(&redirect.room_id, room.id());
    let missing = RoomId::new("probe-zzz").expect("a valid id");
    let outcome = Guest::new("bob").join_room(&other, &missing, None).await;
    assert!(matches!(&outcome, Err(JoinError::NotFound(text)) if text.contains("not found")), "{outcome:?}");
}

#[tokio::test]
async fn a_reservation_that_is_over_still_leads_to_a_seat() {
    let backend = backend();
    let script = Script::default();
    let owner = serving(&backend, "s1", seats(1), &script).await;
    let other = bare(&backend, "s2", |options| {
        options.seat_hold = Duration::from_millis(20);
        options.capacity = 0;
    });
    define(&other, seats(1), &script);
    other.start().await.expect("connected");
    let room = owner.create(&probe_type(), Value::Null).await.expect("capacity");
    let late = Guest::new("late");
    let redirect = redirected(late.join_room(&other, room.id(), None).await);
    eventually("the seat has fallen free", async || {
        record(&backend, room.id()).await.is_some_and(|row| row.seat_count == 0)
    })
    .await;
    assert_eq!(joined(late.join_room(&owner, &redirect.room_id, redirect.reservation).await).room_id, *room.id());
    // Where the room is full meanwhile, another one of its type serves.
    let later = Guest::new("later");
    let elsewhere = joined(later.join_room(&owner, &redirect.room_id, redirect.reservation).await);
    assert_ne!(elsewhere.room_id, *room.id());
    // And where the room is gone as well.
    let gone = RoomId::new("probe-zzz").expect("a valid id");
    joined(Guest::new("last").join_room(&owner, &gone, Some(SeatId(1))).await);
    assert_eq!(owner.rooms().len(), 3);
}

#[tokio::test]
async fn an_old_client_that_lost_its_reservation_finds_its_seat_by_its_origin() {
    let backend = backend();
    let script = Script::default();
    let owner = serving(&backend, "s1", seats(1), &script).await;
    let other = bare(&backend, "s2", |options| options.capacity = 0);
    define(&other, seats(1), &script);
    other.start().await.expect("connected");
    let room = owner.create(&probe_type(), Value::Null).await.expect("capacity");
    let old = Guest::new("old");
    let mut request = old.request(any_probe(), None);
    request.origin = 42;
    assert_eq!(redirected(other.join(request).await).room_id, *room.id());
    let mut request = Guest::new("old-again").request(any_probe(), None);
    request.origin = 42;
    let arrived = joined(owner.join(request).await);
    assert_eq!(arrived.room_id, *room.id(), "no second room, no second seat");
    assert_eq!(arrived.player_id, PlayerId::new("old-again").expect("a valid id"));
    assert_eq!(owner.rooms().len(), 1);
}

#[tokio::test]
async fn a_reservation_is_good_once_and_for_its_room_alone() {
    let backend = backend();
    let config = RoomConfig { reconnect_grace: Duration::from_mins(10), ..seats(4) };
    let owner = serving(&backend, "s1", config.clone(), &Script::default()).await;
    let other = serving(&backend, "s2", config, &Script::default()).await;
    let room = owner.create(&probe_type(), Value::Null).await.expect("capacity");
    let ann = Guest::new("ann");
    let redirect = redirected(ann.join_room(&other, room.id(), None).await);
    let first = joined(ann.join_room(&owner, room.id(), redirect.reservation).await);
    let second = joined(Guest::new("eve").join_room(&owner, room.id(), redirect.reservation).await);
    assert_eq!(second.player_id, PlayerId::new("eve").expect("a valid id"), "a seat of her own");
    assert_ne!(first.session_token, second.session_token);
    assert_eq!(record(&backend, room.id()).await.map(|row| row.seat_count), Some(2));
}
