//! Every limit, at its edge.

use roomraft::{
    model::{Metadata, SeatRelease, SeatTarget},
    registry::{
        CANDIDATES_MAX, LOCK_KEY_BYTES_MAX, MAX_PLAYERS_MAX, METADATA_BYTES_MAX, OPTIONS_BYTES_MAX, Operation,
        RELEASES_MAX, Rejection, Reply, SNAPSHOT_BYTES_MAX,
    },
};

use crate::support::{World, new_room, new_server, rejected, room_id, room_type};

#[track_caller]
fn invalid(reply: Reply, named: &str) {
    match rejected(reply) {
        Rejection::Invalid(problem) => assert!(problem.contains(named), "{problem} does not name {named}"),
        other => panic!("{other:?}"),
    }
}

/// Metadata of so many bytes as JSON: `{"k":"xx…"}`.
fn metadata(bytes: usize) -> Metadata {
    [("k", "x".repeat(bytes - 8))].into_iter().collect()
}

#[test]
fn rooms_are_taken_up_to_each_limit() {
    let mut world = World::default();
    let server = world.server("a", 10);
    world.room_with(&server, |room| {
        room.max_players = MAX_PLAYERS_MAX;
        room.metadata = metadata(METADATA_BYTES_MAX);
        room.options = "x".repeat(OPTIONS_BYTES_MAX);
    });
    let mut refused = |change: fn(&mut roomraft::model::NewRoom), named: &str| {
        let mut room = new_room();
        change(&mut room);
        invalid(world.apply(Operation::RegisterRoom { server: server.clone(), room }), named);
    };
    refused(|room| room.max_players = 0, "max_players");
    refused(|room| room.max_players = MAX_PLAYERS_MAX + 1, "max_players");
    refused(|room| room.metadata = metadata(METADATA_BYTES_MAX + 1), "metadata");
    refused(|room| room.options = "x".repeat(OPTIONS_BYTES_MAX + 1), "options");
}

#[test]
fn servers_are_checked() {
    let mut world = World::default();
    let mut nowhere = new_server("a", 10, 2);
    nowhere.address.clear();
    invalid(world.apply(Operation::RegisterServer(nowhere)), "address");
    invalid(world.apply(Operation::RegisterServer(new_server("a", 10, 0))), "max_players");
    let mut fat = new_server("a", 10, 2);
    fat.metadata = metadata(METADATA_BYTES_MAX + 1);
    invalid(world.apply(Operation::RegisterServer(fat)), "metadata");
    assert_eq!(world.registry.servers().count(), 0);
}

#[test]
fn locks_are_checked() {
    let mut world = World::default();
    let acquire = |key: String, ttl_ms| Operation::AcquireLock { key, ttl_ms };
    invalid(world.apply(acquire(String::new(), 1)), "lock key");
    invalid(world.apply(acquire("x".repeat(LOCK_KEY_BYTES_MAX + 1), 1)), "lock key");
    invalid(world.apply(acquire("key".to_owned(), 0)), "time");
    assert!(matches!(world.apply(acquire("x".repeat(LOCK_KEY_BYTES_MAX), u64::MAX)), Reply::Lock(_)));
}

#[test]
fn seat_requests_are_checked() {
    let mut world = World::default();
    let server = world.server("a", 10);
    let target = |candidates: usize, options: usize| SeatTarget::Type {
        room_type: room_type(),
        metadata: Metadata::default(),
        candidates: vec![server.server_id.clone(); candidates],
        options: "x".repeat(options),
    };
    invalid(world.try_join(&server, target(CANDIDATES_MAX + 1, 0)), "candidate");
    invalid(world.try_join(&server, target(1, OPTIONS_BYTES_MAX + 1)), "options");
    let mut hasty = world.seat_request(&server, target(1, 0));
    hasty.hold_ms = 0;
    invalid(world.apply(Operation::ReserveSeat(hasty)), "hold_ms");
    world.join(&server, target(CANDIDATES_MAX, OPTIONS_BYTES_MAX));
}

#[test]
fn releases_and_snapshots_are_checked() {
    let mut world = World::default();
    let server = world.server("a", 10);
    let room = world.room(&server);
    let release = SeatRelease { room_id: room_id("r"), seat_id: roomraft::model::SeatId(1), away_ms: 0 };
    let releases = |count| Operation::ReleaseSeats { server: server.clone(), releases: vec![release.clone(); count] };
    assert_eq!(world.apply(releases(RELEASES_MAX)), Reply::Done);
    invalid(world.apply(releases(RELEASES_MAX + 1)), "releases");
    let bytes = vec![0_u8; SNAPSHOT_BYTES_MAX + 1].into();
    let save = Operation::SaveSnapshot { room: room.room_epoch(), version: 1, bytes, ttl_ms: 0 };
    invalid(world.apply(save), "snapshot");
}
