//! What there is to choose about a server.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Distributed, Door, Server, ServerError};
use crate::{
    gateway::{Authenticator, ConnectionInfo, DuplicateJoinPolicy, Gateway, GatewayConfig, Hooks, OpenDoor},
    room::DistributedRoomManager,
};

/// The port where none is chosen.
pub const DEFAULT_PORT: u16 = 3000;
/// Ticks per second of rooms that choose none.
pub const DEFAULT_TICK_RATE: u32 = 20;

/// The options of a [`Server`].
pub struct ServerBuilder {
    gateway: GatewayConfig,
    address: IpAddr,
    port: u16,
    tick_rate: u32,
    duplicate_join_policy: DuplicateJoinPolicy,
    authenticator: Arc<dyn Authenticator>,
    hooks: Hooks,
    distributed: Distributed,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            gateway: GatewayConfig::default(),
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: DEFAULT_PORT,
            tick_rate: DEFAULT_TICK_RATE,
            duplicate_join_policy: DuplicateJoinPolicy::default(),
            authenticator: Arc::new(OpenDoor),
            hooks: Hooks::default(),
            distributed: Distributed::default(),
        }
    }
}

impl ServerBuilder {
    /// The port for players; 0 takes a free one. Default [`DEFAULT_PORT`].
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The address to listen on. Default `0.0.0.0`: every IPv4 address of this machine.
    #[must_use]
    pub fn bind_address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Calls of `on_tick` per second in rooms whose own config says 0; 0 = none. Default [`DEFAULT_TICK_RATE`].
    #[must_use]
    pub fn tick_rate(mut self, per_second: u32) -> Self {
        self.tick_rate = per_second;
        self
    }

    /// What happens when a player that is in a room joins another one. Default auto-leave.
    #[must_use]
    pub fn duplicate_join_policy(mut self, policy: DuplicateJoinPolicy) -> Self {
        self.duplicate_join_policy = policy;
        self
    }

    /// Called when a player's connection is open. It must not block.
    #[must_use]
    pub fn on_connect(mut self, hook: impl Fn(ConnectionInfo) + Send + Sync + 'static) -> Self {
        self.hooks.on_connect = Some(Arc::new(hook));
        self
    }

    /// Called when a player's connection has ended. It must not block.
    #[must_use]
    pub fn on_disconnect(mut self, hook: impl Fn(ConnectionInfo) + Send + Sync + 'static) -> Self {
        self.hooks.on_disconnect = Some(Arc::new(hook));
        self
    }

    /// The game's login. Default none: everybody may come in.
    #[must_use]
    pub fn authentication(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Arc::new(authenticator);
        self
    }

    /// This server's part in a cluster. Default a cluster of one, in memory.
    #[must_use]
    pub fn distributed(mut self, distributed: Distributed) -> Self {
        self.distributed = distributed;
        self
    }

    /// TLS and the limits of players' connections. Its address and policy are the builder's own.
    #[must_use]
    pub fn gateway(mut self, config: GatewayConfig) -> Self {
        self.gateway = config;
        self
    }

    /// Binds the players' socket. Nobody is let in before [`Server::start`].
    ///
    /// # Errors
    /// [`ServerError::Gateway`] where the address or the certificate cannot be used,
    /// [`ServerError::InvalidId`] where the server id cannot be one.
    pub async fn build(self) -> Result<Server, ServerError> {
        let listen = SocketAddr::new(self.address, self.port);
        let policy = self.duplicate_join_policy;
        let config = GatewayConfig { listen, duplicate_join_policy: policy, ..self.gateway };
        let bound = Gateway::bind(config).await?;
        let address = bound.address();
        let (adapter, options) = self.distributed.resolve(address.port())?;
        Ok(Server {
            manager: DistributedRoomManager::new(adapter, options),
            tick_rate: self.tick_rate,
            address,
            authenticator: self.authenticator,
            hooks: self.hooks,
            door: Mutex::new(Door::Bound(Box::new(bound))),
        })
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("address", &SocketAddr::new(self.address, self.port))
            .field("distributed", &self.distributed)
            .finish_non_exhaustive()
    }
}
