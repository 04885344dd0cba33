//! One node on the raft adapter, alone and among strangers: what it refuses, and in which words.

use std::{net::UdpSocket, path::Path};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    garbage::{metric, noise},
    support::{
        player::Player,
        ports::free_port,
        process::{Cluster, Node},
        wait::until,
    },
};

/// A node on the raft adapter with a secret of its own, not started.
fn node(folder: &Path, server_id: &str, secret: &str, arguments: &[&str]) -> Node {
    let file = folder.join(format!("{server_id}.secret"));
    std::fs::write(&file, secret).expect("a secret file");
    Node::new(folder, server_id).with(&["--secret-file", &file.display().to_string()]).with(arguments)
}

#[tokio::test]
async fn alone_with_no_peers_it_works_at_once_and_keeps_its_state_over_a_kill() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let mut node = node(folder.path(), "s1", "a secret of this test alone", &[]);
    node.start();
    node.ready().await;
    let status = node.status().await.expect("a status");
    assert_eq!((&status["role"], &status["leader"], &status["quorum"]), (&json!("leader"), &json!("s1"), &json!(true)));
    assert_eq!(status["members"].as_array().map(Vec::len), Some(1), "{status}");
    let (_player, _) = Player::join(&node.gateway, "relay").await.expect("a seat");
    let (cluster, applied) = (status["cluster_id"].clone(), status["last_applied"].as_u64().expect("a number"));
    node.kill();
    node.start();
    node.ready().await;
    let status = node.status().await.expect("a status");
    assert_eq!(status["cluster_id"], cluster, "the same cluster");
    assert!(status["last_applied"].as_u64() >= Some(applied), "{status}");
    Player::join(&node.gateway, "relay").await.expect("a seat after the restart");
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_ends_with_one_clear_line_and_harms_nothing() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let mut first = node(folder.path(), "s1", "a secret of this test alone", &[]);
    first.start();
    first.ready().await;
    let data = first.data_dir.display().to_string();
    let mut second = node(folder.path(), "s2", "a secret of this test alone", &[]);
    second.data_dir.clone_from(&first.data_dir);
    second.start();
    assert_eq!(second.exit().await.code(), Some(1), "{}", second.log());
    let line = second.log().lines().last().unwrap_or_default().to_owned();
    assert!(line.contains(&data) && line.contains("another process"), "{line}");
    Player::join(&first.gateway, "relay").await.expect("the first still serves");
}

#[tokio::test]
async fn a_used_peer_port_is_one_clear_line_and_exit_code_1() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let mut node = node(folder.path(), "s1", "a secret of this test alone", &[]);
    node.listen = taken.local_addr().expect("a bound socket").to_string();
    node.start();
    assert_eq!(node.exit().await.code(), Some(1), "{}", node.log());
    let line = node.log().lines().last().unwrap_or_default().to_owned();
    assert!(line.contains("--listen") && line.contains(&node.listen), "{line}");
}

#[tokio::test]
async fn a_fresh_node_with_a_wrong_secret_ends_and_says_why() {
    let cluster = Cluster::started(1, &["--bootstrap-expect", "1"]).await;
    let peer = cluster.nodes[0].listen.clone();
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let mut stranger = node(folder.path(), "s2", "quite another secret", &["--peers", &peer]);
    stranger.start();
    assert_eq!(stranger.exit().await.code(), Some(1), "{}", stranger.log());
    let line = stranger.log().lines().last().unwrap_or_default().to_owned();
    assert!(line.contains("secret"), "{line}");
    assert!(metric(&cluster.nodes[0], "roomraft_peer_connections_refused_total").await > 0.0, "a stranger is counted");
    Player::join(&cluster.nodes[0].gateway, "relay").await.expect("the cluster goes on");
}

#[tokio::test]
async fn random_bytes_on_the_peers_port_harm_nobody() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let mut node = node(folder.path(), "s1", "a secret of this test alone", &[]);
    node.start();
    node.ready().await;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for seed in 0..200 {
        let length = 1 + (usize::try_from(seed).expect("small") * 37) % 1400;
        socket.send_to(&noise(seed, length), &node.listen).expect("sent");
    }
    Player::join(&node.gateway, "relay").await.expect("a seat");
    assert_eq!(node.status().await.expect("a status")["quorum"], true);
}

#[tokio::test]
async fn while_its_cluster_is_not_there_it_says_what_it_waits_for_and_stops_when_told_to() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let nobody = format!("127.0.0.1:{}", free_port());
    let mut node = node(folder.path(), "s1", "a secret of this test alone", &["--peers", &nobody]);
    node.start();
    let status = until("its ops listener", || node.status()).await;
    assert_eq!((&status["cluster_id"], &status["quorum"]), (&json!(null), &json!(false)), "{status}");
    assert_eq!(status["servers"], json!([]), "{status}");
    assert!(node.http("/readyz").await.is_err_and(|error| error.contains("503")), "not ready");
    node.http("/healthz").await.expect("healthy all the same");
    assert!(Player::join(&node.gateway, "relay").await.is_err_and(|error| error.code() == "UNAVAILABLE"));
    node.signal(Signal::SIGTERM);
    assert_eq!(node.exit().await.code(), Some(0), "{}", node.log());
}
