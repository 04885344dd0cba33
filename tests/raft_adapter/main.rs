//! The Raft backend through what the contract suite leaves out: nodes that stop, restart, or are too few.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod three_nodes;
