//! A game server with one room of its own, a cluster of one in memory.
//!
//! ```text
//! $ cargo run --example quickstart
//! players connect to ws://127.0.0.1:3000/
//! ```
//!
//! Any WebSocket client can play. Each line is one message; `>` is sent, `<` is received:
//!
//! ```text
//! > [0,1,"JoinRoom",{"roomType":"counter"}]
//! < [1,1,{"playerId":"p-…","roomId":"counter-…","sessionToken":"…"}]
//! < [3,"RoomMessage",{"type":"count","data":0}]
//! > [3,"RoomMessage",{"type":"add","data":2}]
//! < [3,"RoomMessage",{"type":"count","data":2}]
//! ```

use async_trait::async_trait;
use roomraft::{
    room::{Player, Room, RoomConfig, RoomContext, RoomError},
    server::Server,
};
use serde_json::{Value, json};

/// A number that everybody in the room can add to.
#[derive(Default)]
struct Counter {
    count: i64,
}

#[async_trait]
impl Room for Counter {
    async fn on_join(&mut self, _ctx: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        player.send("count", &json!(self.count));
        Ok(())
    }

    async fn on_message(
        &mut self,
        ctx: &mut RoomContext,
        _player: &Player,
        message_type: &str,
        data: Value,
    ) -> Result<(), RoomError> {
        if message_type != "add" {
            return Err(RoomError::UnknownMessage(message_type.to_owned()));
        }
        let added: i64 = serde_json::from_value(data)?;
        self.count = self.count.saturating_add(added);
        ctx.broadcast("count", &json!(self.count), None);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().bind_address([127, 0, 0, 1].into()).port(3000).build().await?;
    server.define("counter", RoomConfig { max_players: 4, ..RoomConfig::default() }, Counter::default)?;
    server.start().await?;
    println!("players connect to ws://{}/", server.address());
    tokio::signal::ctrl_c().await?;
    server.stop(true).await?;
    Ok(())
}
