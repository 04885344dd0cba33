//! Nodes on Redis, and what the tests ask of them.

use serde_json::Value;

use crate::support::{
    player::{CallError, Player},
    process::{Cluster, Node},
    wait::until,
};

/// The operators' token of these nodes.
pub(crate) const TOKEN: &str = "a token of these tests alone";

/// `count` nodes on Redis that are not started.
pub(crate) fn nodes(count: usize, urls: &[String], arguments: &[&str]) -> Cluster {
    let urls = urls.join(",");
    let adapter = ["--adapter", "redis", "--redis-url", &urls];
    let mut cluster = Cluster::new(count, &[&adapter[..], arguments].concat());
    cluster.nodes = cluster.nodes.into_iter().map(|node| node.with_variable("ROOMRAFT_OPS_TOKEN", TOKEN)).collect();
    cluster
}

/// The same, serving players.
pub(crate) async fn started(count: usize, urls: &[String], arguments: &[&str]) -> Cluster {
    let mut cluster = nodes(count, urls, arguments);
    cluster.start().await;
    cluster
}

/// Has a player write something that its room has acknowledged.
pub(crate) async fn write(player: &mut Player, key: &str, value: &Value) -> Result<(), CallError> {
    player.say("$set", serde_json::json!({ "key": key, "value": value })).await?;
    while player.heard("$state").await?[key] != *value {}
    Ok(())
}

/// Waits until a node's registry lists as many servers.
pub(crate) async fn servers(node: &Node, count: usize) {
    until(&format!("{count} servers as {} sees them", node.server_id), || async {
        let status = node.status().await?;
        let found = status["servers"].as_array().map_or(0, Vec::len);
        if found == count { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}
