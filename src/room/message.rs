//! The packets that rooms send to players.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Outgoing;
use crate::{
    model::{RoomId, RoomRegistration},
    protocol::{
        Packet, RedirectMessage,
        message::{REDIRECT, ROOM_MESSAGE},
    },
};

/// Type of the message that tells a player that it is out of its room without having asked for
/// it: `{roomId, reason, canReconnect}`.
pub const LEFT_MESSAGE: &str = "$left";

/// A `RoomMessage` packet; made once, however many players get it.
pub(crate) fn room_message(message_type: &str, data: &Value) -> Outgoing {
    // Written out rather than put together as a value: that would copy the data.
    let message_type = Value::from(message_type);
    Outgoing::Text(Arc::from(format!(r#"[3,"{ROOM_MESSAGE}",{{"type":{message_type},"data":{data}}}]"#)))
}

/// Word that a player is out of its room. `can_reconnect`: its session token may still be good elsewhere.
pub(crate) fn left_message(room_id: &RoomId, reason: &str, can_reconnect: bool) -> Outgoing {
    let data = json!({ "roomId": room_id, "reason": reason, "canReconnect": can_reconnect });
    room_message(LEFT_MESSAGE, &data)
}

/// Word of where a player's room runs now, to come back to it there.
pub(crate) fn redirect_message(owner: &RoomRegistration, session_token: String) -> Outgoing {
    let word = RedirectMessage {
        address: owner.server_address.clone(),
        room_type: owner.room_type.clone(),
        room_id: owner.room_id.clone(),
        reservation: None,
        session_token: Some(session_token),
    };
    Outgoing::Text(Packet::Message { name: REDIRECT.to_owned(), data: json!(word) }.encode().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Packet;

    #[test]
    fn a_room_message_is_a_packet_of_the_protocol() {
        let data = json!({ "text": "\"quoted\"\n" });
        let Outgoing::Text(text) = room_message("a \"type\"", &data) else { panic!("not a text") };
        let name = ROOM_MESSAGE.to_owned();
        let expected = Packet::Message { name, data: json!({ "type": "a \"type\"", "data": data }) };
        assert_eq!(Packet::decode(text.as_bytes()), Ok(expected));
    }
}
