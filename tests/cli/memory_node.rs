//! One node on the memory adapter: it serves players, and starts and stops as it should.

use std::net::TcpListener;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{player::Player, ports::free_port, process::Node};

/// A started node on the memory adapter that serves players.
pub(crate) async fn node(folder: &tempfile::TempDir, arguments: &[&str]) -> Node {
    let mut node = Node::new(folder.path(), "s1").with(&["--adapter", "memory"]).with(arguments);
    node.start();
    node.ready().await;
    node
}

#[tokio::test]
async fn players_without_any_code_of_ours_join_talk_and_come_back() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &["--room", "arena=relay,max_players=2,reconnect_grace_ms=60000"]).await;
    let (mut ann, seat) = Player::join(&node.gateway, "arena").await.expect("a seat for ann");
    let (mut bob, other) = Player::join(&node.gateway, "arena").await.expect("a seat for bob");
    assert_eq!(seat.room_id, other.room_id, "the second player joins the open room");
    assert_ne!(seat.player_id, other.player_id);
    ann.say("wave", json!({ "with": "left" })).await.expect("sent");
    let heard = bob.heard("wave").await.expect("bob hears it");
    assert_eq!(heard, json!({ "from": seat.player_id, "data": { "with": "left" } }));
    ann.say("$set", json!({ "key": "door", "value": "open" })).await.expect("sent");
    while bob.heard("$state").await.expect("bob sees the state") != json!({ "door": "open" }) {}

    let (_cyd, third) = Player::join(&node.gateway, "arena").await.expect("a seat for cyd");
    assert_ne!(third.room_id, seat.room_id, "a full room gets nobody more");
    bob.cut();
    let mut bob = Player::connect(&node.gateway).await.expect("a new connection");
    let back = bob.call("ReconnectRoom", json!({ "sessionToken": other.session_token })).await.expect("his seat");
    assert_eq!((&back["roomId"], &back["playerId"]), (&json!(other.room_id), &json!(other.player_id)));
    assert_eq!(bob.heard("$state").await.expect("the whole state"), json!({ "door": "open" }));
}

#[tokio::test]
async fn one_line_on_standard_output_says_that_it_is_ready() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &[]).await;
    let log = node.log();
    let ready: Vec<&str> = log.lines().filter(|line| line.starts_with("ready ")).collect();
    assert_eq!(ready, [format!("ready server=s1 gateway={} ops={}", node.gateway, node.ops)], "{log}");
}

#[tokio::test]
async fn a_signal_stops_it_cleanly_with_players_in_their_rooms() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().expect("a throwaway folder");
        let mut node = node(&folder, &[]).await;
        let (mut player, _) = Player::join(&node.gateway, "relay").await.expect("a seat");
        node.signal(signal);
        assert_eq!(node.exit().await.code(), Some(0), "{signal}: {}", node.log());
        assert!(player.ended(crate::support::wait::DEADLINE).await, "{signal}: the player's connection ends");
    }
}

#[tokio::test]
async fn a_used_port_is_one_clear_line_and_exit_code_1() {
    for flag in ["--gateway", "--ops"] {
        let folder = tempfile::tempdir().expect("a throwaway folder");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("a bound socket").to_string();
        let free = format!("127.0.0.1:{}", free_port());
        let other = if flag == "--gateway" { "--ops" } else { "--gateway" };
        let arguments = ["node", "--adapter", "memory", "--server-id", "s1", flag, &address, other, &free];
        let told = crate::command::run_in(folder.path(), &arguments);
        assert_eq!((told.code, told.stdout.as_str()), (Some(1), ""), "{flag}: {}", told.stderr);
        let line = told.stderr.lines().last().unwrap_or_default();
        assert!(line.contains(flag) && line.contains(&address), "{flag}: {line}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is left behind");
    }
}
