//! The protocol of a migration by chance: three servers, one room, crashes at every step, on the real registry.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Outlook, Verdict};
use crate::{
    model::{
        Epoch, Metadata, MigrationStage, NewRoom, NewServer, NodeId, OrphanClaim, RoomClaim, RoomEpoch, RoomId,
        RoomOffer, RoomRegistration, RoomState, RoomType, RoomTypeSpec, RoomUpdate, ServerEpoch, ServerId,
        ServerStatus, ServerUpdate,
    },
    registry::{Command, Operation, Registry, Reply},
};

const HOSTS: usize = 3;

/// What a server has of the room. Its state is a number that only grows.
#[derive(Debug, Clone, PartialEq)]
enum Copy {
    None,
    Running { epoch: Epoch, state: u64 },
    Frozen { offered: RoomEpoch, version: u64, state: u64 },
    Arriving { row: Box<RoomRegistration>, state: u64 },
    Returning { room: RoomEpoch },
}

#[derive(Debug, Clone)]
struct Host {
    server: ServerEpoch,
    up: bool,
    copy: Copy,
    /// What it has read and is about to claim; the record may be another by then.
    about_to_claim: Option<RoomEpoch>,
}

struct World {
    registry: Registry,
    time_ms: u64,
    hosts: Vec<Host>,
    room_id: RoomId,
    /// The state in each snapshot.
    snapshots: BTreeMap<u64, u64>,
    /// What must never be lost: all that was acknowledged, or after a crash all that was saved.
    floor: u64,
}

fn room_type() -> RoomType {
    RoomType::new("arena").expect("a valid type")
}

impl World {
    fn new() -> Self {
        let room_id = RoomId::new("nowhere").expect("a valid id");
        let (registry, snapshots) = (Registry::default(), BTreeMap::new());
        let mut world = Self { registry, time_ms: 1000, hosts: Vec::new(), room_id, snapshots, floor: 0 };
        for number in 0..HOSTS {
            let server_id = ServerId::new(format!("s{number}")).expect("a valid id");
            let server = ServerEpoch { server_id, epoch: Epoch(0) };
            world.hosts.push(Host { server, up: false, copy: Copy::None, about_to_claim: None });
            world.restart(number);
        }
        let room = NewRoom {
            room_id: None,
            room_type: room_type(),
            max_players: 1,
            reconnect_grace_ms: 0,
            metadata: Metadata::default(),
            state: RoomState::Live,
            options: String::new(),
        };
        let server = world.hosts[0].server.clone();
        let Reply::Room(row) = world.apply(Operation::RegisterRoom { server, room }) else { panic!("no room") };
        world.room_id = row.room_id.clone();
        world.hosts[0].copy = Copy::Running { epoch: row.epoch, state: 0 };
        world.save(0);
        world
    }

    fn apply(&mut self, operation: Operation) -> Reply {
        let command = Command { time_ms: self.time_ms, origin: None, operation };
        self.registry.apply(&command).reply
    }

    fn row(&self) -> RoomRegistration {
        self.registry.room(&self.room_id).cloned().expect("a room that was saved is never gone")
    }

    fn room(&self, epoch: Epoch) -> RoomEpoch {
        RoomEpoch { room_id: self.room_id.clone(), epoch }
    }

    /// Whether a server's lease runs: it is over before the registry takes the server offline.
    fn may_act(&self, host: usize) -> bool {
        let Host { server, up, .. } = &self.hosts[host];
        let present = self.registry.server(&server.server_id);
        *up && present.is_some_and(|now| now.epoch == server.epoch && now.status != ServerStatus::Offline)
    }

    fn claim(&mut self, host: usize, room: RoomEpoch) -> Option<Box<RoomRegistration>> {
        let claimant = self.hosts[host].server.clone();
        match self.apply(Operation::ClaimRoom(RoomClaim { claimant, room })) {
            Reply::Room(row) => Some(row),
            _ => None,
        }
    }

    fn start(&mut self, host: usize, epoch: Epoch, state: u64) {
        assert!(state >= self.floor, "{} goes on from {state}, {} was promised", host, self.floor);
        self.hosts[host].copy = Copy::Running { epoch, state };
    }

    fn write(&mut self, host: usize) {
        if let Copy::Running { state, .. } = &mut self.hosts[host].copy {
            *state += 1;
            self.floor = *state;
        }
    }

