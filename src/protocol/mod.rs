//! The client protocol: what a game client and a game server say to each other.
//!
//! The wire format of the `@esengine/rpc` 1.x packets in their JSON codec, with the room calls of
//! `@esengine/server` 4.x. Pure: it turns text into packets and packets into text. What a call
//! does is the gateway's business, how often it is tried again the client's.

mod calls;
mod error_code;
mod packet;

pub use calls::{
    AuthenticateInput, AuthenticateOutput, GetRoomInfoInput, JoinQuery, JoinRoomInput, JoinRoomOutput, LeaveRoomOutput,
    ListRoomsInput, ListRoomsOutput, PlayerInfo, ReconnectRoomInput, RedirectMessage, RoomInfo, RoomMessage, call,
};
pub use error_code::ErrorCode;
pub use packet::{Packet, PacketError};

/// The largest message in bytes, either way, unless configured otherwise.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// How much a WebSocket reads at a time, in bytes. The library clears so much before every read
/// and keeps it for every connection; packets are small, and larger ones take several reads.
#[cfg(any(feature = "gateway", feature = "client"))]
pub(crate) const READ_BYTES: usize = 8 * 1024;

/// The names of messages.
pub mod message {
    /// A player's word to its room, or the room's to a player.
    pub const ROOM_MESSAGE: &str = "RoomMessage";
    /// The server's word that the player's room is elsewhere.
    pub const REDIRECT: &str = "$redirect";
}
