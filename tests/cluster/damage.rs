//! Damaged data and hostile bytes.

use std::{
    fs,
    io::Write,
    net::{TcpStream, UdpSocket},
    path::{Path, PathBuf},
};

use crate::support::{
    player::Player,
    process::{Cluster, Node},
    wait::until,
};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Bytes that look like nothing, the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

async fn with_some_rooms() -> Cluster {
    let cluster = Cluster::started(3, &[]).await;
    for gateway in cluster.gateways() {
        let (player, _) = Player::join(&gateway, "relay").await.expect("a seat");
        player.cut();
    }
    cluster
}

async fn caught_up(cluster: &Cluster, node: &Node) {
    until("the repaired node at the others' place", || async {
        let (own, other) = (node.status().await?, cluster.any().status().await?);
        let applied = |status: &serde_json::Value| status["last_applied"].as_u64();
        if applied(&own) >= applied(&other) { Ok(()) } else { Err(format!("{own} behind {other}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_or_garbled_state_folder_is_rebuilt_from_the_log() {
    let mut cluster = with_some_rooms().await;
    for garble in [false, true] {
        let victim = cluster.follower().await;
        cluster.nodes[victim].kill();
        let state = cluster.nodes[victim].data_dir.join("sled");
        if garble {
            for file in files(&state) {
                fs::write(&file, noise(4096)).expect("a garbled file");
            }
        } else {
            fs::remove_dir_all(&state).expect("the state folder is there to delete");
        }
        cluster.start().await;
        caught_up(&cluster, &cluster.nodes[victim]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbled_log_stops_the_node_with_a_clear_error() {
    let mut cluster = with_some_rooms().await;
    let victim = cluster.follower().await;
    cluster.nodes[victim].kill();
    let folder = cluster.nodes[victim].data_dir.clone();
    let kept = [folder.join("sled"), folder.join("snapshots")];
    let largest = files(&folder)
        .into_iter()
        .filter(|file| !kept.iter().any(|folder| file.starts_with(folder)))
        .max_by_key(|file| fs::metadata(file).map_or(0, |metadata| metadata.len()))
        .expect("a log file");
    let mut bytes = fs::read(&largest).expect("the log");
    let (start, middle) = (bytes.len() / 4, bytes.len() / 2);
    let garbage = noise(middle - start);
    bytes[start..middle].copy_from_slice(&garbage);
    fs::write(&largest, bytes).expect("a garbled log");

    let node = &mut cluster.nodes[victim];
    node.start();
    let status = node.exit().await;
    assert_eq!(status.code(), Some(1), "it stops rather than lose data silently");
    let log = node.log();
    assert!(log.lines().rev().take(10).any(|line| line.contains("log") && line.contains("damaged")), "{log}");
    let gateway = cluster.any().gateway.clone();
    until("joins through the others", || async {
        Player::join(&gateway, "relay").await.map(drop).map_err(|error| format!("{error:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_on_every_port_are_refused_and_nothing_falls_over() {
    let cluster = Cluster::started(3, &[]).await;
    for node in &cluster.nodes {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for length in [1, 20, 200, 1200, 1400] {
            for _ in 0..50 {
                socket.send_to(&noise(length), &node.listen).expect("a datagram on its way");
            }
        }
        for address in [&node.gateway, &node.ops] {
            let mut stream = TcpStream::connect(address).expect("a connection");
            // The server may cut the connection at any byte of this.
            let _ = stream.write_all(&noise(100_000));
        }
    }
    for node in &cluster.nodes {
        node.ready().await;
        Player::join(&node.gateway, "relay").await.expect("a join after the noise");
    }
}