    /// Saves a running room; gives the snapshot's version.
    fn save(&mut self, host: usize) -> Option<u64> {
        let Copy::Running { epoch, state } = self.hosts[host].copy else { return None };
        let version = self.row().snapshot_version.unwrap_or_default() + 1;
        let room = self.room(epoch);
        let bytes = state.to_string().into();
        match self.apply(Operation::SaveSnapshot { room, version, bytes, ttl_ms: 0 }) {
            Reply::Done => {
                self.snapshots.insert(version, state);
                Some(version)
            }
            refused => panic!("an owner that may act is refused: {refused:?}"),
        }
    }

    fn offer(&mut self, host: usize, target: usize) {
        let Copy::Running { epoch, state } = self.hosts[host].copy else { return };
        let Some(version) = self.save(host) else { return };
        let (room, target) = (self.room(epoch), self.hosts[target].server.server_id.clone());
        let offer = RoomOffer { room: room.clone(), target, version, ttl_ms: 10_000 };
        if self.apply(Operation::OfferRoom(offer)) == Reply::Done {
            self.hosts[host].copy = Copy::Frozen { offered: room, version, state };
        }
    }

    /// The source looks at the record.
    fn look(&mut self, host: usize, late: bool) {
        let Host { server, copy: Copy::Frozen { offered, version, .. }, .. } = self.hosts[host].clone() else {
            return;
        };
        let row = self.row();
        match (Outlook { own: &server.server_id, offered: &offered, version, late }).verdict(Some(&row)) {
            Verdict::Wait => {}
            Verdict::Moved | Verdict::Gone(_) => self.hosts[host].copy = Copy::None,
            Verdict::Reclaim(room) => self.hosts[host].about_to_claim = Some(room),
        }
    }

    fn see_offer(&mut self, host: usize) {
        let server_id = self.hosts[host].server.server_id.clone();
        for row in self.registry.rooms_offered_to(&server_id) {
            let stage = row.migration.as_ref().map(|migration| migration.stage);
            if stage == Some(MigrationStage::Offered) && self.hosts[host].copy == Copy::None {
                self.hosts[host].about_to_claim = Some(row.room_epoch());
            }
        }
    }

    /// The claim that what was read leads to, perhaps much later.
    fn claim_at_last(&mut self, host: usize) {
        let Some(room) = self.hosts[host].about_to_claim.take() else { return };
        match self.hosts[host].copy.clone() {
            Copy::Frozen { version, state, .. } => match self.claim(host, room) {
                Some(kept) if kept.snapshot_version == Some(version) => self.start(host, kept.epoch, state),
                Some(_) => self.hosts[host].copy = Copy::None,
                None => {}
            },
            Copy::None => {
                if let Some(row) = self.claim(host, room) {
                    self.arriving(host, row);
                }
            }
            _ => {}
        }
    }

    fn take_orphans(&mut self, host: usize) {
        let claimant = self.hosts[host].server.clone();
        let claim = OrphanClaim { claimant, room_types: vec![room_type()], limit: 9 };
        let Reply::Rooms(rows) = self.apply(Operation::ClaimOrphans(claim)) else { return };
        for row in rows {
            // A frozen room finds out by itself that it is its server's again.
            if self.hosts[host].copy == Copy::None {
                self.arriving(host, Box::new(row));
            }
        }
    }

    fn arriving(&mut self, host: usize, row: Box<RoomRegistration>) {
        let state = self.snapshots[&row.snapshot_version.expect("only what is saved moves")];
        self.hosts[host].copy = Copy::Arriving { row, state };
    }

    fn arrive(&mut self, host: usize, fails: bool) {
        let Copy::Arriving { row, state } = self.hosts[host].copy.clone() else { return };
        let origin = row.migration.clone().filter(|_| fails);
        let Some(origin) = origin else {
            let update = RoomUpdate { state: Some(RoomState::Live), ..RoomUpdate::default() };
            let reply = self.apply(Operation::UpdateRoom { room: row.room_epoch(), update });
            assert_eq!(reply, Reply::Done, "nobody takes a room from a server that lives");
            return self.start(host, row.epoch, state);
        };
        let (room, target, version) = (row.room_epoch(), origin.from, origin.version);
        let offer = RoomOffer { room: room.clone(), target, version, ttl_ms: 5000 };
        match self.apply(Operation::OfferRoom(offer)) {
            Reply::Done => self.hosts[host].copy = Copy::Returning { room },
            _ => self.park(host, room),
        }
    }

    fn await_return(&mut self, host: usize) {
        let Copy::Returning { room } = self.hosts[host].copy.clone() else { return };
        let row = self.row();
        if row.epoch != room.epoch {
            self.hosts[host].copy = Copy::None;
        } else if row.migration.is_none() {
            self.park(host, room);
        }
    }

