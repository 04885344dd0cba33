//! Commands by chance, from a world so small that they meet.

use proptest::prelude::*;
use roomraft::{
    model::{
        Epoch, LockToken, Metadata, NewRoom, NewServer, NodeId, OrphanClaim, PlayerId, RoomClaim, RoomEpoch, RoomId,
        RoomOffer, RoomQuery, RoomState, RoomType, RoomTypeSpec, RoomUpdate, SeatConfirmation, SeatId, SeatRelease,
        SeatRequest, SeatTarget, ServerEpoch, ServerId, ServerStatus, ServerUpdate, TokenHash,
    },
    registry::{Command, Operation, Origin, ProposerId, Registry},
};

/// A command in the making: what it names is looked up when its turn comes.
#[derive(Debug, Clone)]
pub struct Step {
    /// Time since the command before.
    pub elapsed_ms: u64,
    origin: Option<PickedOrigin>,
    /// Which operation.
    kind: u8,
    /// Which server, room, seat, lock; how many, and so on.
    picks: [u8; 6],
    /// Whether an epoch that is over is named.
    stale: bool,
}

pub fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..count)
}

fn step() -> impl Strategy<Value = Step> {
    let elapsed = prop_oneof![
        20 => Just(0_u64),
        10 => 1..800_u64,
        2 => Just(16_000),
        1 => Just(31_000),
        1 => Just(3_600_001),
    ];
    let origin = (0..2_u64, prop::bool::weighted(0.03), prop_oneof![9 => Just(0), 1 => 0..4_u64], 0..4_u64);
    let origin = origin.prop_map(|(node, restarted, back, unsettled)| PickedOrigin {
        proposer: ProposerId { node, incarnation: 1 + u64::from(restarted) },
        back,
        unsettled,
    });
    // Registrations and joins are frequent, ends of servers and rooms are not.
    let kind = prop_oneof![
        20 => 5..17_u8,
        20 => Just(7_u8),
        6 => Just(1_u8),
        6 => Just(5_u8),
        6 => Just(13_u8),
        8 => Just(17_u8),
        6 => Just(10_u8),
        4 => 0..19_u8,
    ];
    (elapsed, prop::option::weighted(0.6, origin), kind, any::<[u8; 6]>(), prop::bool::weighted(0.05))
        .prop_map(|(elapsed_ms, origin, kind, picks, stale)| Step { elapsed_ms, origin, kind, picks, stale })
}

/// An author and how far its number is behind the newest.
#[derive(Debug, Clone, Copy)]
struct PickedOrigin {
    proposer: ProposerId,
    back: u64,
    unsettled: u64,
}

impl PickedOrigin {
    fn origin(self, registry: &Registry) -> Origin {
        let serial = registry.last_index().saturating_sub(self.back);
        Origin { proposer: self.proposer, serial, settled_below: serial.saturating_sub(self.unsettled) }
    }
}

/// Where every world begins.
pub fn three_servers() -> [Operation; 3] {
    [0, 1, 2].map(|pick| Operation::RegisterServer(new_server(pick, 5, 0)))
}

pub fn room_type(pick: u8) -> RoomType {
    RoomType::new(["arena", "lobby"][usize::from(pick % 2)]).unwrap()
}

impl Step {
    pub fn command(&self, registry: &Registry, time_ms: u64) -> Command {
        let origin = self.origin.map(|origin| origin.origin(registry));
        Command { time_ms, origin, operation: self.operation(registry) }
    }

