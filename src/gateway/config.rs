//! The gateway's limits.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use crate::protocol::MESSAGE_BYTES_MAX;

/// What happens when a player that is in a room joins another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DuplicateJoinPolicy {
    /// It leaves the first room.
    #[default]
    AutoLeave,
    /// The call is refused.
    Reject,
}

impl FromStr for DuplicateJoinPolicy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto-leave" => Ok(Self::AutoLeave),
            "reject" => Ok(Self::Reject),
            other => Err(format!("{other:?} is no policy for a second join: use auto-leave or reject")),
        }
    }
}

/// Files for `wss://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayTls {
    /// The certificate and those between it and its authority, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
}

/// How a gateway listens, and what it lets a player cost.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Where it listens; port 0 takes a free one. Default 127.0.0.1:3000.
    pub listen: SocketAddr,
    /// Players connect over `wss://` where this is set. Default none.
    pub tls: Option<GatewayTls>,
    /// The largest message from a player, in bytes; a larger one ends the connection with code 1009. Default 1 MiB.
    pub message_bytes_max: usize,
    /// Messages that wait for a player that reads slowly; one more drops the connection. Default 1,024.
    pub send_queue: usize,
    /// Packets per second that a player may send in the long run. Default 200.
    pub packets_per_second: u32,
    /// Packets that it may send at once before that. Default 400.
    pub packets_burst: u32,
    /// Packets that are none, or of no room, after which the connection is dropped. Default 32.
    pub malformed_max: u32,
    /// Time between pings; a player that is silent for two and a half of them is dropped. Default 10 s.
    pub ping_interval: Duration,
    /// Connections at once. Default 10,000.
    pub connections_max: usize,
    /// How long the HTTP handshake of a new connection may take. Default 10 s.
    pub handshake_timeout: Duration,
    /// What happens when a player that is in a room joins another one. Default auto-leave.
    pub duplicate_join_policy: DuplicateJoinPolicy,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            tls: None,
            message_bytes_max: MESSAGE_BYTES_MAX,
            send_queue: 1024,
            packets_per_second: 200,
            packets_burst: 400,
            malformed_max: 32,
            ping_interval: Duration::from_secs(10),
            connections_max: 10_000,
            handshake_timeout: Duration::from_secs(10),
            duplicate_join_policy: DuplicateJoinPolicy::default(),
        }
    }
}
