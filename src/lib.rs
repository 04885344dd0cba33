//! Distributed rooms for multiplayer game servers, with no broker.

pub mod adapter;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
pub mod codec;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod model;
#[cfg(feature = "gateway")]
pub mod ops;
pub mod protocol;
#[cfg(feature = "raft")]
pub mod quic;
#[cfg(feature = "raft")]
pub mod raft;
pub mod registry;
pub mod room;
pub mod routing;
#[cfg(feature = "gateway")]
pub mod server;
