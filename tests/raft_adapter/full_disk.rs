//! A disk that takes no more: the node says so and ends, and goes on from there once there is space.
//!
//! A limit on the size of files stands for the full disk, since no privilege is needed for it: the
//! first of the log and the store that reaches it fails as on a full disk.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use roomraft::{
    adapter::{Consistency, DistributedAdapter, RaftAdapter, RaftOptions},
    model::{
        LockToken, Metadata, NewRoom, NewServer, NodeId, RoomSnapshot, RoomState, RoomType, ServerEpoch, ServerId,
    },
    quic::{ClusterSecret, ClusterSecurity},
    raft::RaftConfig,
};
use serde_json::json;

const FOLDER: &str = "ROOMRAFT_TEST_FULL_DISK_FOLDER";
const HELD: Duration = Duration::from_mins(30);

fn handle(folder: &Path) -> RaftAdapter {
    let secret = ClusterSecret::parse("the secret of a node with a small disk").unwrap();
    let name = ServerId::new("s1").unwrap();
    let mut config = RaftConfig::new(name, folder.to_owned(), ClusterSecurity::Secret(secret));
    config.listen = crate::ports::free_address();
    config.lease = Duration::from_mins(2);
    config.snapshots.log_bytes = 64 * 1024;
    RaftAdapter::new(RaftOptions::new(config))
}

/// Not a test of its own: the process whose disk is full at some time. It ends as the binary does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let handle = handle(Path::new(&folder));
    if let Err(error) = handle.connect().await {
        println!("ended {error}");
        std::process::exit(1);
    }
    let node = handle.node().unwrap();
    let ended = tokio::select! {
        reason = node.fatal() => reason,
        () = write(&handle) => unreachable!("it writes for ever"),
    };
    println!("ended {ended}");
    std::process::exit(1);
}

async fn write(handle: &RaftAdapter) {
    let server_id = ServerId::new("s1").unwrap();
    let room_type = RoomType::new("arena").unwrap();
    let epoch = handle
        .register_server(NewServer {
            server_id: server_id.clone(),
            address: "127.0.0.1".to_owned(),
            port: 4000,
            capacity: 10,
            metadata: Metadata::default(),
            room_types: [].into(),
            node_id: NodeId(0),
        })
        .await;
    let Ok(epoch) = epoch else { return std::future::pending().await };
    let room = NewRoom {
        room_id: None,
        room_type,
        max_players: 4,
        reconnect_grace_ms: 0,
        metadata: Metadata::default(),
        state: RoomState::Live,
        options: String::new(),
    };
    let Ok(room) = handle.register_room(&ServerEpoch { server_id, epoch }, room).await else {
        return std::future::pending().await;
    };
    let noise: String = (0..24_000).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
    for version in 1.. {
        let snapshot = RoomSnapshot {
            room_id: room.room_id.clone(),
            room_type: room.room_type.clone(),
            state: json!({ "version": version, "noise": noise }),
            players: Vec::new(),
            timestamp: version,
            version,
        };
        let key = format!("lock-{}-{version}", room.room_id);
        let saved = handle.save_snapshot(room.epoch, &snapshot).await;
        let Ok(Some(token)) = handle.acquire_lock(&key, HELD).await else { return std::future::pending().await };
        if saved.is_ok() {
            println!("granted {key} {} {} {version}", token.0, room.room_id);
        }
    }
}

/// Starts the writer with files of so many blocks of 512 bytes at most.
fn start(folder: &Path, blocks: u64) -> Child {
    let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::writer_process", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_is_full_ends_and_goes_on_when_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let (mut granted, mut ends): (Vec<Vec<String>>, _) = (Vec::new(), Vec::new());

    for blocks in [2_500, 2_500, 5_000] {
        let mut child = start(folder.path(), blocks);
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if let Some((_, said)) = line.split_once("granted ") {
                granted.push(said.split(' ').map(str::to_owned).collect());
            } else if let Some((_, said)) = line.split_once("ended ") {
                ends.push(said.to_owned());
            }
        }
        assert_eq!(child.wait().unwrap().code(), Some(1), "{ends:?}");
    }
    assert_eq!(ends.len(), 3, "{ends:?}");
    let path = folder.path().display().to_string();
    let clear = |end: &String| end.contains("cannot be written") && end.contains(&path) && end.contains("space");
    assert!(ends.iter().all(clear), "{ends:?}");
    assert!(granted.len() > 20, "it wrote something before: {}", granted.len());

    let handle = handle(folder.path());
    handle.connect().await.unwrap();
    for lock in &granted {
        let token = LockToken(lock[1].parse().unwrap());
        assert!(handle.extend_lock(&lock[0], token, HELD).await.unwrap(), "{} was granted", lock[0]);
    }
    for room in handle.rooms(&roomraft::model::RoomQuery::default(), Consistency::Linearizable).await.unwrap() {
        let saved = granted.iter().filter(|lock| lock[2] == room.room_id.as_str());
        let newest = saved.map(|lock| lock[3].parse::<u64>().unwrap()).max();
        let found = handle.load_snapshot(&room.room_id).await.unwrap().map(|snapshot| snapshot.version);
        assert!(found >= newest, "{found:?} is there, {newest:?} was acknowledged");
    }
    handle.disconnect().await.unwrap();
}
