//! Servers whose rooms beat by themselves and write down each beat, as processes of this very binary.
//!
//! What a room did, and when, is read from the journals of all processes: they are on one machine,
//! so their clocks are the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use roomraft::{
    adapter::{AdapterError, DistributedAdapter, RaftAdapter, RaftOptions, RedisAdapter, RedisOptions},
    clock::Clock,
    model::{Metadata, RoomEpoch, RoomUpdate, ServerId},
    ops::{ClusterStatus, NodeControl, NodeView, OpsListener, OpsState},
    quic::{ClusterSecret, ClusterSecurity},
    raft::RaftConfig,
    room::{DistributedRoomManager, DrainReport, Player, Room, RoomConfig, RoomContext, RoomError},
    server::{Distributed, Server},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    process::{ARGUMENTS, Cluster},
    redis::RedisServer,
};

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Since the machine's start.
    pub(crate) at: Duration,
    pub(crate) server: String,
    pub(crate) room: String,
    pub(crate) what: Deed,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Deed {
    /// The room was restored here.
    Restored,
    /// It beat.
    Beat,
    /// A player has gone for good.
    Left(String),
    /// Somebody who remembers an ownership wrote in its name, and it was kept.
    Wrote,
    /// The same, and it was refused as fenced.
    Fenced,
}

/// All that the processes of a cluster have written down, in order of time.
pub(crate) fn journal(cluster: &Cluster) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for node in &cluster.nodes {
        let text = fs::read_to_string(journal_of(&node.data_dir)).unwrap_or_default();
        // The last line may be half written.
        lines.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
    }
    lines.sort_by_key(|line| line.at);
    lines
}

/// A started cluster whose nodes serve the room type `metronome`; players have a few seconds to come back.
pub(crate) async fn cluster() -> Cluster {
    cluster_with(&[]).await
}

/// The same on a Redis, with the leases that raft has.
pub(crate) async fn cluster_on(redis: &RedisServer) -> Cluster {
    cluster_with(&["--adapter", "redis", "--redis-url", &redis.url()]).await
}

async fn cluster_with(arguments: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(3, arguments);
    for node in &mut cluster.nodes {
        node.serve_by("metronome::serve");
    }
    cluster.start().await;
    cluster
}

fn journal_of(data_dir: &Path) -> PathBuf {
    data_dir.with_extension("journal")
}

#[derive(Clone)]
struct Journal {
    server: String,
    clock: Clock,
    file: Arc<Mutex<File>>,
}

impl Journal {
    fn write(&self, at: Duration, room: &str, what: Deed) {
        let line = Line { at, server: self.server.clone(), room: room.to_owned(), what };
        let line = format!("{}\n", json!(line));
        self.file.lock().write_all(line.as_bytes()).expect("a journal");
    }

    fn note(&self, room: &str, what: Deed) {
        self.write(self.clock.boot(), room, what);
    }
}

/// A room that beats.
struct Metronome {
    journal: Journal,
    beats: u64,
    notes: Value,
}

#[async_trait]
impl Room for Metronome {
    async fn on_join(&mut self, ctx: &mut RoomContext, _: &Player) -> Result<(), RoomError> {
        ctx.save(self).await.map(drop)
    }

    async fn on_player_reconnected(&mut self, _: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        player.send("welcome-back", &json!({ "data": player.data(), "notes": self.notes }));
        Ok(())
    }

    async fn on_leave(&mut self, ctx: &mut RoomContext, player: &Player, _: &str) -> Result<(), RoomError> {
        self.journal.note(ctx.id().as_str(), Deed::Left(player.id().to_string()));
        Ok(())
    }

    async fn on_message(
        &mut self,
        ctx: &mut RoomContext,
        player: &Player,
        _: &str,
        data: Value,
    ) -> Result<(), RoomError> {
        player.set_data(json!({ "last": data }));
        self.notes = data;
        let version = ctx.save(self).await?;
        player.send("noted", &json!(version));
        Ok(())
    }

    async fn on_tick(&mut self, ctx: &mut RoomContext, _: f32) -> Result<(), RoomError> {
        self.beats += 1;
        let at = self.journal.clock.boot();
        self.journal.write(at, ctx.id().as_str(), Deed::Beat);
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        ctx.broadcast("beat", &json!({ "server": self.journal.server, "at": micros }), None);
        Ok(())
    }

    fn save(&self) -> Option<Value> {
        Some(json!({ "notes": self.notes }))
    }

    async fn restore(&mut self, ctx: &mut RoomContext, state: Value) -> Result<(), RoomError> {
        self.notes = state["notes"].clone();
        self.journal.note(ctx.id().as_str(), Deed::Restored);
        Ok(())
    }
}

