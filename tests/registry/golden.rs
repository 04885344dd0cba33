//! The bytes of each kind of record. They lie on disks and travel in snapshots, so they must not
//! change by accident: whoever changes them on purpose raises the version in `codec` and keeps reading the old.

use std::fmt::Write;

use roomraft::{
    model::{Metadata, NodeId, RoomOffer, SeatTarget},
    registry::{Command, Operation, Origin, ProposerId, Record, Registry},
};

use crate::support::{World, new_server};

/// A registry with one record of each kind.
fn one_of_each() -> Registry {
    let mut world = World { time_ms: 1_700_000_000_000, ..World::default() };
    let mut server = new_server("a", 10, 2);
    server.metadata = [("zone", "eu")].into_iter().collect::<Metadata>();
    server.node_id = NodeId(300);
    world.apply(Operation::RegisterServer(server));
    let server = world.registry.servers().next().expect("it is registered").server_epoch();
    let room = world.room(&server);
    world.save(&room, 5);
    let target = world.server("b", 1).server_id;
    world.apply(Operation::OfferRoom(RoomOffer { room: room.room_epoch(), target, version: 5, ttl_ms: 9 }));
    let mut request = world.seat_request(&server, SeatTarget::Room(room.room_id));
    request.origin = 9;
    world.apply(Operation::ReserveSeat(request));
    let proposer = ProposerId { node: 300, incarnation: 2 };
    let operation = Operation::AcquireLock { key: "key".to_owned(), ttl_ms: 1000 };
    let origin = Some(Origin { proposer, serial: 4, settled_below: 3 });
    world.registry.apply(&Command { time_ms: world.time_ms, origin, operation });
    world.registry
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

fn lines(records: impl Iterator<Item = Record>) -> String {
    let line =
        |record: Record| format!("{:?} {} {}\n", record.kind, hexadecimal(&record.key), hexadecimal(&record.value));
    records.map(line).collect()
}

#[test]
fn every_kind_of_record_has_the_bytes_it_had() {
    let found = lines(one_of_each().records());
    assert_eq!(found, include_str!("golden.txt"), "\n{found}");
}

#[test]
fn the_bytes_of_old_are_read() {
    let byte = |digits: &str| u8::from_str_radix(digits, 16).expect("two digits");
    let bytes = |text: &str| (0..text.len() / 2).map(|at| byte(&text[2 * at..2 * at + 2])).collect::<Vec<u8>>();
    let present: Vec<Record> = one_of_each().records().collect();
    let records = include_str!("golden.txt").lines().zip(&present).map(|(line, present)| {
        let mut parts = line.split(' ').skip(1).map(bytes);
        let (key, value) = (parts.next().expect("a key"), parts.next().expect("a value"));
        Record { kind: present.kind, key, value }
    });
    let restored = Registry::restore(records).expect("the image is whole");
    assert_eq!(restored.records().collect::<Vec<_>>(), present);
}

#[test]
fn a_damaged_image_is_refused() {
    let whole: Vec<Record> = one_of_each().records().collect();
    for left_out in 0..whole.len() {
        let mut records = whole.clone();
        let record = records.remove(left_out);
        let needed = left_out < 4;
        assert_eq!(Registry::restore(records).is_err(), needed, "without the {:?}", record.kind);
        let mut twice = whole.clone();
        twice.push(record);
        assert!(Registry::restore(twice).is_err(), "twice the {:?}", whole[left_out].kind);
        let mut cut = whole.clone();
        cut[left_out].value.pop();
        assert!(Registry::restore(cut).is_err(), "a cut {:?}", whole[left_out].kind);
    }
}
