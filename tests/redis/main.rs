//! The claims on Redis, on real processes: `roomraft node`s and `redis-server`s that are killed, paused and wiped.
//!
//! Each test is ignored, since it needs redis-server; `tests/run` installs it and runs them.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "../support/mod.rs"]
mod support;

mod nodes;
mod redis_faults;
mod redis_joining;
mod redis_servers;
mod redis_traffic;
