//! What happened in the cluster, as subscribers see it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{PlayerId, RoomId, ServerId};

/// The place of a registry event in the order that all servers share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// The log index of the command that made it.
    pub index: u64,
    /// Its place among that command's events, from 0.
    pub ordinal: u32,
}

/// What kind of thing happened; on the wire its name, such as `room:created`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// `server:online`
    ServerOnline,
    /// `server:offline`
    ServerOffline,
    /// `server:draining`
    ServerDraining,
    /// `room:created`: registered; it may still be creating
    RoomCreated,
    /// `room:disposed`
    RoomDisposed,
    /// `room:updated`
    RoomUpdated,
    /// `room:locked`
    RoomLocked,
    /// `room:unlocked`
    RoomUnlocked,
    /// `room:message`
    RoomMessage,
    /// `room:migrated`
    RoomMigrated,
    /// `player:joined`
    PlayerJoined,
    /// `player:left`
    PlayerLeft,
    /// A kind of the application's own.
    Custom(String),
}

const NAMES: [(EventKind, &str); 12] = [
    (EventKind::ServerOnline, "server:online"),
    (EventKind::ServerOffline, "server:offline"),
    (EventKind::ServerDraining, "server:draining"),
    (EventKind::RoomCreated, "room:created"),
    (EventKind::RoomDisposed, "room:disposed"),
    (EventKind::RoomUpdated, "room:updated"),
    (EventKind::RoomLocked, "room:locked"),
    (EventKind::RoomUnlocked, "room:unlocked"),
    (EventKind::RoomMessage, "room:message"),
    (EventKind::RoomMigrated, "room:migrated"),
    (EventKind::PlayerJoined, "player:joined"),
    (EventKind::PlayerLeft, "player:left"),
];

impl EventKind {
    /// Its name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Custom(name) => name,
            known => NAMES.iter().find(|(kind, _)| kind == known).map_or("", |(_, name)| name),
        }
    }

    /// The kind with this name; one that is not known is [`EventKind::Custom`].
    pub fn from_name(name: &str) -> Self {
        let known = NAMES.iter().find(|(_, known)| *known == name);
        known.map_or_else(|| Self::Custom(name.to_owned()), |(kind, _)| kind.clone())
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_name(&String::deserialize(deserializer)?))
    }
}

/// What an event carries. The registry's own payloads are typed, so that making one costs nothing
/// where nobody listens; [`DistributedEvent::to_json`] gives the form of the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum EventPayload {
    /// Nothing.
    None,
    /// Why a server went offline or a room was disposed of.
    Reason(String),
    /// A message for a room.
    Message {
        /// Its type.
        message_type: String,
        /// Its content.
        data: Value,
        /// From whom, or for whom, where it concerns one player.
        player_id: Option<PlayerId>,
    },
    /// A room's move from a server, if it had one, to another.
    Migrated {
        /// The owner before.
        from_server: Option<ServerId>,
        /// The owner now.
        to_server: ServerId,
    },
    /// A player that came or went.
    Player(PlayerId),
    /// A payload of the application's own.
    Json(Value),
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct DistributedEvent {
    /// What kind of thing.
    pub kind: EventKind,
    /// The server that it concerns or that published it; none for a room without an owner.
    pub server_id: Option<ServerId>,
    /// The room that it concerns.
    pub room_id: Option<RoomId>,
    /// The rest.
    pub payload: EventPayload,
    /// When, in milliseconds: cluster time for registry events, the publisher's wall clock for others.
    pub timestamp: u64,
    /// Its place in the shared order; none for events that do not come from the registry.
    pub revision: Option<Revision>,
}

impl DistributedEvent {
    /// The JSON form: `{type, serverId, roomId?, payload, timestamp}`, and `revision` where there is one.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "type": self.kind.name(),
            "serverId": self.server_id,
            "payload": self.payload_json(),
            "timestamp": self.timestamp,
        });
        if let Some(room_id) = &self.room_id {
            object["roomId"] = json!(room_id);
        }
        if let Some(revision) = self.revision {
            object["revision"] = json!(revision);
        }
        object
    }

    fn payload_json(&self) -> Value {
        match &self.payload {
            EventPayload::None => json!({}),
            EventPayload::Reason(reason) => json!({ "serverId": self.server_id, "reason": reason }),
            EventPayload::Message { message_type, data, player_id } => {
                let mut object = json!({ "messageType": message_type, "data": data });
                if let Some(player_id) = player_id {
                    object["playerId"] = json!(player_id);
                }
                object
            }
            EventPayload::Migrated { from_server, to_server } => {
                json!({ "fromServer": from_server, "toServer": to_server })
            }
            EventPayload::Player(player_id) => json!({ "playerId": player_id }),
            EventPayload::Json(value) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for (kind, name) in &NAMES {
            assert_eq!(EventKind::from_name(name), *kind);
            assert_eq!(kind.name(), *name);
        }
        assert_eq!(EventKind::from_name("chat").name(), "chat");
    }
}
