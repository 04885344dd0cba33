//! One WebSocket: packets in and out, and pings that notice a dead server.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::{ClientConfig, address};
use crate::protocol::{Packet, READ_BYTES};

/// So many pings in a row may stay unanswered.
const PINGS_UNANSWERED_MAX: u32 = 3;

/// What a server said.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A packet.
    Packet(Packet),
    /// Game data.
    Binary(Bytes),
}

/// An open connection. Errors are the problem in words: whatever it is, the connection is over.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    ping_every: Duration,
    next_ping: Instant,
    pings_unanswered: u32,
}

impl Socket {
    /// Connects to a URL of [`address::url`].
    pub(crate) async fn connect(url: &str, config: &ClientConfig) -> Result<Self, String> {
        let connector = if address::is_secure(url) { tls()? } else { Connector::Plain };
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(config.message_bytes_max))
            .max_frame_size(Some(config.message_bytes_max));
        let (stream, _) = connect_async_tls_with_config(url, Some(limits), true, Some(connector))
            .await
            .map_err(|error| format!("{url} does not take the connection: {error}"))?;
        let ping_every = (config.silence_max / PINGS_UNANSWERED_MAX).max(Duration::from_millis(10));
        Ok(Self { stream, ping_every, next_ping: Instant::now() + ping_every, pings_unanswered: 0 })
    }

    /// Sends one text message.
    pub(crate) async fn send(&mut self, text: String) -> Result<(), String> {
        self.put(Message::text(text)).await
    }

    /// The next packet or data. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Incoming, String> {
        loop {
            let message = match timeout_at(self.next_ping, self.stream.next()).await {
                Err(_) => {
                    self.ping().await?;
                    continue;
                }
                Ok(None) => return Err("the server ended the connection".to_owned()),
                Ok(Some(message)) => message.map_err(|error| error.to_string())?,
            };
            self.pings_unanswered = 0;
            match message {
                Message::Text(text) => match Packet::decode(text.as_bytes()) {
                    Ok(packet) => return Ok(Incoming::Packet(packet)),
                    Err(error) => tracing::debug!(%error, "left out a message of the server"),
                },
                Message::Binary(data) => return Ok(Incoming::Binary(data)),
                Message::Close(frame) => {
                    let reason = frame.map(|frame| frame.to_string()).unwrap_or_default();
                    return Err(format!("the server closed the connection {reason}"));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn ping(&mut self) -> Result<(), String> {
        if self.pings_unanswered >= PINGS_UNANSWERED_MAX {
            return Err(format!("the server answered none of {PINGS_UNANSWERED_MAX} pings"));
        }
        self.pings_unanswered += 1;
        self.next_ping = Instant::now() + self.ping_every;
        self.put(Message::Ping(Bytes::new())).await
    }

    /// A peer that takes nothing any more must not hold the client up for ever.
    async fn put(&mut self, message: Message) -> Result<(), String> {
        match timeout(self.ping_every * PINGS_UNANSWERED_MAX, self.stream.send(message)).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err("the server takes no data".to_owned()),
        }
    }
}

/// The provider is named, since a process may have several compiled in and none chosen.
fn tls() -> Result<Connector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be used: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Connector::Rustls(Arc::new(config)))
}
