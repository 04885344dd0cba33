//! A child: one game server, and the full rooms that it registers beside its own.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use roomraft::{
    adapter::{DistributedAdapter, MemoryAdapter, RaftAdapter, RedisAdapter, RedisOptions},
    gateway::GatewayConfig,
    model::{
        Metadata, PlayerId, RoomType, SeatId, SeatRequest, SeatTarget, ServerEpoch, ServerStatus, ServerUpdate,
        TokenHash,
    },
    room::{Room, RoomConfig},
    server::{Distributed, Server},
};
use serde_json::{Value, json};

use super::bench::{
    self, child,
    game_server::{self, live_room},
    raft_node::{self, name},
};

/// The type of all rooms.
pub const ROOM_TYPE: &str = "arena";
/// Rooms that are registered at once.
const AT_ONCE: usize = 256;

/// A match that does nothing: the joins are what is measured.
#[derive(Default)]
struct Arena;

#[async_trait]
impl Room for Arena {}

/// Serves until the parent is gone.
pub fn serve(role: &Value) {
    let runtime = bench::runtime();
    let (adapter, node) = backend(role);
    let server = runtime.block_on(start(role, Arc::clone(&adapter)));
    let mut stock = None;
    child::serve(|command| match command.split_once(' ') {
        Some(("fill", rooms)) => {
            let rooms = rooms.parse().expect("a number of rooms");
            let stock = stock.get_or_insert_with(|| runtime.block_on(Stock::start(Arc::clone(&adapter), role)));
            runtime.block_on(stock.add(rooms));
            json!(rooms)
        }
        _ if command == "commands" => {
            let node = node.as_ref().and_then(|adapter| adapter.node());
            json!(node.map_or(0, |node| node.registry().view().last_index()))
        }
        _ => json!(server.address().to_string()),
    });
}

async fn start(role: &Value, adapter: Arc<dyn DistributedAdapter>) -> Server {
    let distributed = Distributed {
        adapter: Some(adapter),
        server_id: Some(name("server", role)),
        capacity: 1_000_000,
        ..Distributed::default()
    };
    let gateway = GatewayConfig { packets_per_second: 1_000_000, packets_burst: 1_000_000, ..GatewayConfig::default() };
    let built = Server::builder().gateway(gateway).bind_address([127, 0, 0, 1].into()).port(0).distributed(distributed);
    let server = built.build().await.expect("a server");
    let config = RoomConfig { max_players: 4, ..RoomConfig::default() };
    server.define(ROOM_TYPE, config, Arena::default).expect("a room type");
    server.start().await.expect("the server joins its cluster");
    server
}

/// The backend, and the node that it runs where it is raft.
fn backend(role: &Value) -> (Arc<dyn DistributedAdapter>, Option<Arc<RaftAdapter>>) {
    if role["backend"] == "memory" {
        return (Arc::new(MemoryAdapter::default()), None);
    }
    if let Some(url) = role["redis"].as_str() {
        return (Arc::new(RedisAdapter::new(RedisOptions::new([url]))), None);
    }
    let adapter = raft_node::adapter(role);
    (Arc::clone(&adapter) as _, Some(adapter))
}

/// A server without a gateway, whose rooms are all full.
struct Stock {
    adapter: Arc<dyn DistributedAdapter>,
    epoch: ServerEpoch,
    room_type: RoomType,
}

impl Stock {
    async fn start(adapter: Arc<dyn DistributedAdapter>, role: &Value) -> Self {
        let room_type = RoomType::new(ROOM_TYPE).expect("a name");
        let online = game_server::online(Arc::clone(&adapter), name("stock", role), room_type.clone(), 1);
        let epoch = online.await;
        Self { adapter, epoch, room_type }
    }

    /// Registers full rooms. The server drains but for that, so that no player is placed on it.
    async fn add(&self, rooms: usize) {
        self.turn(ServerStatus::Online).await;
        stream::iter(0..rooms).for_each_concurrent(AT_ONCE, |_| self.full_room()).await;
        self.turn(ServerStatus::Draining).await;
    }

    async fn turn(&self, status: ServerStatus) {
        let update = ServerUpdate { status: Some(status), ..ServerUpdate::default() };
        self.adapter.update_server(&self.epoch, update).await.expect("the status changes");
    }

    async fn full_room(&self) {
        let room = live_room(self.room_type.clone(), 1, Metadata::default());
        let room = self.adapter.register_room(&self.epoch, room).await.expect("a room");
        let seat_id = SeatId::random();
        let request = SeatRequest {
            seat_id,
            player_id: PlayerId::new(format!("player-{seat_id}")).expect("a name"),
            target: SeatTarget::Room(room.room_id),
            caller: self.epoch.clone(),
            token: TokenHash([0; 32]),
            hold_ms: 60_000,
            origin: 0,
        };
        self.adapter.reserve_seat(request).await.expect("its only seat");
    }
}
