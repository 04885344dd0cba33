//! What happened in the cluster, as subscribers see it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{PlayerId, RoomId, ServerId};

/// The place of a registry event in the order that all servers share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// The index of the command that made it: commands are counted, from 1.
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

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`InvalidEvent`] where a part is missing or is not what its kind needs.
    pub fn from_json(value: &Value) -> Result<Self, InvalidEvent> {
        let wire: Wire = serde_json::from_value(value.clone()).map_err(|error| InvalidEvent(error.to_string()))?;
        let payload = EventPayload::from_json(&wire.kind, wire.payload)?;
        Ok(Self {
            kind: wire.kind,
            server_id: wire.server_id,
            room_id: wire.room_id,
            payload,
            timestamp: wire.timestamp,
            revision: wire.revision,
        })
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

/// JSON that is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an event: {0}")]
pub struct InvalidEvent(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "type")]
    kind: EventKind,
    server_id: Option<ServerId>,
    room_id: Option<RoomId>,
    #[serde(default)]
    payload: Value,
    timestamp: u64,
    revision: Option<Revision>,
}

#[derive(Deserialize)]
struct WireReason {
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMessage {
    message_type: String,
    data: Value,
    player_id: Option<PlayerId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMove {
    from_server: Option<ServerId>,
    to_server: ServerId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePlayer {
    player_id: PlayerId,
}

impl EventPayload {
    fn from_json(kind: &EventKind, payload: Value) -> Result<Self, InvalidEvent> {
        let is_empty = payload.is_null() || payload.as_object().is_some_and(serde_json::Map::is_empty);
        if is_empty {
            return Ok(Self::None);
        }
        let read = match kind {
            EventKind::ServerOffline | EventKind::RoomDisposed => {
                serde_json::from_value(payload).map(|WireReason { reason }| Self::Reason(reason))
            }
            EventKind::RoomMessage => serde_json::from_value(payload)
                .map(|WireMessage { message_type, data, player_id }| Self::Message { message_type, data, player_id }),
            EventKind::RoomMigrated => serde_json::from_value(payload)
                .map(|WireMove { from_server, to_server }| Self::Migrated { from_server, to_server }),
            EventKind::PlayerJoined | EventKind::PlayerLeft => {
                serde_json::from_value(payload).map(|WirePlayer { player_id }| Self::Player(player_id))
            }
            _ => Ok(Self::Json(payload)),
        };
        read.map_err(|error| InvalidEvent(format!("the payload of {kind}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, payload: EventPayload) -> DistributedEvent {
        DistributedEvent {
            kind,
            server_id: ServerId::new("a").ok(),
            room_id: RoomId::new("arena-1").ok(),
            payload,
            timestamp: 7,
            revision: Some(Revision { index: 3, ordinal: 1 }),
        }
    }

    #[test]
    fn an_event_survives_its_json_form() {
        let player = PlayerId::new("p").expect("a name");
        let server = ServerId::new("b").expect("a name");
        let message = |player_id| EventPayload::Message { message_type: "hi".to_owned(), data: json!([1]), player_id };
        let events = [
            event(EventKind::RoomLocked, EventPayload::None),
            event(EventKind::ServerOffline, EventPayload::Reason("lease".to_owned())),
            event(EventKind::RoomMessage, message(Some(player.clone()))),
            event(EventKind::RoomMessage, message(None)),
            event(EventKind::RoomMigrated, EventPayload::Migrated { from_server: None, to_server: server }),
            event(EventKind::PlayerLeft, EventPayload::Player(player)),
            event(EventKind::Custom("chat".to_owned()), EventPayload::Json(json!({ "text": "hello" }))),
        ];
        for event in events {
            assert_eq!(DistributedEvent::from_json(&event.to_json()), Ok(event));
        }
    }

    #[test]
    fn what_is_not_an_event_is_refused() {
        let no_text = json!({ "type": "room:message", "serverId": "a", "payload": { "data": 1 }, "timestamp": 1 });
        for bad in [json!(null), json!({ "type": "room:locked" }), no_text] {
            assert!(DistributedEvent::from_json(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for (kind, name) in &NAMES {
            assert_eq!(EventKind::from_name(name), *kind);
            assert_eq!(kind.name(), *name);
        }
        assert_eq!(EventKind::from_name("chat").name(), "chat");
    }
}