    fn park(&mut self, host: usize, room: RoomEpoch) {
        let update = RoomUpdate { state: Some(RoomState::Parked), ..RoomUpdate::default() };
        self.apply(Operation::UpdateRoom { room, update });
        self.hosts[host].copy = Copy::None;
    }

    /// A server that owns its room and does not run it starts it from its snapshot.
    fn reconcile(&mut self, host: usize) {
        let row = self.row();
        let own = row.server_id.as_ref() == Some(&self.hosts[host].server.server_id);
        if own && self.hosts[host].copy == Copy::None {
            self.arriving(host, Box::new(row));
        }
    }

    fn crash(&mut self, host: usize) {
        if matches!(self.hosts[host].copy, Copy::Running { .. }) {
            self.floor = self.snapshots.values().copied().max().unwrap_or_default();
        }
        self.hosts[host].copy = Copy::None;
        self.hosts[host].about_to_claim = None;
        self.hosts[host].up = false;
    }

    fn expire(&mut self, host: usize) {
        self.crash(host);
        let server = self.hosts[host].server.clone();
        self.apply(Operation::ExpireServer { server, reason: "lease".to_owned() });
    }

    fn restart(&mut self, host: usize) {
        if self.hosts[host].up {
            return;
        }
        let server_id = self.hosts[host].server.server_id.clone();
        let spec = RoomTypeSpec { max_players: 1, reconnect_grace_ms: 0, metadata: Metadata::default() };
        let server = NewServer {
            server_id,
            address: "host".to_owned(),
            port: 1,
            capacity: 1,
            metadata: Metadata::default(),
            room_types: BTreeMap::from([(room_type(), spec)]),
            node_id: NodeId(0),
        };
        let Reply::Epoch(epoch) = self.apply(Operation::RegisterServer(server)) else { panic!("not registered") };
        self.hosts[host].server.epoch = epoch;
        self.hosts[host].up = true;
    }

    fn set_status(&mut self, host: usize, status: ServerStatus) {
        let server = self.hosts[host].server.clone();
        let update = ServerUpdate { status: Some(status), ..ServerUpdate::default() };
        self.apply(Operation::UpdateServer { server, update });
    }

    fn pass(&mut self, ms: u64) {
        self.time_ms += ms;
        self.apply(Operation::Tick);
    }

    fn step(&mut self, (kind, host, other, coin): (u8, usize, usize, bool)) {
        match kind {
            0 => self.crash(host),
            1 => self.expire(host),
            2 => self.restart(host),
            3 => self.pass(if coin { 500 } else { 11_000 }),
            _ if !self.may_act(host) => {}
            4 => self.set_status(host, if coin { ServerStatus::Draining } else { ServerStatus::Online }),
            5 | 6 => self.write(host),
            7 => drop(self.save(host)),
            8..=10 => self.offer(host, other),
            11 => self.look(host, coin),
            12 => self.see_offer(host),
            13 | 14 => self.claim_at_last(host),
            15 | 16 => self.arrive(host, coin),
            17 => self.await_return(host),
            18 => self.take_orphans(host),
            _ => self.reconcile(host),
        }
        self.check();
    }

    /// No two owners: whoever runs the room and may act is the one that the registry names.
    fn check(&self) {
        for host in (0..HOSTS).filter(|host| self.may_act(*host)) {
            if let Copy::Running { epoch, .. } = self.hosts[host].copy {
                let row = self.row();
                assert_eq!((row.server_id.as_ref(), row.epoch), (Some(&self.hosts[host].server.server_id), epoch));
            }
        }
    }

    /// Everybody comes back and does its part.
    fn settle(&mut self) {
        for host in 0..HOSTS {
            self.restart(host);
            if !self.may_act(host) {
                self.expire(host);
                self.restart(host);
            }
            self.set_status(host, ServerStatus::Online);
        }
        for _ in 0..8 {
            self.pass(2000);
            for kind in [11, 12, 13, 17, 18, 19, 15] {
                (0..HOSTS).for_each(|host| self.step((kind, host, 0, kind == 11)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_room_has_one_owner_and_loses_nothing_whatever_dies(
        steps in prop::collection::vec((0..20_u8, 0..HOSTS, 0..HOSTS, any::<bool>()), 0..120)
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        let running = world.hosts.iter().filter(|host| matches!(host.copy, Copy::Running { .. })).count();
        prop_assert_eq!(running, 1, "{:?} {:?}", world.row(), world.hosts);
        prop_assert!(world.row().migration.is_none());
    }
}
