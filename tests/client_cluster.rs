//! The client against two real servers on one memory backend.
#![cfg(all(feature = "client", feature = "gateway"))]
#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roomraft::{
    adapter::MemoryAdapter,
    client::{Client, ClientConfig, Event, Events, JoinOptions},
    model::{RoomId, RoomType},
    protocol::ListRoomsInput,
    room::{Player, Room, RoomConfig, RoomContext, RoomError},
    server::{Distributed, Server},
};
use serde_json::{Value, json};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

/// Tells everybody what anybody says.
struct Hall;

#[async_trait]
impl Room for Hall {
    async fn on_message(
        &mut self,
        ctx: &mut RoomContext,
        _player: &Player,
        message_type: &str,
        data: Value,
    ) -> Result<(), RoomError> {
        ctx.broadcast(message_type, &data, None);
        Ok(())
    }
}

async fn server(adapter: MemoryAdapter) -> Server {
    let distributed = Distributed { adapter: Some(Arc::new(adapter)), ..Distributed::default() };
    let builder = Server::builder().bind_address([127, 0, 0, 1].into()).port(0).distributed(distributed);
    let server = builder.build().await.expect("a server");
    let config = RoomConfig { max_players: 2, ..RoomConfig::default() };
    server.define("hall", config, || Hall).expect("a room type");
    server.start().await.expect("started");
    server
}

async fn client(server: &Server) -> (Client, Events) {
    let address = server.address().to_string();
    Client::connect([address], ClientConfig::default()).await.expect("connected")
}

/// The next event that `wanted` makes something of.
async fn first<T>(events: &mut Events, wanted: impl Fn(Event) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted(events.next().await.expect("the client lives")) {
                return found;
            }
        }
    };
    timeout(DEADLINE, found).await.expect("in time")
}

fn hall() -> JoinOptions {
    JoinOptions::room_type(RoomType::new("hall").expect("a name"))
}

#[tokio::test]
async fn a_client_is_led_to_the_open_room_on_the_other_server_and_plays_there() {
    let cluster = MemoryAdapter::default();
    let (near, far) = (server(cluster.sibling()).await, server(cluster).await);
    let (ada, mut ada_hears) = client(&far).await;
    let room_id = ada.join(hall()).await.expect("joined").room_id;
    let (ben, mut ben_hears) = client(&near).await;
    let joined = ben.join(hall()).await.expect("joined");
    assert_eq!(joined.room_id, room_id);
    let address = first(&mut ben_hears, |event| match event {
        Event::Redirected { address } => Some(address),
        _ => None,
    });
    let port = format!(":{}", far.address().port());
    assert!(address.await.ends_with(&port));

    ben.send("number", json!(5)).await.expect("sent");
    let heard = first(&mut ada_hears, |event| match event {
        Event::Message { message_type, data } if message_type == "number" => Some(data),
        _ => None,
    });
    assert_eq!(heard.await, json!(5));
    let rooms = ada.list_rooms(ListRoomsInput::default()).await.expect("rooms");
    assert_eq!(rooms.iter().map(|room| &room.room_id).collect::<Vec<_>>(), [&room_id]);
    let players = ben.room_info(room_id).await.expect("a room").players.expect("local");
    assert!(players.iter().any(|player| player.id == joined.player_id), "{players:?}");

    ben.leave().await.expect("left");
    let unknown = JoinOptions::room_id(RoomId::new("nowhere").expect("a name"));
    assert!(ben.join(unknown).await.is_err());
    ben.join(hall()).await.expect("back");
    near.stop(true).await.expect("stopped");
    far.stop(true).await.expect("stopped");
}
