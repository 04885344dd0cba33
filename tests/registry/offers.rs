//! A room is offered by one living server to another.

use roomraft::{
    model::{
        Epoch, MigrationStage, RoomClaim, RoomEpoch, RoomOffer, RoomRegistration, RoomState, RoomUpdate, SeatState,
        SeatTarget, ServerEpoch, ServerStatus, ServerUpdate,
    },
    registry::{Operation, Rejection, Reply},
};

use crate::support::{World, any_room, room_id};

/// Two servers and a saved room on the first.
fn two_servers(world: &mut World) -> (ServerEpoch, ServerEpoch, RoomRegistration) {
    let (source, target) = (world.server("source", 10), world.server("target", 1));
    let room = world.room(&source);
    assert_eq!(world.save(&room, 1), Reply::Done);
    (source, target, room)
}

fn offer(world: &mut World, room: &RoomEpoch, target: &ServerEpoch) -> Reply {
    let target = target.server_id.clone();
    world.apply(Operation::OfferRoom(RoomOffer { room: room.clone(), target, version: 1, ttl_ms: 10_000 }))
}

fn claim(world: &mut World, claimant: &ServerEpoch, room: &RoomEpoch) -> Reply {
    world.apply(Operation::ClaimRoom(RoomClaim { claimant: claimant.clone(), room: room.clone() }))
}

fn claimed(world: &mut World, claimant: &ServerEpoch, room: &RoomEpoch) -> RoomRegistration {
    match claim(world, claimant, room) {
        Reply::Room(room) => *room,
        other => panic!("{other:?}"),
    }
}

fn stage(room: &RoomRegistration) -> Option<MigrationStage> {
    room.migration.as_ref().map(|migration| migration.stage)
}

fn live() -> RoomUpdate {
    RoomUpdate { state: Some(RoomState::Live), ..RoomUpdate::default() }
}

#[test]
fn an_offered_room_is_its_owners_until_the_target_claims_it_and_its_arrival_ends_the_migration() {
    let mut world = World::default();
    let (source, target, room) = two_servers(&mut world);
    assert_eq!(offer(&mut world, &room.room_epoch(), &target), Reply::Done);
    assert_eq!(world.events(), ["room:updated"]);
    let offered = world.present(&room);
    assert_eq!((offered.server_id.as_ref(), offered.epoch), (Some(&source.server_id), room.epoch));
    assert_eq!(stage(&offered), Some(MigrationStage::Offered));
    assert_eq!(world.registry.rooms_offered_to(&target.server_id), [offered]);
    let arriving = claimed(&mut world, &target, &room.room_epoch());
    assert_eq!(world.events(), ["room:migrated"]);
    assert_eq!(stage(&arriving), Some(MigrationStage::Claimed));
    assert!(world.registry.rooms_offered_to(&target.server_id).is_empty());
    let late = Operation::UpdateRoom { room: room.room_epoch(), update: live() };
    assert_eq!(world.apply(late), Reply::Fenced { present: arriving.epoch });
    world.apply(Operation::UpdateRoom { room: arriving.room_epoch(), update: live() });
    assert_eq!(world.present(&room).migration, None);
}

#[test]
fn of_source_and_target_one_wins_the_claim() {
    for source_first in [true, false] {
        let mut world = World::default();
        let (source, target, room) = two_servers(&mut world);
        offer(&mut world, &room.room_epoch(), &target);
        let (first, second) = if source_first { (source, target) } else { (target, source) };
        let won = claimed(&mut world, &first, &room.room_epoch());
        let lost = claim(&mut world, &second, &room.room_epoch());
        assert_eq!(lost, Reply::Rejected(Rejection::RoomOwned(room.room_id.clone())));
        assert_eq!(won.server_id, Some(first.server_id));
        assert_eq!(stage(&won), (!source_first).then_some(MigrationStage::Claimed));
    }
}

#[test]
fn nobody_but_the_target_can_claim_an_offered_room() {
    let mut world = World::default();
    let (_, target, room) = two_servers(&mut world);
    let third = world.server("third", 10);
    offer(&mut world, &room.room_epoch(), &target);
    let refused = Reply::Rejected(Rejection::RoomOwned(room.room_id.clone()));
    assert_eq!(claim(&mut world, &third, &room.room_epoch()), refused);
}

#[test]
fn an_offer_keeps_its_place_on_the_target() {
    let mut world = World::default();
    let (source, target, room) = two_servers(&mut world);
    let second = world.room(&source);
    world.save(&second, 1);
    assert_eq!(offer(&mut world, &room.room_epoch(), &target), Reply::Done);
    assert_eq!(offer(&mut world, &room.room_epoch(), &target), Reply::Done, "the same once more");
    let full = Reply::Rejected(Rejection::ServerFull(target.server_id.clone()));
    assert_eq!(offer(&mut world, &second.room_epoch(), &target), full, "its one place is promised");
    claimed(&mut world, &source, &room.room_epoch());
    assert_eq!(offer(&mut world, &second.room_epoch(), &target), Reply::Done, "the first was taken back");
    claimed(&mut world, &target, &second.room_epoch());
}

