//! Distributed rooms for multiplayer game servers, with no broker.
//!
//! The game servers themselves form a Raft group over QUIC and keep one registry of servers, rooms,
//! seats, locks and room snapshots. A game implements [`room::Room`]; players connect over WebSocket
//! to any server and land in a room there, or are redirected to the server that has it. The same
//! API runs on several backends, behind [`adapter::DistributedAdapter`].
//!
//! # Code map
//! Dependencies point down only.
//!
//! ```text
//! main ─ cli/            the binary: node, demo, status, …        client      the Rust game client
//! node  config           builds, starts and stops the parts
//! gateway/   ops/        players' WebSockets · health, status, metrics
//! room/                  Room trait · actor (one task per room) · player · manager
//! adapter/               the DistributedAdapter trait · events · memory · raft · redis/
//! raft/                  log store · state machine · store (sled) · network · leases · bootstrap
//! registry/   routing/   PURE: Command in, Applied { reply, changes, events } out · which server gets the next room
//! quic/                  endpoints · tls · one reconnecting connection per peer
//! model  protocol  codec  clock      records · client packets · bytes · the only source of time
//! ```
//!
//! # Invariants
//! - Only `Registry::apply` changes a registry. Same commands, same state, same bytes on every node.
//! - Time enters inside a command. `registry` and `routing` use no clock, no randomness, no I/O, no async, no hash order.
//! - One `Applied` feeds everything: the reply to the caller, the write to sled, the events to subscribers.
//! - One owner per epoch, and only its epoch's writes take effect. Seats never exceed `max_players`. Epochs only grow.
//! - Nothing is acknowledged before a quorum has it on disk.
//!
//! # Features
//! `raft`, `redis`, `gateway` (with the ops listener), `client` and `cli`, all on by default: whoever embeds
//! the crate leaves out what it does not use. With none of them there are rooms on the memory backend.

pub mod adapter;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
pub mod codec;
#[cfg(feature = "cli")]
mod config;
mod crash_point;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod model;
#[cfg(feature = "cli")]
mod node;
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

/// The README's Rust blocks, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
