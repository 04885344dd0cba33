//! What nodes say and do while Redis is wiped, killed, paused, full, or refuses them.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    nodes::{nodes, servers, started, write},
    support::{
        player::Player,
        process::{Cluster, Node},
        redis::RedisServer,
        wait::until,
    },
};

/// A short lease, and snapshots soon after a change.
const TIMES: [&str; 6] = [
    "--server-ttl-ms",
    "1500",
    "--snapshot-interval-ms",
    "100",
    "--room",
    "arena=relay,max_players=4,reconnect_grace_ms=60000",
];

/// Every server serves, knows all others, and players can join through each.
async fn all_is_well(cluster: &Cluster) {
    for node in &cluster.nodes {
        node.ready().await;
        servers(node, cluster.nodes.len()).await;
        until("a join", || async { joins(node).await }).await;
        assert!(!node.log().contains("panicked"), "{}", node.log());
    }
}

async fn joins(node: &Node) -> Result<(), String> {
    let (mut player, _) = Player::join(&node.gateway, "arena").await.map_err(|error| format!("{error:?}"))?;
    write(&mut player, "here", &json!(true)).await.map_err(|error| format!("{error:?}"))
}

/// Waits until a node says that players cannot be sent to it.
async fn not_ready(node: &Node) {
    until("a node that is not ready", || async {
        match node.http("/readyz").await {
            Ok(_) => Err("it is"),
            Err(_) => Ok(()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn after_flushall_servers_register_again_and_rooms_of_before_are_over() {
    let redis = RedisServer::start(&[]);
    let cluster = started(3, &[redis.url()], &TIMES).await;
    let (mut player, place) = Player::join(&cluster.nodes[0].gateway, "arena").await.expect("a seat");
    write(&mut player, "before", &json!(1)).await.expect("an acknowledged write");
    redis.cli(&["flushall"]);
    until("word that the registration is over", || async {
        let log = cluster.nodes[0].log();
        if log.contains("registration is over") { Ok(()) } else { Err(log) }
    })
    .await;
    all_is_well(&cluster).await;
    let rooms = cluster.nodes[1].rooms().await.expect("rooms");
    assert!(rooms.iter().all(|room| room["roomId"] != place.room_id.as_str()), "nobody runs it any more: {rooms:?}");
    let mut back = Player::connect(&cluster.nodes[0].gateway).await.expect("a gateway");
    let refused = back.call("ReconnectRoom", json!({ "sessionToken": place.session_token })).await;
    assert_eq!(refused.expect_err("its room is gone").code(), "NOT_FOUND");
}

/// Kills Redis while people play, and starts it again.
async fn redis_is_killed(redis: &mut RedisServer, keeps: bool) {
    let cluster = started(3, &[redis.url()], &TIMES).await;
    let (mut player, place) = Player::join(&cluster.nodes[0].gateway, "arena").await.expect("a seat");
    write(&mut player, "before", &json!(1)).await.expect("an acknowledged write");
    until("a snapshot of it", || async {
        let found = redis.cli(&["--scan", "--pattern", "*snap:*"]);
        if found.contains(&place.room_id) { Ok(()) } else { Err(found) }
    })
    .await;
    redis.kill();
    for node in &cluster.nodes {
        not_ready(node).await;
        until("an answer that says so", || async {
            let refused = Player::join(&node.gateway, "arena").await.err();
            match refused {
                Some(error) if error.code() == "UNAVAILABLE" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    redis.restart();
    all_is_well(&cluster).await;
    let rooms = cluster.nodes[1].rooms().await.expect("rooms");
    let kept = rooms.iter().any(|room| room["roomId"] == place.room_id.as_str());
    assert_eq!(kept, keeps, "{rooms:?}");
    if keeps {
        let found = until("its seat", || async {
            let mut back = Player::connect(&cluster.nodes[1].gateway).await.map_err(|error| format!("{error:?}"))?;
            let token = json!({ "sessionToken": place.session_token });
            let answer = back.call("ReconnectRoom", token.clone()).await.map_err(|error| format!("{error:?}"))?;
            if let Some(owner) = answer["redirect"].as_str() {
                back = Player::connect(owner).await.map_err(|error| format!("{error:?}"))?;
                back.call("ReconnectRoom", token).await.map_err(|error| format!("{error:?}"))?;
            }
            back.heard("$state").await.map_err(|error| format!("{error:?}"))
        })
        .await;
        assert!(found.is_object(), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_killed_redis_that_comes_back_empty_is_registered_with_again() {
    redis_is_killed(&mut RedisServer::start(&[]), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_killed_redis_that_keeps_its_data_keeps_the_rooms() {
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    redis_is_killed(&mut redis, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_redis_paused_for_longer_than_the_lease_stops_all_and_all_goes_on_after() {
    let redis = RedisServer::start(&[]);
    let quick = [&TIMES[..], &["--redis-call-max-ms", "1000"]].concat();
    let cluster = started(3, &[redis.url()], &quick).await;
    Player::join(&cluster.nodes[0].gateway, "arena").await.expect("a seat");
    redis.signal(Signal::SIGSTOP);
    for node in &cluster.nodes {
        not_ready(node).await;
        let refused = Player::join(&node.gateway, "arena").await.err().expect("no room without Redis");
        assert!(matches!(refused.code(), "UNAVAILABLE" | "TIMEOUT"), "{refused:?}");
        assert_eq!(node.status().await.expect("it tells")["quorum"], false);
    }
    redis.signal(Signal::SIGCONT);
    all_is_well(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_full_redis_is_said_to_be_full_and_joins_work_once_it_has_room_again() {
    let redis = RedisServer::start(&[]);
    let cluster = started(3, &[redis.url()], &TIMES).await;
    redis.cli(&["config", "set", "maxmemory", "1mb"]);
    let refused = until("a refused join", || async {
        let refused = Player::join(&cluster.nodes[0].gateway, "arena").await.err();
        refused.filter(|error| error.code() == "UNAVAILABLE").ok_or("it was not refused")
    })
    .await;
    assert_eq!(refused.code(), "UNAVAILABLE");
    until("word of it in the log", || async {
        let log = cluster.nodes[0].log();
        if log.contains("Redis is full") { Ok(()) } else { Err(log) }
    })
    .await;
    redis.cli(&["config", "set", "maxmemory", "0"]);
    all_is_well(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_wrong_password_ends_a_node_with_one_line_that_does_not_show_it() {
    let redis = RedisServer::start(&["--requirepass", "sesame-open"]);
    let wrong = format!("redis://:hunter2@127.0.0.1:{}", redis.port);
    for urls in [[wrong], [redis.url()]] {
        let mut cluster = nodes(1, &urls, &[]);
        cluster.nodes[0].start();
        assert_eq!(cluster.nodes[0].exit().await.code(), Some(1), "{}", cluster.nodes[0].log());
        let log = cluster.nodes[0].log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains("Redis refuses the user or password"), "{log}");
        assert!(!log.contains("hunter2") && !log.contains("panicked"), "{log}");
    }
    let mut cluster = nodes(1, &[redis.url()], &[]);
    let node = cluster.nodes.remove(0).with_variable("ROOMRAFT_REDIS_PASSWORD", "sesame-open");
    cluster.nodes.push(node);
    cluster.start().await;
    all_is_well_alone(&cluster.nodes[0]).await;
    assert!(!cluster.nodes[0].log().contains("sesame-open"));
}

async fn all_is_well_alone(node: &Node) {
    until("a join", || async {
        Player::join(&node.gateway, "relay").await.map(drop).map_err(|error| format!("{error:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_node_that_starts_before_redis_waits_for_it_and_takes_its_name_over_after_a_crash() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let mut cluster = nodes(1, &[redis.url()], &["--redis-call-max-ms", "500"]);
    cluster.nodes[0].start();
    until("word that it waits", || async {
        let log = cluster.nodes[0].log();
        if log.contains("waiting for Redis") { Ok(()) } else { Err(log) }
    })
    .await;
    redis.restart();
    cluster.nodes[0].ready().await;
    cluster.nodes[0].kill();
    // Its lease is of half a minute, which no part of this test waits for.
    let killed = std::time::Instant::now();
    cluster.start().await;
    all_is_well_alone(&cluster.nodes[0]).await;
    assert!(killed.elapsed() < Duration::from_secs(30), "it did not wait for its own lease");
}
