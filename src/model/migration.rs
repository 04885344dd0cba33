//! A room's way from one server to another while both live.

use serde::{Deserialize, Serialize};

use super::{RoomEpoch, ServerId};

/// How far a room is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MigrationStage {
    /// Its owner has frozen and saved it and offers it; it is still the owner's.
    Offered,
    /// It is the other server's, which is restoring it.
    Claimed,
    /// The other server could not restore it and offers it back.
    Returned,
}

/// A migration under way, as the room's record shows it. It is gone once the new owner has
/// declared the room live, or once the offer is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomMigration {
    /// The server that gives the room up.
    pub from: ServerId,
    /// The server that is to have it.
    pub to: ServerId,
    /// How far it is.
    pub stage: MigrationStage,
    /// The version of the snapshot that the room goes on from.
    pub version: u64,
    /// When an offer that was not claimed is over, in milliseconds of cluster time; 0 once it is claimed.
    pub deadline_ms: u64,
}

impl RoomMigration {
    /// Whether the room waits for this server to claim it.
    pub fn is_offered_to(&self, server_id: &ServerId) -> bool {
        self.is_open() && self.to == *server_id
    }

    /// Whether it is an offer that stands.
    pub fn is_open(&self) -> bool {
        self.stage != MigrationStage::Claimed
    }
}

/// An owner's word that another server may have its room, from a snapshot on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomOffer {
    /// The room, under the owner's epoch.
    pub room: RoomEpoch,
    /// Which server may claim it: one that is online, serves its type and has room left, or the one
    /// that the owner claimed it from and that has not heard of its arrival yet.
    pub target: ServerId,
    /// The version of its last snapshot, which holds all that the owner has acknowledged.
    pub version: u64,
    /// How long the offer stands, in milliseconds; 1 to 600,000.
    pub ttl_ms: u64,
}
