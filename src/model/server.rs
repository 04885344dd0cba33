//! Game servers in the registry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Epoch, Metadata, NodeId, RoomType, ServerId};

/// Whether a server takes rooms and players.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerStatus {
    /// It holds its lease and takes new rooms.
    Online,
    /// It still runs its rooms and gets no new ones.
    Draining,
    /// Its lease ended; its rooms were orphaned.
    Offline,
}

/// What a server says of one room type that it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomTypeSpec {
    /// Seats of a new room; at least 1.
    pub max_players: u32,
    /// How long a seat is kept for a player whose connection ended, in milliseconds; 0 = not at all.
    pub reconnect_grace_ms: u64,
    /// Attributes of a new room.
    pub metadata: Metadata,
}

/// A server as it asks to be registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewServer {
    /// Its unique name.
    pub server_id: ServerId,
    /// The host that players are redirected to; a `ws://` or `wss://` prefix is kept.
    pub address: String,
    /// The port that players are redirected to.
    pub port: u16,
    /// The most rooms that it runs.
    pub capacity: u32,
    /// Free-form attributes.
    pub metadata: Metadata,
    /// The room types that it serves.
    pub room_types: BTreeMap<RoomType, RoomTypeSpec>,
    /// The Raft member that it runs in; [`NodeId`] 0 off the raft backend. Adapters fill it in.
    pub node_id: NodeId,
}

impl NewServer {
    /// Where players are redirected to: `address:port`.
    pub fn player_address(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }
}

/// A server as the registry knows it. Counts are derived from its rooms and seats, never kept by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerRegistration {
    /// Its unique name.
    pub server_id: ServerId,
    /// The host that players are redirected to.
    pub address: String,
    /// The port that players are redirected to.
    pub port: u16,
    /// Rooms that it owns.
    pub room_count: u32,
    /// Players in its rooms: joined and away.
    pub player_count: u32,
    /// The most rooms that it runs.
    pub capacity: u32,
    /// Whether it takes rooms and players.
    pub status: ServerStatus,
    /// When its last heartbeat was seen, in milliseconds since 1970.
    pub last_heartbeat: u64,
    /// Free-form attributes.
    #[serde(default)]
    pub metadata: Metadata,
    /// What granted this registration.
    pub epoch: Epoch,
    /// Seats taken in its rooms: held, joined and away.
    pub seat_count: u32,
    /// The room types that it serves.
    pub room_types: BTreeMap<RoomType, RoomTypeSpec>,
    /// The Raft member that it runs in; 0 off the raft backend.
    pub node_id: NodeId,
}

impl ServerRegistration {
    /// Where players are redirected to: `address:port`.
    pub fn player_address(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    /// The server under its present registration.
    pub fn server_epoch(&self) -> ServerEpoch {
        ServerEpoch { server_id: self.server_id.clone(), epoch: self.epoch }
    }
}

/// A server under one registration: what its writes name, so that those of an older registration are fenced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerEpoch {
    /// The server.
    pub server_id: ServerId,
    /// What granted the registration.
    pub epoch: Epoch,
}

/// A change to a server; `None` leaves the field as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUpdate {
    /// [`ServerStatus::Online`] or [`ServerStatus::Draining`]; offline is the registry's to say.
    pub status: Option<ServerStatus>,
    /// The most rooms that it runs.
    pub capacity: Option<u32>,
    /// All its attributes anew.
    pub metadata: Option<Metadata>,
    /// The room types that it serves, all anew.
    pub room_types: Option<BTreeMap<RoomType, RoomTypeSpec>>,
}
