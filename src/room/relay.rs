//! The built-in room `relay`: passes messages on and keeps a shared state, without any Rust of a game's.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Player, Room, RoomContext, RoomError};

/// The state's size at most: its JSON text, in bytes.
const STATE_BYTES_MAX: usize = 64 * 1024;

const SET: &str = "$set";
const STATE: &str = "$state";
/// Type of the message that tells a sender what was wrong with its message: `{message}`.
const ERROR: &str = "$error";

/// A room that relays: a player's message `{type, data}` goes to the other players as
/// `{type, data: {from, data}}`.
///
/// `$set {key, value}` writes the shared state, 64 KiB in all, and everybody gets
/// `$state {key: value}`; a null value deletes. Whoever joins or comes back gets the whole state as
/// `$state`. A `$set` that is malformed or does not fit is answered by `$error {message}` to its
/// sender alone. The state is what snapshots keep.
#[derive(Debug, Default)]
pub struct RelayRoom {
    state: BTreeMap<String, Value>,
    /// What the pairs of the state take as JSON.
    bytes: usize,
}

#[derive(Deserialize, Serialize)]
struct Setting {
    key: String,
    #[serde(default)]
    value: Value,
}

impl RelayRoom {
    fn set(&mut self, setting: Setting) -> Result<Value, String> {
        let Setting { key, value } = setting;
        let freed = self.state.get(&key).map_or(0, |present| pair_bytes(&key, present));
        let added = if value.is_null() { 0 } else { pair_bytes(&key, &value) };
        let bytes = self.bytes - freed + added;
        // Braces included; what shrinks the state always passes.
        if bytes + 2 > STATE_BYTES_MAX && added > freed {
            return Err(format!(
                "the room's state would have {} bytes, at most {STATE_BYTES_MAX} are allowed: delete keys or send less",
                bytes + 2
            ));
        }
        self.bytes = bytes;
        let change = json!({ key.as_str(): value });
        if value.is_null() {
            self.state.remove(&key);
        } else {
            self.state.insert(key, value);
        }
        Ok(change)
    }

    fn whole(&self) -> Value {
        Value::Object(self.state.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
    }
}

/// A pair's share of the state's JSON text: key, colon, value, comma.
fn pair_bytes(key: &str, value: &Value) -> usize {
    Value::from(key).to_string().len() + value.to_string().len() + 2
}

#[async_trait]
impl Room for RelayRoom {
    async fn on_join(&mut self, _ctx: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        player.send(STATE, &self.whole());
        Ok(())
    }

    async fn on_player_reconnected(&mut self, _ctx: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        player.send(STATE, &self.whole());
        Ok(())
    }

    async fn on_message(
        &mut self,
        ctx: &mut RoomContext,
        player: &Player,
        message_type: &str,
        data: Value,
    ) -> Result<(), RoomError> {
        if message_type != SET {
            let relayed = json!({ "from": player.id(), "data": data });
            ctx.broadcast(message_type, &relayed, Some(player.id()));
            return Ok(());
        }
        let setting = serde_json::from_value(data)
            .map_err(|error| format!("$set needs {{key, value}} with a text as key: {error}"));
        match setting.and_then(|setting| self.set(setting)) {
            Ok(change) => ctx.broadcast(STATE, &change, None),
            Err(message) => player.send(ERROR, &json!({ "message": message })),
        }
        Ok(())
    }

    fn save(&self) -> Option<Value> {
        Some(self.whole())
    }

    async fn restore(&mut self, _ctx: &mut RoomContext, state: Value) -> Result<(), RoomError> {
        self.state = serde_json::from_value(state)?;
        self.bytes = self.state.iter().map(|(key, value)| pair_bytes(key, value)).sum();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(room: &mut RelayRoom, key: &str, value: Value) -> Result<Value, String> {
        room.set(Setting { key: key.to_owned(), value })
    }

    #[test]
    fn the_state_has_a_limit_and_deleting_makes_room() {
        let mut room = RelayRoom::default();
        let half = "x".repeat(STATE_BYTES_MAX / 2);
        assert!(set(&mut room, "a", json!(half)).is_ok());
        let refused = set(&mut room, "b", json!(half)).expect_err("twice the half and the keys");
        assert!(refused.contains("65536"), "{refused}");
        assert_eq!(set(&mut room, "a", Value::Null), Ok(json!({ "a": null })));
        assert!(set(&mut room, "b", json!(half)).is_ok());
        assert!(room.whole().to_string().len() <= STATE_BYTES_MAX);
        assert_eq!(room.bytes, pair_bytes("b", &json!(half)));
    }

    #[test]
    fn a_key_set_anew_counts_once() {
        let mut room = RelayRoom::default();
        for round in 0..1_000 {
            assert!(set(&mut room, "tick", json!(round)).is_ok());
        }
        assert_eq!(room.whole(), json!({ "tick": 999 }));
    }
}
