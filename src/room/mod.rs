//! Rooms on this server: what a game author writes, the task that runs each room, and the manager
//! that joins players to them across the cluster.

mod connection;

pub use connection::{Connection, ConnectionId, Outgoing};
