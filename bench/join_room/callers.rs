//! Players that join, leave, and join again, with nothing but a WebSocket library.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt, future::join_all};
use serde_json::{Value, json};
use tokio::{net::TcpStream, runtime::Runtime};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::{
    bench::{
        child::processor_time,
        figures::{count, percentile},
    },
    fleet::Fleet,
    server::ROOM_TYPE,
};

/// So many redirects may follow one another.
const HOPS_MAX: usize = 5;
/// How long a refused call waits before it is sent again.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);
/// So many players of one caller sit in rooms at a time.
const STAYING: usize = 4;

/// What one run of all callers came to.
#[derive(Debug)]
pub struct Slice {
    pub joins_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// The share of the joins that were redirected.
    pub redirected: f64,
    /// Calls that were refused for a moment and sent again.
    pub refused: f64,
    /// Commands for each join, those of the leaves and of the rooms that come and go included.
    pub commands: f64,
    /// Processor time a second: of the servers, and of the callers.
    pub servers_cores: f64,
    pub callers_cores: f64,
}

/// Callers with open connections, all on one thread.
pub struct Callers {
    runtime: Runtime,
    callers: Vec<Caller>,
}

impl Callers {
    /// Connects so many, spread evenly over the gateways.
    pub fn connect(fleet: &Fleet, count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let gateways = fleet.gateways();
        let connecting = (0..count).map(|number| Caller::connect(&gateways[number % gateways.len()]));
        let callers = runtime.block_on(join_all(connecting));
        Self { runtime, callers }
    }

    /// Has them join for so long.
    pub fn run(&mut self, fleet: &mut Fleet, seconds: Duration) -> Slice {
        let commands = fleet.commands();
        let (servers, own, began) = (fleet.processor_time(), processor_time("self"), Instant::now());
        let running = self.callers.iter_mut().map(|caller| caller.run(began + seconds));
        let tallies = self.runtime.block_on(join_all(running));
        let took = began.elapsed().as_secs_f64();
        let mut times: Vec<Duration> = tallies.iter().flat_map(|tally| tally.times.iter().copied()).collect();
        times.sort_unstable();
        let redirected: usize = tallies.iter().map(|tally| tally.redirected).sum();
        let at = |thousandth| percentile(&times, thousandth).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        Slice {
            joins_per_second: count(times.len()) / took,
            p50_ms: at(500),
            p99_ms: at(990),
            redirected: count(redirected) / count(times.len().max(1)),
            refused: count(tallies.iter().map(|tally| tally.refused).sum()),
            commands: (fleet.commands() - commands) / count(times.len().max(1)),
            servers_cores: (fleet.processor_time() - servers) / took,
            callers_cores: (processor_time("self") - own) / took,
        }
    }
}

#[derive(Default)]
struct Tally {
    times: Vec<Duration>,
    redirected: usize,
    refused: usize,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One player at a time; each of its players stays until it has brought in a few more.
struct Caller {
    players: [Player; STAYING],
}

impl Caller {
    async fn connect(home: &str) -> Self {
        let players = join_all((0..STAYING).map(|_| Player::connect(home))).await;
        Self { players: players.try_into().ok().expect("as many as were asked for") }
    }

    async fn run(&mut self, until: Instant) -> Tally {
        let mut tally = Tally::default();
        for turn in (0..STAYING).cycle() {
            if Instant::now() >= until {
                break;
            }
            let player = &mut self.players[turn];
            player.leave().await;
            let began = Instant::now();
            tally.redirected += usize::from(player.join().await > 0);
            tally.times.push(began.elapsed());
            tally.refused += std::mem::take(&mut player.refused);
        }
        tally
    }
}

/// One player: its own gateway, the connections to it and to those that it was sent to, and where its room is.
struct Player {
    home: String,
    sockets: BTreeMap<String, Socket>,
    calls: u64,
    refused: usize,
    seated_at: Option<String>,
}

impl Player {
    async fn connect(home: &str) -> Self {
        let mut player =
            Self { home: home.to_owned(), sockets: BTreeMap::new(), calls: 0, refused: 0, seated_at: None };
        player.socket(home).await;
        player
    }

    async fn leave(&mut self) {
        if let Some(address) = self.seated_at.take() {
            self.call(&address, "LeaveRoom", &json!({})).await;
        }
    }

    /// Joins any room; says after how many redirects.
    async fn join(&mut self) -> usize {
        let (mut address, mut input) = (self.home.clone(), json!({ "roomType": ROOM_TYPE, "reservations": true }));
        for hops in 0..HOPS_MAX {
            let answer = self.call(&address, "JoinRoom", &input).await;
            let Some(redirect) = answer["redirect"].as_str() else {
                assert!(answer["sessionToken"].is_string(), "not a join: {answer}");
                self.seated_at = Some(address);
                return hops;
            };
            redirect.trim_start_matches("ws://").clone_into(&mut address);
            input = json!({ "roomId": answer["roomId"], "reservation": answer["reservation"] });
        }
        panic!("sent from server to server {HOPS_MAX} times");
    }

    async fn call(&mut self, address: &str, name: &str, input: &Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let request = Message::text(json!([0, id, name, input]).to_string());
        let socket = self.socket(address).await;
        socket.send(request).await.expect("the gateway takes a call");
        loop {
            let message = socket.next().await.expect("an open connection").expect("a message");
            let Message::Text(text) = message else { continue };
            let mut packet: Value = serde_json::from_str(&text).expect("a packet");
            match (packet[0].as_u64(), packet[1].as_u64()) {
                (Some(1), Some(of)) if of == id => return packet[2].take(),
                (Some(2), Some(of)) if of == id && packet[2] == "UNAVAILABLE" => {
                    // The machine was too busy to keep a lease: the time that this costs is part of the join.
                    self.refused += 1;
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    return Box::pin(self.call(address, name, input)).await;
                }
                (Some(2), Some(of)) if of == id => panic!("{name} {input} was refused: {packet}"),
                _ => {}
            }
        }
    }

    async fn socket(&mut self, address: &str) -> &mut Socket {
        if !self.sockets.contains_key(address) {
            // The library clears its read buffer, 128 KiB by default, before every read.
            let config = WebSocketConfig::default().read_buffer_size(8 * 1024);
            let connecting = connect_async_with_config(format!("ws://{address}/"), Some(config), true);
            let (socket, _) = connecting.await.expect("a gateway");
            self.sockets.insert(address.to_owned(), socket);
        }
        self.sockets.get_mut(address).expect("just made")
    }
}
