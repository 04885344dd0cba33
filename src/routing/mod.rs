//! Which server gets the next room.
//!
//! Pure: servers in, an order of preference out. It reads no clock, makes no randomness and does no
//! I/O; what it needs of either is passed in. It does not place anything: the registry takes the
//! first candidate that can still take the room at the moment of the command.
//!
//! Five strategies spread load: an open room is joined wherever it is, and the strategy says where a
//! new one goes. With two more, nearness counts before that: an open room far away is worse than a new
//! one nearby, and servers that are equally near are ordered by load.
//!
//! | strategy | what servers tell | what players tell in `JoinRoom` | where players tell nothing |
//! |---|---|---|---|
//! | `geo` | `region`, `latitude`, `longitude` in their metadata | `place: {region?, latitude?, longitude?}` | they are where their server is |
//! | `latency` | nothing | `roundTrips: {server id or address: milliseconds}` | their server's own round trips on raft; on memory and redis none are known: their own server first |
//!
//! A server of whose place or round trip nothing is known comes last.
//!
//! A studio writes a router of its own and hands it to [`Distributed`](crate::server::Distributed):
#![cfg_attr(feature = "gateway", doc = "```")]
#![cfg_attr(not(feature = "gateway"), doc = "```ignore")]
//! use std::sync::Arc;
//! use roomraft::{
//!     model::{RoutingRequest, ServerId, ServerRegistration, ServerStatus},
//!     routing::{Draw, Router},
//!     server::{Distributed, Server},
//! };
//!
//! /// Fills the biggest machine first.
//! #[derive(Debug)]
//! struct Biggest;
//!
//! impl Router for Biggest {
//!     fn candidates(
//!         &self,
//!         _request: &RoutingRequest,
//!         servers: &[ServerRegistration],
//!         _local: &ServerId,
//!         _draw: Draw,
//!     ) -> Vec<ServerId> {
//!         let online = servers.iter().filter(|server| server.status == ServerStatus::Online);
//!         let mut online: Vec<_> = online.collect();
//!         online.sort_by_key(|server| std::cmp::Reverse(server.capacity));
//!         online.into_iter().take(8).map(|server| server.server_id.clone()).collect()
//!     }
//! }
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let distributed = Distributed { router: Arc::new(Biggest), ..Distributed::default() };
//! let server = Server::builder().distributed(distributed).build().await?;
//! # drop(server); Ok(())
//! # }
//! ```
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod balanced;
mod nearness;
mod plan;
mod strategy;

use std::fmt;

pub use balanced::LoadBalancedRouter;
pub use plan::Plan;
pub use strategy::{Strategy, UnknownStrategy};

use crate::model::{RoutingRequest, ServerId, ServerRegistration};

/// The most candidates that a command carries.
pub const CANDIDATES_MAX: usize = 8;

/// What a router needs for chance and for taking turns, and may not make itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// How many placements the local server asked for before this one.
    pub turn: u64,
    /// A fresh random number.
    pub entropy: u64,
}

/// Orders servers for a new room. A studio may write its own.
pub trait Router: Send + Sync + fmt::Debug + 'static {
    /// Up to [`CANDIDATES_MAX`] servers that may take the room, best first; empty where none can.
    ///
    /// `servers` are those known just now, in whatever status; `local` is the server that asks.
    fn candidates(
        &self,
        request: &RoutingRequest,
        servers: &[ServerRegistration],
        local: &ServerId,
        draw: Draw,
    ) -> Vec<ServerId>;

    /// The same, and whether it matters to a player that looks for an open room which server has it.
    /// By default it does not.
    fn plan(&self, request: &RoutingRequest, servers: &[ServerRegistration], local: &ServerId, draw: Draw) -> Plan {
        Plan::Anywhere(self.candidates(request, servers, local, draw))
    }

    /// Whether the request is to carry the local server's own round trips where the player told
    /// none; `false` by default.
    fn wants_round_trips(&self) -> bool {
        false
    }
}
