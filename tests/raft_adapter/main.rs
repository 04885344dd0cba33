//! The Raft backend through what the contract suite leaves out: nodes that stop, restart, or are too few.
#![allow(unreachable_pub, missing_docs, reason = "nobody sees the items of a test binary")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

mod full_disk;
mod killed;
mod paused;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/signals.rs"]
mod signals;
mod three_nodes;
#[path = "../support/wait.rs"]
mod wait;
