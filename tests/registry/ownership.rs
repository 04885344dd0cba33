//! Ownership is lost and claimed.

use roomraft::{
    model::{OrphanClaim, RoomRegistration, RoomState, RoomUpdate, SeatState, ServerEpoch},
    registry::{Operation, Reply},
};

use crate::support::{World, any_room, room_type};

fn claim(world: &mut World, claimant: &ServerEpoch) -> Vec<RoomRegistration> {
    let claim = OrphanClaim { claimant: claimant.clone(), room_types: vec![room_type()], limit: 100 };
    match world.apply(Operation::ClaimOrphans(claim)) {
        Reply::Rooms(rooms) => rooms,
        other => panic!("{other:?}"),
    }
}

/// Rooms with snapshots that lost their server just now.
fn orphans(world: &mut World, count: u32) -> Vec<RoomRegistration> {
    let lost = world.server("lost", count);
    let rooms: Vec<_> = (0..count).map(|_| world.room(&lost)).collect();
    for room in &rooms {
        assert_eq!(world.save(room, 1), Reply::Done);
    }
    world.expire(&lost);
    rooms
}

#[test]
fn a_claim_gives_the_share_that_levels_the_servers() {
    let mut world = World::default();
    let (busy, idle) = (world.server("busy", 100), world.server("idle", 100));
    for _ in 0..4 {
        world.room(&busy);
    }
    orphans(&mut world, 6);
    assert_eq!(claim(&mut world, &busy).len(), 1, "four of its own and one make five");
    assert_eq!(claim(&mut world, &idle).len(), 5);
}

#[test]
fn orphans_older_than_a_second_are_anybodys() {
    let mut world = World::default();
    let (a, _b) = (world.server("a", 100), world.server("b", 100));
    orphans(&mut world, 6);
    assert_eq!(claim(&mut world, &a).len(), 3);
    assert_eq!(claim(&mut world, &a).len(), 0);
    world.wait(1000);
    assert_eq!(claim(&mut world, &a).len(), 3);
}

#[test]
fn a_full_or_draining_server_gets_none_and_lowers_nobodys_share() {
    let mut world = World::default();
    let (full, fit) = (world.server("full", 0), world.server("fit", 100));
    orphans(&mut world, 6);
    assert_eq!(claim(&mut world, &full).len(), 0);
    assert_eq!(claim(&mut world, &fit).len(), 6);
}

#[test]
fn an_orphan_that_lived_without_a_snapshot_is_disposed_of() {
    let mut world = World::default();
    let (lost, other) = (world.server("lost", 10), world.server("other", 10));
    let lived = world.room(&lost);
    let creating = world.room_with(&lost, |room| room.state = RoomState::Creating);
    world.expire(&lost);
    let claimed = claim(&mut world, &other);
    assert_eq!(world.events(), ["room:disposed", "room:migrated"]);
    assert_eq!((claimed.len(), &claimed[0].room_id), (1, &creating.room_id));
    assert_eq!(claimed[0].state, RoomState::Creating);
    assert_eq!(world.registry.room(&lived.room_id), None);
}

#[test]
fn orphans_that_nobody_takes_are_parked_or_disposed_of() {
    let mut world = World::default();
    let rooms = orphans(&mut world, 1);
    let lost = world.server("lost", 10);
    let unsaved = world.room(&lost);
    world.expire(&lost);
    world.wait(30_000);
    assert_eq!(world.present(&rooms[0]).state, RoomState::Parked);
    assert_eq!(world.registry.room(&unsaved.room_id), None);
    let rescuer = world.server("rescuer", 10);
    let claimed = claim(&mut world, &rescuer);
    assert_eq!((claimed.len(), claimed[0].state), (1, RoomState::Live));
}

#[test]
fn a_parked_room_goes_when_its_snapshots_time_is_over() {
    let mut world = World::default();
    let server = world.server("a", 10);
    let room = world.room(&server);
    let bytes = bytes::Bytes::from_static(b"state");
    world.apply(Operation::SaveSnapshot { room: room.room_epoch(), version: 1, bytes, ttl_ms: 5000 });
    let update = RoomUpdate { state: Some(RoomState::Parked), ..RoomUpdate::default() };
    assert_eq!(world.apply(Operation::UpdateRoom { room: room.room_epoch(), update }), Reply::Done);
    assert_eq!(world.registry.next_deadline(), Some(5000));
    world.wait(5000);
    assert_eq!(world.events(), ["room:disposed"]);
    assert_eq!(world.registry.room(&room.room_id), None);
}

#[test]
fn joined_players_of_an_orphan_are_away_with_its_grace_or_gone() {
    for (grace_ms, left) in [(0, 0), (5000, 1)] {
        let mut world = World::default();
        let server = world.server("a", 10);
        let room = world.room_with(&server, |room| room.reconnect_grace_ms = grace_ms);
        world.join(&server, any_room(&[]));
        world.expire(&server);
        let seats = world.registry.seats(&room.room_id);
        assert_eq!(seats.len(), left);
        assert!(seats.iter().all(|seat| (seat.state, seat.deadline_ms) == (SeatState::Away, grace_ms)));
    }
}
