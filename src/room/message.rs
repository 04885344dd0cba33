//! The packets that rooms send to players.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Outgoing;
use crate::model::RoomId;

/// Type of the message that tells a player that it is out of its room without having asked for
/// it: `{roomId, reason, canReconnect}`.
pub const LEFT_MESSAGE: &str = "$left";

/// A `RoomMessage` packet; made once, however many players get it.
pub(crate) fn room_message(message_type: &str, data: &Value) -> Outgoing {
    let message_type = Value::from(message_type);
    Outgoing::Text(Arc::from(format!(r#"[3,"RoomMessage",{{"type":{message_type},"data":{data}}}]"#)))
}

/// Word that a player is out of its room. `can_reconnect`: its session token may still be good elsewhere.
pub(crate) fn left_message(room_id: &RoomId, reason: &str, can_reconnect: bool) -> Outgoing {
    let data = json!({ "roomId": room_id, "reason": reason, "canReconnect": can_reconnect });
    room_message(LEFT_MESSAGE, &data)
}
