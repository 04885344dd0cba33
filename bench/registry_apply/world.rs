//! A registry, and what is done to it.

use std::{hint::black_box, time::Instant};

use roomraft::{
    model::{
        Metadata, NewRoom, NewServer, NodeId, PlayerId, RoomId, RoomQuery, RoomState, RoomType, RoomTypeSpec,
        SeatGrant, SeatId, SeatRelease, SeatRequest, SeatTarget, ServerEpoch, ServerId, TokenHash,
    },
    registry::{Command, Operation, Registry, Reply},
};

use super::bench::figures;

/// So much is done at once, and timed.
pub const AT_ONCE: usize = 20_000;
/// Servers among which the rooms are spread.
const SERVERS: usize = 10;

/// One registry; its servers, and the ids of the rooms that it was filled with.
pub struct World {
    registry: Registry,
    servers: Vec<ServerEpoch>,
    rooms: Vec<RoomId>,
    seats: u128,
}

impl World {
    /// A registry with so many rooms of one seat, which is taken.
    pub fn with_rooms(count: usize) -> Self {
        let mut world = Self { registry: Registry::default(), servers: Vec::new(), rooms: Vec::new(), seats: 0 };
        world.servers = (0..SERVERS).map(|number| world.server(number)).collect();
        for number in 0..count {
            let server = world.servers[number % SERVERS].clone();
            let room = Operation::RegisterRoom { server: server.clone(), room: new_room() };
            let Reply::Room(room) = world.apply(room) else { panic!("a room was refused") };
            let request = world.request(&server, SeatTarget::Room(room.room_id.clone()));
            world.seat(request);
            world.rooms.push(room.room_id);
        }
        world
    }

    /// Joins a second.
    pub fn joins(&mut self, count: usize) -> f64 {
        let requests: Vec<SeatRequest> = (0..count).map(|number| self.request_any(number)).collect();
        let commands: Vec<Command> = requests.into_iter().map(Operation::ReserveSeat).map(command).collect();
        let mut replies = Vec::with_capacity(count);
        let began = Instant::now();
        for command in &commands {
            replies.push(self.registry.apply(command).reply);
        }
        let took = began.elapsed();
        self.undo(replies);
        figures::count(count) / took.as_secs_f64()
    }

    /// Searches for an open room a second; there is one.
    pub fn finds(&mut self, count: usize) -> f64 {
        let request = self.request_any(0);
        let grant = self.seat(request);
        let room_type = room_type();
        let rate = rate(count, |_| assert!(black_box(self.registry.find_available_room(&room_type)).is_some()));
        self.undo(vec![Reply::Seat(Box::new(grant))]);
        rate
    }

    /// Reads of one room a second; of none where there is none.
    pub fn rooms_by_id(&mut self, count: usize) -> f64 {
        let unknown = [RoomId::new("arena-unknown").expect("a name")];
        let ids = if self.rooms.is_empty() { &unknown[..] } else { &self.rooms };
        // A stride without a common divisor with the counts visits the rooms without an order.
        rate(count, |number| {
            black_box(self.registry.room(&ids[(number * 7_919) % ids.len()]));
        })
    }

    /// Pages of ten rooms a second.
    pub fn pages(&mut self, count: usize) -> f64 {
        let query = RoomQuery { room_type: Some(room_type()), limit: Some(10), ..RoomQuery::default() };
        rate(count / 10, |_| {
            black_box(self.registry.rooms(&query));
        })
    }

    fn apply(&mut self, operation: Operation) -> Reply {
        self.registry.apply(&command(operation)).reply
    }

    fn server(&mut self, number: usize) -> ServerEpoch {
        let spec = RoomTypeSpec { max_players: 4, reconnect_grace_ms: 0, metadata: Metadata::default() };
        let server_id = ServerId::new(format!("server-{number}")).expect("a name");
        let server = NewServer {
            server_id: server_id.clone(),
            address: "10.0.0.1".to_owned(),
            port: 3000,
            capacity: u32::MAX,
            metadata: Metadata::default(),
            room_types: [(room_type(), spec)].into(),
            node_id: NodeId(0),
        };
        let Reply::Epoch(epoch) = self.apply(Operation::RegisterServer(server)) else { panic!("a server was refused") };
        ServerEpoch { server_id, epoch }
    }

    fn seat(&mut self, request: SeatRequest) -> SeatGrant {
        let Reply::Seat(grant) = self.apply(Operation::ReserveSeat(request)) else { panic!("a seat was refused") };
        *grant
    }

    fn request_any(&mut self, number: usize) -> SeatRequest {
        let caller = self.servers[number % SERVERS].clone();
        let target = SeatTarget::Type {
            room_type: room_type(),
            metadata: Metadata::default(),
            candidates: self.servers.iter().take(8).map(|server| server.server_id.clone()).collect(),
            options: String::new(),
        };
        self.request(&caller, target)
    }

    fn request(&mut self, caller: &ServerEpoch, target: SeatTarget) -> SeatRequest {
        self.seats += 1;
        SeatRequest {
            seat_id: SeatId(self.seats),
            player_id: PlayerId::new(format!("player-{}", self.seats)).expect("a name"),
            target,
            caller: caller.clone(),
            token: TokenHash([7; 32]),
            hold_ms: 15_000,
            origin: 0,
        }
    }

    /// Removes the rooms that joins made, and frees the seats that they took in others.
    fn undo(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            let Reply::Seat(grant) = reply else { panic!("a join was refused: {reply:?}") };
            let server_id = grant.room.server_id.clone().expect("an owner");
            let server = self.servers.iter().find(|server| server.server_id == server_id).expect("known").clone();
            let release = SeatRelease { room_id: grant.room.room_id.clone(), seat_id: grant.seat.seat_id, away_ms: 0 };
            self.apply(Operation::ReleaseSeats { server, releases: vec![release] });
            let room = self.registry.room(&grant.room.room_id).filter(|room| room.seat_count == 0);
            if let Some(room) = room.map(roomraft::model::RoomRegistration::room_epoch) {
                self.apply(Operation::UnregisterRoom { room, reason: "over".to_owned() });
            }
        }
    }
}

/// How often a second something is done.
fn rate(count: usize, mut work: impl FnMut(usize)) -> f64 {
    let began = Instant::now();
    for number in 0..count {
        work(number);
    }
    figures::count(count) / began.elapsed().as_secs_f64()
}

fn command(operation: Operation) -> Command {
    Command { time_ms: 1, origin: None, operation }
}

fn room_type() -> RoomType {
    RoomType::new("arena").expect("a name")
}

fn new_room() -> NewRoom {
    NewRoom {
        room_id: None,
        room_type: room_type(),
        max_players: 1,
        reconnect_grace_ms: 0,
        metadata: Metadata::default(),
        state: RoomState::Live,
        options: String::new(),
    }
}
