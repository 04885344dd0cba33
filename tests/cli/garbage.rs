//! Bytes that mean nothing, on every port: refused and counted, and players do not notice.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use serde_json::Value;

use crate::{
    memory_node::node,
    support::{player::Player, process::Node},
};

/// Bytes that look random and are the same at every run (xorshift).
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// Sends bytes and waits until the other side has closed, or has nothing to say for a while.
fn throw(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("the port answers");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    // The other side may refuse in the middle of it; that is its right.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// One number of `/metrics`.
pub(crate) async fn metric(node: &Node, name: &str) -> f64 {
    let Value::String(text) = node.http("/metrics").await.expect("metrics") else { panic!("metrics are text") };
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

#[tokio::test]
async fn random_bytes_on_the_players_and_operators_ports_harm_nobody() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &[]).await;
    let (mut player, _) = Player::join(&node.gateway, "relay").await.expect("a seat");
    let ports = [node.gateway.clone(), node.ops.clone()];
    let thrown = tokio::task::spawn_blocking(move || {
        for seed in 0..40 {
            for address in &ports {
                throw(address, &noise(seed, 1 + 97 * usize::try_from(seed).expect("small")));
            }
        }
    });
    thrown.await.expect("every connection was taken");
    assert!(metric(&node, "roomraft_ops_bad_requests_total").await > 0.0, "garbage is counted");
    player.say("$set", serde_json::json!({ "key": "a", "value": 1 })).await.expect("the player is still there");
    while player.heard("$state").await.expect("and heard") != serde_json::json!({ "a": 1 }) {}
    Player::join(&node.gateway, "relay").await.expect("a seat for another");
}
