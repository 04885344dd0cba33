//! A game that makes something durable before it says so: a shop, on three real processes, one of which is killed.
#![allow(clippy::expect_used, reason = "a test fails by a panic")]

#[path = "support/mod.rs"]
mod support;

use std::{
    env,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use roomraft::{
    adapter::{DistributedAdapter, RaftAdapter, RaftOptions},
    model::ServerId,
    quic::{ClusterSecret, ClusterSecurity},
    raft::RaftConfig,
    room::{Player, Room, RoomConfig, RoomContext, RoomError},
    server::{Distributed, Server},
};
use serde_json::{Value, json};
use support::{ports::free_address, wait::until};

/// What a shop's process is told: name, folder, its node's address, its players' port, all nodes, secret.
const ORDERS: &str = "ROOMRAFT_TEST_SHOP";

/// Sells things. What was sold it keeps first, and says afterwards.
#[derive(Default)]
struct Shop {
    sold: Vec<Value>,
}

#[async_trait]
impl Room for Shop {
    async fn on_message(
        &mut self,
        ctx: &mut RoomContext,
        player: &Player,
        message_type: &str,
        data: Value,
    ) -> Result<(), RoomError> {
        if message_type == "buy" {
            self.sold.push(data.clone());
            ctx.save(self).await?;
            player.send("bought", &data);
        }
        Ok(())
    }

    async fn on_player_reconnected(&mut self, _: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        player.send("sold", &json!(self.sold));
        Ok(())
    }

    fn save(&self) -> Option<Value> {
        Some(json!(self.sold))
    }

    async fn restore(&mut self, _: &mut RoomContext, state: Value) -> Result<(), RoomError> {
        self.sold = serde_json::from_value(state)?;
        Ok(())
    }
}

/// A shop's process, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the other test, which starts it"]
async fn the_shop() {
    let orders = env::var(ORDERS).expect("started by the other test");
    let [name, folder, listen, port, peers, secret] =
        orders.split('|').collect::<Vec<_>>().try_into().expect("all that a shop is told");
    let security = ClusterSecurity::Secret(ClusterSecret::parse(secret).expect("a secret"));
    let mut node = RaftConfig::new(ServerId::new(name).expect("a name"), folder.into(), security);
    node.listen = listen.parse().expect("an address");
    node.peers = peers.split(',').map(str::to_owned).collect();
    let adapter: Arc<dyn DistributedAdapter> = Arc::new(RaftAdapter::new(RaftOptions::new(node)));
    let distributed = Distributed {
        adapter: Some(adapter),
        server_id: Some(name.to_owned()),
        // Nothing is kept but what the shop keeps itself.
        snapshot_interval: Duration::ZERO,
        ..Distributed::default()
    };
    let port = port.parse().expect("a port");
    let builder = Server::builder().bind_address([127, 0, 0, 1].into()).port(port).distributed(distributed);
    let server = builder.build().await.expect("a server");
    let config = RoomConfig { reconnect_grace: Duration::from_mins(5), ..RoomConfig::default() };
    server.define("shop", config, Shop::default).expect("a room type");
    server.start().await.expect("the cluster forms");
    std::future::pending::<()>().await;
}

/// Kills its process when dropped.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        // One that is dead already cannot be killed again.
        let _ = self.0.kill();
        self.0.wait().expect("exit");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_was_confirmed_is_there_after_its_server_was_killed() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let secret = ClusterSecret::generate();
    let nodes: Vec<String> = (0..3).map(|_| free_address().to_string()).collect();
    let gateways: Vec<_> = (0..3).map(|_| free_address()).collect();
    let start = |place: usize| {
        let name = format!("shop-{place}");
        let data = folder.path().join(&name).display().to_string();
        let port = gateways[place].port().to_string();
        let orders = [name, data, nodes[place].clone(), port, nodes.join(","), secret.clone()].join("|");
        let child = Command::new(env::current_exe().expect("this test"))
            .args(["--ignored", "--exact", "the_shop"])
            .env(ORDERS, orders)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Process(child.expect("this test starts once more"))
    };
    let mut shops: Vec<Process> = (0..3).map(start).collect();
    let gateway = gateways[0].to_string();
    let (mut player, place) = until("a seat in a shop", async || {
        support::player::Player::join(&gateway, "shop").await.map_err(|error| format!("{error:?}"))
    })
    .await;
    for item in ["sword", "shield"] {
        player.say("buy", json!(item)).await.expect("it is connected");
        assert_eq!(player.heard("bought").await.expect("a confirmation"), item);
    }
    shops[0].kill();

    let other = gateways[1].to_string();
    let token = json!({ "sessionToken": place.session_token });
    let mut back = until("the player to be back", async || {
        let mut player = support::player::Player::connect(&other).await.map_err(|error| format!("{error:?}"))?;
        let mut answer = player.call("ReconnectRoom", token.clone()).await.map_err(|error| format!("{error:?}"))?;
        if let Some(address) = answer["redirect"].as_str().map(str::to_owned) {
            player = support::player::Player::connect(&address).await.map_err(|error| format!("{error:?}"))?;
            answer = player.call("ReconnectRoom", token.clone()).await.map_err(|error| format!("{error:?}"))?;
        }
        if answer["playerId"] == place.player_id.as_str() { Ok(player) } else { Err(answer.to_string()) }
    })
    .await;
    assert_eq!(back.heard("sold").await.expect("what was sold"), json!(["sword", "shield"]));
}
