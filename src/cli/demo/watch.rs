//! Looking at the cluster from outside, through the ops listeners.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::report::{RoomSeen, overfull};
use crate::cli::query::ask;

/// Time between two looks at all rooms.
const LOOK_TIME: Duration = Duration::from_millis(250);

/// The rooms as one node lists them, by id; an id listed twice is an error.
pub(super) async fn rooms(ops: &str) -> Result<BTreeMap<String, RoomSeen>, String> {
    let answer = get(ops, "/rooms").await?;
    let mut rooms = BTreeMap::new();
    for room in answer["rooms"].as_array().into_iter().flatten() {
        let number = |field: &str| room[field].as_u64().unwrap_or_default();
        let text = |field: &str| room[field].as_str().map(str::to_owned);
        let seen = RoomSeen {
            server_id: text("serverId"),
            players: number("playerCount"),
            seats_taken: number("seatCount"),
            seats: number("maxPlayers"),
        };
        let room_id = text("roomId").unwrap_or_default();
        if rooms.insert(room_id.clone(), seen).is_some() {
            return Err(format!("the room {room_id} is listed twice"));
        }
    }
    Ok(rooms)
}

/// The leader's server id as one node knows it.
pub(super) async fn leader(ops: &str) -> Option<String> {
    let status = get(ops, "/status").await.ok()?;
    status["leader"].as_str().map(str::to_owned)
}

async fn get(ops: &str, path: &'static str) -> Result<Value, String> {
    let ops = ops.to_owned();
    let answer = tokio::task::spawn_blocking(move || ask(&ops, path)).await;
    answer.map_err(|error| error.to_string())?
}

/// The overfull rooms that were seen at any time.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    overfull: Arc<Mutex<BTreeSet<String>>>,
}

impl Watch {
    /// Looks again and again, at one node after the other, until `stop`.
    pub(super) async fn run(self, nodes: Vec<String>, stop: CancellationToken) {
        for ops in nodes.iter().cycle() {
            // A node that was killed gives no answer; the next one does.
            if let Ok(rooms) = rooms(ops).await {
                self.overfull.lock().extend(overfull(&rooms).cloned());
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_TIME) => {}
            }
        }
    }

    /// What was found.
    pub(super) fn overfull(&self) -> Vec<String> {
        self.overfull.lock().iter().cloned().collect()
    }
}
