//! What the passing of cluster time does.

use roomraft::{
    model::LockToken,
    registry::{Command, LockRecord, Operation, Rejection, Reply},
};

use crate::support::{World, rejected};

fn acquire(ttl_ms: u64) -> Operation {
    Operation::AcquireLock { key: "key".to_owned(), ttl_ms }
}

#[test]
fn time_never_goes_back() {
    let mut world = World { time_ms: 5000, ..World::default() };
    world.apply(Operation::Tick);
    let command = Command { time_ms: 10, origin: None, operation: acquire(100) };
    world.registry.apply(&command);
    assert_eq!(world.registry.now_ms(), 5000);
    let token = LockToken(world.registry.last_index());
    assert_eq!(world.registry.lock("key"), Some(LockRecord { token, deadline_ms: 5100 }));
}

#[test]
fn a_lock_past_its_time_is_free_for_the_very_next_command() {
    let mut world = World::default();
    let Reply::Lock(first) = world.apply(acquire(100)) else { panic!("refused") };
    world.time_ms = 99;
    assert_eq!(rejected(world.apply(acquire(100))), Rejection::LockHeld);
    world.time_ms = 100;
    let Reply::Lock(second) = world.apply(acquire(100)) else { panic!("refused") };
    assert!(second > first);
    let late = Operation::ReleaseLock { key: "key".to_owned(), token: first };
    assert_eq!(rejected(world.apply(late)), Rejection::LockNotHeld);
}

#[test]
fn the_next_deadline_is_the_earliest_of_all() {
    let mut world = World::default();
    assert_eq!(world.registry.next_deadline(), None);
    let (a, b) = (world.server("a", 10), world.server("b", 10));
    let room = world.room(&a);
    world.join(&b, roomraft::model::SeatTarget::Room(room.room_id));
    assert_eq!(world.registry.next_deadline(), Some(15_000));
    world.apply(acquire(700));
    assert_eq!(world.registry.next_deadline(), Some(700));
    world.wait(700);
    world.expire(&a);
    assert_eq!(world.registry.next_deadline(), Some(15_000));
    world.wait(15_000);
    assert_eq!(world.registry.next_deadline(), Some(30_700), "the orphan's");
    world.wait(30_000);
    assert_eq!(world.registry.next_deadline(), Some(700 + 3_600_000), "the offline server's");
    world.wait(3_600_000);
    assert_eq!(world.registry.server(&a.server_id), None);
    assert_eq!(world.registry.next_deadline(), None);
}
