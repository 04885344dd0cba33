//! Rooms on this server: what a game author writes, the task that runs each room, and the manager
//! that joins players to them across the cluster.
//!
//! | to understand | read |
//! |---|---|
//! | what a game writes | `hooks`, `context`, `player`, `handlers` |
//! | the task of one room | `actor` |
//! | joins, redirects, restarts | `manager` |
//! | moves to another server | `migration` |
//! | the built-in room | `relay` |

mod actor;
mod config;
mod connection;
mod context;
mod core;
mod error;
mod handle;
mod handlers;
mod hooks;
mod manager;
mod message;
mod migration;
mod outbox;
mod player;
mod relay;
mod releases;
mod request;
mod saver;
mod services;
mod sessions;
mod tenure;
mod token;

pub use config::{InvalidRoomType, MAX_PLAYERS_LIMIT, RECONNECT_GRACE_LIMIT, RoomConfig, TICK_RATE_LIMIT};
pub use connection::{Connection, ConnectionId, Outgoing};
pub use context::RoomContext;
pub use error::{JoinError, RoomError};
pub use handle::RoomHandle;
pub use handlers::MessageHandlers;
pub use hooks::Room;
pub use manager::{DistributedRoomManager, ManagerOptions};
pub use message::LEFT_MESSAGE;
pub use migration::{DrainReport, DrainedRoom, MigrationError, RoomFate, RoomMoved};
pub use player::Player;
pub use relay::RelayRoom;
pub use request::{JoinOutcome, JoinRequest, JoinTarget, JoinedRoom, Redirect, Responder};
