//! Three nodes in this process, of which some stop.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use openraft::async_runtime::WatchReceiver;
use roomraft::{
    adapter::{
        AdapterError, Consistency, DistributedAdapter, EventFilter, EventItem, RaftAdapter, RaftOptions,
        RegistryBackend,
    },
    model::{
        Epoch, Metadata, NewRoom, NewServer, NodeId, RoomId, RoomRegistration, RoomSnapshot, RoomState, RoomType,
        ServerEpoch, ServerId,
    },
    quic::{ClusterSecret, ClusterSecurity},
    raft::{RaftConfig, RaftRole},
};
use serde_json::json;
use tempfile::TempDir;

use crate::{ports::free_address, wait::until};

struct Nodes {
    handles: Vec<Arc<RaftAdapter>>,
    folder: TempDir,
}

async fn start(call_max: Duration) -> Nodes {
    let nodes = place(call_max, |_| {});
    nodes.connect().await;
    nodes
}

/// Three nodes that are not connected yet.
fn place(call_max: Duration, change: impl Fn(&mut RaftConfig)) -> Nodes {
    let folder = tempfile::tempdir().unwrap();
    let addresses: [SocketAddr; 3] = std::array::from_fn(|_| free_address());
    let node = |at: usize| {
        let name = format!("s{at}");
        let secret = ClusterSecret::parse("the secret of these tests' nodes").unwrap();
        let data_dir = folder.path().join(&name);
        let mut config = RaftConfig::new(ServerId::new(name).unwrap(), data_dir, ClusterSecurity::Secret(secret));
        config.listen = addresses[at];
        config.peers = addresses.iter().map(ToString::to_string).collect();
        config.lease = Duration::from_mins(2);
        change(&mut config);
        Arc::new(RaftAdapter::new(RaftOptions { call_max, ..RaftOptions::new(config) }))
    };
    Nodes { handles: (0..3).map(node).collect(), folder }
}

impl Nodes {
    async fn connect(&self) {
        for connected in join_all(self.handles.iter().map(|handle| handle.connect())).await {
            connected.unwrap();
        }
    }

    fn leader(&self) -> Option<usize> {
        let leads =
            |handle: &Arc<RaftAdapter>| handle.node().is_some_and(|node| node.status().role == RaftRole::Leader);
        self.handles.iter().position(leads)
    }
}

/// Registers a server by one handle and its room by another.
async fn register_room(first: &RaftAdapter, second: &RaftAdapter) -> RoomRegistration {
    let server = NewServer {
        server_id: ServerId::new("games").unwrap(),
        address: "game.example".to_owned(),
        port: 3000,
        capacity: 10,
        metadata: Metadata::default(),
        room_types: [].into(),
        node_id: NodeId(0),
    };
    let epoch: Epoch = first.register_server(server.clone()).await.unwrap();
    let registered = ServerEpoch { server_id: server.server_id, epoch };
    let room = NewRoom {
        room_id: Some(RoomId::new("arena-1").unwrap()),
        room_type: RoomType::new("arena").unwrap(),
        max_players: 4,
        reconnect_grace_ms: 0,
        metadata: Metadata::from_iter([("map", "ice")]),
        state: RoomState::Live,
        options: String::new(),
    };
    second.register_room(&registered, room).await.unwrap()
}

fn snapshot_of(room: &RoomRegistration, version: u64, state: &str) -> RoomSnapshot {
    RoomSnapshot {
        room_id: room.room_id.clone(),
        room_type: room.room_type.clone(),
        state: json!({ "round": version, "filling": state }),
        players: Vec::new(),
        version,
        timestamp: 5,
    }
}

