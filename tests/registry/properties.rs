//! What holds after any sequence of commands.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roomraft::{
    model::{Epoch, MigrationStage, RoomId, RoomQuery, RoomRegistration, RoomState, SeatState, ServerId, ServerStatus},
    registry::{Applied, Command, Operation, Record, RecordKind, Registry, Reply},
};

use crate::steps::{Step, room_type, steps, three_servers};

fn next(registry: &mut Registry, command: &Command) -> Applied {
    registry.apply(command)
}

/// The commands that these steps become, each with the registry before it.
fn run(steps: &[Step], mut each: impl FnMut(&Registry, &Command)) -> Registry {
    let mut registry = Registry::default();
    let mut time_ms = 1000;
    for operation in three_servers() {
        let command = Command { time_ms, origin: None, operation };
        each(&registry, &command);
        next(&mut registry, &command);
    }
    for step in steps {
        time_ms += step.elapsed_ms;
        let command = step.command(&registry, time_ms);
        each(&registry, &command);
        next(&mut registry, &command);
    }
    registry
}

fn image(registry: &Registry) -> Vec<Record> {
    registry.records().collect()
}

fn without_header(registry: &Registry) -> Vec<Record> {
    registry.records().filter(|record| record.kind != RecordKind::Header).collect()
}

fn all_rooms(registry: &Registry) -> Vec<RoomRegistration> {
    registry.rooms(&RoomQuery::default())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_commands_give_the_same_bytes(steps in steps(80)) {
        let mut commands = Vec::new();
        let registry = run(&steps, |_, command| commands.push(command.clone()));
        let mut twin = Registry::default();
        for command in &commands {
            next(&mut twin, command);
        }
        prop_assert_eq!(image(&registry), image(&twin));
    }

    #[test]
    fn seats_never_exceed_and_every_count_is_that_of_the_rows(steps in steps(80)) {
        let registry = run(&steps, |registry, _| counts_are_those_of_the_rows(registry));
        counts_are_those_of_the_rows(&registry);
    }

    #[test]
    fn every_index_agrees_with_a_scan(steps in steps(80)) {
        let registry = run(&steps, |registry, _| indexes_agree_with_a_scan(registry));
        indexes_agree_with_a_scan(&registry);
    }

    #[test]
    fn epochs_only_grow_and_each_owner_has_its_own(steps in steps(80)) {
        let mut servers: BTreeMap<ServerId, Epoch> = BTreeMap::new();
        let mut rooms: BTreeMap<RoomId, (Epoch, Option<ServerId>)> = BTreeMap::new();
        run(&steps, |registry, _| {
            for server in registry.servers() {
                let before = servers.insert(server.server_id.clone(), server.epoch);
                assert!(before <= Some(server.epoch), "server {} went back", server.server_id);
            }
            for room in all_rooms(registry) {
                let (room_id, epoch, owner) = (room.room_id, room.epoch, room.server_id);
                let Some((before, last)) = rooms.insert(room_id.clone(), (epoch, owner.clone())) else { continue };
                let moved = owner.is_some() && owner != last;
                assert!(if moved { before < epoch } else { before <= epoch }, "{room_id} from {before} to {epoch}");
            }
        });
    }

    #[test]
    fn a_command_that_comes_twice_changes_nothing_the_second_time(steps in steps(60)) {
        run(&steps, |registry, command| {
            let mut registry = registry.clone();
            let first = next(&mut registry, command);
            if command.origin.is_none() {
                return;
            }
            let before = without_header(&registry);
            let second = next(&mut registry, command);
            assert_eq!(second.reply, first.reply);
            assert!(second.changes.is_empty() && second.events.is_empty());
            assert_eq!(without_header(&registry), before);
        });
    }

    #[test]
    fn a_refusal_changes_nothing_but_what_was_due_anyway(steps in steps(60)) {
        run(&steps, |registry, command| {
            let operation = command.operation.clone();
            let command = Command { origin: None, operation, ..*command };
            let (mut refused, mut ticked) = (registry.clone(), registry.clone());
            let applied = next(&mut refused, &command);
            if matches!(applied.reply, Reply::Fenced { .. } | Reply::Rejected(_)) {
                let tick = next(&mut ticked, &Command { operation: Operation::Tick, ..command });
                assert_eq!((applied.changes, applied.events), (tick.changes, tick.events));
                assert_eq!(image(&refused), image(&ticked));
            }
        });
    }

    #[test]
    fn a_restored_registry_has_the_same_bytes_and_goes_on_the_same(steps in steps(60), at in 0..60_usize) {
        let mut turn = 0;
        let mut restored: Option<Registry> = None;
        run(&steps, |registry, command| {
            if turn == at {
                let mut records = image(registry);
                records.reverse();
                restored = Some(Registry::restore(records).expect("an image is restored"));
            }
            turn += 1;
            if let Some(restored) = &mut restored {
                assert_eq!(image(restored), image(registry));
                assert_eq!(restored.next_deadline(), registry.next_deadline());
                assert_eq!(next(restored, command), next(&mut registry.clone(), command));
            }
        });
    }

    #[test]
    fn the_changes_make_the_same_records_in_a_store(steps in steps(60)) {
        let mut store: BTreeMap<(RecordKind, Vec<u8>), Vec<u8>> = BTreeMap::new();
        run(&steps, |registry, command| {
            let mut registry = registry.clone();
            let applied = next(&mut registry, command);
            for (kind, key, value) in applied.changes.iter().filter_map(|change| registry.record(change)) {
                match value {
                    Some(value) => store.insert((kind, key), value),
                    None => store.remove(&(kind, key)),
                };
            }
            let records = without_header(&registry).into_iter();
            let expected: BTreeMap<_, _> = records.map(|record| ((record.kind, record.key), record.value)).collect();
            assert_eq!(store, expected);
        });
    }
}

