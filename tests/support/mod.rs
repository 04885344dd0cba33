//! What tests with real processes and real players share.
#![allow(dead_code, reason = "each test binary uses its own part of this module")]
#![allow(
    clippy::expect_used,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a test fails by a panic"
)]

pub mod crowd;
pub mod network;
pub mod player;
pub mod ports;
pub mod process;
#[cfg(feature = "redis")]
pub mod redis;
pub mod signals;
pub mod wait;
