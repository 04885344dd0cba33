//! Locks, each with a token that only grows.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use roomraft::{model::LockToken, registry::Rejection};

use crate::{
    cluster::{Cluster, ms, rejection},
    wait::until,
};

/// Far longer than any test.
const LONG: std::time::Duration = std::time::Duration::from_mins(10);

async fn take(cluster: &Cluster, key: &str, ttl: std::time::Duration) -> LockToken {
    cluster.any().acquire_lock(key, ttl).await.unwrap().expect("the lock is free")
}

async fn until_free(cluster: &Cluster, key: &str) -> LockToken {
    until("the lock falls free", async || cluster.any().acquire_lock(key, LONG).await.unwrap().ok_or("still held"))
        .await
}

pub async fn a_lock_has_one_holder(cluster: &Cluster) {
    let (key, other) = (cluster.name("lock"), cluster.name("lock"));
    take(cluster, &key, LONG).await;
    for handle in cluster.handles() {
        assert_eq!(handle.acquire_lock(&key, LONG).await.unwrap(), None);
    }
    take(cluster, &other, LONG).await;
}

pub async fn a_released_lock_is_free(cluster: &Cluster) {
    let key = cluster.name("lock");
    let token = take(cluster, &key, LONG).await;
    assert!(cluster.any().release_lock(&key, token).await.unwrap());
    assert!(!cluster.any().release_lock(&key, token).await.unwrap());
    assert!(take(cluster, &key, LONG).await > token, "tokens only grow");
}

pub async fn an_extended_lock_is_held_longer(cluster: &Cluster) {
    let (key, probe) = (cluster.name("lock"), cluster.name("lock"));
    let token = take(cluster, &key, ms(2000)).await;
    assert!(cluster.any().extend_lock(&key, token, LONG).await.unwrap());
    // A lock taken afterwards for the first time span ends, and the extended one does not.
    take(cluster, &probe, ms(2000)).await;
    until_free(cluster, &probe).await;
    assert_eq!(cluster.any().acquire_lock(&key, LONG).await.unwrap(), None);
    assert!(!cluster.any().extend_lock(&key, LockToken(token.0 + 1), LONG).await.unwrap());
}

pub async fn a_lock_freed_by_a_holder_whose_lease_had_ended(cluster: &Cluster) {
    let key = cluster.name("lock");
    let late = take(cluster, &key, ms(200)).await;
    let present = until_free(cluster, &key).await;
    assert!(present > late, "the later holder has the larger token");
    assert!(!cluster.any().release_lock(&key, late).await.unwrap());
    assert!(!cluster.any().extend_lock(&key, late, LONG).await.unwrap());
    assert_eq!(cluster.any().acquire_lock(&key, LONG).await.unwrap(), None, "the present holder keeps it");
}

pub async fn of_fifty_contenders_one_gets_the_lock(cluster: &Cluster) {
    let key: Arc<str> = cluster.name("lock").into();
    let mut tokens = BTreeSet::new();
    for _ in 0..3 {
        let contenders = (0..50).map(|_| {
            let (handle, key) = (Arc::clone(cluster.any()), Arc::clone(&key));
            tokio::spawn(async move { handle.acquire_lock(&key, LONG).await.unwrap() })
        });
        let granted: Vec<_> = join_all(contenders).await.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(granted.len(), 1);
        assert!(cluster.any().release_lock(&key, granted[0]).await.unwrap());
        assert!(tokens.iter().all(|earlier| *earlier < granted[0]));
        tokens.insert(granted[0]);
    }
}

pub async fn lock_keys_and_times_are_checked(cluster: &Cluster) {
    let long = "x".repeat(513);
    for (key, ttl) in [("", LONG), (long.as_str(), LONG), ("key", ms(0))] {
        let refused = rejection(cluster.any().acquire_lock(key, ttl).await);
        assert!(matches!(refused, Rejection::Invalid(_)), "{refused:?}");
    }
}
