//! A player that speaks the protocol with nothing but a WebSocket library.

use std::{collections::VecDeque, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config, tungstenite::Message,
};

use super::wait::DEADLINE;

/// Why a call did not get an answer of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The server refused it, with its code and its words.
    Refused { code: String, message: String },
    /// The connection could not be made, or ended.
    Gone(String),
}

impl CallError {
    /// The protocol's error code, or `GONE`.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Gone(_) => "GONE",
        }
    }
}

/// Where a player sits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub room_id: String,
    pub player_id: String,
    pub session_token: String,
}

/// One connection of one player.
pub struct Player {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Whom it trusts, where that is not for the system to say.
    connector: Option<Connector>,
    next_id: u64,
    messages: VecDeque<(String, Value)>,
    /// How many redirects were followed to get here.
    pub redirects: usize,
}

impl Player {
    pub async fn connect(address: &str) -> Result<Self, CallError> {
        Self::connect_by(address, None).await
    }

    /// The same, by `wss://` with trust of the test's own.
    pub async fn connect_by(address: &str, connector: Option<Connector>) -> Result<Self, CallError> {
        let url = if address.contains("://") { address.to_owned() } else { format!("ws://{address}/") };
        match timeout(DEADLINE, connect_async_tls_with_config(url, None, false, connector.clone())).await {
            Ok(Ok((socket, _))) => Ok(Self { socket, connector, next_id: 1, messages: VecDeque::new(), redirects: 0 }),
            Ok(Err(error)) => Err(CallError::Gone(error.to_string())),
            Err(_) => Err(CallError::Gone("no connection in time".to_owned())),
        }
    }

    /// Calls and awaits the answer; messages that come before it are kept for [`Player::message`].
    pub async fn call(&mut self, name: &str, input: Value) -> Result<Value, CallError> {
        let id = self.next_id;
        self.next_id += 1;
        self.send_text(&json!([0, id, name, input]).to_string()).await?;
        let deadline = Instant::now() + DEADLINE;
        loop {
            let packet = self.packet(deadline).await?;
            match (packet[0].as_u64(), packet[1].as_u64()) {
                (Some(1), Some(answered)) if answered == id => return Ok(packet[2].clone()),
                (Some(2), Some(answered)) if answered == id => {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    return Err(CallError::Refused { code: text(&packet[2]), message: text(&packet[3]) });
                }
                _ => self.keep(&packet),
            }
        }
    }

    /// Joins a room of a type through `address`, following redirects as a client does.
    pub async fn join(address: &str, room_type: &str) -> Result<(Self, Place), CallError> {
        let player = Self::connect(address).await?;
        player.join_with(json!({ "roomType": room_type, "reservations": true })).await
    }

    /// Sends one `JoinRoom` and follows its redirects.
    pub async fn join_with(mut self, input: Value) -> Result<(Self, Place), CallError> {
        let mut answer = self.call("JoinRoom", input).await?;
        for hop in 1..=4 {
            let Some(address) = answer["redirect"].as_str() else {
                let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
                let place =
                    Place { room_id: text("roomId"), player_id: text("playerId"), session_token: text("sessionToken") };
                return Ok((self, place));
            };
            self = Self::connect_by(address, self.connector.take()).await?;
            self.redirects = hop;
            let input = json!({ "roomId": answer["roomId"], "reservation": answer["reservation"] });
            answer = self.call("JoinRoom", input).await?;
        }
        Err(CallError::Gone("sent on more than 4 times".to_owned()))
    }

    /// Sends `RoomMessage {type, data}`.
    pub async fn say(&mut self, message_type: &str, data: Value) -> Result<(), CallError> {
        self.send_text(&json!([3, "RoomMessage", { "type": message_type, "data": data }]).to_string()).await
    }

    /// The data of the next room message of this type; others before it are dropped.
    pub async fn heard(&mut self, message_type: &str) -> Result<Value, CallError> {
        loop {
            let data = self.message("RoomMessage").await?;
            if data["type"] == message_type {
                return Ok(data["data"].clone());
            }
        }
    }

    /// The next message, whatever its name.
    pub async fn next_message(&mut self) -> Result<(String, Value), CallError> {
        let deadline = Instant::now() + DEADLINE;
        while self.messages.is_empty() {
            let packet = self.packet(deadline).await?;
            self.keep(&packet);
        }
        self.messages.pop_front().ok_or_else(|| CallError::Gone("no message".to_owned()))
    }

    /// The data of the next message with this name; others before it are dropped.
    pub async fn message(&mut self, name: &str) -> Result<Value, CallError> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            while let Some((kept, data)) = self.messages.pop_front() {
                if kept == name {
                    return Ok(data);
                }
            }
            let packet = self.packet(deadline).await?;
            self.keep(&packet);
        }
    }

    /// Sends text as it is, well formed or not.
    pub async fn send_text(&mut self, text: &str) -> Result<(), CallError> {
        self.socket.send(Message::text(text)).await.map_err(|error| CallError::Gone(error.to_string()))
    }

    /// Cuts the connection without a word, as a lost network does.
    pub fn cut(self) {
        drop(self);
    }

    /// Waits until the server ends the connection.
    pub async fn ended(&mut self, within: Duration) -> bool {
        let end = async { while let Some(Ok(_)) = self.socket.next().await {} };
        timeout(within, end).await.is_ok()
    }

    fn keep(&mut self, packet: &Value) {
        if packet[0] == 3 {
            let name = packet[1].as_str().unwrap_or_default().to_owned();
            self.messages.push_back((name, packet[2].clone()));
        }
    }

    async fn packet(&mut self, deadline: Instant) -> Result<Value, CallError> {
        loop {
            let next = timeout_at(deadline, self.socket.next()).await;
            match next.map_err(|_| CallError::Gone("no answer in time".to_owned()))? {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).map_err(|error| CallError::Gone(error.to_string()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(CallError::Gone(error.to_string())),
                None => return Err(CallError::Gone("the server closed the connection".to_owned())),
            }
        }
    }
}
