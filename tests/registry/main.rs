//! The registry's rules, each a test, and its properties under any sequence of commands.
#![allow(unreachable_pub, missing_docs, reason = "nobody sees the items of a test binary")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

mod exactly_once;
mod golden;
mod joining;
mod limits;
mod offers;
mod ownership;
mod properties;
mod servers;
mod steps;
mod support;
mod time;
