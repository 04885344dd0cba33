//! Which server gets the next room.
//!
//! Pure: servers in, an order of preference out. It reads no clock, makes no randomness and does no
//! I/O; what it needs of either is passed in. It does not place anything: the registry takes the
//! first candidate that can still take the room at the moment of the command.
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
