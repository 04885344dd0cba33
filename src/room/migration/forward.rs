//! What reached a room after it had been frozen, on its way to where it runs now.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::PlayerId;

/// The type of the room message that carries one forwarded item; no room gets to see it.
pub(crate) const FORWARDED: &str = "$forwarded";

/// One item of a mailbox that the new owner is to carry out as if it had come there; but not once
/// the player has come back there itself, since what it says by then is newer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(crate) enum Forwarded {
    /// A player's message.
    #[serde(rename_all = "camelCase")]
    Message { player_id: PlayerId, message_type: String, data: Value },
    /// A player has left.
    #[serde(rename_all = "camelCase")]
    Leave { player_id: PlayerId, reason: String },
}

impl Forwarded {
    /// Whose it is.
    pub(crate) fn player_id(&self) -> &PlayerId {
        match self {
            Self::Message { player_id, .. } | Self::Leave { player_id, .. } => player_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_survives_the_wire() {
        let player_id = PlayerId::new("ann").expect("a valid id");
        let message = Forwarded::Message { player_id, message_type: "$set".to_owned(), data: json!({ "key": "a" }) };
        let wire = serde_json::to_value(&message).expect("JSON");
        assert_eq!(wire["kind"], "message");
        assert_eq!(serde_json::from_value::<Forwarded>(wire).expect("its own form"), message);
    }
}
