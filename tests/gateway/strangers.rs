//! What comes to the port that is no player.

use std::time::Duration;

use roomraft::{gateway::GatewayConfig, server::Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    cluster::{RELAY, address, alone, limited},
    support::{player::Player, wait::DEADLINE},
};

#[tokio::test]
async fn bytes_that_are_no_http_end_their_connection_and_no_other() {
    let server = alone().await;
    let mut bytes = [0u8; 512];
    for seed in 1..=40u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[0];
        }
        // A line's end, so that even what looks like the beginning of a request is over.
        bytes[508..].copy_from_slice(b"\r\n\r\n");
        let answer = exchange(&server, &bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    Player::join(&address(&server), RELAY).await.expect("players are served as before");
}

#[tokio::test]
async fn a_request_for_a_page_is_told_what_this_is() {
    let server = alone().await;
    let answer = exchange(&server, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("WebSocket"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_ended() {
    let config = GatewayConfig { handshake_timeout: Duration::from_millis(200), ..GatewayConfig::default() };
    let server = limited(config).await;
    for beginning in [&b""[..], b"GET / HTTP/1.1\r\nhost: x\r\n"] {
        let answer = exchange(&server, beginning).await;
        assert!(!answer.contains("101 Switching"), "{answer}");
    }
}

/// Sends bytes and reads to the end, which must come in time.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.expect("connected");
    // The server may have refused the beginning already.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let end = timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    // A reset is an end too.
    let _ = end.expect("the server ends the connection");
    String::from_utf8_lossy(&answer).into_owned()
}
