//! A game server in one piece: gateway, room manager and adapter, put together.
//!
//! [`Server::builder`] takes what there is to choose and binds the socket; [`Server::start`]
//! registers the server in its cluster and lets players in. Nothing is decided here: rooms are the
//! [manager's](crate::room::DistributedRoomManager), connections the [gateway's](crate::gateway).

mod builder;
mod distributed;
mod error;

use std::{fmt, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use serde_json::Value;

pub use builder::{DEFAULT_PORT, DEFAULT_TICK_RATE, ServerBuilder};
pub use distributed::Distributed;
pub use error::ServerError;

use crate::{
    gateway::{Authenticator, Bound, Gateway, Hooks},
    protocol::Packet,
    room::{ConnectionId, DistributedRoomManager, DrainReport, InvalidRoomType, Outgoing, Room, RoomConfig},
};

/// A game server. Dropping it does not stop it: call [`stop`](Self::stop).
pub struct Server {
    manager: DistributedRoomManager,
    tick_rate: u32,
    address: SocketAddr,
    authenticator: Arc<dyn Authenticator>,
    hooks: Hooks,
    door: Mutex<Door>,
}

/// Where the players' side stands.
enum Door {
    /// The socket is bound: players wait in its backlog.
    Bound(Box<Bound>),
    Open(Arc<Gateway>),
    Closed,
}

impl Server {
    /// Everything that can be chosen, at its defaults.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Serves a room type: `factory` makes the game's part of each new room. A `tick_rate` of 0 is
    /// replaced by the server's. Possible before and after the start.
    ///
    /// # Errors
    /// [`InvalidRoomType`] where the name cannot be a room type's, or an option is out of its range.
    pub fn define<R: Room>(
        &self,
        room_type: &str,
        mut config: RoomConfig,
        factory: impl Fn() -> R + Send + Sync + 'static,
    ) -> Result<(), InvalidRoomType> {
        if config.tick_rate == 0 {
            config.tick_rate = self.tick_rate;
        }
        self.manager.define(room_type, config, factory)
    }

    /// Lets players in and registers this server. Until the registration is done joins are
    /// `UNAVAILABLE`. Harmless on a server that runs.
    ///
    /// # Errors
    /// [`ServerError::Stopped`] after a stop, else what the backend says. Then start again later, or
    /// [`stop`](Self::stop): the players' side stays open in between.
    pub async fn start(&self) -> Result<(), ServerError> {
        self.open()?;
        Ok(self.manager.start().await?)
    }

    /// Ends this server: its rooms first, then the players' connections. Harmless on one that is
    /// stopped. The adapter stays connected; it is its maker's to disconnect.
    ///
    /// `graceful`: its rooms move to other servers first, as by [`drain`](Self::drain); otherwise they end.
    ///
    /// # Errors
    /// What the backend says to the unregistration; everything has ended here nevertheless, and
    /// the cluster notices by itself.
    pub async fn stop(&self, graceful: bool) -> Result<(), ServerError> {
        let outcome = self.manager.stop(graceful).await;
        let door = std::mem::replace(&mut *self.door.lock(), Door::Closed);
        if let Door::Open(gateway) = door {
            gateway.stop().await;
        }
        Ok(outcome?)
    }

    /// Hands every room on to other servers and takes no new players from now on; see
    /// [`DistributedRoomManager::drain`]. Players stay connected until the [stop](Self::stop).
    pub async fn drain(&self) -> DrainReport {
        self.manager.drain().await
    }

    /// Where players connect: the actual port where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The rooms.
    pub fn manager(&self) -> &DistributedRoomManager {
        &self.manager
    }

    /// How many players' connections are open.
    pub fn connections(&self) -> usize {
        self.gateway().map_or(0, |gateway| gateway.connections())
    }

    /// Sends a message to every connection; to how many it was queued.
    pub fn broadcast(&self, name: &str, data: Value) -> usize {
        self.gateway().map_or(0, |gateway| gateway.broadcast(&message(name, data)))
    }

    /// Sends a message to one connection; `false` where it is gone.
    pub fn send(&self, connection: ConnectionId, name: &str, data: Value) -> bool {
        self.gateway().is_some_and(|gateway| gateway.send(connection, message(name, data)))
    }

    fn gateway(&self) -> Option<Arc<Gateway>> {
        match &*self.door.lock() {
            Door::Open(gateway) => Some(Arc::clone(gateway)),
            Door::Bound(_) | Door::Closed => None,
        }
    }

    fn open(&self) -> Result<(), ServerError> {
        let mut door = self.door.lock();
        match std::mem::replace(&mut *door, Door::Closed) {
            Door::Bound(bound) => {
                let (manager, hooks) = (self.manager.clone(), self.hooks.clone());
                *door = Door::Open(Arc::new(bound.serve(manager, Arc::clone(&self.authenticator), hooks)));
                Ok(())
            }
            Door::Open(gateway) => {
                *door = Door::Open(gateway);
                Ok(())
            }
            Door::Closed => Err(ServerError::Stopped),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).field("manager", &self.manager).finish_non_exhaustive()
    }
}

fn message(name: &str, data: Value) -> Outgoing {
    Outgoing::Text(Packet::Message { name: name.to_owned(), data }.encode().into())
}
