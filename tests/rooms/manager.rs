//! The rest of the manager's table: types, rooms, servers, advice.

use std::time::Duration;

use roomraft::{
    model::{Place, PlayerId, RoomQuery, RoundTrips, RoutingRequest, RoutingResult},
    room::{JoinError, ManagerOptions, RoomConfig, RoomHandle},
};
use serde_json::{Value, json};

use super::{
    probe::{Probe, Script},
    support::{Guest, backend, bare, define, eventually, joined, probe_type, seats, serving},
};

#[test]
fn options_have_the_defaults_of_the_reference() {
    let options = ManagerOptions::new("s1", "host", 3000).expect("a valid name");
    assert_eq!(options.heartbeat_interval, Duration::from_secs(5));
    assert_eq!(options.snapshot_interval, Duration::from_secs(30));
    assert_eq!(options.migration_timeout, Duration::from_secs(10));
    assert_eq!((options.enable_failover, options.capacity), (true, 100));
    assert!(options.metadata.is_empty());
    let room = RoomConfig::default();
    assert_eq!((room.max_players, room.tick_rate, room.auto_dispose), (16, 0, true));
    assert_eq!((room.reconnect_grace, room.metadata.is_empty()), (Duration::ZERO, true));
}

#[tokio::test]
async fn a_type_that_cannot_be_is_refused_by_name() {
    let manager = bare(&backend(), "s1", |_| {});
    let script = Script::default();
    let probe = || Probe::new(&Script::default());
    let nameless = manager.define("", RoomConfig::default(), probe).expect_err("no name");
    assert!(nameless.to_string().contains("empty"), "{nameless}");
    let crowded = manager.define("arena", seats(0), probe).expect_err("no seats");
    assert!(crowded.to_string().contains("arena") && crowded.to_string().contains("max_players"), "{crowded}");
    define(&manager, seats(1), &script);
}

#[tokio::test]
async fn rooms_are_found_by_id_by_type_and_by_player() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::default()).await;
    manager.define("other", seats(4), || Probe::new(&Script::default())).expect("a valid type");
    let other_type = "other".try_into().expect("a valid type");
    let probe = manager.create(&probe_type(), Value::Null).await.expect("capacity");
    let other = manager.create(&other_type, Value::Null).await.expect("defined after the start");
    assert_eq!(manager.rooms().len(), 2);
    assert_eq!(manager.rooms_by_type(&other_type).iter().map(RoomHandle::id).collect::<Vec<_>>(), [other.id()]);
    assert!(manager.room(probe.id()).is_some_and(|room| room.max_players() == 4 && !room.is_locked()));
    let ann = Guest::new("ann");
    let by_id = manager.join_by_id(other.id(), ann.id.clone(), ann.connection.clone()).await;
    assert_eq!(joined(by_id).player_id, ann.id);
    assert!(manager.player_room(&ann.id).is_some_and(|room| room.id() == other.id()));
    let players: Vec<PlayerId> = other.players().iter().map(|player| player.id().clone()).collect();
    assert_eq!(players, [ann.id]);
    let unknown = "chess".try_into().expect("a valid type");
    assert!(matches!(manager.create(&unknown, Value::Null).await, Err(JoinError::NotFound(_))));
    let bob = Guest::new("bob");
    let created = manager.join_or_create(&probe_type(), bob.id.clone(), bob.connection.clone(), Value::Null).await;
    assert_eq!(joined(created).room_id, *probe.id());
    let cid = Guest::new("cid");
    let distributed = manager.join_or_create_distributed(&probe_type(), cid.id, cid.connection, Value::Null).await;
    assert_eq!(joined(distributed).room_id, *probe.id());
    eventually("the registry knows the new type", async || {
        let servers = manager.servers().await.expect("connected");
        servers.iter().all(|server| server.room_types.contains_key(&other_type))
    })
    .await;
}

#[tokio::test]
async fn options_that_are_too_large_are_refused() {
    let backend = backend();
    let manager = serving(&backend, "s1", seats(4), &Script::default()).await;
    let outcome = manager.create(&probe_type(), json!("x".repeat(17 * 1024))).await;
    assert!(matches!(outcome, Err(JoinError::Invalid(_))), "{outcome:?}");
}

#[tokio::test]
async fn routes_are_local_elsewhere_new_or_none() {
    let backend = backend();
    let first = serving(&backend, "s1", seats(1), &Script::default()).await;
    let second = bare(&backend, "s2", |options| options.capacity = 1);
    define(&second, seats(1), &Script::default());
    second.start().await.expect("connected");
    let request = RoutingRequest {
        player_id: PlayerId::new("ann").expect("a valid id"),
        room_type: Some(probe_type()),
        room_id: None,
        preferred_server_id: None,
        query: None,
        place: Place::default(),
        round_trips: RoundTrips::default(),
    };
    assert_eq!(second.route(&request).await.expect("connected"), RoutingResult::Create);
    let room = second.create(&probe_type(), Value::Null).await.expect("capacity").id().clone();
    let local = RoutingResult::Local { room_id: room.clone() };
    assert_eq!(second.route(&request).await.expect("connected"), local);
    let address = "s2.example:3000".to_owned();
    let redirect = RoutingResult::Redirect { server_address: address, room_id: Some(room.clone()) };
    assert_eq!(first.route(&request).await.expect("connected"), redirect);
    let by_id = RoutingRequest { room_id: Some(room.clone()), ..request.clone() };
    assert_eq!(first.route(&by_id).await.expect("connected"), redirect);
    assert_eq!(second.route(&by_id).await.expect("connected"), local);
    Guest::new("ann").enter(&second).await;
    let elsewhere = RoutingResult::Redirect { server_address: "s1.example:3000".to_owned(), room_id: None };
    assert_eq!(second.route(&request).await.expect("connected"), elsewhere, "it is full, the other is not");
    first.stop(true).await.expect("connected");
    let none = second.route(&request).await.expect("connected");
    assert!(matches!(none, RoutingResult::Unavailable { .. }), "{none:?}");
    let missing = RoutingRequest { room_id: Some("probe-zzz".try_into().expect("a valid id")), ..request };
    let none = second.route(&missing).await.expect("connected");
    assert!(matches!(none, RoutingResult::Unavailable { .. }), "{none:?}");
}

#[tokio::test]
async fn servers_and_rooms_are_seen_from_every_server() {
    let backend = backend();
    let first = serving(&backend, "s1", seats(2), &Script::default()).await;
    let second = serving(&backend, "s2", seats(2), &Script::default()).await;
    let room = first.create(&probe_type(), Value::Null).await.expect("capacity");
    Guest::new("ann").enter(&first).await;
    let servers = second.servers().await.expect("connected");
    let counts: Vec<(&str, u32, u32)> =
        servers.iter().map(|server| (server.server_id.as_str(), server.room_count, server.player_count)).collect();
    assert_eq!(counts, [("s1", 1, 1), ("s2", 0, 0)]);
    let open = RoomQuery { has_space: Some(true), room_type: Some(probe_type()), ..RoomQuery::default() };
    let rooms = second.query_distributed_rooms(&open).await.expect("connected");
    assert_eq!(rooms.iter().map(|row| &row.room_id).collect::<Vec<_>>(), [room.id()]);
    assert!(first.is_serving() && second.is_serving());
}
