//! What can be seen of a failover from outside, each with the moment at which it was seen.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::support::{player::Player, process::Node, wait::DEADLINE};

/// Time between two looks.
const GLANCE: Duration = Duration::from_millis(5);

/// A survivor's addresses.
#[derive(Debug, Clone)]
pub struct Survivor {
    pub server_id: String,
    pub gateway: String,
    pub ops: String,
}

impl Survivor {
    pub fn of(node: &Node) -> Self {
        let Node { server_id, gateway, ops, .. } = node;
        Self { server_id: server_id.clone(), gateway: gateway.clone(), ops: ops.clone() }
    }
}

/// One GET as JSON.
pub async fn get(ops: &str, path: &str) -> Option<Value> {
    let url = format!("http://{ops}{path}");
    let text = tokio::task::spawn_blocking(move || ureq::get(&url).call().ok()?.body_mut().read_to_string().ok());
    serde_json::from_str(&text.await.ok()??).ok()
}

/// The owner and the snapshot's version of every room of the type `arena`.
pub async fn rooms(ops: &str) -> BTreeMap<String, (Option<String>, u64)> {
    let rooms = get(ops, "/rooms?type=arena&limit=100000").await.unwrap_or_default();
    let row = |room: &Value| {
        let owner = room["serverId"].as_str().map(str::to_owned);
        Some((room["roomId"].as_str()?.to_owned(), (owner, room["snapshotVersion"].as_u64().unwrap_or_default())))
    };
    rooms["rooms"].as_array().into_iter().flatten().filter_map(row).collect()
}

/// The time until the first survivor knows that a server is offline.
pub async fn until_offline(survivors: Vec<Survivor>, dead: String, killed: Instant) -> Option<Duration> {
    while killed.elapsed() < DEADLINE {
        for survivor in &survivors {
            let status = get(&survivor.ops, "/status").await.unwrap_or_default();
            let servers = status["servers"].as_array().cloned().unwrap_or_default();
            if !servers.is_empty() && servers.iter().all(|server| server["serverId"] != dead.as_str()) {
                return Some(killed.elapsed());
            }
        }
        sleep(GLANCE).await;
    }
    None
}

/// The time until a join was accepted through each survivor.
pub async fn until_joins(survivors: Vec<Survivor>, killed: Instant) -> Option<Duration> {
    let mut probes = JoinSet::new();
    for survivor in survivors {
        probes.spawn(async move {
            while killed.elapsed() < DEADLINE {
                if Player::join(&survivor.gateway, "lobby").await.is_ok() {
                    return Some(killed.elapsed());
                }
                sleep(GLANCE).await;
            }
            None
        });
    }
    probes.join_all().await.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The time until each of these rooms ran again, with its players known, on one of the survivors.
pub async fn until_restored(survivors: Vec<Survivor>, rooms_lost: Vec<String>, killed: Instant) -> Vec<Duration> {
    let (mut watched, mut waiting) = (JoinSet::new(), rooms_lost);
    while !waiting.is_empty() && killed.elapsed() < DEADLINE {
        let seen = rooms(&survivors[0].ops).await;
        waiting.retain(|room_id| {
            let owner = seen.get(room_id).and_then(|(owner, _)| owner.as_ref());
            match survivors.iter().find(|survivor| Some(&survivor.server_id) == owner) {
                Some(owner) => {
                    watched.spawn(until_it_runs(owner.gateway.clone(), room_id.clone(), killed));
                    false
                }
                None => true,
            }
        });
        sleep(GLANCE).await;
    }
    watched.join_all().await.into_iter().flatten().collect()
}

async fn until_it_runs(gateway: String, room_id: String, killed: Instant) -> Option<Duration> {
    let mut watcher = Player::connect(&gateway).await.ok()?;
    while killed.elapsed() < DEADLINE {
        let info = watcher.call("GetRoomInfo", json!({ "roomId": room_id })).await.ok()?;
        if info["players"].as_array().is_some_and(|players| !players.is_empty()) {
            return Some(killed.elapsed());
        }
        sleep(GLANCE).await;
    }
    None
}
