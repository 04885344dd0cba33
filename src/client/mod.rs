//! The game client: finds a seat on any server of the cluster and keeps it.
//!
//! ```text
//! Client (handle) --commands--> session (task) --Journey decides--> socket
//! Events (stream) <------------/
//! ```
//! It follows redirects, goes to other known addresses while one is unavailable, and takes its seat
//! again by session token when its server is gone. It does not speak for more than one player:
//! one client has one connection and at most one seat. What a room's messages mean is the game's business.

pub(crate) mod address;
mod config;
mod error;
mod event;
mod event_queue;
mod handle;
mod journey;
mod measure;
mod session;
pub(crate) mod socket;

pub use config::{ClientConfig, JoinOptions};
pub use error::ClientError;
pub use event::{Event, Events};
pub use handle::{Client, Joined};
