//! The gateway and whole servers, on real sockets: several servers on one memory backend are a cluster.
#![expect(clippy::expect_used, reason = "a helper of a test that cannot go on fails it")]

mod authentication;
mod calls;
mod cluster;
mod joining;
mod limits;
mod raw;
mod redirects;
mod servers;
mod strangers;
#[path = "../support/mod.rs"]
mod support;
