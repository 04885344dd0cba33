//! A child: one Raft node, and the callers on it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use roomraft::{
    adapter::{DistributedAdapter, RaftAdapter},
    model::{RoomType, ServerEpoch},
};
use serde_json::{Value, json};

use super::{
    PAYLOAD_BYTES,
    bench::{
        self, child,
        game_server::{self, live_room},
        raft_node,
    },
};

/// Serves until the parent is gone.
pub fn serve(role: &Value) {
    let runtime = bench::runtime();
    let node = runtime.block_on(Node::start(role));
    child::serve(|command| {
        let words: Vec<&str> = command.split(' ').collect();
        let [work, callers, seconds] = words[..] else { return json!("ready") };
        let (callers, seconds) = (callers.parse().expect("a number"), seconds.parse().expect("a number"));
        json!(runtime.block_on(node.run(work, callers, Duration::from_secs(seconds))))
    });
}

#[derive(Clone)]
struct Node {
    adapter: Arc<RaftAdapter>,
    server: ServerEpoch,
    room_type: RoomType,
    number: u64,
}

impl Node {
    async fn start(role: &Value) -> Self {
        let adapter = raft_node::adapter(role);
        adapter.connect().await.expect("the node joins its cluster");
        let room_type = RoomType::new("arena").expect("a name");
        let shared: Arc<dyn DistributedAdapter> = Arc::clone(&adapter) as _;
        let server = game_server::online(shared, raft_node::name("server", role), room_type.clone(), 4).await;
        Self { adapter, server, room_type, number: role["number"].as_u64().expect("a number") }
    }

    /// The times of all commits, in microseconds.
    async fn run(&self, work: &str, callers: usize, length: Duration) -> Vec<u64> {
        let until = Instant::now() + length;
        let callers = (0..callers).map(|number| {
            let (node, locks) = (self.clone(), work == "locks");
            tokio::spawn(async move {
                if locks { node.locks(number, until).await } else { node.registrations(until).await }
            })
        });
        join_all(callers).await.into_iter().flat_map(|times| times.expect("no caller fails")).collect()
    }

    async fn locks(self, number: usize, until: Instant) -> Vec<u64> {
        let name = format!("node-{}-caller-{number}-", self.number);
        let key = name.clone() + &"k".repeat(PAYLOAD_BYTES - name.len());
        let (mut times, mut held) = (Vec::new(), None);
        while Instant::now() < until {
            let began = Instant::now();
            held = match held {
                None => self.adapter.acquire_lock(&key, Duration::from_mins(1)).await.expect("an answer"),
                Some(token) => {
                    assert!(self.adapter.release_lock(&key, token).await.expect("an answer"), "the lock was held");
                    None
                }
            };
            times.push(micros(began));
        }
        if let Some(token) = held {
            self.adapter.release_lock(&key, token).await.expect("an answer");
        }
        times
    }

    async fn registrations(self, until: Instant) -> Vec<u64> {
        let metadata = [("map".to_owned(), json!("m".repeat(PAYLOAD_BYTES)))].into_iter().collect();
        let room = live_room(self.room_type.clone(), 4, metadata);
        let mut times = Vec::new();
        while Instant::now() < until {
            let began = Instant::now();
            let made = self.adapter.register_room(&self.server, room.clone()).await.expect("a room");
            times.push(micros(began));
            let began = Instant::now();
            self.adapter.unregister_room(&made.room_epoch(), "measured").await.expect("removed");
            times.push(micros(began));
        }
        times
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
