//! Two servers of one cluster in one process; a client asks the one and plays on the other.
//!
//! ```text
//! $ cargo run --example follow_redirect
//! Ada joined hall-… at the second server
//! Ben was sent on to 127.0.0.1:…
//! Ben joined hall-… too
//! Ada hears of 5
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use roomraft::{
    adapter::MemoryAdapter,
    client::{Client, ClientConfig, Event, JoinOptions},
    model::RoomType,
    room::{Player, Room, RoomConfig, RoomContext, RoomError},
    server::{Distributed, Server},
};
use serde_json::{Value, json};

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

async fn server(adapter: MemoryAdapter) -> Result<Server, Box<dyn std::error::Error>> {
    let distributed = Distributed { adapter: Some(Arc::new(adapter)), ..Distributed::default() };
    let server = Server::builder().bind_address([127, 0, 0, 1].into()).port(0).distributed(distributed).build().await?;
    server.define("hall", RoomConfig::default(), || Hall)?;
    server.start().await?;
    Ok(server)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = MemoryAdapter::default();
    let (first, second) = (server(cluster.sibling()).await?, server(cluster).await?);
    let hall = || RoomType::new("hall").map(JoinOptions::room_type);

    let (ada, mut ada_hears) = Client::connect([second.address().to_string()], ClientConfig::default()).await?;
    println!("Ada joined {} at the second server", ada.join(hall()?).await?.room_id);

    // Ben knows the first server alone; the room that is open is on the second.
    let (ben, mut ben_hears) = Client::connect([first.address().to_string()], ClientConfig::default()).await?;
    let joined = ben.join(hall()?).await?;
    if let Some(Event::Redirected { address }) = ben_hears.next().await {
        println!("Ben was sent on to {address}");
    }
    println!("Ben joined {} too", joined.room_id);

    ben.send("number", json!(5)).await?;
    while let Some(event) = ada_hears.next().await {
        if let Event::Message { data, .. } = event {
            println!("Ada hears of {data}");
            break;
        }
    }
    first.stop(true).await?;
    second.stop(true).await?;
    Ok(())
}
