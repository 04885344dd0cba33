//! The claims, on real processes: `roomraft node`s with real disks and sockets, killed for real.
#![allow(clippy::expect_used, reason = "a test fails by a panic")]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod damage;
mod death;
mod draining;
mod fencing;
mod formation;
mod joining;
mod metronome;
mod migration;
mod partition;
mod regions;
mod relay;
mod restart;
mod rolling;
mod sessions;
