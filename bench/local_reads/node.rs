//! A child: one Raft node, the rooms that it registers, and the callers on it.

use std::{hint::black_box, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use roomraft::{
    adapter::{Consistency, DistributedAdapter},
    model::{Metadata, RoomId, RoomQuery, RoomType},
};
use serde_json::{Value, json};

use super::{
    bench::{
        self, child,
        game_server::{self, live_room},
        raft_node,
    },
    callers::{self, Slice},
};

/// Rooms that are registered at once.
const AT_ONCE: usize = 256;
/// Between two looks at whether the rooms have arrived.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves until the parent is gone.
pub fn serve(role: &Value) {
    let runtime = bench::runtime();
    let adapter = raft_node::adapter(role);
    runtime.block_on(adapter.connect()).expect("the node joins its cluster");
    let node = Node { adapter, room_type: RoomType::new("arena").expect("a name"), role: role.clone() };
    let mut rooms: Arc<[RoomId]> = Arc::default();
    child::serve(|command| {
        let order: Value = serde_json::from_str(command).unwrap_or_default();
        let number = |key: &str| order[key].as_u64().unwrap_or_default();
        if let Some(read) = order["read"].as_str() {
            let read = node.run(read, &rooms, number("callers"), number("seconds"));
            return json!(runtime.block_on(read));
        }
        if order["fill"].is_u64() {
            return runtime.block_on(node.fill(number("fill")));
        }
        rooms = runtime.block_on(node.until(number("until"))).into();
        json!(rooms.len())
    });
}

struct Node {
    adapter: Arc<dyn DistributedAdapter>,
    room_type: RoomType,
    role: Value,
}

impl Node {
    /// Registers so many open rooms, and gives what one looks like.
    async fn fill(&self, rooms: u64) -> Value {
        let name = raft_node::name("server", &self.role);
        let server = game_server::online(Arc::clone(&self.adapter), name, self.room_type.clone(), 4).await;
        let metadata = || Metadata::from_iter([("map", "harbour"), ("mode", "duel")]);
        stream::iter(0..rooms)
            .for_each_concurrent(AT_ONCE, |_| async {
                let room = live_room(self.room_type.clone(), 4, metadata());
                self.adapter.register_room(&server, room).await.expect("a room");
            })
            .await;
        let room = self.adapter.find_available_room(&self.room_type).await.expect("an answer");
        json!(room.expect("a room"))
    }

    /// Waits until this node has so many rooms, and gives their ids.
    async fn until(&self, rooms: u64) -> Vec<RoomId> {
        loop {
            let listed = self.adapter.rooms(&RoomQuery::default(), Consistency::Local).await.expect("an answer");
            if listed.len() as u64 >= rooms {
                return listed.into_iter().map(|room| room.room_id).collect();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn run(&self, read: &str, rooms: &Arc<[RoomId]>, callers: u64, seconds: u64) -> Slice {
        let (adapter, rooms) = (Arc::clone(&self.adapter), Arc::clone(rooms));
        let callers = usize::try_from(callers).expect("a small number");
        let consistency = if read.ends_with("local") { Consistency::Local } else { Consistency::Linearizable };
        if read.starts_with("room") {
            let room = move |number: usize| {
                let (adapter, room) = (Arc::clone(&adapter), rooms[number * 7919 % rooms.len()].clone());
                async move {
                    black_box(adapter.room(&room, consistency).await.expect("an answer").expect("the room"));
                }
            };
            return callers::run(callers, seconds, room).await;
        }
        let page = RoomQuery { room_type: Some(self.room_type.clone()), limit: Some(10), ..RoomQuery::default() };
        let (room_type, open) = (self.room_type.clone(), read.starts_with("open"));
        let list = move |_| {
            let (adapter, page, room_type) = (Arc::clone(&adapter), page.clone(), room_type.clone());
            async move {
                if open {
                    black_box(adapter.find_available_room(&room_type).await.expect("an answer").expect("a room"));
                } else {
                    black_box(adapter.rooms(&page, consistency).await.expect("an answer"));
                }
            }
        };
        callers::run(callers, seconds, list).await
    }
}
