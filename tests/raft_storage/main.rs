//! The storage of a node, against openraft's own suite, crashes, damage and restarts.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod crash;
mod helpers;
mod restart;
mod suite;
