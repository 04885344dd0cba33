//! Servers register, drain, expire and go.

use roomraft::{
    model::{NodeId, RoomState, ServerStatus, ServerUpdate},
    registry::{Operation, Rejection, Reply},
};

use crate::support::{World, any_room, new_server, rejected, server_id};

fn on_node(node: u64) -> Operation {
    let mut server = new_server("a", 10, 2);
    server.node_id = NodeId(node);
    Operation::RegisterServer(server)
}

#[test]
fn a_server_id_belongs_to_one_node_while_its_lease_runs() {
    let mut world = World::default();
    let Reply::Epoch(first) = world.apply(on_node(1)) else { panic!("refused") };
    assert_eq!(rejected(world.apply(on_node(2))), Rejection::ServerIdTaken(server_id("a")));
    let Reply::Epoch(second) = world.apply(on_node(1)) else { panic!("its own node may register again") };
    assert!(second > first);
    world.expire(&world.registry.server(&server_id("a")).unwrap().server_epoch());
    assert!(matches!(world.apply(on_node(2)), Reply::Epoch(_)), "an offline id may be taken over");
}

#[test]
fn registering_again_orphans_the_rooms_of_the_older_epoch() {
    let mut world = World::default();
    let older = world.server("a", 10);
    let room = world.room(&older);
    let newer = world.server("a", 10);
    assert_eq!(world.events(), ["server:offline", "server:online"]);
    let orphan = world.present(&room);
    assert_eq!((orphan.state, orphan.server_id, orphan.epoch), (RoomState::Orphaned, None, room.epoch));
    assert_eq!(world.registry.server(&newer.server_id).unwrap().room_count, 0);
    let release = Operation::ReleaseSeats { server: older, releases: Vec::new() };
    assert_eq!(world.apply(release), Reply::Fenced { present: newer.epoch });
}

#[test]
fn unregistering_disposes_of_rooms_and_seats() {
    let mut world = World::default();
    let server = world.server("a", 10);
    let grant = world.join(&server, any_room(&[&server]));
    assert_eq!(world.apply(Operation::UnregisterServer(server.clone())), Reply::Done);
    assert_eq!(world.events(), ["player:left", "room:disposed", "server:offline"]);
    assert_eq!(world.registry.room(&grant.room.room_id), None);
    assert_eq!((world.registry.room_count(), world.registry.player_count()), (0, 0));
    assert_eq!(world.apply(Operation::UnregisterServer(server)), Reply::Done);
    assert!(world.events().is_empty());
}

#[test]
fn a_draining_server_keeps_its_rooms_and_gets_no_more() {
    let mut world = World::default();
    let (a, b) = (world.server("a", 10), world.server("b", 10));
    let room = world.room(&a);
    let status = |status| Operation::UpdateServer {
        server: a.clone(),
        update: ServerUpdate { status: Some(status), ..ServerUpdate::default() },
    };
    world.apply(status(ServerStatus::Draining));
    assert_eq!(world.events(), ["server:draining"]);
    assert_eq!(world.present(&room).server_id.as_ref(), Some(&a.server_id));
    assert_eq!(world.registry.find_available_room(&room.room_type), None);
    assert_eq!(world.join(&b, any_room(&[&a, &b])).room.server_id.as_ref(), Some(&b.server_id));
    world.apply(status(ServerStatus::Online));
    assert_eq!(world.events(), ["server:online"]);
    assert_eq!(world.registry.find_available_room(&room.room_type).unwrap().room_id, room.room_id);
    assert!(matches!(rejected(world.apply(status(ServerStatus::Offline))), Rejection::Invalid(_)));
}

#[test]
fn an_expiry_of_an_older_registration_does_nothing() {
    let mut world = World::default();
    let older = world.server("a", 10);
    let newer = world.server("a", 10);
    world.expire(&older);
    assert!(world.events().is_empty());
    assert_eq!(world.registry.server(&newer.server_id).unwrap().status, ServerStatus::Online);
}

#[test]
fn an_offline_server_may_do_nothing_until_it_registers_again() {
    let mut world = World::default();
    let server = world.server("a", 10);
    world.expire(&server);
    let update = Operation::UpdateServer { server: server.clone(), update: ServerUpdate::default() };
    assert_eq!(rejected(world.apply(update)), Rejection::ServerUnknown(server.server_id.clone()));
    let join = world.try_join(&server, any_room(&[&server]));
    assert_eq!(rejected(join), Rejection::ServerUnknown(server.server_id));
}

#[test]
fn the_first_candidate_that_can_take_the_room_gets_it() {
    let mut world = World::default();
    let (full, draining, fit) = (world.server("full", 0), world.server("draining", 9), world.server("fit", 9));
    let update = ServerUpdate { status: Some(ServerStatus::Draining), ..ServerUpdate::default() };
    world.apply(Operation::UpdateServer { server: draining.clone(), update });
    let mut other_type = new_server("other", 9, 2);
    other_type.room_types.clear();
    world.apply(Operation::RegisterServer(other_type));
    let other = world.registry.server(&server_id("other")).unwrap().server_epoch();
    let grant = world.join(&full, any_room(&[&full, &draining, &other, &fit]));
    assert_eq!(grant.room.server_id.as_ref(), Some(&fit.server_id));
}