/// A lock is granted once: where a retried command ran twice, the second outcome would be a refusal.
async fn take_locks(handle: Arc<RaftAdapter>, taker: usize) -> BTreeMap<String, u64> {
    let mut tokens = BTreeMap::new();
    for number in 0..150 {
        let key = format!("lock-{taker}-{number}");
        let token = handle.acquire_lock(&key, Duration::from_mins(30)).await.unwrap();
        tokens.insert(key, token.expect("it was nobody's").0);
    }
    tokens
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_and_happen_once_while_the_leader_stops() {
    let nodes = start(Duration::from_secs(30)).await;
    nodes.handles[0].acquire_lock("first", Duration::from_mins(30)).await.unwrap();
    let leader = nodes.leader().expect("a write needs a leader");
    let survivors: Vec<_> = nodes
        .handles
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != leader)
        .map(|(_, handle)| Arc::clone(handle))
        .collect();
    let takers = (0..8).map(|taker| tokio::spawn(take_locks(Arc::clone(&survivors[taker % 2]), taker)));
    let takers: Vec<_> = takers.collect();
    // Some are under way by the time the leader goes.
    while survivors[0].acquire_lock("under way", Duration::from_mins(30)).await.unwrap().is_some() {}
    nodes.handles[leader].disconnect().await.unwrap();
    let mut tokens = BTreeMap::new();
    for taken in join_all(takers).await {
        tokens.extend(taken.unwrap());
    }
    assert_eq!(tokens.len(), 8 * 150);
    let distinct: std::collections::BTreeSet<u64> = tokens.values().copied().collect();
    assert_eq!(distinct.len(), tokens.len(), "every token is granted once");
    // The node that comes back has it all.
    nodes.handles[leader].connect().await.unwrap();
    let again = nodes.handles[leader].acquire_lock("lock-0-0", Duration::from_mins(30)).await.unwrap();
    assert_eq!(again, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_all_nodes_restart() {
    let nodes = start(Duration::from_secs(30)).await;
    let [first, second, third] = [0, 1, 2].map(|at| Arc::clone(&nodes.handles[at]));
    let room = register_room(&first, &second).await;
    let snapshot = snapshot_of(&room, 1, "seven rounds");
    third.save_snapshot(room.epoch, &snapshot).await.unwrap();
    let place = |handle: &Arc<RaftAdapter>| {
        let node = handle.node().unwrap();
        (node.status().cluster_id, node.registry().last_applied().map(|log_id| log_id.index))
    };
    let before: Vec<_> = nodes.handles.iter().map(place).collect();
    for handle in &nodes.handles {
        handle.disconnect().await.unwrap();
    }
    nodes.connect().await;
    for (handle, (cluster_id, applied)) in nodes.handles.iter().zip(before) {
        let (cluster_now, applied_now) = place(handle);
        assert_eq!(cluster_now, cluster_id, "it is the same cluster");
        assert!(applied_now >= applied, "{applied_now:?} is behind {applied:?}");
        let found = handle.room(&room.room_id, Consistency::Linearizable).await.unwrap().expect("it was acknowledged");
        assert_eq!((found.epoch, &found.metadata), (room.epoch, &room.metadata));
        assert_eq!(handle.load_snapshot(&room.room_id).await.unwrap(), Some(snapshot.clone()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_calls_say_so_and_local_reads_go_on() {
    let nodes = start(Duration::from_secs(3)).await;
    nodes.handles[0].acquire_lock("key", Duration::from_mins(30)).await.unwrap();
    nodes.handles[1].disconnect().await.unwrap();
    nodes.handles[2].disconnect().await.unwrap();
    let alone = &nodes.handles[0];
    let written = alone.acquire_lock("other", Duration::from_mins(30)).await;
    assert!(matches!(written, Err(AdapterError::Unavailable(_) | AdapterError::Timeout(_))), "{written:?}");
    let read = alone.servers(Consistency::Linearizable).await;
    assert!(matches!(read, Err(AdapterError::Unavailable(_))), "{read:?}");
    assert_eq!(alone.servers(Consistency::Local).await.unwrap(), []);

    nodes.handles[1].connect().await.unwrap();
    let token = nodes.handles[1].acquire_lock("third", Duration::from_mins(30)).await;
    assert!(matches!(token, Ok(Some(_))), "{token:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_after_the_log_was_purged_catches_up_by_a_snapshot() {
    let nodes = place(Duration::from_secs(30), |config| {
        config.bootstrap_expect = Some(2);
        config.snapshots.log_bytes = 64 * 1024;
        config.snapshots.entries_kept = 0;
    });
    let [first, second, late] = [0, 1, 2].map(|at| Arc::clone(&nodes.handles[at]));
    let (a, b) = tokio::join!(first.connect(), second.connect());
    a.unwrap();
    b.unwrap();
    let room = register_room(&first, &second).await;
    let filling = "x".repeat(20_000);
    let mut version = 0;
    let snapshots = nodes.folder.path().join("s0/snapshots");
    until("the log is purged behind a Raft snapshot", async || {
        version += 1;
        first.save_snapshot(room.epoch, &snapshot_of(&room, version, &filling)).await.unwrap();
        // The log is purged a thousand entries at a time.
        let locks = (0..200).map(|number| format!("lock-{version}-{number}"));
        for taken in join_all(locks.map(async |key| second.acquire_lock(&key, Duration::from_mins(30)).await)).await {
            assert!(taken.unwrap().is_some());
        }
        let purged = first.node().unwrap().raft().metrics().borrow_watched().purged;
        let kept = std::fs::read_dir(&snapshots).unwrap().count();
        match purged {
            Some(purged) if purged.index > 2 && kept > 0 => Ok(()),
            purged => Err(format!("purged up to {purged:?}, {kept} snapshots")),
        }
    })
    .await;
    let mut events = late.hub().subscribe(EventFilter::All, None);
    late.connect().await.unwrap();
    let found = late.room(&room.room_id, Consistency::Linearizable).await.unwrap().expect("it is registered");
    assert_eq!(found.snapshot_version, Some(version));
    let loaded = late.load_snapshot(&room.room_id).await.unwrap();
    assert_eq!(loaded, Some(snapshot_of(&room, version, &filling)));
    assert_eq!(events.next().await, Some(EventItem::Lagged), "what came before is not told as events");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_still_looks_for_its_cluster_can_be_disconnected() {
    let nodes = place(Duration::from_secs(5), |_| {});
    let handle = Arc::clone(&nodes.handles[0]);
    for _ in 0..2 {
        let connecting = tokio::spawn({
            let handle = Arc::clone(&handle);
            async move { handle.connect().await }
        });
        until("it looks for its cluster", async || handle.node().map(drop).ok_or("no node yet")).await;
        handle.disconnect().await.unwrap();
        let connected = connecting.await.unwrap();
        assert!(matches!(connected, Err(AdapterError::Disconnected)), "{connected:?}");
        assert!(handle.node().is_none());
    }
    // It has let go of its folder and its port.
    nodes.connect().await;
}