    #[expect(clippy::many_single_char_names, reason = "picks have no meaning until they are used")]
    fn operation(&self, registry: &Registry) -> Operation {
        let [a, b, c, d, e, f] = self.picks;
        match self.kind {
            0 => Operation::Tick,
            1 => Operation::RegisterServer(new_server(a, b, c)),
            2 => Operation::UnregisterServer(self.server(registry, a)),
            3 => Operation::UpdateServer { server: self.server(registry, a), update: server_update(b, c) },
            4 => Operation::ExpireServer { server: self.server(registry, a), reason: "lease".to_owned() },
            5 => Operation::RegisterRoom { server: self.server(registry, a), room: new_room(b, c, d) },
            6 => Operation::UpdateRoom { room: self.room(registry, a), update: room_update(b, c, d) },
            7 => Operation::ReserveSeat(SeatRequest {
                seat_id: SeatId(u128::from(a % 48)),
                player_id: PlayerId::new(format!("p{}", a % 48)).unwrap(),
                target: self.target(registry, b, c),
                caller: self.server(registry, d),
                token: TokenHash([e % 2; 32]),
                hold_ms: 15_000,
                origin: u64::from(f % 3),
            }),
            8 => Operation::ConfirmSeat(SeatConfirmation {
                room: self.room(registry, a),
                seat_id: nth_seat(registry, &self.room(registry, a).room_id, b),
                token: TokenHash([c % 2; 32]),
            }),
            9 => Operation::ReleaseSeats {
                server: self.server(registry, a),
                releases: [b, c].map(|pick| release(registry, pick, d, e)).to_vec(),
            },
            10 => Operation::ClaimRoom(RoomClaim { claimant: self.server(registry, a), room: self.room(registry, b) }),
            11 | 12 => Operation::ClaimOrphans(OrphanClaim {
                claimant: self.server(registry, a),
                room_types: (0..=b % 2).map(room_type).collect(),
                limit: u32::from(c % 6),
            }),
            13 => Operation::SaveSnapshot {
                room: self.room(registry, a),
                version: kept_version(registry, &self.room(registry, a).room_id) + u64::from(b % 3),
                bytes: vec![b; 3].into(),
                ttl_ms: u64::from(c % 2) * 20_000,
            },
            14 => Operation::DeleteSnapshot(self.room(registry, a)),
            15 => Operation::AcquireLock { key: lock(a), ttl_ms: u64::from(b % 4) * 9000 },
            16 if b.is_multiple_of(2) => Operation::ReleaseLock { key: lock(a), token: token(registry, a, self.stale) },
            16 => Operation::ExtendLock { key: lock(a), token: token(registry, a, self.stale), ttl_ms: 900 },
            17 => Operation::OfferRoom(RoomOffer {
                room: self.room(registry, a),
                target: server_id(b),
                version: kept_version(registry, &self.room(registry, a).room_id),
                ttl_ms: u64::from(c % 3) * 10_000,
            }),
            _ => Operation::UnregisterRoom { room: self.room(registry, a), reason: "over".to_owned() },
        }
    }

    fn server(&self, registry: &Registry, pick: u8) -> ServerEpoch {
        let server_id = server_id(pick);
        let epoch = registry.server(&server_id).map_or(Epoch(0), |server| server.epoch);
        ServerEpoch { server_id, epoch: self.perhaps_stale(epoch) }
    }

    fn room(&self, registry: &Registry, pick: u8) -> RoomEpoch {
        match nth_room(registry, pick) {
            Some(room) => RoomEpoch { epoch: self.perhaps_stale(room.epoch), ..room },
            None => RoomEpoch { room_id: RoomId::new("nowhere").unwrap(), epoch: Epoch(0) },
        }
    }

    fn perhaps_stale(&self, epoch: Epoch) -> Epoch {
        Epoch(epoch.0.saturating_sub(u64::from(self.stale)))
    }

    fn target(&self, registry: &Registry, kind: u8, pick: u8) -> SeatTarget {
        if kind.is_multiple_of(3) {
            return SeatTarget::Room(self.room(registry, pick).room_id);
        }
        SeatTarget::Type {
            room_type: room_type(pick),
            metadata: metadata(kind / 3),
            candidates: (0..kind % 4).map(|turn| server_id(pick.wrapping_add(turn))).collect(),
            options: String::new(),
        }
    }
}

