//! A rolling restart under load: every node is stopped in order and started again while players play.

use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use roomraft::{
    client::{Client, ClientConfig, Event, Events, JoinOptions},
    model::RoomType,
};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{
    process::Cluster,
    wait::{DEADLINE, until},
};

const PLAYERS: usize = 100;
const SEATS: usize = 4;
/// How often a player writes.
const PACE: Duration = Duration::from_millis(100);

/// A player that counts in the state of its room, one acknowledged write after the other.
struct Counter {
    client: Client,
    events: Events,
    key: String,
    acknowledged: u64,
    /// It has come back and has not been told the state yet.
    returned: bool,
    longest_pause: Duration,
}

impl Counter {
    async fn join(gateways: Vec<String>) -> Self {
        let (client, events) = Client::connect(gateways, ClientConfig::default()).await.expect("a connection");
        let arena = JoinOptions::room_type(RoomType::new("arena").expect("a name"));
        let key = client.join(arena).await.expect("a seat").player_id.to_string();
        Self { client, events, key, acknowledged: 0, returned: false, longest_pause: Duration::ZERO }
    }

    async fn play(mut self, enough: CancellationToken) -> Self {
        let mut pace = interval(PACE);
        while !enough.is_cancelled() {
            pace.tick().await;
            let begun = Instant::now();
            self.count().await;
            self.longest_pause = self.longest_pause.max(begun.elapsed());
        }
        self
    }

    /// Writes the next number until the room has acknowledged it, over as many connections as that takes.
    async fn count(&mut self) {
        let next = self.acknowledged + 1;
        let write = json!({ "key": self.key, "value": next });
        // A write that fails is repeated once the client is back.
        let _ = self.client.send("$set", write.clone()).await;
        while self.acknowledged < next {
            let event = timeout(DEADLINE, self.events.next()).await;
            let event = event.unwrap_or_else(|_| panic!("{} heard nothing after {}", self.key, self.acknowledged));
            match event.expect("the client lives") {
                Event::Message { message_type, data } if message_type == "$state" => self.read(&data),
                Event::Reconnected => {
                    self.returned = true;
                    let _ = self.client.send("$set", write.clone()).await;
                }
                Event::Closed { reason } => panic!("{} was given up: {reason}", self.key),
                _ => {}
            }
        }
    }

    /// What was acknowledged is never taken back. Who returns is told the whole state first.
    fn read(&mut self, state: &Value) {
        let whole = std::mem::take(&mut self.returned);
        assert!(!whole || self.acknowledged == 0 || state[&self.key].is_u64(), "{}: all is lost: {state}", self.key);
        if let Some(value) = state[&self.key].as_u64() {
            assert!(value >= self.acknowledged, "{}: {value} after {} was acknowledged", self.key, self.acknowledged);
            self.acknowledged = value;
        }
    }
}

async fn room_ids(cluster: &Cluster) -> Vec<String> {
    until("every room live with all its players", || async {
        let rooms = cluster.any().rooms().await?;
        let whole = |room: &&Value| room["state"] == "live" && room["playerCount"] == SEATS;
        if rooms.len() == PLAYERS / SEATS && rooms.iter().filter(whole).count() == rooms.len() {
            let mut ids: Vec<_> = rooms.iter().map(|room| room["roomId"].to_string()).collect();
            ids.sort();
            Ok(ids)
        } else {
            Err(format!("{rooms:?}"))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_no_room_no_player_and_no_acknowledged_write() {
    let arena = format!("arena=relay,max_players={SEATS},reconnect_grace_ms=60000");
    let mut cluster = Cluster::started(3, &["--room", &arena]).await;
    let gateways = cluster.gateways();
    let enough = CancellationToken::new();
    let joins = (0..PLAYERS).map(|number| {
        let mut gateways = gateways.clone();
        gateways.rotate_left(number % 3);
        Counter::join(gateways)
    });
    let players = join_all(joins).await;
    let before = room_ids(&cluster).await;
    let players: Vec<_> = players.into_iter().map(|player| tokio::spawn(player.play(enough.clone()))).collect();

    for place in 0..3 {
        cluster.nodes[place].signal(Signal::SIGTERM);
        assert!(cluster.nodes[place].exit().await.success());
        cluster.start().await;
    }
    assert_eq!(room_ids(&cluster).await, before);
    enough.cancel();
    let players = join_all(players).await.into_iter().map(|player| player.expect("no player lost anything"));
    let mut pauses: Vec<_> = players.map(|player| player.longest_pause).collect();
    pauses.sort();
    eprintln!("longest pause of a player: median {:?}, maximum {:?}", pauses[PLAYERS / 2], pauses[PLAYERS - 1]);
}
