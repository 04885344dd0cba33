//! What the random sequences are made of. Servers, rooms and seats are named by small numbers, so that they meet.

use proptest::prelude::*;

/// Servers that there may be.
pub const SERVERS: usize = 3;
/// Room types.
pub const TYPES: usize = 2;
/// Seat ids of each type.
pub const SEATS: usize = 8;

/// One operation. `stale` names an older epoch, where there was one.
#[derive(Debug, Clone)]
pub enum Step {
    Register {
        server: usize,
        handle: usize,
        capacity: u32,
        types: u8,
    },
    Unregister {
        server: usize,
        stale: bool,
    },
    UpdateServer {
        server: usize,
        stale: bool,
        draining: Option<bool>,
        capacity: Option<u32>,
        types: Option<u8>,
    },
    Heartbeat {
        server: usize,
        stale: bool,
    },
    MakeRoom {
        server: usize,
        stale: bool,
        room_type: usize,
        max: u32,
        grace: bool,
        live: bool,
        desert: bool,
        name: Option<usize>,
    },
    RemoveRoom {
        room: usize,
        stale: bool,
    },
    UpdateRoom {
        room: usize,
        stale: bool,
        locked: Option<bool>,
        desert: Option<bool>,
        max: Option<u32>,
        state: Option<bool>,
    },
    Join {
        server: usize,
        stale: bool,
        room_type: usize,
        room: Option<usize>,
        seat: usize,
        stranger: bool,
        origin: u64,
        desert: bool,
        candidates: Vec<usize>,
        /// Each candidate is a tier of its own, the nearest first.
        near: bool,
    },
    Confirm {
        room: usize,
        stale: bool,
        seat: usize,
        stranger: bool,
    },
    Release {
        server: usize,
        stale: bool,
        room: usize,
        seats: Vec<usize>,
        away: bool,
    },
    Claim {
        server: usize,
        stale: bool,
        room: usize,
        old: bool,
    },
    Offer {
        room: usize,
        stale: bool,
        target: usize,
        version: u64,
    },
    ClaimOrphans {
        server: usize,
        stale: bool,
        types: u8,
        limit: u32,
    },
    Save {
        room: usize,
        stale: bool,
        version: u64,
    },
    Forget {
        room: usize,
        stale: bool,
    },
    /// Time passes; the servers of the mask go on renewing their leases.
    Wait {
        ms: u64,
        alive: u8,
    },
}

fn server() -> impl Strategy<Value = usize> {
    0..SERVERS
}

/// Rooms by their age; those of long ago are met seldom.
fn room() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..3_usize, 1 => 0..8_usize]
}

fn seat() -> impl Strategy<Value = usize> {
    0..SEATS
}

fn stale() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.08)
}

fn types() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(3_u8), 1 => 0..4_u8]
}

fn of_servers() -> impl Strategy<Value = Step> {
    let register = (server(), 0..2_usize, 0..5_u32, types())
        .prop_map(|(server, handle, capacity, types)| Step::Register { server, handle, capacity, types });
    let unregister = (server(), stale()).prop_map(|(server, stale)| Step::Unregister { server, stale });
    let draining = prop_oneof![2 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let update = (server(), stale(), draining, prop::option::of(0..5_u32), prop::option::of(types())).prop_map(
        |(server, stale, draining, capacity, types)| Step::UpdateServer { server, stale, draining, capacity, types },
    );
    let heartbeat = (server(), stale()).prop_map(|(server, stale)| Step::Heartbeat { server, stale });
    prop_oneof![5 => register, 1 => unregister, 2 => update, 1 => heartbeat]
}

fn of_rooms() -> impl Strategy<Value = Step> {
    let about = (any::<bool>(), any::<bool>(), any::<bool>(), prop::option::weighted(0.2, 0..3_usize));
    let make = (server(), stale(), 0..TYPES, 1..4_u32, about).prop_map(
        |(server, stale, room_type, max, (grace, live, desert, name))| Step::MakeRoom {
            server,
            stale,
            room_type,
            max,
            grace,
            live,
            desert,
            name,
        },
    );
    let remove = (room(), stale()).prop_map(|(room, stale)| Step::RemoveRoom { room, stale });
    let changes = (
        prop::option::of(any::<bool>()),
        prop::option::of(any::<bool>()),
        prop::option::of(1..4_u32),
        prop::option::of(prop::bool::weighted(0.7)),
    );
    let update = (room(), stale(), changes).prop_map(|(room, stale, (locked, desert, max, state))| Step::UpdateRoom {
        room,
        stale,
        locked,
        desert,
        max,
        state,
    });
    let save = (room(), stale(), 0..4_u64).prop_map(|(room, stale, version)| Step::Save { room, stale, version });
    let forget = (room(), stale()).prop_map(|(room, stale)| Step::Forget { room, stale });
    prop_oneof![4 => make, 1 => remove, 3 => update, 4 => save, 1 => forget]
}

fn of_seats() -> impl Strategy<Value = Step> {
    let who = (seat(), prop::bool::weighted(0.1), 0..3_u64, prop::bool::weighted(0.2));
    let target = (
        0..TYPES,
        prop::option::weighted(0.4, room()),
        prop::collection::vec(server(), 0..4),
        prop::bool::weighted(0.3),
    );
    let join = (server(), stale(), target, who).prop_map(
        |(server, stale, (room_type, room, candidates, near), (seat, stranger, origin, desert))| Step::Join {
            server,
            stale,
            room_type,
            room,
            seat,
            stranger,
            origin,
            desert,
            candidates,
            near,
        },
    );
    let confirm = (room(), stale(), seat(), prop::bool::weighted(0.1))
        .prop_map(|(room, stale, seat, stranger)| Step::Confirm { room, stale, seat, stranger });
    let release = (server(), stale(), room(), prop::collection::vec(seat(), 1..4), any::<bool>())
        .prop_map(|(server, stale, room, seats, away)| Step::Release { server, stale, room, seats, away });
    prop_oneof![6 => join, 2 => confirm, 1 => release]
}

fn of_owners() -> impl Strategy<Value = Step> {
    let claim = (server(), stale(), room(), stale()).prop_map(|(server, stale, room, old)| Step::Claim {
        server,
        stale,
        room,
        old,
    });
    let offer = (room(), stale(), server(), 0..4_u64).prop_map(|(room, stale, target, version)| Step::Offer {
        room,
        stale,
        target,
        version,
    });
    let orphans = (server(), stale(), types(), 0..6_u32).prop_map(|(server, stale, types, limit)| Step::ClaimOrphans {
        server,
        stale,
        types,
        limit,
    });
    prop_oneof![2 => claim, 2 => offer, 2 => orphans]
}

fn waiting() -> impl Strategy<Value = Step> {
    let time = prop_oneof![6 => 1..1500_u64, 3 => 1500..12_000_u64, 2 => 12_000..40_000_u64, 1 => Just(3_700_000)];
    (time, any::<u8>()).prop_map(|(ms, alive)| Step::Wait { ms, alive })
}

/// A sequence that begins with servers and rooms, so that there is something to do.
pub fn sequence() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![2 => of_servers(), 4 => of_rooms(), 6 => of_seats(), 4 => of_owners(), 3 => waiting()];
    let begin = (0..SERVERS, 1..5_u32).prop_map(|(first, capacity)| {
        let register = |server| Step::Register { server, handle: server % 2, capacity, types: 3 };
        (first..SERVERS).map(register).collect::<Vec<_>>()
    });
    (begin, prop::collection::vec(step, 1..40)).prop_map(|(mut steps, more)| {
        steps.extend(more);
        steps
    })
}
