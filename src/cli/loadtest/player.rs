//! One player: its connections, its seat, and no more packets than its gateways take.
//!
//! Nothing is tried again here: the caller counts what failed and goes on.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::{sleep_until, timeout};

use super::{tally::Tally, trouble::Trouble};
use crate::{
    client::{
        ClientConfig, address,
        socket::{Incoming, Socket},
    },
    model::RoomId,
    protocol::{JoinRoomInput, JoinRoomOutput, Packet, RoomMessage, call, message},
};

/// So many redirects may follow one another.
const HOPS_MAX: u32 = 5;
/// How long a player waits for an answer or a message.
const PATIENCE: Duration = Duration::from_secs(5);
/// The type of the messages that are measured.
const MESSAGE_TYPE: &str = "loadtest";
/// So many servers' connections are kept open at a time.
const SOCKETS_MAX: usize = 64;

/// What all players share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) client: ClientConfig,
    /// The shortest time between two packets on one connection; zero = none.
    pub(super) packet_time: Duration,
    /// Whether addresses without a scheme are encrypted.
    pub(super) secure: bool,
    /// The connections that were made.
    pub(super) connects: Tally,
}

/// A join that succeeded.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) room_id: RoomId,
    /// From the call to its final answer, without the connects on the way.
    pub(super) took: Duration,
    pub(super) hops: u32,
}

#[derive(Debug)]
pub(super) struct Player {
    common: Arc<Common>,
    home: String,
    sockets: BTreeMap<String, Socket>,
    /// The URL of the server that it sits on.
    seat: Option<String>,
    calls: u64,
    connecting: Duration,
    free_at: Instant,
}

impl Player {
    /// Connects to its gateway, a URL.
    pub(super) async fn connect(common: Arc<Common>, home: String) -> Result<Self, Trouble> {
        let mut player = Self {
            common,
            home: home.clone(),
            sockets: BTreeMap::new(),
            seat: None,
            calls: 0,
            connecting: Duration::ZERO,
            free_at: Instant::now(),
        };
        player.socket(&home).await?;
        Ok(player)
    }

    /// Waits until the next packets may be sent on one of its connections.
    pub(super) async fn pace(&mut self, packets: u32) {
        if self.common.packet_time.is_zero() {
            return;
        }
        sleep_until(self.free_at.into()).await;
        self.free_at = self.free_at.max(Instant::now()) + self.common.packet_time * packets;
    }

    /// Takes a seat, redirects followed.
    pub(super) async fn join(&mut self, input: JoinRoomInput) -> Result<Joined, Trouble> {
        let (mut address, mut input) = (self.home.clone(), JoinRoomInput { reservations: true, ..input });
        let began = Instant::now();
        self.connecting = Duration::ZERO;
        for hops in 0..=HOPS_MAX {
            let output = self.call(&address, call::JOIN_ROOM, json!(input)).await?;
            let output = serde_json::from_value(output).map_err(|error| Trouble::BadAnswer {
                address: address.clone(),
                call: call::JOIN_ROOM,
                problem: error.to_string(),
            })?;
            match output {
                JoinRoomOutput::Joined { room_id, .. } => {
                    self.seat = Some(address);
                    return Ok(Joined { room_id, took: began.elapsed().saturating_sub(self.connecting), hops });
                }
                JoinRoomOutput::Redirect { redirect, room_id, reservation } => {
                    address = address::url(&redirect, self.common.secure)
                        .map_err(|error| Trouble::NoConnection(error.to_string()))?;
                    let room_id = Some(room_id);
                    input = JoinRoomInput { room_id, reservation, reservations: true, ..JoinRoomInput::default() };
                }
            }
        }
        Err(Trouble::TooManyRedirects { hops_max: HOPS_MAX })
    }

    /// Gives its seat up, if it has one.
    pub(super) async fn leave(&mut self) -> Result<(), Trouble> {
        let Some(address) = self.seat.take() else { return Ok(()) };
        self.call(&address, call::LEAVE_ROOM, json!({})).await.map(drop)
    }

    /// Sends the message of a number to its room; the number and so many bytes of text are its content.
    pub(super) async fn say(&mut self, number: u64, text: &str) -> Result<(), Trouble> {
        let data = json!({ "number": number, "text": text });
        let data = json!(RoomMessage { message_type: MESSAGE_TYPE.to_owned(), data });
        let packet = Packet::Message { name: message::ROOM_MESSAGE.to_owned(), data };
        let (address, socket) = self.seated()?;
        let sent = socket.send(packet.encode()).await.map_err(|problem| Trouble::ConnectionLost { address, problem });
        self.checked(sent)
    }

