//! Servers on one memory backend, with the rooms of these tests.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roomraft::{
    adapter::MemoryAdapter,
    gateway::GatewayConfig,
    room::{Player, RelayRoom, Room, RoomConfig, RoomContext, RoomError},
    server::{Distributed, Server, ServerBuilder},
};
use serde_json::json;

/// Relay rooms with 4 seats that are kept for players whose connection ended.
pub(crate) const RELAY: &str = "relay";
/// The same with 2 seats.
pub(crate) const DUEL: &str = "duel";
/// Relay rooms that players leave with their connection.
pub(crate) const FLEETING: &str = "fleeting";
/// Rooms that panic when a player comes in.
pub(crate) const BROKEN: &str = "broken";
/// Rooms that say `tick` at every tick, at the rate of their server.
pub(crate) const CLOCKWORK: &str = "clockwork";

struct Broken;

#[async_trait]
impl Room for Broken {
    async fn on_join(&mut self, _ctx: &mut RoomContext, _player: &Player) -> Result<(), RoomError> {
        panic!("a game's fault, for a test");
    }
}

struct Clockwork;

#[async_trait]
impl Room for Clockwork {
    async fn on_tick(&mut self, ctx: &mut RoomContext, dt: f32) -> Result<(), RoomError> {
        ctx.broadcast("tick", &json!(dt), None);
        Ok(())
    }
}

/// What a server of these tests is made from: this machine only, a free port.
pub(crate) fn builder(adapter: MemoryAdapter, name: &str) -> ServerBuilder {
    let adapter = Some(Arc::new(adapter) as _);
    let distributed = Distributed { adapter, server_id: Some(name.to_owned()), ..Distributed::default() };
    Server::builder().bind_address([127, 0, 0, 1].into()).port(0).distributed(distributed)
}

/// Builds a server with every type of these tests.
pub(crate) async fn built(builder: ServerBuilder) -> Server {
    let server = builder.build().await.expect("a free port");
    let seats = |max_players, seconds| RoomConfig {
        max_players,
        reconnect_grace: Duration::from_secs(seconds),
        ..RoomConfig::default()
    };
    server.define(RELAY, seats(4, 60), RelayRoom::default).expect("a valid type");
    server.define(DUEL, seats(2, 60), RelayRoom::default).expect("a valid type");
    server.define(FLEETING, seats(100, 0), RelayRoom::default).expect("a valid type");
    server.define(BROKEN, seats(4, 0), || Broken).expect("a valid type");
    server.define(CLOCKWORK, seats(4, 0), || Clockwork).expect("a valid type");
    server
}

/// The same, and starts it.
pub(crate) async fn run(builder: ServerBuilder) -> Server {
    let server = built(builder).await;
    server.start().await.expect("the backend is there");
    server
}

/// One server that is a cluster of its own.
pub(crate) async fn alone() -> Server {
    run(builder(MemoryAdapter::default(), "alone")).await
}

/// One server with other limits for its players.
pub(crate) async fn limited(config: GatewayConfig) -> Server {
    run(builder(MemoryAdapter::default(), "limited").gateway(config)).await
}

/// Two servers of one cluster, named `a` and `b`.
pub(crate) async fn pair() -> (Server, Server) {
    let memory = MemoryAdapter::default();
    let a = run(builder(memory.sibling(), "a")).await;
    let b = run(builder(memory, "b")).await;
    (a, b)
}

/// Where a server's players connect.
pub(crate) fn address(server: &Server) -> String {
    server.address().to_string()
}
