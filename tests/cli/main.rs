//! The binary as scripts and people use it: real processes, their exit codes, what they print and answer.
#![expect(clippy::expect_used, reason = "a test fails by a panic")]

#[path = "../support/mod.rs"]
mod support;

mod command;
mod configuration;
mod demo;
mod garbage;
mod loadtest;
mod memory_node;
mod operators;
mod raft_node;