fn nth_room(registry: &Registry, pick: u8) -> Option<RoomEpoch> {
    let rooms = registry.rooms(&RoomQuery::default());
    rooms.get(usize::from(pick) % rooms.len().max(1)).map(roomraft::model::RoomRegistration::room_epoch)
}

fn server_id(pick: u8) -> ServerId {
    ServerId::new(format!("s{}", pick % 3)).unwrap()
}

fn lock(pick: u8) -> String {
    format!("lock{}", pick % 2)
}

fn token(registry: &Registry, pick: u8, stale: bool) -> LockToken {
    let token = registry.lock(&lock(pick)).map_or(0, |lock| lock.token.0);
    LockToken(token.saturating_sub(u64::from(stale)))
}

fn metadata(pick: u8) -> Metadata {
    (0..u32::from(pick % 3)).map(|number| (format!("k{number}"), number)).collect()
}

fn new_server(pick: u8, capacity: u8, node: u8) -> NewServer {
    let spec = |pick: u8| RoomTypeSpec {
        max_players: 1 + u32::from(pick % 3),
        reconnect_grace_ms: u64::from(pick % 2) * 20_000,
        metadata: metadata(pick),
    };
    NewServer {
        server_id: server_id(pick),
        address: "host".to_owned(),
        port: 1,
        capacity: u32::from(capacity % 6),
        metadata: metadata(capacity),
        room_types: (0..=capacity % 2).map(|number| (room_type(number), spec(number))).collect(),
        node_id: NodeId(u64::from(node % 3)),
    }
}

fn server_update(status: u8, capacity: u8) -> ServerUpdate {
    let status = [None, Some(ServerStatus::Online), Some(ServerStatus::Draining), Some(ServerStatus::Offline)]
        [usize::from(status % 4)];
    ServerUpdate { status, capacity: Some(u32::from(capacity % 8)), ..ServerUpdate::default() }
}

fn new_room(pick: u8, seats: u8, named: u8) -> NewRoom {
    NewRoom {
        // Names that look like the registry's own are the ones to be wary of.
        room_id: (named.is_multiple_of(3)).then(|| RoomId::new(format!("arena-{}", named % 36)).unwrap()),
        room_type: room_type(pick),
        max_players: u32::from(seats % 4),
        reconnect_grace_ms: u64::from(seats % 2) * 20_000,
        metadata: metadata(pick),
        state: [RoomState::Creating, RoomState::Live][usize::from(pick / 2 % 2)],
        options: "{}".to_owned(),
    }
}

fn room_update(locked: u8, seats: u8, state: u8) -> RoomUpdate {
    let states = [None, Some(RoomState::Live), Some(RoomState::Parked), Some(RoomState::Orphaned)];
    RoomUpdate {
        is_locked: [None, Some(true), Some(false)][usize::from(locked % 3)],
        metadata: (seats.is_multiple_of(2)).then(|| metadata(locked)),
        max_players: (seats.is_multiple_of(3)).then(|| u32::from(seats % 5)),
        state: states[usize::from(state % 4)],
    }
}

fn release(registry: &Registry, pick: u8, seat: u8, away: u8) -> SeatRelease {
    let room_id = nth_room(registry, pick).map_or_else(|| RoomId::new("nowhere").unwrap(), |room| room.room_id);
    SeatRelease { seat_id: nth_seat(registry, &room_id, seat), room_id, away_ms: u64::from(away % 2) * 5000 }
}

fn nth_seat(registry: &Registry, room_id: &RoomId, pick: u8) -> SeatId {
    let seats = registry.seats(room_id);
    seats.get(usize::from(pick) % seats.len().max(1)).map_or(SeatId(99), |seat| seat.seat_id)
}

fn kept_version(registry: &Registry, room_id: &RoomId) -> u64 {
    registry.snapshot_meta(room_id).map_or(1, |kept| kept.version)
}
