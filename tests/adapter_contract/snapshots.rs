//! Saved states of rooms.

use roomraft::{
    adapter::AdapterError,
    model::{Epoch, RoomClaim, RoomSnapshot},
    registry::Rejection,
};

use crate::cluster::{Cluster, is_fenced, rejection, snapshot};

pub async fn the_last_snapshot_is_loaded_on_every_handle(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    assert_eq!(cluster.any().load_snapshot(&room.room_id).await.unwrap(), None);
    for version in [1, 2] {
        server.handle.save_snapshot(room.epoch, &snapshot(&room, version)).await.unwrap();
        for handle in cluster.handles() {
            assert_eq!(handle.load_snapshot(&room.room_id).await.unwrap(), Some(snapshot(&room, version)));
        }
    }
    assert_eq!(cluster.present(&room).await.snapshot_version, Some(2));
}

pub async fn an_older_snapshot_is_refused(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    server.handle.save_snapshot(room.epoch, &snapshot(&room, 5)).await.unwrap();
    for offered in [4, 5] {
        let refused = rejection(server.handle.save_snapshot(room.epoch, &snapshot(&room, offered)).await);
        assert_eq!(refused, Rejection::SnapshotOutdated { room_id: room.room_id.clone(), offered, kept: 5 });
    }
    assert_eq!(cluster.any().load_snapshot(&room.room_id).await.unwrap(), Some(snapshot(&room, 5)));
}

pub async fn a_deleted_snapshot_is_gone(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    server.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    for _ in 0..2 {
        server.handle.delete_snapshot(&room.room_epoch()).await.unwrap();
    }
    assert_eq!(cluster.any().load_snapshot(&room.room_id).await.unwrap(), None);
    assert_eq!(cluster.present(&room).await.snapshot_version, None);
}

pub async fn a_snapshot_above_the_limit_is_refused(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    let fat = RoomSnapshot { state: "x".repeat(1024 * 1024).into(), ..snapshot(&room, 1) };
    match server.handle.save_snapshot(room.epoch, &fat).await {
        Err(AdapterError::TooLarge { what, bytes, limit }) => {
            assert!(what.contains(room.room_id.as_str()), "{what}");
            assert!(bytes > limit, "{bytes} {limit}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cluster.any().load_snapshot(&room.room_id).await.unwrap(), None);
    let largest = RoomSnapshot { state: "x".repeat(1000 * 1024).into(), ..snapshot(&room, 1) };
    server.handle.save_snapshot(room.epoch, &largest).await.unwrap();
    assert_eq!(cluster.any().load_snapshot(&room.room_id).await.unwrap(), Some(largest));
}

pub async fn an_old_owner_cannot_write_a_snapshot(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (old, new) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = old.room(&room_type).await;
    old.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    old.crash().await;
    let claim = RoomClaim { claimant: new.epoch.clone(), room: room.room_epoch() };
    let moved = new.handle.claim_room(claim).await.unwrap();
    new.handle.save_snapshot(moved.epoch, &snapshot(&room, 2)).await.unwrap();
    assert!(is_fenced(&old.handle.save_snapshot(room.epoch, &snapshot(&room, 9)).await));
    assert!(is_fenced(&old.handle.delete_snapshot(&room.room_epoch()).await));
    assert!(is_fenced(&old.handle.save_snapshot(Epoch(0), &snapshot(&room, 9)).await));
    assert_eq!(cluster.any().load_snapshot(&room.room_id).await.unwrap(), Some(snapshot(&room, 2)));
}

pub async fn a_snapshot_goes_with_its_room(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    server.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    server.handle.unregister_room(&room.room_epoch(), "over").await.unwrap();
    assert_eq!(cluster.any().load_snapshot(&room.room_id).await.unwrap(), None);
}

pub async fn a_snapshot_outlives_its_owner(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    server.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    server.crash().await;
    assert_eq!(cluster.any().load_snapshot(&room.room_id).await.unwrap(), Some(snapshot(&room, 1)));
}
