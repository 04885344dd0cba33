//! What a client is told: limits in time and size, and what to join.

use std::time::Duration;

use serde_json::Value;

use crate::{
    model::{Metadata, Place, RoomId, RoomType, RoundTrips},
    protocol::{JoinQuery, JoinRoomInput, MESSAGE_BYTES_MAX},
};

/// The limits of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long one attempt to connect may take. Default 3 s.
    pub connect_timeout: Duration,
    /// How long one call may take from the caller's view, retries included. Default 10 s.
    pub call_timeout: Duration,
    /// How long connecting and joining may take in all: every address, redirect and pause. Default 20 s.
    pub join_deadline: Duration,
    /// How long a lost seat is tried to be taken again; longer than the room's grace is of no use. Default 60 s.
    pub reconnect_deadline: Duration,
    /// How many redirects may follow one another. Default 8; 0 follows none.
    pub hops_max: u32,
    /// The first pause after every known address failed. It doubles with each round, as far as it stays
    /// within a quarter of the time that has passed since the connection was lost. Default 100 ms.
    pub backoff_min: Duration,
    /// The longest such pause. Default 2 s, and never under `backoff_min`.
    pub backoff_max: Duration,
    /// How long a server may say nothing, not even answer a ping, before it counts as lost. Default 15 s.
    pub silence_max: Duration,
    /// How many events wait for their reader; with more, the client stops reading its socket. Default 1024, at least 1.
    pub event_capacity: usize,
    /// The largest message in bytes, either way. Default 1 MiB.
    pub message_bytes_max: usize,
    /// Before each join of a room type, measure the round trips to all known servers for so long at
    /// most, and offer them to servers that route by latency. Default none: nothing is measured.
    pub measure_limit: Option<Duration>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(10),
            join_deadline: Duration::from_secs(20),
            reconnect_deadline: Duration::from_mins(1),
            hops_max: 8,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            silence_max: Duration::from_secs(15),
            event_capacity: 1024,
            message_bytes_max: MESSAGE_BYTES_MAX,
            measure_limit: None,
        }
    }
}

/// Which room to join, and with what.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinOptions {
    input: JoinRoomInput,
}

impl JoinOptions {
    /// Any open room of this type, or a new one.
    pub fn room_type(room_type: RoomType) -> Self {
        Self { input: JoinRoomInput { room_type: Some(room_type), reservations: true, ..JoinRoomInput::default() } }
    }

    /// This very room.
    pub fn room_id(room_id: RoomId) -> Self {
        Self { input: JoinRoomInput { room_id: Some(room_id), reservations: true, ..JoinRoomInput::default() } }
    }

    /// What a new room's `on_create` gets. Default null.
    #[must_use]
    pub fn options(mut self, options: Value) -> Self {
        self.input.options = options;
        self
    }

    /// What becomes the player's data. Default null.
    #[must_use]
    pub fn player_data(mut self, player_data: Value) -> Self {
        self.input.player_data = player_data;
        self
    }

    /// Only rooms with these attributes; a new room gets them. Default: any room.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.input.query = Some(JoinQuery { metadata });
        self
    }

    /// How far servers are, where the game knows better than the client. Default: what the client
    /// measures, where [`ClientConfig::measure_limit`] has it measure.
    #[must_use]
    pub fn round_trips(mut self, round_trips: RoundTrips) -> Self {
        self.input.round_trips = round_trips;
        self
    }

    /// Where the player is, for servers that route by place. Default unknown: where its server is.
    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.input.place = place;
        self
    }

    pub(crate) fn into_input(self) -> JoinRoomInput {
        self.input
    }
}
