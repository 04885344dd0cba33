//! What a player's connection takes of a node's memory.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::sleep;

use super::{
    bench::{
        child::resident,
        figures::{Figure, count},
    },
    support::{player::Player, process::Cluster},
};

/// Players that connect or join at the same time.
const AT_ONCE: usize = 16;
/// Time until a node has put away what a burst of connections took for a moment.
const REST: Duration = Duration::from_secs(2);

/// One node, with so many connections and then with their players in rooms of four.
pub async fn measure(connections: usize) -> Vec<Figure> {
    let cluster = Cluster::started(1, &["--capacity", "100000", "--bootstrap-expect", "1"]).await;
    let node = &cluster.nodes[0];
    let process = node.process().expect("a process").to_string();
    // What the first player makes the node map and allocate once is no part of a connection.
    let (warm, _) = Player::join(&node.gateway, "relay").await.expect("a seat");
    drop(warm);
    let memory = async || {
        sleep(REST).await;
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let bytes = resident(&process) as f64;
        bytes / 1024.0
    };
    let before = memory().await;
    let connecting = stream::iter(0..connections).map(|_| Player::connect(&node.gateway)).buffer_unordered(AT_ONCE);
    let players: Vec<Player> = connecting.map(|player| player.expect("a connection")).collect().await;
    let connected = memory().await;
    let joining = stream::iter(players).map(|player| player.join_with(json!({ "roomType": "relay" })));
    let seated: Vec<Player> = joining.buffer_unordered(AT_ONCE).map(|joined| joined.expect("a seat").0).collect().await;
    let joined = memory().await;
    let each = |bytes: f64| bytes / count(connections);
    drop(seated);
    vec![
        Figure::alone(format!("memory/connections={connections}, connected"), each(connected - before), "KiB each"),
        Figure::alone(
            format!("memory/connections={connections}, in rooms of four, the rooms included"),
            each(joined - before),
            "KiB each",
        ),
        Figure::alone("memory, the node before".to_owned(), before / 1024.0, "MiB"),
    ]
}
