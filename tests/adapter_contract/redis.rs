//! The Redis backend: servers of the test's own, and a Redis Cluster of six processes.

use std::{any::Any, sync::Arc, time::Duration};

use roomraft::adapter::{RedisAdapter, RedisOptions};

use crate::{
    cluster::{Backend, Cluster, Handle},
    redis_server::{RedisCluster, RedisServer},
};

/// Three handles of a registry in one Redis server.
pub async fn start_one() -> Cluster {
    let server = RedisServer::start(&[]);
    handles(&[server.url()], Box::new(server)).await
}

/// Three handles of a registry in a Redis Cluster.
pub async fn start_cluster() -> Cluster {
    let cluster = RedisCluster::start();
    handles(&cluster.urls(), Box::new(cluster)).await
}

async fn handles(urls: &[String], keep: Box<dyn Any + Send + Sync>) -> Cluster {
    let handle = || {
        // Short enough to wait for, long enough for a loaded machine.
        let options = RedisOptions {
            server_ttl: Duration::from_secs(2),
            call_max: Duration::from_secs(20),
            ..RedisOptions::new(urls)
        };
        Arc::new(RedisAdapter::new(options)) as Handle
    };
    let handles = vec![handle(), handle(), handle()];
    for handle in &handles {
        handle.connect().await.unwrap();
    }
    Cluster::new(Backend { handles, spare: handle(), keep })
}
