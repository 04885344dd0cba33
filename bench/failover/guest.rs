//! A player: the crate's own client with its defaults, and what it has been told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roomraft::{
    client::{Client, ClientConfig, Event, Events, JoinOptions},
    model::{PlayerId, RoomId, RoomType},
};
use serde_json::{Map, Value, json};

/// What a player knows.
#[derive(Debug, Default)]
struct Known {
    /// The room's state, as it was told since the player came in or came back.
    state: Map<String, Value>,
    /// When it was cut off and came back, for the last time.
    lost: Option<Instant>,
    back: Option<Instant>,
    closed: Option<String>,
}

/// One player in its room.
pub struct Guest {
    client: Client,
    pub room_id: RoomId,
    pub player_id: PlayerId,
    known: Arc<Mutex<Known>>,
}

impl Guest {
    /// Takes a seat in a room of the type `arena`, through the first of the gateways.
    pub async fn join(gateways: Vec<String>) -> Self {
        let (client, events) = Client::connect(gateways, ClientConfig::default()).await.expect("a gateway answers");
        let room_type = RoomType::new("arena").expect("a room type");
        let joined = client.join(JoinOptions::room_type(room_type)).await.expect("a seat");
        let known = Arc::<Mutex<Known>>::default();
        tokio::spawn(listen(events, Arc::clone(&known)));
        Self { client, room_id: joined.room_id, player_id: joined.player_id, known }
    }

    /// Writes a pair of the room's state.
    pub async fn set(&self, key: &str, value: Value) {
        self.client.send("$set", json!({ "key": key, "value": value })).await.expect("a connection");
    }

    /// The room's state as this player knows it.
    pub fn state(&self) -> Value {
        Value::Object(self.known.lock().state.clone())
    }

    /// How long after `since` it was back in its seat; none where it is not.
    pub fn back_after(&self, since: Instant) -> Option<Duration> {
        let known = self.known.lock();
        known.back.filter(|back| known.lost.is_some_and(|lost| lost >= since && lost <= *back)).map(|back| back - since)
    }

    /// Whether it has the room's state since it came back.
    pub fn has_state(&self) -> bool {
        !self.known.lock().state.is_empty()
    }

    /// Why it gave up, where it did.
    pub fn closed(&self) -> Option<String> {
        self.known.lock().closed.clone()
    }

    /// Gives the seat up.
    pub async fn leave(self) {
        // A seat that is lost already needs no leaving.
        let _ = self.client.leave().await;
    }
}

async fn listen(mut events: Events, known: Arc<Mutex<Known>>) {
    while let Some(event) = events.next().await {
        let mut known = known.lock();
        match event {
            Event::Message { message_type, data: Value::Object(data) } if message_type == "$state" => {
                known.state.extend(data);
            }
            Event::Disconnected => {
                known.lost = Some(Instant::now());
                known.state.clear();
            }
            Event::Reconnected => known.back = Some(Instant::now()),
            Event::Closed { reason } => known.closed = Some(reason.to_string()),
            _ => {}
        }
    }
}