fn counts_are_those_of_the_rows(registry: &Registry) {
    let mut players = 0;
    let mut of_server: BTreeMap<_, [u32; 3]> = BTreeMap::new();
    let rooms = all_rooms(registry);
    for room in &rooms {
        let seats = registry.seats(&room.room_id);
        let taken = u32::try_from(seats.len()).unwrap();
        let present = u32::try_from(seats.iter().filter(|seat| seat.state != SeatState::Held).count()).unwrap();
        assert!(taken <= room.max_players, "{} has more seats taken than it has", room.room_id);
        assert_eq!((room.seat_count, room.player_count), (taken, present));
        players += u64::from(present);
        if let Some(owner) = &room.server_id {
            let counts = of_server.entry(owner.clone()).or_default();
            *counts = [counts[0] + 1, counts[1] + taken, counts[2] + present];
        }
        let deadlines = seats.iter().filter(|seat| seat.state != SeatState::Joined).map(|seat| seat.deadline_ms);
        assert!(deadlines.clone().all(|deadline_ms| deadline_ms > registry.now_ms()), "what is due is gone");
        assert!(deadlines.min() >= registry.next_deadline().filter(|_| deadline_exists(&seats)));
    }
    for server in registry.servers() {
        let counts = of_server.remove(&server.server_id).unwrap_or_default();
        assert_eq!([server.room_count, server.seat_count, server.player_count], counts);
    }
    assert!(of_server.is_empty(), "rooms belong to servers that are registered");
    assert_eq!((registry.player_count(), registry.room_count()), (players, rooms.len()));
}

fn deadline_exists(seats: &[roomraft::model::Seat]) -> bool {
    seats.iter().any(|seat| seat.state != SeatState::Joined)
}

fn indexes_agree_with_a_scan(registry: &Registry) {
    let rooms = all_rooms(registry);
    assert!(rooms.is_sorted_by_key(|room| room.created_at), "oldest first");
    let online = |room: &&RoomRegistration| {
        let owner = room.server_id.as_ref().and_then(|owner| registry.server(owner));
        owner.is_some_and(|owner| owner.status == ServerStatus::Online)
    };
    for room_type in [0, 1].map(room_type) {
        let of_type: Vec<_> = rooms.iter().filter(|room| room.room_type == room_type).cloned().collect();
        let open = of_type.iter().filter(|room| !room.is_locked && room.has_space());
        assert_eq!(registry.find_available_room(&room_type), open.clone().find(online));
        let query = RoomQuery { room_type: Some(room_type), ..RoomQuery::default() };
        assert_eq!(registry.rooms(&query), of_type);
    }
    for server in registry.servers() {
        let query = RoomQuery { server_id: Some(server.server_id.clone()), ..RoomQuery::default() };
        let owned: Vec<_> = rooms.iter().filter(|room| room.server_id == query.server_id).cloned().collect();
        assert_eq!(registry.rooms(&query), owned);
        assert!(server.status != ServerStatus::Offline || owned.is_empty(), "an offline server owns nothing");
        let is_offered = |room: &&RoomRegistration| {
            room.migration.as_ref().is_some_and(|migration| migration.is_offered_to(&server.server_id))
        };
        let offered: Vec<_> = rooms.iter().filter(is_offered).cloned().collect();
        assert_eq!(registry.rooms_offered_to(&server.server_id), offered);
        assert!(server.status != ServerStatus::Offline || offered.is_empty(), "an offline server is offered nothing");
    }
    for room in &rooms {
        assert_eq!(registry.room(&room.room_id), Some(room));
        assert_eq!(room.server_id.is_none(), matches!(room.state, RoomState::Orphaned | RoomState::Parked));
        migration_makes_sense(registry, room);
        assert!(room.state != RoomState::Parked || room.snapshot_version.is_some(), "only what is saved is parked");
    }
}

fn migration_makes_sense(registry: &Registry, room: &RoomRegistration) {
    let Some(migration) = &room.migration else { return };
    assert_ne!(migration.from, migration.to);
    let owner = if migration.stage == MigrationStage::Claimed { &migration.to } else { &migration.from };
    assert_eq!(room.server_id.as_ref(), Some(owner), "an offer changes no ownership, a claim does");
    if migration.is_open() {
        assert!(migration.deadline_ms > registry.now_ms(), "an offer that is over is gone");
        assert!(registry.next_deadline() <= Some(migration.deadline_ms));
        assert!(registry.server(&migration.to).is_some(), "its target is registered");
    }
}
