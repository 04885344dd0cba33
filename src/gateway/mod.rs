//! The players' side: WebSockets that speak the [client protocol](crate::protocol).
//!
//! A [`Gateway`] takes connections and turns their packets into calls of the room manager. It
//! limits what a player can cost: the size and rate of messages, the length of the queue to a
//! player that reads slowly, the number of connections, the time for a handshake. It decides
//! nothing about rooms, and keeps nothing that outlives a connection.
//!
//! | metric | what it counts |
//! |---|---|
//! | `roomraft_gateway_connections` | open connections |
//! | `roomraft_gateway_connections_refused_total` | connections above the limit, refused by the authenticator, or that are no WebSocket |
//! | `roomraft_gateway_joins_total`, `roomraft_gateway_redirects_total` | joins that ended in a seat, in a redirect |
//! | `roomraft_gateway_errors_total{code}` | calls that failed |
//! | `roomraft_gateway_packets_dropped_total{reason}` | packets: `rate`, `malformed`, `no room`, `no use` |
//! | `roomraft_gateway_connections_dropped_total{reason}` | connections that were ended: slow, silent, oversize, malformed |

mod auth;
mod calls;
mod config;
mod connection;
mod listener;
mod prompt;
mod session;

pub use auth::{AuthError, AuthRequest, Authenticator, OpenDoor, User};
pub use config::{DuplicateJoinPolicy, GatewayConfig, GatewayTls};
pub use connection::ConnectionInfo;
pub use listener::{Bound, Gateway, GatewayError, Hooks};
