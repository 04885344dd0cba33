//! The binary as scripts and people use it: real processes, their exit codes, what they print and answer.

#[path = "../support/mod.rs"]
mod support;

mod command;
mod configuration;
mod garbage;
mod memory_node;
mod operators;
