//! Whole servers: registration, hooks, messages to all, ends.

use roomraft::{
    adapter::MemoryAdapter,
    gateway::ConnectionInfo,
    server::{Distributed, ServerError},
};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::{
    cluster::{CLOCKWORK, RELAY, address, alone, builder, pair, run},
    raw::{Ending, Raw},
    support::{
        player::Player,
        wait::{DEADLINE, until},
    },
};

#[tokio::test]
async fn the_port_that_was_free_is_the_one_that_is_registered() {
    let server = alone().await;
    let servers = server.manager().servers().await.expect("a list");
    assert_ne!(server.address().port(), 0);
    assert_eq!(servers[0].player_address(), address(&server));
}

#[tokio::test]
async fn another_address_can_be_registered_than_is_listened_on() {
    // No adapter and no name are given: a memory of its own, and a name of chance.
    let distributed = Distributed {
        server_address: "wss://play.example".to_owned(),
        server_port: Some(443),
        ..Distributed::default()
    };
    let server = run(builder(MemoryAdapter::default(), "unused").distributed(distributed)).await;
    let servers = server.manager().servers().await.expect("a list");
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].player_address(), "wss://play.example:443");
}

#[tokio::test]
async fn hooks_hear_of_connections_and_can_be_answered() {
    let (heard, mut events) = mpsc::unbounded_channel::<(&str, ConnectionInfo)>();
    let ended = heard.clone();
    let hooked = builder(MemoryAdapter::default(), "hooked")
        .on_connect(move |info| heard.send(("connect", info)).expect("the test listens"))
        .on_disconnect(move |info| ended.send(("disconnect", info)).expect("the test listens"));
    let server = run(hooked).await;
    let mut raw = Raw::to(&server).await;
    let (what, info) = timeout(DEADLINE, events.recv()).await.expect("in time").expect("an event");
    assert_eq!((what, info.remote.ip()), ("connect", server.address().ip()));
    assert!(server.send(info.id, "news", json!({ "for": "you" })));
    assert_eq!(raw.packet().await, json!([3, "news", { "for": "you" }]));
    assert_eq!(server.broadcast("news", json!("for all")), 1);
    assert_eq!(raw.packet().await, json!([3, "news", "for all"]));
    drop(raw);
    let end = timeout(DEADLINE, events.recv()).await.expect("in time").expect("an event");
    assert_eq!(end, ("disconnect", info));
    assert!(!server.send(info.id, "news", json!(null)), "nobody is there any more");
}

#[tokio::test]
async fn rooms_that_choose_no_tick_rate_get_the_servers() {
    let server = alone().await;
    let (mut player, _) = Player::join(&address(&server), CLOCKWORK).await.expect("a seat");
    let seconds = player.heard("tick").await.expect("a tick");
    assert!(seconds.as_f64().is_some_and(|seconds| seconds > 0.0), "{seconds}");
}

#[tokio::test]
async fn a_server_that_stops_closes_its_connections_and_leaves_the_cluster() {
    let (a, b) = pair().await;
    let mut raw = Raw::to(&a).await;
    raw.beats().await;
    a.stop(true).await.expect("the backend is there");
    assert_eq!(raw.ending().await, Ending::Code(1000));
    let servers = b.manager().servers().await.expect("a list");
    assert_eq!(servers.iter().map(|server| server.server_id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(Player::connect(&address(&a)).await.is_err(), "nothing listens there any more");
    assert!(matches!(a.start().await, Err(ServerError::Stopped)));
    a.stop(true).await.expect("harmless");
    Player::join(&address(&b), RELAY).await.expect("the other server goes on");
}

#[tokio::test]
async fn a_player_whose_connection_ends_is_away_and_not_gone() {
    let server = alone().await;
    let (player, _) = Player::join(&address(&server), RELAY).await.expect("a seat");
    player.cut();
    until("the room to notice", async || match server.manager().rooms()[0].players() {
        players if players.len() == 1 && !players[0].connected() => Ok(()),
        players => Err(players),
    })
    .await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = alone().await;
    let taken = builder(MemoryAdapter::default(), "second").port(first.address().port()).build().await;
    let error = taken.expect_err("taken").to_string();
    assert!(error.contains(&address(&first)), "{error}");
}
