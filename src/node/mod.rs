//! One game server as a process: builds the parts from the configuration, starts them, and stops them in order.
//!
//! ```text
//! configuration ─► backend ─► server (rooms, gateway) ─┐
//!                     └─────► ops listener             ├─► ready ─► a signal or a fault ─► stop
//!                                                      ┘
//! ```
//! It decides nothing about rooms or players. The ops listener is up before the cluster is, so that
//! operators can see what a node waits for.

mod backend;
mod control;
mod fault;
mod identity;
mod signal;
mod view;

use std::{fmt, net::SocketAddr, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use backend::Backing;
use control::Control;
pub(crate) use fault::NodeFault;
pub(crate) use signal::stop_signal;

use crate::{
    adapter::DistributedAdapter,
    config::{ConfigError, NodeConfig},
    crash_point,
    model::ServerId,
    ops::{OpsListener, OpsState, OpsToken, install_metrics},
    room::{RelayRoom, RoomConfig},
    server::{Distributed, Server, ServerError},
};

/// What a node says once it serves players.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ready {
    server_id: ServerId,
    gateway: SocketAddr,
    ops: SocketAddr,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ready server={} gateway={} ops={}", self.server_id, self.gateway, self.ops)
    }
}

/// Runs a node until a signal stops it; `ready` is called once, when it serves players.
pub(crate) async fn run(config: NodeConfig, ready: impl FnOnce(&Ready)) -> Result<(), NodeFault> {
    let _crash_points = crash_point::arm();
    let node = Node::build(&config).await?;
    let outcome = tokio::select! {
        outcome = node.serve(&config, ready) => outcome,
        signal = stop_signal() => {
            tracing::info!(signal, "stopping; a second signal stops at once");
            Ok(())
        }
        () = node.left.cancelled() => Ok(()),
    };
    // A node that failed has nothing to hand over: its lease ends by itself.
    if outcome.is_ok() {
        tokio::select! {
            () = node.stop() => tracing::info!("stopped"),
            signal = stop_signal() => return Err(NodeFault::Other(format!("stopped at once by a second {signal}"))),
        }
    }
    outcome
}

/// The parts of one node.
struct Node {
    backing: Backing,
    server: Arc<Server>,
    left: CancellationToken,
    ops_address: SocketAddr,
    ops_stop: CancellationToken,
    ops_task: JoinHandle<()>,
}

impl Node {
    /// Binds every socket and starts the ops listener; no player is let in yet.
    async fn build(config: &NodeConfig) -> Result<Self, NodeFault> {
        install_metrics();
        let listener = OpsListener::bind(config.ops).await;
        let listener = listener.map_err(|source| NodeFault::Listen { flag: "ops", address: config.ops, source })?;
        let ops_address = listener.address().map_err(|error| NodeFault::Other(format!("--ops: {error}")))?;
        let backing = Backing::new(&config.backend)?;
        let adapter = backing.adapter();
        let server = Arc::new(server(config, Arc::clone(&adapter)).await?);
        let left = CancellationToken::new();
        let control = Control { backing: backing.clone(), server: Arc::clone(&server), left: left.clone() };
        let state = OpsState {
            server_id: config.server_id.clone(),
            adapter: Arc::clone(&adapter),
            node: backing.view(server.manager().clone()),
            control: Arc::new(control),
            token: config.operators_token().as_deref().map(OpsToken::new),
        };
        let ops_stop = CancellationToken::new();
        let ops_task = tokio::spawn(listener.serve(state, ops_stop.clone()));
        Ok(Self { backing, server, left, ops_address, ops_stop, ops_task })
    }

    /// Lets players in; returns only by a fault.
    async fn serve(&self, config: &NodeConfig, ready: impl FnOnce(&Ready)) -> Result<(), NodeFault> {
        self.backing.reach().await.map_err(ServerError::from)?;
        self.server.start().await?;
        ready(&Ready { server_id: config.server_id.clone(), gateway: self.server.address(), ops: self.ops_address });
        Err(NodeFault::Backend(self.backing.fault().await))
    }

    /// Rooms first, then players, then the backend, and last the operators' view of it all.
    async fn stop(self) {
        if let Err(error) = self.server.stop(true).await {
            tracing::warn!(%error, "the cluster was not told that this server stops; its lease ends by itself");
        }
        if let Err(error) = self.backing.adapter().disconnect().await {
            tracing::warn!(%error, "the backend did not stop cleanly");
        }
        self.ops_stop.cancel();
        // The task ends by the token; it has nothing to say.
        let _ = self.ops_task.await;
    }
}

/// The game server with its rooms, bound and not yet started.
async fn server(config: &NodeConfig, adapter: Arc<dyn DistributedAdapter>) -> Result<Server, NodeFault> {
    let distributed = Distributed {
        adapter: Some(adapter),
        server_id: Some(config.server_id.to_string()),
        server_address: config.public_address(),
        server_port: config.public_port,
        heartbeat_interval: config.heartbeat_interval,
        snapshot_interval: config.snapshot_interval,
        migration_timeout: config.migration_timeout,
        enable_failover: config.enable_failover,
        capacity: config.capacity,
        place: config.place.clone(),
        router: Arc::new(config.router.clone()),
        ..Distributed::default()
    };
    let server = Server::builder()
        .bind_address(config.gateway.listen.ip())
        .port(config.gateway.listen.port())
        // A room type that says no ticks means none.
        .tick_rate(0)
        .duplicate_join_policy(config.gateway.duplicate_join_policy)
        .gateway(config.gateway.clone())
        .distributed(distributed)
        .build()
        .await?;
    for (room_type, spec) in &config.rooms {
        let room = RoomConfig {
            max_players: spec.max_players,
            tick_rate: spec.tick_rate,
            auto_dispose: spec.auto_dispose,
            reconnect_grace: spec.reconnect_grace,
            ..RoomConfig::default()
        };
        let defined = server.define(room_type.as_str(), room, RelayRoom::default);
        defined.map_err(|error| ConfigError::new(&format!("--room: {error}")))?;
    }
    Ok(server)
}