#[test]
fn what_cannot_be_taken_is_not_offered() {
    let mut world = World::default();
    let (source, target, room) = two_servers(&mut world);
    let unsaved = world.room(&source);
    let missing = Reply::Rejected(Rejection::SnapshotMissing(unsaved.room_id.clone()));
    assert_eq!(offer(&mut world, &unsaved.room_epoch(), &target), missing);
    world.save(&unsaved, 2);
    assert!(matches!(
        offer(&mut world, &unsaved.room_epoch(), &target),
        Reply::Rejected(Rejection::SnapshotOutdated { offered: 1, kept: 2, .. })
    ));
    let itself = offer(&mut world, &room.room_epoch(), &source);
    assert!(matches!(itself, Reply::Rejected(Rejection::Invalid(_))), "{itself:?}");
    let nowhere = RoomEpoch { room_id: room_id("nowhere"), epoch: Epoch(1) };
    let unknown = Reply::Rejected(Rejection::RoomUnknown(nowhere.room_id.clone()));
    assert_eq!(offer(&mut world, &nowhere, &target), unknown);
    let other = RoomOffer { room: room.room_epoch(), target: target.server_id.clone(), version: 1, ttl_ms: 0 };
    assert!(matches!(world.apply(Operation::OfferRoom(other)), Reply::Rejected(Rejection::Invalid(_))));
    let draining = ServerUpdate { status: Some(ServerStatus::Draining), ..ServerUpdate::default() };
    world.apply(Operation::UpdateServer { server: target.clone(), update: draining });
    let refused = Reply::Rejected(Rejection::ServerDraining(target.server_id.clone()));
    assert_eq!(offer(&mut world, &room.room_epoch(), &target), refused);
    world.expire(&target);
    let refused = Reply::Rejected(Rejection::ServerUnknown(target.server_id.clone()));
    assert_eq!(offer(&mut world, &room.room_epoch(), &target), refused);
}

#[test]
fn an_offer_ends_by_its_time_and_with_its_target() {
    let ends: [fn(&mut World, &ServerEpoch); 3] = [
        |world, _| world.wait(10_000),
        |world, target| world.expire(target),
        |world, target| {
            let update = ServerUpdate { status: Some(ServerStatus::Draining), ..ServerUpdate::default() };
            world.apply(Operation::UpdateServer { server: target.clone(), update });
        },
    ];
    for end in ends {
        let mut world = World::default();
        let (source, target, room) = two_servers(&mut world);
        offer(&mut world, &room.room_epoch(), &target);
        end(&mut world, &target);
        let present = world.present(&room);
        assert_eq!((present.migration, present.server_id), (None, Some(source.server_id)));
        assert!(world.events().contains(&"room:updated".to_owned()), "its owner hears of it");
        assert!(!matches!(claim(&mut world, &target, &room.room_epoch()), Reply::Room(_)), "it is too late");
    }
}

#[test]
fn the_source_that_dies_leaves_an_orphan() {
    let mut world = World::default();
    let (source, target, room) = two_servers(&mut world);
    offer(&mut world, &room.room_epoch(), &target);
    world.expire(&source);
    let present = world.present(&room);
    assert_eq!((present.state, present.migration), (RoomState::Orphaned, None));
    claimed(&mut world, &target, &room.room_epoch());
}

#[test]
fn a_target_that_cannot_restore_gives_the_room_back_even_to_one_that_drains() {
    let mut world = World::default();
    let (source, target, room) = two_servers(&mut world);
    offer(&mut world, &room.room_epoch(), &target);
    let update = ServerUpdate { status: Some(ServerStatus::Draining), ..ServerUpdate::default() };
    world.apply(Operation::UpdateServer { server: source.clone(), update });
    let arriving = claimed(&mut world, &target, &room.room_epoch());
    assert_eq!(offer(&mut world, &arriving.room_epoch(), &source), Reply::Done);
    assert_eq!(stage(&world.present(&room)), Some(MigrationStage::Returned));
    let back = claimed(&mut world, &source, &arriving.room_epoch());
    assert_eq!((back.server_id, back.migration), (Some(source.server_id), None));
    assert!(back.epoch > arriving.epoch);
}

#[test]
fn players_of_a_room_that_moves_keep_their_seats_also_without_a_grace_period() {
    for (grace_ms, kept_ms) in [(0, 15_000), (60_000, 60_000)] {
        let mut world = World::default();
        let (source, target) = (world.server("source", 10), world.server("target", 10));
        let room = world.room_with(&source, |room| room.reconnect_grace_ms = grace_ms);
        world.join(&source, any_room(&[]));
        world.save(&room, 1);
        offer(&mut world, &room.room_epoch(), &target);
        assert_eq!(world.registry.seats(&room.room_id)[0].state, SeatState::Joined);
        claimed(&mut world, &target, &room.room_epoch());
        let seats = world.registry.seats(&room.room_id);
        assert_eq!((seats[0].state, seats[0].deadline_ms), (SeatState::Away, kept_ms));
    }
}

#[test]
fn a_seat_that_its_room_had_not_let_in_when_it_moved_is_held_for_its_player() {
    let mut world = World::default();
    let (source, target, room) = two_servers(&mut world);
    let request = world.seat_request(&source, SeatTarget::Room(room.room_id.clone()));
    world.apply(Operation::ReserveSeat(request.clone()));
    offer(&mut world, &room.room_epoch(), &target);
    claimed(&mut world, &target, &room.room_epoch());
    let Reply::Seat(again) = world.apply(Operation::ReserveSeat(request)) else { panic!("no seat") };
    assert_eq!((again.seat.state, again.room.server_id.as_ref()), (SeatState::Held, Some(&target.server_id)));
    assert_eq!(world.events(), ["player:left"]);
    assert_eq!(world.present(&room).player_count, 0);
}
