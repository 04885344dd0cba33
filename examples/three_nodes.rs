//! Three servers that are a cluster, in one process for the sake of the example: a room of one's own
//! on any of them, a player led to it from another, and one server lost.
//!
//! ```text
//! $ cargo run --example three_nodes
//! the cluster stands: north leads
//! Ada is in counter-… at south
//! Ben asked west and was sent on to 127.0.0.1:…
//! Ben adds 2, Ada sees 2
//! west is gone; Cyd still finds a seat through north: counter-…
//! ```

use std::{net::UdpSocket, path::Path, sync::Arc};

use async_trait::async_trait;
use roomraft::{
    adapter::{DistributedAdapter, RaftAdapter, RaftOptions},
    client::{Client, ClientConfig, Event, Events, JoinOptions, Joined},
    model::{RoomType, ServerId},
    quic::{ClusterSecret, ClusterSecurity},
    raft::RaftConfig,
    room::{Player, Room, RoomConfig, RoomContext, RoomError},
    server::{Distributed, Server},
};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A number that everybody in the room can add to.
#[derive(Default)]
struct Counter {
    count: i64,
}

#[async_trait]
impl Room for Counter {
    async fn on_message(&mut self, ctx: &mut RoomContext, _: &Player, _: &str, added: Value) -> Result<(), RoomError> {
        self.count = self.count.saturating_add(added.as_i64().unwrap_or(0));
        ctx.broadcast("count", &json!(self.count), None);
        Ok(())
    }
}

/// One server and its node of the cluster; in real use each is a process on a machine of its own.
async fn server(
    name: &str,
    data: &Path,
    listen: &str,
    peers: &[String],
    secret: &str,
) -> Outcome<(Server, Arc<RaftAdapter>)> {
    let security = ClusterSecurity::Secret(ClusterSecret::parse(secret)?);
    let mut node = RaftConfig::new(ServerId::new(name)?, data.join(name), security);
    node.listen = listen.parse()?;
    node.peers = peers.to_vec();
    let adapter = Arc::new(RaftAdapter::new(RaftOptions::new(node)));
    let distributed = Distributed {
        adapter: Some(Arc::clone(&adapter) as Arc<dyn DistributedAdapter>),
        server_id: Some(name.to_owned()),
        ..Distributed::default()
    };
    let server = Server::builder().bind_address([127, 0, 0, 1].into()).port(0).distributed(distributed).build().await?;
    server.define("counter", RoomConfig { max_players: 2, ..RoomConfig::default() }, Counter::default)?;
    server.start().await?;
    Ok((server, adapter))
}

async fn join(server: &Server) -> Outcome<(Client, Events, Joined)> {
    let (client, events) = Client::connect([server.address().to_string()], ClientConfig::default()).await?;
    let joined = client.join(JoinOptions::room_type(RoomType::new("counter")?)).await?;
    Ok((client, events, joined))
}

/// The first event that `wanted` has something to say about.
async fn first<T>(events: &mut Events, wanted: impl Fn(Event) -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = wanted(events.next().await?) {
            return Some(found);
        }
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let data = tempfile::tempdir()?;
    let secret = ClusterSecret::generate();
    let sockets = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    let peers = sockets.iter().map(|socket| Ok(socket.local_addr()?.to_string())).collect::<Outcome<Vec<_>>>()?;
    drop(sockets);
    // A cluster stands once all of its first nodes are there, so they start together.
    let start = |name, place: usize| server(name, data.path(), &peers[place], &peers, &secret);
    let (north, south, west) = tokio::try_join!(start("north", 0), start("south", 1), start("west", 2))?;
    let leader = north.1.node().and_then(|node| node.status().leader).unwrap_or_default();
    println!("the cluster stands: {leader} leads");

    let (_ada, mut ada_hears, joined) = join(&south.0).await?;
    println!("Ada is in {} at south", joined.room_id);
    let (ben, mut ben_hears, _) = join(&west.0).await?;
    let address = |event| if let Event::Redirected { address } = event { Some(address) } else { None };
    println!("Ben asked west and was sent on to {}", first(&mut ben_hears, address).await.unwrap_or_default());
    ben.send("add", json!(2)).await?;
    let count = |event| if let Event::Message { data, .. } = event { Some(data) } else { None };
    println!("Ben adds 2, Ada sees {}", first(&mut ada_hears, count).await.unwrap_or_default());

    // Two of three are a majority: the others go on. What a majority has is never lost.
    west.0.stop(true).await?;
    west.1.disconnect().await?;
    let (_cyd, _, joined) = join(&north.0).await?;
    println!("west is gone; Cyd still finds a seat through north: {}", joined.room_id);
    // While both nodes are there they are a majority that the servers can say goodbye to.
    tokio::try_join!(north.0.stop(true), south.0.stop(true))?;
    tokio::try_join!(north.1.disconnect(), south.1.disconnect())?;
    Ok(())
}
