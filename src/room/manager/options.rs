//! What a manager is told.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    model::{InvalidId, Metadata, ServerId},
    routing::{LoadBalancedRouter, Router},
};

/// The options of a [`DistributedRoomManager`](super::DistributedRoomManager).
#[derive(Debug, Clone)]
pub struct ManagerOptions {
    /// This server's unique name.
    pub server_id: ServerId,
    /// The host that players are redirected to; a `ws://` or `wss://` prefix is kept.
    pub server_address: String,
    /// The port that players are redirected to.
    pub server_port: u16,
    /// Time between heartbeats; the backend's lease may ask for shorter ones. Default 5 s.
    pub heartbeat_interval: Duration,
    /// Time between snapshots of a room whose state has changed; zero = none. Default 30 s.
    pub snapshot_interval: Duration,
    /// How long a graceful stop waits for its rooms. Default 10 s.
    pub migration_timeout: Duration,
    /// Whether this server takes over rooms that lost theirs. Default true.
    pub enable_failover: bool,
    /// The most rooms that it runs. Default 100.
    pub capacity: u32,
    /// Free-form attributes. Default none.
    pub metadata: Metadata,
    /// Where new rooms go. Default [`LoadBalancedRouter`] with its own defaults.
    pub router: Arc<dyn Router>,
    /// How long a redirected player's seat is held. Default 15 s.
    pub seat_hold: Duration,
    /// Where time comes from. Default the system's clock.
    pub clock: Clock,
}

impl ManagerOptions {
    /// The defaults for a server of this name that players reach at `server_address:server_port`.
    ///
    /// # Errors
    /// [`InvalidId`] where the name cannot be a server id.
    pub fn new(server_id: &str, server_address: &str, server_port: u16) -> Result<Self, InvalidId> {
        Ok(Self {
            server_id: ServerId::new(server_id)?,
            server_address: server_address.to_owned(),
            server_port,
            heartbeat_interval: Duration::from_secs(5),
            snapshot_interval: Duration::from_secs(30),
            migration_timeout: Duration::from_secs(10),
            enable_failover: true,
            capacity: 100,
            metadata: Metadata::default(),
            router: Arc::new(LoadBalancedRouter::default()),
            seat_hold: Duration::from_secs(15),
            clock: Clock::system(),
        })
    }
}
