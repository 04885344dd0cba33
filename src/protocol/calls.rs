//! The inputs and outputs of the calls, and the contents of messages.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    Metadata, Place, PlayerId, RoomId, RoomQuery, RoomRegistration, RoomType, RoundTrips, SeatId, ServerId,
};

/// The names of calls.
pub mod call {
    /// Take a seat.
    pub const JOIN_ROOM: &str = "JoinRoom";
    /// Give it up.
    pub const LEAVE_ROOM: &str = "LeaveRoom";
    /// Take it again after the connection was lost.
    pub const RECONNECT_ROOM: &str = "ReconnectRoom";
    /// Which rooms are there?
    pub const LIST_ROOMS: &str = "ListRooms";
    /// What of one room?
    pub const GET_ROOM_INFO: &str = "GetRoomInfo";
    /// Say who one is.
    pub const AUTHENTICATE: &str = "Authenticate";
}

/// `JoinRoom`: a room type, or a room's id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRoomInput {
    /// Any open room of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_type: Option<RoomType>,
    /// This very room; it comes before the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    /// What a new room's `on_create` gets.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub options: Value,
    /// What becomes the player's data.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub player_data: Value,
    /// Only rooms with these attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<JoinQuery>,
    /// The seat that a redirect gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<SeatId>,
    /// The client will give the reservation of a redirect back: nobody else is to take that seat
    /// up meanwhile. Old clients say nothing; their seats are known again by their address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reservations: bool,
    /// A server to prefer for a new room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_server_id: Option<ServerId>,
    /// Where the player is: `{region?, latitude?, longitude?}`. Counts with the strategy `geo`.
    #[serde(default, skip_serializing_if = "Place::is_unknown")]
    pub place: Place,
    /// How far the player measured servers to be, for those that route by latency.
    #[serde(default, skip_serializing_if = "RoundTrips::is_empty")]
    pub round_trips: RoundTrips,
}

/// The filter of a join.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JoinQuery {
    /// Only rooms with these attributes; a new room gets them.
    pub metadata: Metadata,
}

/// The answer to `JoinRoom` and `ReconnectRoom`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum JoinRoomOutput {
    /// The player's room is elsewhere.
    Redirect {
        /// Where to connect to.
        redirect: String,
        /// The room.
        room_id: RoomId,
        /// The seat that is kept there, for `JoinRoom`; none where the session token is to be used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<SeatId>,
    },
    /// The player has its seat.
    Joined {
        /// The room.
        room_id: RoomId,
        /// The player.
        player_id: PlayerId,
        /// For `ReconnectRoom`.
        session_token: String,
    },
}

/// The answer to `LeaveRoom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveRoomOutput {
    /// Always `true`: who is in no room has left it.
    pub success: bool,
}

/// `ReconnectRoom`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconnectRoomInput {
    /// The token of the session.
    pub session_token: String,
    /// Where a redirect led to and nobody answered: if the room is still there, the server waits a
    /// while for it to be taken over rather than answer the same again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

impl std::fmt::Debug for ReconnectRoomInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReconnectRoomInput(hidden)")
    }
}

/// `ListRooms`: a room query whose type is named `type`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListRoomsInput {
    /// Rooms of this kind.
    #[serde(rename = "type")]
    pub room_type: Option<RoomType>,
    /// `true`: rooms with a free seat; `false`: full rooms.
    pub has_space: Option<bool>,
    /// `true`: rooms that take new players; `false`: locked rooms.
    pub not_locked: Option<bool>,
    /// Rooms with all these attributes.
    pub metadata: Metadata,
    /// At most so many.
    pub limit: Option<usize>,
    /// Leaves out the first so many.
    pub offset: Option<usize>,
}

impl From<ListRoomsInput> for RoomQuery {
    fn from(input: ListRoomsInput) -> Self {
        let ListRoomsInput { room_type, has_space, not_locked, metadata, limit, offset } = input;
        Self { room_type, server_id: None, has_space, not_locked, metadata, limit, offset }
    }
}

/// The answer to `ListRooms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListRoomsOutput {
    /// The rooms, oldest first.
    pub rooms: Vec<RoomInfo>,
}

/// `GetRoomInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetRoomInfoInput {
    /// Which room.
    pub room_id: RoomId,
}

/// One room as players see it; the answer to `GetRoomInfo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomInfo {
    /// The room.
    pub room_id: RoomId,
    /// Its kind.
    pub room_type: RoomType,
    /// Players in it: joined and away.
    pub player_count: u32,
    /// Its seats.
    pub max_players: u32,
    /// Whether it is closed to new players.
    pub locked: bool,
    /// Its attributes.
    pub metadata: Metadata,
    /// Its players, where it is on the server that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub players: Option<Vec<PlayerInfo>>,
}

impl From<RoomRegistration> for RoomInfo {
    fn from(room: RoomRegistration) -> Self {
        Self {
            room_id: room.room_id,
            room_type: room.room_type,
            player_count: room.player_count,
            max_players: room.max_players,
            locked: room.is_locked,
            metadata: room.metadata,
            players: None,
        }
    }
}

/// One player as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayerInfo {
    /// Its id.
    pub id: PlayerId,
}

/// `Authenticate`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthenticateInput {
    /// What the game's own login gave.
    pub token: String,
}

impl std::fmt::Debug for AuthenticateInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthenticateInput(hidden)")
    }
}

/// The answer to `Authenticate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthenticateOutput {
    /// Whether the player is who it says.
    pub success: bool,
    /// What is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Value>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The content of a `RoomMessage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomMessage {
    /// Its type.
    #[serde(rename = "type")]
    pub message_type: String,
    /// Its content.
    #[serde(default)]
    pub data: Value,
}

/// The content of a `$redirect`: a reservation to join with, or a session token to reconnect with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedirectMessage {
    /// Where to connect to.
    pub address: String,
    /// The kind of room.
    pub room_type: RoomType,
    /// The room.
    pub room_id: RoomId,
    /// For `JoinRoom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<SeatId>,
    /// For `ReconnectRoom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

impl std::fmt::Debug for RedirectMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedirectMessage")
            .field("address", &self.address)
            .field("room_id", &self.room_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outputs_have_the_names_of_the_wire() {
        let room_id = RoomId::new("arena-1").expect("a name");
        let joined = JoinRoomOutput::Joined {
            room_id: room_id.clone(),
            player_id: PlayerId::new("p").expect("a name"),
            session_token: "t".to_owned(),
        };
        assert_eq!(json!(joined), json!({ "roomId": "arena-1", "playerId": "p", "sessionToken": "t" }));
        let redirect = JoinRoomOutput::Redirect { redirect: "h:1".to_owned(), room_id, reservation: Some(SeatId(1)) };
        let text = json!({ "redirect": "h:1", "roomId": "arena-1", "reservation": SeatId(1).to_string() });
        assert_eq!(json!(redirect), text);
        assert_eq!(serde_json::from_value::<JoinRoomOutput>(text).expect("a redirect"), redirect);
    }

    #[test]
    fn a_wrongly_typed_field_is_an_error_that_names_it() {
        let wrong = serde_json::from_value::<JoinRoomInput>(json!({ "roomType": 5 })).expect_err("a number");
        assert!(wrong.to_string().contains("string"), "{wrong}");
        assert!(serde_json::from_value::<GetRoomInfoInput>(json!({})).is_err());
        assert!(serde_json::from_value::<ListRoomsInput>(json!({ "type": "a", "limit": -1 })).is_err());
    }
}