/// A part of a game that goes on writing in the name of every ownership that it ever saw here.
async fn write_for_ever(adapter: Arc<dyn DistributedAdapter>, manager: DistributedRoomManager, journal: Journal) {
    let mut remembered: BTreeMap<String, BTreeSet<RoomEpoch>> = BTreeMap::new();
    loop {
        for room in manager.rooms() {
            let owned = RoomEpoch { room_id: room.id().clone(), epoch: room.epoch() };
            remembered.entry(room.id().to_string()).or_default().insert(owned);
        }
        for (room_id, owned) in remembered.iter().flat_map(|(id, all)| all.iter().map(move |owned| (id, owned))) {
            let began = journal.clock.boot();
            let metadata = Metadata::from_iter([("writer", journal.server.clone())]);
            let update = RoomUpdate { metadata: Some(metadata), ..RoomUpdate::default() };
            match adapter.update_room(owned, update).await {
                Ok(()) => journal.write(began, room_id, Deed::Wrote),
                Err(AdapterError::Fenced { .. }) => journal.write(began, room_id, Deed::Fenced),
                Err(_) => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

struct View {
    /// None on Redis, where nobody leads.
    raft: Option<Arc<RaftAdapter>>,
    manager: DistributedRoomManager,
}

#[async_trait]
impl NodeView for View {
    async fn cluster(&self) -> ClusterStatus {
        let node = self.raft.as_ref().and_then(|raft| raft.node());
        let leader = node.and_then(|node| node.status().leader);
        ClusterStatus { leader: leader.and_then(|name| ServerId::new(name).ok()), ..ClusterStatus::default() }
    }

    async fn readiness(&self) -> Result<(), String> {
        if self.manager.is_serving() { Ok(()) } else { Err("not serving".to_owned()) }
    }
}

#[async_trait]
impl NodeControl for View {
    async fn drain(&self) -> DrainReport {
        self.manager.drain().await
    }

    async fn leave(&self) -> Result<DrainReport, String> {
        Err("these servers stay".to_owned())
    }
}

/// The arguments that a node of the crate's binary would have got.
fn arguments() -> Option<BTreeMap<String, String>> {
    let text = std::env::var(ARGUMENTS).ok()?;
    let words: Vec<&str> = text.lines().collect();
    Some(words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that other tests start: it serves until it is killed"]
async fn serve() {
    let Some(arguments) = arguments() else { return };
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let data_dir = PathBuf::from(&arguments["--data-dir"]);
    let name = arguments["--server-id"].clone();
    let server_id = ServerId::new(name.clone()).expect("a name");
    let raft = (!arguments.contains_key("--redis-url")).then(|| on_raft(&arguments, &server_id));
    let shared = raft.clone().map_or_else(|| on_redis(&arguments), |raft| raft as Arc<dyn DistributedAdapter>);

    let distributed = Distributed {
        adapter: Some(Arc::clone(&shared)),
        server_id: Some(name.clone()),
        snapshot_interval: Duration::from_millis(100),
        ..Distributed::default()
    };
    let gateway: std::net::SocketAddr = arguments["--gateway"].parse().expect("an address");
    let builder = Server::builder().bind_address(gateway.ip()).port(gateway.port()).distributed(distributed);
    let server = builder.build().await.expect("a server");
    let file = File::options().create(true).append(true).open(journal_of(&data_dir)).expect("a journal");
    let journal = Journal { server: name, clock: Clock::system(), file: Arc::new(Mutex::new(file)) };
    let room = RoomConfig { tick_rate: 50, reconnect_grace: Duration::from_secs(5), ..RoomConfig::default() };
    let writer = journal.clone();
    let make = move || Metronome { journal: journal.clone(), beats: 0, notes: Value::Null };
    server.define("metronome", room, make).expect("a room type");

    let view = Arc::new(View { raft, manager: server.manager().clone() });
    let control = Arc::clone(&view) as Arc<dyn NodeControl>;
    let state = OpsState { server_id, adapter: Arc::clone(&shared), node: view, control, token: None };
    let listener = OpsListener::bind(arguments["--ops"].parse().expect("an address")).await.expect("a free port");
    tokio::spawn(listener.serve(state, CancellationToken::new()));
    server.start().await.expect("the cluster forms");
    write_for_ever(shared, server.manager().clone(), writer).await;
}

fn on_raft(arguments: &BTreeMap<String, String>, server_id: &ServerId) -> Arc<RaftAdapter> {
    let secret = fs::read_to_string(&arguments["--secret-file"]).expect("a secret");
    let security = ClusterSecurity::Secret(ClusterSecret::parse(secret.trim()).expect("a secret"));
    let mut node = RaftConfig::new(server_id.clone(), PathBuf::from(&arguments["--data-dir"]), security);
    node.listen = arguments["--listen"].parse().expect("an address");
    node.peers = arguments["--peers"].split(',').map(str::to_owned).collect();
    Arc::new(RaftAdapter::new(RaftOptions::new(node)))
}

fn on_redis(arguments: &BTreeMap<String, String>) -> Arc<dyn DistributedAdapter> {
    let mut options = RedisOptions::new([arguments["--redis-url"].clone()]);
    options.server_ttl = Duration::from_millis(1200);
    options.call_max = Duration::from_secs(1);
    Arc::new(RedisAdapter::new(options))
}
