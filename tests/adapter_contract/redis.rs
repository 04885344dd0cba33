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
    handles(&[server.url()], 1, Box::new(server)).await
}

/// The same with three shards for each room type, over which the servers of a test are spread.
pub async fn start_three_shards() -> Cluster {
    let server = RedisServer::start(&[]);
    handles(&[server.url()], 3, Box::new(server)).await
}

/// Three handles of a registry in a Redis Cluster.
pub async fn start_cluster() -> Cluster {
    let cluster = RedisCluster::start();
    handles(&cluster.urls(), 1, Box::new(cluster)).await
}

async fn handles(urls: &[String], shards: u32, keep: Box<dyn Any + Send + Sync>) -> Cluster {
    let handle = || {
        // Short enough to wait for, long enough for a loaded machine.
        let options = RedisOptions {
            server_ttl: Duration::from_secs(2),
            call_max: Duration::from_secs(20),
            shards,
            ..RedisOptions::new(urls)
        };
        Arc::new(RedisAdapter::new(options)) as Handle
    };
    let handles = vec![handle(), handle(), handle()];
    for handle in &handles {
        handle.connect().await.unwrap();
    }
    let parts = usize::try_from(shards).unwrap();
    Cluster::new(Backend { handles, spare: handle(), parts, keep })
}
