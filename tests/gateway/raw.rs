//! A WebSocket whose every packet the test sees and makes.

use futures_util::{SinkExt, StreamExt};
use roomraft::server::Server;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        self, Message,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::support::wait::DEADLINE;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a close frame of this code.
    Code(u16),
    /// Without a word.
    Silence(String),
}

/// One open WebSocket.
pub(crate) struct Raw {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Raw {
    /// Opens one at a path of the server, such as `/`.
    pub(crate) async fn open(server: &Server, path: &str) -> Result<Self, Box<tungstenite::Error>> {
        let url = format!("ws://{}{path}", server.address());
        let opened = timeout(DEADLINE, connect_async(url)).await.expect("the server answers in time");
        opened.map(|(socket, _)| Self { socket }).map_err(Box::new)
    }

    pub(crate) async fn to(server: &Server) -> Self {
        Self::open(server, "/").await.expect("the server lets us in")
    }

    pub(crate) async fn send(&mut self, message: Message) {
        timeout(DEADLINE, self.socket.send(message)).await.expect("sent in time").expect("the connection lives");
    }

    pub(crate) async fn say(&mut self, packet: Value) {
        self.send(Message::text(packet.to_string())).await;
    }

    /// The next message, whatever it is.
    pub(crate) async fn next(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        timeout(DEADLINE, self.socket.next()).await.expect("something in time")
    }

    /// The next packet.
    pub(crate) async fn packet(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("a packet is JSON"),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no packet: {other:?}"),
            }
        }
    }

    /// Sends a call under the id 1 and gives the next packet.
    pub(crate) async fn call(&mut self, name: &str, input: Value) -> Value {
        self.say(json!([0, 1, name, input])).await;
        self.packet().await
    }

    /// Proves that the connection works: a heartbeat is answered.
    pub(crate) async fn beats(&mut self) {
        self.say(json!([9])).await;
        assert_eq!(self.packet().await, json!([9]));
    }

    /// Reads to the end.
    pub(crate) async fn ending(mut self) -> Ending {
        loop {
            match self.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return Ending::Code(frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Ending::Silence(error.to_string()),
                None => return Ending::Silence("the stream ended".to_owned()),
            }
        }
    }
}

/// The code of an error packet for the call 1.
pub(crate) fn code(packet: &Value) -> &str {
    assert_eq!((&packet[0], &packet[1]), (&json!(2), &json!(1)), "no error of call 1: {packet}");
    assert!(packet[3].as_str().is_some_and(|words| !words.is_empty()), "no words for people: {packet}");
    packet[2].as_str().expect("a code is text")
}

/// A text message in `count` fragments of the same content.
pub(crate) fn fragments(content: &str, count: usize) -> Vec<Frame> {
    let fragment = |place| {
        let code = OpCode::Data(if place == 0 { Data::Text } else { Data::Continue });
        Frame::message(content.to_owned().into_bytes(), code, place + 1 == count)
    };
    (0..count).map(fragment).collect()
}
