//! A child: one Raft node, the rooms that its server owns, and the callers on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream};
use roomraft::{
    adapter::{Consistency, DistributedAdapter},
    model::{
        Metadata, PlayerId, RoomQuery, RoomRegistration, RoomSnapshot, RoomType, SeatId, SeatRelease, SeatRequest,
        SeatTarget, ServerEpoch, TokenHash,
    },
};
use serde_json::{Value, json};

use super::{
    STATE_BYTES,
    bench::{
        self, child,
        figures::percentile,
        game_server::{self, live_room},
        raft_node,
    },
};

/// So many snapshots of one node are under way at once.
const AT_ONCE: usize = 32;
/// Seats of a room that is only joined.
const SEATS: u32 = 1000;
/// How long a node that has just begun waits before it looks again.
const PAUSE: Duration = Duration::from_millis(5);

/// Serves until the parent is gone.
pub fn serve(role: &Value) {
    let runtime = bench::runtime();
    let adapter: Arc<dyn DistributedAdapter> = raft_node::adapter(role);
    runtime.block_on(adapter.connect()).expect("the node joins its cluster");
    let mut owner = None;
    child::serve(|command| {
        let order: Value = serde_json::from_str(command).expect("the parent writes JSON");
        if let Some(rooms) = order["fill"].as_u64() {
            let name = raft_node::name("server", role);
            owner = Some(runtime.block_on(Owner::start(Arc::clone(&adapter), name, rooms)));
            return json!(rooms);
        }
        if let Some(version) = order["has"].as_u64() {
            runtime.block_on(has(&*adapter, version));
        }
        if order == "stop" {
            runtime.block_on(adapter.disconnect()).expect("the node stops");
        }
        match &owner {
            Some(owner) => runtime.block_on(owner.work(&order)),
            None => json!("done"),
        }
    });
}

/// Waits until a room has the state of a version.
async fn has(adapter: &dyn DistributedAdapter, version: u64) {
    loop {
        if let Ok(rooms) = adapter.rooms(&RoomQuery::default(), Consistency::Linearizable).await
            && let Some(room) = rooms.iter().find(|room| room.room_type.as_str() == "arena")
            && let Ok(Some(snapshot)) = adapter.load_snapshot(&room.room_id).await
            && snapshot.version >= version
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A server with rooms.
struct Owner {
    adapter: Arc<dyn DistributedAdapter>,
    server: ServerEpoch,
    rooms: Vec<RoomRegistration>,
    /// The room that is joined.
    lobby: RoomRegistration,
}

impl Owner {
    async fn start(adapter: Arc<dyn DistributedAdapter>, name: String, rooms: u64) -> Self {
        let arena = RoomType::new("arena").expect("a name");
        let server = game_server::online(Arc::clone(&adapter), name, arena.clone(), 4).await;
        let register = |room_type: RoomType, seats: u32| {
            let (adapter, server) = (Arc::clone(&adapter), server.clone());
            async move {
                let room = live_room(room_type, seats, Metadata::default());
                adapter.register_room(&server, room).await.expect("a room")
            }
        };
        let rooms =
            stream::iter(0..rooms).map(|_| register(arena.clone(), 4)).buffer_unordered(AT_ONCE).collect().await;
        let lobby = register(RoomType::new("lobby").expect("a name"), SEATS).await;
        Self { adapter, server, rooms, lobby }
    }

    /// Saves all rooms if that is ordered, with callers beside it if there are to be any; else lets the callers work.
    async fn work(&self, order: &Value) -> Value {
        let callers = order["join"].as_u64().unwrap_or_default();
        let over = AtomicBool::new(false);
        let saving = async {
            match order["save"].as_u64() {
                Some(version) => self.save(version).await,
                None => tokio::time::sleep(Duration::from_millis(order["ms"].as_u64().unwrap_or_default())).await,
            }
            over.store(true, Ordering::Relaxed);
        };
        let joining = join_all((0..callers).map(|_| self.joins(&over)));
        let (times, ()) = tokio::join!(joining, saving);
        let mut times: Vec<f64> = times.into_iter().flatten().collect();
        times.sort_by(f64::total_cmp);
        let at = |thousandth| percentile(&times, thousandth);
        json!({ "p50_ms": at(500), "p99_ms": at(990), "longest_ms": times.last() })
    }

    async fn save(&self, version: u64) {
        let state = json!("s".repeat(STATE_BYTES));
        let save = |room: &RoomRegistration| {
            let snapshot = RoomSnapshot {
                room_id: room.room_id.clone(),
                room_type: room.room_type.clone(),
                state: state.clone(),
                players: Vec::new(),
                version,
                timestamp: 0,
            };
            let epoch = room.epoch;
            async move { self.adapter.save_snapshot(epoch, &snapshot).await.expect("it is kept") }
        };
        stream::iter(&self.rooms).map(save).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }

    /// Reserves a seat and frees it until it is over; gives the times of the reservations in milliseconds.
    async fn joins(&self, over: &AtomicBool) -> Vec<f64> {
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let seat_id = SeatId::random();
            let request = SeatRequest {
                seat_id,
                player_id: PlayerId::new(format!("player-{seat_id}")).expect("a name"),
                target: SeatTarget::Room(self.lobby.room_id.clone()),
                caller: self.server.clone(),
                token: TokenHash([0; 32]),
                hold_ms: 60_000,
                origin: 0,
            };
            let began = Instant::now();
            self.adapter.reserve_seat(request).await.expect("a seat");
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            let release = SeatRelease { room_id: self.lobby.room_id.clone(), seat_id, away_ms: 0 };
            self.adapter.release_seats(&self.server, vec![release]).await.expect("it is free");
        }
        times
    }
}
