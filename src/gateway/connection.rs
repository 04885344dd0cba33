//! One WebSocket: what comes in, what goes out, and when it ends.

use std::{
    error::Error as _,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use metrics::counter;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::tungstenite;

use super::{
    User,
    calls::Caller,
    config::GatewayConfig,
    listener::Shared,
    session::{Action, Call, Sorter, stranger_id},
};
use crate::{
    protocol::Packet,
    room::{Connection, ConnectionId, Outgoing},
};

/// Calls of one connection that wait for their turn; more stay in the socket.
const CALLS_WAITING: usize = 32;
/// Packets above the rate are read for the sake of an answer only up to this size, in bytes.
const OVER_RATE_BYTES_MAX: usize = 4096;
/// How long a last word may take to be written.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A player's connection, for the hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Its number, unique in this process.
    pub id: ConnectionId,
    /// Where it comes from.
    pub remote: SocketAddr,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The player closed it, or its network did.
    Gone,
    /// The server closed it: another connection has its seat, its queue was full, or the server stops.
    Closed,
    /// It did not read as fast as it was sent to.
    Slow,
    Silent,
    Oversize,
    Malformed,
}

impl End {
    /// What the player is told, and the name in the metric where the server ended it for a fault.
    fn word(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Gone => None,
            Self::Closed => Some((close_code::NORMAL, "closed")),
            Self::Slow => Some((close_code::POLICY, "slow")),
            Self::Silent => Some((close_code::POLICY, "silent")),
            Self::Oversize => Some((close_code::SIZE, "oversize")),
            Self::Malformed => Some((close_code::POLICY, "malformed")),
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(socket: WebSocket, remote: SocketAddr, user: Option<User>, shared: Arc<Shared>) {
    let config = &shared.config;
    let Some(player_id) = user.as_ref().map(|user| user.player_id.clone()).or_else(|| stranger_id(rand::random()))
    else {
        return;
    };
    let (connection, queue) = Connection::new(config.send_queue);
    let info = ConnectionInfo { id: connection.id(), remote };
    shared.connected(info, &connection);

    let origin = origin(remote.ip().to_canonical());
    let mut caller = Caller { shared: Arc::clone(&shared), connection: connection.clone(), origin, user, player_id };
    let (calls, mut agenda) = mpsc::channel::<Call>(CALLS_WAITING);
    let (sink, stream) = socket.split();
    let heard = Mutex::new(Some(Instant::now()));

    let end = {
        let mut working = pin!(async {
            while let Some(call) = agenda.recv().await {
                caller.carry_out(call).await;
            }
        });
        let mut worked = false;
        let end = {
            let reading = read(stream, config, &connection, calls, &heard);
            let writing = write(sink, queue, &connection, config, &heard);
            let (mut reading, mut writing) = (pin!(reading), pin!(writing));
            let mut read_end = None;
            loop {
                tokio::select! {
                    end = &mut reading, if read_end.is_none() => {
                        // The writer says the last word, then ends as well.
                        read_end = Some(end);
                        connection.close();
                    }
                    (end, sink) = &mut writing => {
                        let end = if connection.is_overrun() { End::Slow } else { read_end.unwrap_or(end) };
                        say_goodbye(sink, end).await;
                        break end;
                    }
                    () = &mut working, if !worked => worked = true,
                }
            }
        };
        connection.close();
        // What the player sent before its end still counts, and a join that is under way says who it was.
        if !worked {
            working.await;
        }
        end
    };
    connection.close();
    if end != End::Gone
        && end != End::Closed
        && let Some((_, reason)) = end.word()
    {
        counter!("roomraft_gateway_connections_dropped_total", "reason" => reason).increment(1);
    }
    caller.gone();
    shared.disconnected(info);
}

async fn read(
    mut stream: SplitStream<WebSocket>,
    config: &GatewayConfig,
    connection: &Connection,
    calls: mpsc::Sender<Call>,
    heard: &Mutex<Option<Instant>>,
) -> End {
    let mut sorter = Sorter::new(config.malformed_max);
    let limiter = limiter(config);
    while let Some(message) = stream.next().await {
        *heard.lock() = Some(Instant::now());
        let bytes = match message {
            Ok(Message::Text(text)) => text.into(),
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_)) => return End::Gone,
            Err(error) => return if is_oversize(&error) { End::Oversize } else { End::Gone },
        };
        let in_rate = limiter.check().is_ok();
        if !in_rate && bytes.len() > OVER_RATE_BYTES_MAX {
            dropped("rate");
            continue;
        }
        match sorter.sort(Packet::decode(&bytes), in_rate) {
            Action::Ignore(reason) => dropped(reason),
            Action::Reply(packet) => reply(connection, &packet),
            Action::GiveUp(packet) => {
                if let Some(packet) = packet {
                    reply(connection, &packet);
                }
                return End::Malformed;
            }
            Action::Call(call) => {
                // While its calls wait here nothing is read of the player, so it is not silent.
                *heard.lock() = None;
                if calls.send(call).await.is_err() {
                    return End::Closed;
                }
                *heard.lock() = Some(Instant::now());
            }
        }
    }
    End::Gone
}

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Outgoing>,
    connection: &Connection,
    config: &GatewayConfig,
    heard: &Mutex<Option<Instant>>,
) -> (End, SplitSink<WebSocket, Message>) {
    let mut pings = interval(config.ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let end = loop {
        let message = tokio::select! {
            biased;
            // First, since a queue that is never empty must not keep pings from a player that only listens.
            _ = pings.tick() => {
                let silent = heard.lock().is_some_and(|last| last.elapsed() > config.ping_interval.mul_f32(2.5));
                if silent {
                    break End::Silent;
                }
                Message::Ping(Vec::new().into())
            }
            next = queue.recv() => match next {
                Some(outgoing) => message(outgoing),
                None => break End::Closed,
            },
            () = connection.closed() => break End::Closed,
        };
        // A player that does not read holds this up; its queue fills meanwhile, which closes the connection.
        let sent = tokio::select! {
            sent = sink.send(message) => sent,
            () = overdue(connection) => break End::Closed,
        };
        if sent.is_err() {
            break End::Gone;
        }
    };
    (end, sink)
}

/// What is under way when the connection is closed may still be written, for a moment.
async fn overdue(connection: &Connection) {
    connection.closed().await;
    tokio::time::sleep(LAST_WORD).await;
}

async fn say_goodbye(mut sink: SplitSink<WebSocket, Message>, end: End) {
    if let Some((code, reason)) = end.word() {
        let frame = CloseFrame { code, reason: reason.into() };
        // A player that is gone already does not hear it.
        let _ = timeout(LAST_WORD, sink.send(Message::Close(Some(frame)))).await;
    }
    if end == End::Oversize {
        // Unread input would have the socket reset when it is dropped, and the word could be lost on its way.
        tokio::time::sleep(LAST_WORD).await;
    }
}

fn dropped(reason: &'static str) {
    counter!("roomraft_gateway_packets_dropped_total", "reason" => reason).increment(1);
}

fn reply(connection: &Connection, packet: &Packet) {
    if let Packet::Error { code, .. } = packet {
        counter!("roomraft_gateway_errors_total", "code" => code.name().to_owned()).increment(1);
    }
    connection.send(Outgoing::Text(packet.encode().into()));
}

fn message(outgoing: Outgoing) -> Message {
    match outgoing {
        Outgoing::Text(text) => Message::Text((*text).into()),
        Outgoing::Binary(bytes) => Message::Binary(bytes),
    }
}

fn limiter(config: &GatewayConfig) -> DefaultDirectRateLimiter {
    let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(at_least_one(config.packets_per_second));
    RateLimiter::direct(quota.allow_burst(at_least_one(config.packets_burst)))
}

fn is_oversize(error: &axum::Error) -> bool {
    let inner = error.source().and_then(|source| source.downcast_ref::<tungstenite::Error>());
    matches!(inner, Some(tungstenite::Error::Capacity(_)))
}

/// Where players come from, as a number that all servers of the cluster agree on; never 0.
fn origin(address: IpAddr) -> u64 {
    let digest = match address {
        IpAddr::V4(v4) => Sha256::digest(v4.octets()),
        IpAddr::V6(v6) => Sha256::digest(v6.octets()),
    };
    let first: [u8; 8] = std::array::from_fn(|place| digest[place]);
    u64::from_be_bytes(first).max(1)
}
