//! A registry with the names and defaults that the tests share.

use roomraft::{
    model::{
        Metadata, NewRoom, NewServer, NodeId, PlayerId, RoomId, RoomRegistration, RoomState, RoomType, RoomTypeSpec,
        SeatGrant, SeatId, SeatRequest, SeatTarget, ServerEpoch, ServerId, TokenHash,
    },
    registry::{Applied, Command, Operation, Registry, Rejection, Reply},
};

pub const TYPE: &str = "arena";

/// A registry and its time.
#[derive(Debug, Default, Clone)]
pub struct World {
    pub registry: Registry,
    pub time_ms: u64,
    pub last: Option<Applied>,
    pub seats: u128,
}

impl World {
    pub fn apply(&mut self, operation: Operation) -> Reply {
        let command = Command { time_ms: self.time_ms, origin: None, operation };
        let applied = self.registry.apply(&command);
        let reply = applied.reply.clone();
        self.last = Some(applied);
        reply
    }

    /// The names of the events of the last command, in order.
    pub fn events(&self) -> Vec<String> {
        let events = self.last.iter().flat_map(|applied| &applied.events);
        events.map(|event| event.kind.to_string()).collect()
    }

    pub fn wait(&mut self, ms: u64) {
        self.time_ms += ms;
        assert_eq!(self.apply(Operation::Tick), Reply::Done);
    }

    pub fn server(&mut self, name: &str, capacity: u32) -> ServerEpoch {
        match self.apply(Operation::RegisterServer(new_server(name, capacity, 2))) {
            Reply::Epoch(epoch) => ServerEpoch { server_id: server_id(name), epoch },
            other => panic!("{other:?}"),
        }
    }

    pub fn room(&mut self, server: &ServerEpoch) -> RoomRegistration {
        self.room_with(server, |_| {})
    }

    pub fn room_with(&mut self, server: &ServerEpoch, change: impl FnOnce(&mut NewRoom)) -> RoomRegistration {
        let mut room = new_room();
        change(&mut room);
        match self.apply(Operation::RegisterRoom { server: server.clone(), room }) {
            Reply::Room(room) => *room,
            other => panic!("{other:?}"),
        }
    }

    pub fn seat_request(&mut self, caller: &ServerEpoch, target: SeatTarget) -> SeatRequest {
        self.seats += 1;
        SeatRequest {
            seat_id: SeatId(self.seats),
            player_id: PlayerId::new(format!("player-{}", self.seats)).unwrap(),
            target,
            caller: caller.clone(),
            token: TokenHash([7; 32]),
            hold_ms: 15_000,
            origin: 0,
        }
    }

    pub fn try_join(&mut self, caller: &ServerEpoch, target: SeatTarget) -> Reply {
        let request = self.seat_request(caller, target);
        self.apply(Operation::ReserveSeat(request))
    }

    pub fn join(&mut self, caller: &ServerEpoch, target: SeatTarget) -> SeatGrant {
        match self.try_join(caller, target) {
            Reply::Seat(grant) => *grant,
            other => panic!("{other:?}"),
        }
    }

    pub fn save(&mut self, room: &RoomRegistration, version: u64) -> Reply {
        let bytes = bytes::Bytes::from(format!("state {version}"));
        self.apply(Operation::SaveSnapshot { room: room.room_epoch(), version, bytes, ttl_ms: 0 })
    }

    pub fn expire(&mut self, server: &ServerEpoch) {
        let reason = "its lease ended".to_owned();
        assert_eq!(self.apply(Operation::ExpireServer { server: server.clone(), reason }), Reply::Done);
    }

    pub fn present(&self, room: &RoomRegistration) -> RoomRegistration {
        self.registry.room(&room.room_id).expect("the room is there").clone()
    }
}

pub fn server_id(name: &str) -> ServerId {
    ServerId::new(name).unwrap()
}

pub fn room_id(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

pub fn room_type() -> RoomType {
    RoomType::new(TYPE).unwrap()
}

pub fn new_server(name: &str, capacity: u32, max_players: u32) -> NewServer {
    let spec = RoomTypeSpec { max_players, reconnect_grace_ms: 0, metadata: Metadata::default() };
    NewServer {
        server_id: server_id(name),
        address: format!("{name}.example"),
        port: 3000,
        capacity,
        metadata: Metadata::default(),
        room_types: [(room_type(), spec)].into(),
        node_id: NodeId(0),
    }
}

pub fn new_room() -> NewRoom {
    NewRoom {
        room_id: None,
        room_type: room_type(),
        max_players: 2,
        reconnect_grace_ms: 0,
        metadata: Metadata::default(),
        state: RoomState::Live,
        options: String::new(),
    }
}

pub fn any_room(candidates: &[&ServerEpoch]) -> SeatTarget {
    SeatTarget::Type {
        room_type: room_type(),
        metadata: Metadata::default(),
        candidates: candidates.iter().map(|server| server.server_id.clone()).collect(),
        options: String::new(),
    }
}

#[track_caller]
pub fn rejected(reply: Reply) -> Rejection {
    match reply {
        Reply::Rejected(rejection) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}