    /// Waits for the message of a number; others are left out.
    pub(super) async fn hear(&mut self, number: u64) -> Result<(), Trouble> {
        let (address, socket) = self.seated()?;
        let heard = timeout(PATIENCE, async {
            loop {
                match next(&address, socket).await? {
                    Packet::Message { name, data }
                        if name == message::ROOM_MESSAGE
                            && data["type"] == MESSAGE_TYPE
                            && data["data"]["data"]["number"] == number =>
                    {
                        return Ok(());
                    }
                    Packet::Message { name, .. } if name == message::REDIRECT => {
                        return Err(Trouble::Moved { address: address.clone() });
                    }
                    _ => {}
                }
            }
        });
        let heard = heard.await.unwrap_or(Err(Trouble::MessageLost { patience: PATIENCE }));
        self.checked(heard)
    }

    /// Answers the pings of all its servers, and leaves out what they said meanwhile.
    pub(super) fn tend(&mut self) -> Result<(), Trouble> {
        let mut lost = None;
        self.sockets.retain(|address, socket| {
            while let Some(incoming) = socket.next().now_or_never() {
                if let Err(problem) = incoming {
                    if self.seat.as_ref() == Some(address) {
                        lost = Some(Trouble::ConnectionLost { address: address.clone(), problem });
                    }
                    return false;
                }
            }
            true
        });
        lost.map_or(Ok(()), |trouble| {
            self.seat = None;
            Err(trouble)
        })
    }

    /// Ends all connections but that of its seat: those that nobody tends would be ended by their servers.
    pub(super) fn settle(&mut self) {
        self.sockets.retain(|address, _| self.seat.as_ref() == Some(address));
    }

    async fn call(&mut self, address: &str, name: &'static str, input: Value) -> Result<Value, Trouble> {
        self.calls += 1;
        let id = self.calls;
        let request = Packet::Request { id: json!(id), name: name.to_owned(), input }.encode();
        let socket = self.socket(address).await?;
        let answered = timeout(PATIENCE, async {
            let lost = |problem| Trouble::ConnectionLost { address: address.to_owned(), problem };
            socket.send(request).await.map_err(lost)?;
            loop {
                match next(address, socket).await? {
                    Packet::Response { id: of, output } if of == id => return Ok(output),
                    Packet::Error { id: of, code, message } if of == id => {
                        return Err(Trouble::Refused { address: address.to_owned(), call: name, code, message });
                    }
                    _ => {}
                }
            }
        });
        let late = || Trouble::NoAnswer { address: address.to_owned(), call: name, patience: PATIENCE };
        let answered = answered.await.unwrap_or_else(|_| Err(late()));
        if answered.as_ref().is_err_and(Trouble::ends_connection) {
            self.sockets.remove(address);
        }
        answered
    }

    /// The connection to a server, made if there is none.
    async fn socket(&mut self, address: &str) -> Result<&mut Socket, Trouble> {
        if !self.sockets.contains_key(address) {
            if self.sockets.len() >= SOCKETS_MAX {
                self.sockets.clear();
            }
            let (began, limit) = (Instant::now(), self.common.client.connect_timeout);
            let connecting = timeout(limit, Socket::connect(address, &self.common.client)).await;
            let late = |_| Err(format!("{address} does not take the connection within {limit:?}"));
            match connecting.unwrap_or_else(late) {
                Ok(socket) => {
                    self.connecting += began.elapsed();
                    self.common.connects.record(began.elapsed());
                    self.sockets.insert(address.to_owned(), socket);
                }
                Err(problem) => {
                    let trouble = Trouble::NoConnection(problem);
                    self.common.connects.failed(&trouble);
                    return Err(trouble);
                }
            }
        }
        self.sockets.get_mut(address).ok_or_else(|| Trouble::NoConnection(address.to_owned()))
    }

    fn seated(&mut self) -> Result<(String, &mut Socket), Trouble> {
        let none = || Trouble::NoConnection("the player has no seat any more".to_owned());
        let address = self.seat.clone().ok_or_else(none)?;
        let socket = self.sockets.get_mut(&address).ok_or_else(none)?;
        Ok((address, socket))
    }

    /// Ends the connection of its seat where that is what the trouble is; the server frees the seat.
    fn checked<T>(&mut self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        if outcome.as_ref().is_err_and(|trouble| matches!(trouble, Trouble::ConnectionLost { .. }))
            && let Some(address) = self.seat.take()
        {
            self.sockets.remove(&address);
        }
        outcome
    }
}

/// The next packet; game data is left out.
async fn next(address: &str, socket: &mut Socket) -> Result<Packet, Trouble> {
    loop {
        match socket.next().await {
            Ok(Incoming::Packet(packet)) => return Ok(packet),
            Ok(Incoming::Binary(_)) => {}
            Err(problem) => return Err(Trouble::ConnectionLost { address: address.to_owned(), problem }),
        }
    }
}
