//! Connecting and disconnecting.

use roomraft::{
    adapter::{AdapterError, Consistency, EventFilter},
    model::{RoomId, RoomQuery},
};

use crate::{
    cluster::{Cluster, Handle, ms},
    wait::until,
};

async fn every_call_is_refused(handle: &Handle) {
    let room_id = RoomId::new("room").unwrap();
    let local = handle.rooms(&RoomQuery::default(), Consistency::Local).await;
    let outcomes = [
        handle.servers(Consistency::Linearizable).await.map(drop),
        handle.room(&room_id, Consistency::Linearizable).await.map(drop),
        local.map(drop),
        handle.load_snapshot(&room_id).await.map(drop),
        handle.subscribe(EventFilter::All, None).await.map(drop),
        handle.acquire_lock("key", ms(1000)).await.map(drop),
        handle.send_to_room(&room_id, "hello", serde_json::Value::Null, None).await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(AdapterError::Disconnected)), "{outcome:?}");
    }
    assert!(AdapterError::Disconnected.to_string().contains("connect()"));
}

pub async fn calls_before_connect_say_so(cluster: &Cluster) {
    assert!(!cluster.spare().is_connected());
    every_call_is_refused(cluster.spare()).await;
}

pub async fn connecting_and_disconnecting_twice_is_harmless(cluster: &Cluster) {
    let handle = cluster.any();
    handle.connect().await.unwrap();
    assert!(handle.is_connected());
    handle.servers(Consistency::Linearizable).await.unwrap();
    cluster.spare().disconnect().await.unwrap();
    cluster.spare().connect().await.unwrap();
    cluster.spare().connect().await.unwrap();
    until("the late handle answers", async || cluster.spare().servers(Consistency::Linearizable).await).await;
    cluster.spare().disconnect().await.unwrap();
    cluster.spare().disconnect().await.unwrap();
    assert!(!cluster.spare().is_connected());
}

pub async fn disconnecting_ends_subscriptions_and_calls(cluster: &Cluster) {
    cluster.spare().connect().await.unwrap();
    let mut events = cluster.spare().subscribe(EventFilter::from_pattern("no:such:kind"), None).await.unwrap();
    cluster.spare().disconnect().await.unwrap();
    assert_eq!(tokio::time::timeout(crate::wait::DEADLINE, events.next()).await, Ok(None));
    every_call_is_refused(cluster.spare()).await;
}
