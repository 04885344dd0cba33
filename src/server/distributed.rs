//! A server's part in a cluster.

use std::{sync::Arc, time::Duration};

use crate::{
    adapter::{DistributedAdapter, MemoryAdapter},
    clock::Clock,
    model::{InvalidId, Metadata, Place},
    room::ManagerOptions,
    routing::{LoadBalancedRouter, Router},
};

/// The `distributed` options of a server.
#[derive(Debug, Clone)]
pub struct Distributed {
    /// The backend; where none is given, a memory of this server's own: a cluster of one.
    pub adapter: Option<Arc<dyn DistributedAdapter>>,
    /// This server's unique name; a random one where none is given.
    pub server_id: Option<String>,
    /// The host that players are redirected to; a `ws://` or `wss://` prefix is kept. Default `127.0.0.1`.
    pub server_address: String,
    /// The port that players are redirected to; the server's own where none is given.
    pub server_port: Option<u16>,
    /// Time between heartbeats; the backend's lease may ask for shorter ones. Default 5 s.
    pub heartbeat_interval: Duration,
    /// Time between snapshots of a room whose state has changed; zero = none. Default 30 s.
    pub snapshot_interval: Duration,
    /// How long a graceful stop waits for the rooms. Default 10 s.
    pub migration_timeout: Duration,
    /// Whether this server takes over rooms that lost theirs. Default true.
    pub enable_failover: bool,
    /// The most rooms that it runs. Default 100.
    pub capacity: u32,
    /// Free-form attributes. Default none.
    pub metadata: Metadata,
    /// Where the server is; shown in its attributes as `region`, `latitude` and `longitude`. Default unknown.
    pub place: Place,
    /// Where new rooms go. Default [`LoadBalancedRouter`] with its own defaults.
    pub router: Arc<dyn Router>,
    /// How long a redirected player's seat is held. Default 15 s.
    pub seat_hold: Duration,
    /// Where time comes from. Default the system's clock.
    pub clock: Clock,
}

impl Default for Distributed {
    fn default() -> Self {
        Self {
            adapter: None,
            server_id: None,
            server_address: "127.0.0.1".to_owned(),
            server_port: None,
            heartbeat_interval: Duration::from_secs(5),
            snapshot_interval: Duration::from_secs(30),
            migration_timeout: Duration::from_secs(10),
            enable_failover: true,
            capacity: 100,
            metadata: Metadata::default(),
            place: Place::default(),
            router: Arc::new(LoadBalancedRouter::default()),
            seat_hold: Duration::from_secs(15),
            clock: Clock::system(),
        }
    }
}

impl Distributed {
    /// The backend and the manager's options, for a server that listens on this port.
    pub(super) fn resolve(self, own_port: u16) -> Result<(Arc<dyn DistributedAdapter>, ManagerOptions), InvalidId> {
        let server_id = self.server_id.unwrap_or_else(|| format!("server-{:016x}", rand::random::<u64>()));
        let port = self.server_port.unwrap_or(own_port);
        let mut options = ManagerOptions::new(&server_id, &self.server_address, port)?;
        options.heartbeat_interval = self.heartbeat_interval;
        options.snapshot_interval = self.snapshot_interval;
        options.migration_timeout = self.migration_timeout;
        options.enable_failover = self.enable_failover;
        options.capacity = self.capacity;
        options.metadata = self.place.written_to(&self.metadata);
        options.router = self.router;
        options.seat_hold = self.seat_hold;
        options.clock = self.clock;
        Ok((self.adapter.unwrap_or_else(|| Arc::new(MemoryAdapter::default())), options))
    }
}
