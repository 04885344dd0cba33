//! Whole nodes in one process: real QUIC over loopback, real files, real fsync.
#![cfg(feature = "raft")]
#![expect(clippy::expect_used, reason = "tests may panic")]

mod cluster;
mod failures;
mod formation;
mod members;
#[path = "../support/ports.rs"]
mod ports;
mod refusals;
mod snapshots;
