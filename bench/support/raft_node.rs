//! A Raft node in a child process: what its parent tells it, and what it makes of that.

use std::{net::UdpSocket, path::Path, sync::Arc};

use roomraft::{
    adapter::{RaftAdapter, RaftOptions},
    model::ServerId,
    quic::{ClusterSecret, ClusterSecurity},
    raft::RaftConfig,
};
use serde_json::{Value, json};

/// What so many nodes of one cluster are told, on free ports and with their data in a folder.
pub fn roles(count: usize, folder: &Path) -> Vec<Value> {
    let sockets: Vec<UdpSocket> = (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port")).collect();
    let peers: Vec<String> =
        sockets.iter().map(|socket| socket.local_addr().expect("an address").to_string()).collect();
    let secret = ClusterSecret::generate();
    let role = |number| json!({ "number": number, "peers": peers, "secret": secret, "folder": folder });
    (0..count).map(role).collect()
}

/// The name of what is told a role.
pub fn name(stem: &str, role: &Value) -> String {
    format!("{stem}-{}", role["number"])
}

/// The node of a role, not connected yet.
pub fn adapter(role: &Value) -> Arc<RaftAdapter> {
    let text = |key: &str| role[key].as_str().expect("the parent says it").to_owned();
    let security = ClusterSecurity::Secret(ClusterSecret::parse(&text("secret")).expect("a secret"));
    let name = name("server", role);
    let folder = Path::new(&text("folder")).join(&name);
    let mut node = RaftConfig::new(ServerId::new(name).expect("a name"), folder, security);
    let peers: Vec<String> = serde_json::from_value(role["peers"].clone()).expect("addresses");
    let own = usize::try_from(role["number"].as_u64().expect("a number")).expect("a small one");
    node.listen = peers[own].parse().expect("an address");
    if peers.len() > 1 {
        node.peers = peers;
    }
    Arc::new(RaftAdapter::new(RaftOptions::new(node)))
}
