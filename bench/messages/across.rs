//! Messages from a room on one server to a room on another, and back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::future::join_all;
use roomraft::{
    model::{PlayerId, RoomId, RoomType},
    room::{DistributedRoomManager, Room, RoomConfig, RoomContext, RoomError},
    server::{Distributed, Server},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{
    Slice,
    bench::{
        self,
        child::{self, Child},
        figures::{count, percentile},
        raft_node::{self, name},
        share,
    },
};

const ROOM_TYPE: &str = "island";
/// So much text is in each message, as in those between players.
const TEXT_BYTES: usize = 256;
/// A message that did not come by then is lost: they are delivered at most once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Three servers on raft, each a process of its own.
pub struct Servers {
    processes: Vec<Child>,
    rooms: Vec<String>,
    _folder: TempDir,
}

impl Servers {
    /// Starts them, with a room on each.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut processes: Vec<Child> = raft_node::roles(3, folder.path()).iter().map(Child::start).collect();
        let rooms = processes.iter_mut().map(|server| server.ask("room").as_str().expect("a room's id").to_owned());
        Self { rooms: rooms.collect(), processes, _folder: folder }
    }

    /// Each server's room talks to that of the next one; so many exchanges are under way at a time.
    pub fn run(&mut self, pairs: usize, seconds: usize) -> Slice {
        let before: f64 = self.processes.iter().map(Child::processor_time).sum();
        let began = Instant::now();
        let servers = self.processes.len();
        for (number, server) in self.processes.iter_mut().enumerate() {
            let pairs = share(pairs, servers, number);
            server.order(json!({ "to": self.rooms[(number + 1) % servers], "pairs": pairs, "seconds": seconds }));
        }
        let answers: Vec<Value> = self.processes.iter_mut().map(Child::answer).collect();
        let took = began.elapsed().as_secs_f64();
        let lost: u64 = answers.iter().filter_map(|answer| answer["lost"].as_u64()).sum();
        assert_eq!(lost, 0, "messages were lost");
        let times = answers.iter().flat_map(|answer| answer["times"].as_array().into_iter().flatten());
        let mut times: Vec<f64> = times.filter_map(Value::as_f64).collect();
        times.sort_by(f64::total_cmp);
        let at = |thousandth| percentile(&times, thousandth).unwrap_or_default();
        let after: f64 = self.processes.iter().map(Child::processor_time).sum();
        Slice {
            // There and back are two messages.
            per_second: 2.0 * count(times.len()) / took,
            p50_ms: at(500),
            p99_ms: at(990),
            servers_cores: (after - before) / took,
            callers_cores: None,
        }
    }
}

/// Answers that are awaited, by the number of their question.
type Awaited = Arc<Mutex<BTreeMap<u64, oneshot::Sender<()>>>>;

/// A room that answers what comes from elsewhere, and hands answers to whoever waits for them.
struct Island {
    manager: Arc<OnceLock<DistributedRoomManager>>,
    awaited: Awaited,
}

#[async_trait]
impl Room for Island {
    async fn on_remote_message(
        &mut self,
        _ctx: &mut RoomContext,
        message_type: &str,
        data: Value,
        _player_id: Option<&PlayerId>,
    ) -> Result<(), RoomError> {
        if message_type == "answer" {
            let number = data["number"].as_u64().expect("a number");
            if let Some(waiting) = self.awaited.lock().expect("no panic").remove(&number) {
                // Whoever gave up does not want it any more.
                let _ = waiting.send(());
            }
            return Ok(());
        }
        let manager = self.manager.get().expect("set before the first room").clone();
        // A room that waited for its answer's way would hold up everybody else in it.
        tokio::spawn(async move {
            let back = RoomId::new(data["from"].as_str().expect("a room")).expect("a room's id");
            let answer = json!({ "number": data["number"], "text": data["text"] });
            manager.send_to_remote_room(&back, "answer", answer, None).await.expect("an answer is sent");
        });
        Ok(())
    }
}

/// Serves until the parent is gone.
pub fn serve(role: &Value) {
    let runtime = bench::runtime();
    let awaited = Awaited::default();
    let server = runtime.block_on(start(role, Arc::clone(&awaited)));
    let (manager, mut own, mut number) = (server.manager().clone(), None, 0);
    child::serve(|command| {
        if command == "room" {
            let room_type = RoomType::new(ROOM_TYPE).expect("a name");
            let room = runtime.block_on(manager.create(&room_type, Value::Null)).expect("a room");
            own = Some(room.id().to_string());
            return json!(own);
        }
        let order: Value = serde_json::from_str(command).expect("the parent writes JSON");
        let to = RoomId::new(order["to"].as_str().expect("a room")).expect("a room's id");
        let size = |key: &str| order[key].as_u64().expect("a number");
        let (began, seconds) = (Instant::now(), Duration::from_secs(size("seconds")));
        let talking = (0..size("pairs")).map(|pair| {
            let first = number + (pair << 32);
            let talk = Talk { manager: &manager, awaited: &awaited, from: own.as_deref().expect("a room"), to: &to };
            async move { talk.run(first, began + seconds).await }
        });
        let tallies = runtime.block_on(join_all(talking));
        number += 1 << 20;
        let times: Vec<f64> = tallies.iter().flat_map(|(times, _)| times.iter().copied()).collect();
        json!({ "times": times, "lost": tallies.iter().map(|(_, lost)| lost).sum::<u64>() })
    });
}

async fn start(role: &Value, awaited: Awaited) -> Server {
    let distributed = Distributed {
        adapter: Some(raft_node::adapter(role)),
        server_id: Some(name("server", role)),
        ..Distributed::default()
    };
    let built = Server::builder().bind_address([127, 0, 0, 1].into()).port(0).distributed(distributed);
    let server = built.build().await.expect("a server");
    let manager = Arc::new(OnceLock::new());
    let config = RoomConfig { auto_dispose: false, ..RoomConfig::default() };
    let of_rooms = Arc::clone(&manager);
    let island = move || Island { manager: Arc::clone(&of_rooms), awaited: Arc::clone(&awaited) };
    server.define(ROOM_TYPE, config, island).expect("a room type");
    let _ = manager.set(server.manager().clone());
    server.start().await.expect("the server joins its cluster");
    server
}

/// One exchange after another.
struct Talk<'a> {
    manager: &'a DistributedRoomManager,
    awaited: &'a Awaited,
    from: &'a str,
    to: &'a RoomId,
}

impl Talk<'_> {
    /// The times of all exchanges until then in milliseconds, and how many were lost.
    async fn run(&self, first: u64, until: Instant) -> (Vec<f64>, u64) {
        let text = "x".repeat(TEXT_BYTES);
        let (mut times, mut lost) = (Vec::new(), 0);
        for number in first.. {
            let began = Instant::now();
            if began >= until {
                break;
            }
            let (waiting, answer) = oneshot::channel();
            self.awaited.lock().expect("no panic").insert(number, waiting);
            let question = json!({ "number": number, "from": self.from, "text": text });
            self.manager.send_to_remote_room(self.to, "question", question, None).await.expect("a message is sent");
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(())) => times.push(began.elapsed().as_secs_f64() * 1000.0),
                _ => lost += 1,
            }
        }
        (times, lost)
    }
}
