//! The registry: servers, rooms, seats, locks and what is known of snapshots.
//!
//! Pure: a [`Command`] goes in, an [`Applied`] comes out, and nothing else changes a registry. The
//! same commands give the same state and the same bytes on every node. It reads no clock (time
//! comes inside the command), uses no randomness, no I/O, no hash order; it holds no snapshot
//! bytes. The shells around it carry out what `Applied` says: the reply goes to the caller, the
//! changes to the disk, the events to the subscribers.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod command;
mod rejection;
mod reply;

pub use command::{Command, Operation, Origin, ProposerId};
pub use rejection::Rejection;
pub use reply::{Applied, Change, Reply};
