//! The Raft backend: clusters of nodes in this process, talking over loopback.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use roomraft::{
    adapter::{RaftAdapter, RaftOptions},
    model::ServerId,
    quic::{ClusterSecret, ClusterSecurity},
    raft::RaftConfig,
};
use tempfile::TempDir;

use crate::{
    cluster::{Backend, Cluster, Handle},
    ports::free_address,
};

/// One node that is a cluster of its own.
pub async fn start_one() -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let handle = node(&folder, "only", free_address(), &[]);
    let spare = node(&folder, "spare", free_address(), &[]);
    handle.connect().await.unwrap();
    Cluster::new(Backend { handles: vec![handle], spare, parts: 1, keep: Box::new(folder) })
}

/// Three nodes of one cluster, and a fourth that may join it.
pub async fn start_three() -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let addresses = [free_address(), free_address(), free_address()];
    let names = ["a", "b", "c"];
    let handles: Vec<Handle> =
        names.iter().zip(addresses).map(|(name, listen)| node(&folder, name, listen, &addresses)).collect();
    for connected in join_all(handles.iter().map(|handle| handle.connect())).await {
        connected.unwrap();
    }
    let spare = node(&folder, "spare", free_address(), &addresses);
    Cluster::new(Backend { handles, spare, parts: 1, keep: Box::new(folder) })
}

fn node(folder: &TempDir, name: &str, listen: SocketAddr, peers: &[SocketAddr]) -> Handle {
    let secret = ClusterSecret::parse("the secret of the contract's clusters").unwrap();
    let data_dir = folder.path().join(name);
    let mut config = RaftConfig::new(ServerId::new(name).unwrap(), data_dir, ClusterSecurity::Secret(secret));
    config.listen = listen;
    config.peers = peers.iter().map(ToString::to_string).collect();
    // Short enough to wait for, long enough for a loaded machine.
    config.lease = Duration::from_secs(2);
    let options = RaftOptions { call_max: Duration::from_secs(20), ..RaftOptions::new(config) };
    Arc::new(RaftAdapter::new(options))
}
