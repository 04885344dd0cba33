//! Events that do not come from the registry, as bytes between nodes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    codec::{self, CodecError},
    model::{DistributedEvent, EventKind, EventPayload, PlayerId, RoomId, ServerId},
};

/// An event on its way. JSON values travel as text, since they cannot be read back from a binary encoding.
#[derive(Serialize, Deserialize)]
struct Letter {
    kind: EventKind,
    server_id: Option<ServerId>,
    room_id: Option<RoomId>,
    payload: LetterPayload,
    timestamp: u64,
}

#[derive(Serialize, Deserialize)]
enum LetterPayload {
    None,
    Reason(String),
    Message { message_type: String, data: String, player_id: Option<PlayerId> },
    Migrated { from_server: Option<ServerId>, to_server: ServerId },
    Player(PlayerId),
    Json(String),
}

/// Encodes an event; its revision stays behind, since only registry events have one.
pub(super) fn encode_event(event: &DistributedEvent) -> Result<Vec<u8>, CodecError> {
    let payload = match &event.payload {
        EventPayload::None => LetterPayload::None,
        EventPayload::Reason(reason) => LetterPayload::Reason(reason.clone()),
        EventPayload::Message { message_type, data, player_id } => LetterPayload::Message {
            message_type: message_type.clone(),
            data: data.to_string(),
            player_id: player_id.clone(),
        },
        EventPayload::Migrated { from_server, to_server } => {
            LetterPayload::Migrated { from_server: from_server.clone(), to_server: to_server.clone() }
        }
        EventPayload::Player(player_id) => LetterPayload::Player(player_id.clone()),
        EventPayload::Json(value) => LetterPayload::Json(value.to_string()),
    };
    codec::encode(&Letter {
        kind: event.kind.clone(),
        server_id: event.server_id.clone(),
        room_id: event.room_id.clone(),
        payload,
        timestamp: event.timestamp,
    })
}

/// Reads an event; nothing where the bytes are none.
pub(super) fn decode_event(bytes: &[u8]) -> Option<DistributedEvent> {
    let Letter { kind, server_id, room_id, payload, timestamp } = codec::decode(bytes).ok()?;
    let json = |text: String| serde_json::from_str::<Value>(&text).ok();
    let payload = match payload {
        LetterPayload::None => EventPayload::None,
        LetterPayload::Reason(reason) => EventPayload::Reason(reason),
        LetterPayload::Message { message_type, data, player_id } => {
            EventPayload::Message { message_type, data: json(data)?, player_id }
        }
        LetterPayload::Migrated { from_server, to_server } => EventPayload::Migrated { from_server, to_server },
        LetterPayload::Player(player_id) => EventPayload::Player(player_id),
        LetterPayload::Json(value) => EventPayload::Json(json(value)?),
    };
    Some(DistributedEvent { kind, server_id, room_id, payload, timestamp, revision: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_payload_survives_and_garbage_is_no_event() {
        let player = PlayerId::new("p1").expect("an id");
        let server = ServerId::new("alpha").expect("an id");
        let data = json!({"a": [1, 2.5, null, "x"]});
        let payloads = [
            EventPayload::None,
            EventPayload::Reason("why".to_owned()),
            EventPayload::Message {
                message_type: "chat".to_owned(),
                data: data.clone(),
                player_id: Some(player.clone()),
            },
            EventPayload::Migrated { from_server: None, to_server: server.clone() },
            EventPayload::Player(player),
            EventPayload::Json(data),
        ];
        for payload in payloads {
            let kind = EventKind::from_name("chat");
            let event = DistributedEvent {
                kind,
                server_id: Some(server.clone()),
                room_id: None,
                payload,
                timestamp: 7,
                revision: None,
            };
            let bytes = encode_event(&event).expect("plain data");
            assert_eq!(decode_event(&bytes), Some(event));
            assert_eq!(decode_event(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(decode_event(b"garbage"), None);
    }
}
