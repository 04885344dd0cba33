//! What a player can cost, and what comes of more.

use std::time::Duration;

use futures_util::SinkExt;
use roomraft::gateway::GatewayConfig;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{
    cluster::{RELAY, address, alone, limited},
    raw::{Ending, Raw, code, fragments},
    support::{player::Player, wait::until},
};

#[tokio::test]
async fn a_message_of_the_largest_size_is_taken() {
    let server = limited(GatewayConfig { message_bytes_max: 4096, ..GatewayConfig::default() }).await;
    let mut raw = Raw::to(&server).await;
    let around = r#"[0,1,"Fly",""]"#.len();
    let largest = json!([0, 1, "Fly", "x".repeat(4096 - around)]).to_string();
    assert_eq!(largest.len(), 4096);
    raw.send(Message::text(largest)).await;
    assert_eq!(code(&raw.packet().await), "NOT_FOUND");
}

#[tokio::test]
async fn a_larger_message_closes_its_connection_with_1009() {
    let server = alone().await;
    for bytes in [1024 * 1024 + 1, 4 * 1024 * 1024] {
        let mut raw = Raw::to(&server).await;
        // The server may have closed before all of it was sent.
        let _ = raw.socket.send(Message::text("x".repeat(bytes))).await;
        assert_eq!(raw.ending().await, Ending::Code(1009), "{bytes} bytes");
    }
    Raw::to(&server).await.beats().await;
}

#[tokio::test]
async fn fragments_that_are_too_large_together_close_the_connection_as_well() {
    let server = limited(GatewayConfig { message_bytes_max: 4096, ..GatewayConfig::default() }).await;
    let mut raw = Raw::to(&server).await;
    for fragment in fragments(&"x".repeat(1024), 5) {
        let _ = raw.socket.send(Message::Frame(fragment)).await;
    }
    assert_eq!(raw.ending().await, Ending::Code(1009));
}

#[tokio::test]
async fn too_many_packets_are_told_so_and_the_connection_lives() {
    let config = GatewayConfig { packets_per_second: 1, packets_burst: 5, ..GatewayConfig::default() };
    let server = limited(config).await;
    let mut raw = Raw::to(&server).await;
    for _ in 0..60 {
        raw.say(json!([0, 1, "ListRooms", {}])).await;
    }
    let mut refused = 0;
    for _ in 0..60 {
        let answer = raw.packet().await;
        if answer[0] == json!(2) {
            assert_eq!(code(&answer), "RATE_LIMITED");
            refused += 1;
        }
    }
    assert!((1..=55).contains(&refused), "{refused} of 60 were refused with a burst of 5");
    let mut player = Player::connect(&address(&server)).await.expect("connected");
    player.call("ListRooms", json!({})).await.expect("another connection has its own rate");
    until("the rate to recover", async || player.call("ListRooms", json!({})).await).await;
}

#[tokio::test]
async fn malformed_packets_are_borne_for_a_while_and_then_not() {
    let server = limited(GatewayConfig { malformed_max: 4, ..GatewayConfig::default() }).await;
    let mut raw = Raw::to(&server).await;
    for garbage in ["garbage", "[[[[[[[[[[", r#"[3,"RoomMessage",5]"#] {
        raw.send(Message::text(garbage)).await;
    }
    raw.send(Message::binary(vec![0xff, 0xfe, 0x00])).await;
    raw.beats().await;
    raw.send(Message::text("[".repeat(100_000))).await;
    assert_eq!(raw.ending().await, Ending::Code(1008));
}

#[tokio::test]
async fn a_player_that_does_not_read_is_dropped_and_the_others_are_not() {
    let server = limited(GatewayConfig { send_queue: 64, ..GatewayConfig::default() }).await;
    let _slow = Raw::to(&server).await;
    let mut good = Raw::to(&server).await;
    until("both to be connected", async || if server.connections() == 2 { Ok(()) } else { Err(server.connections()) })
        .await;
    let filler = "x".repeat(256 * 1024);
    let mut sent = 0;
    while server.broadcast("filler", json!(filler)) == 2 {
        assert_eq!(good.packet().await[1], json!("filler"), "the other one gets them all");
        sent += 1;
        assert!(sent < 1_000, "a quarter of a gigabyte waits for a player that does not read");
    }
    assert_eq!(good.packet().await[1], json!("filler"));
    until(
        "the slow one to be gone",
        async || if server.connections() == 1 { Ok(()) } else { Err(server.connections()) },
    )
    .await;
    good.beats().await;
}

#[tokio::test]
async fn a_player_that_answers_no_pings_is_dropped_and_one_that_does_stays() {
    let server = limited(GatewayConfig { ping_interval: Duration::from_millis(200), ..GatewayConfig::default() }).await;
    let mut alive = Raw::to(&server).await;
    // Its socket stays open, but nothing reads it, so nothing answers.
    let _silent = Raw::to(&server).await;
    until("both to be connected", async || if server.connections() == 2 { Ok(()) } else { Err(server.connections()) })
        .await;
    let mut pings = 0;
    while pings < 8 || server.connections() == 2 {
        // Reading answers them.
        let message = alive.next().await.expect("it is not closed").expect("it works");
        assert!(matches!(message, Message::Ping(_)), "{message:?}");
        pings += 1;
        assert!(pings < 150, "the silent one is never dropped");
    }
    alive.beats().await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn above_the_number_of_connections_a_player_is_turned_away_until_one_ends() {
    let server = limited(GatewayConfig { connections_max: 1, ..GatewayConfig::default() }).await;
    let (first, _) = Player::join(&address(&server), RELAY).await.expect("a seat");
    let refused = Player::connect(&address(&server)).await.err().expect("full");
    assert!(format!("{refused:?}").contains("503"), "{refused:?}");
    first.cut();
    until("a place to be free", async || Player::connect(&address(&server)).await.map(drop)).await;
}
