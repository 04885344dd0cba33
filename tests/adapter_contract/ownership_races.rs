//! Many servers claim at once.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use roomraft::model::{OrphanClaim, RoomId, RoomRegistration, RoomType, ServerId};

use crate::{
    cluster::{Cluster, Server, snapshot},
    wait::until,
};

/// Rooms with snapshots whose server has crashed.
async fn orphans(cluster: &Cluster, room_type: &RoomType, count: u32) -> Vec<RoomRegistration> {
    let lost = cluster.server(room_type, count).await;
    let mut rooms = Vec::new();
    for _ in 0..count {
        let room = lost.room(room_type).await;
        lost.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
        rooms.push(room);
    }
    lost.crash().await;
    rooms
}

async fn claim(server: &Server, room_type: &RoomType) -> Vec<RoomRegistration> {
    let claim = OrphanClaim { claimant: server.epoch.clone(), room_types: vec![room_type.clone()], limit: 100 };
    server.handle.claim_orphans(claim).await.unwrap()
}

/// Which server was given each room; a room given twice is a failure.
fn owners(claimed: impl IntoIterator<Item = RoomRegistration>) -> BTreeMap<RoomId, ServerId> {
    let mut owners = BTreeMap::new();
    for room in claimed {
        let owner = room.server_id.expect("a claimed room has an owner");
        assert_eq!(owners.insert(room.room_id, owner), None, "no room is given twice");
    }
    owners
}

pub async fn owner_is_checked_again_when_claiming(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let mut survivors = Vec::new();
    for _ in 0..4 {
        survivors.push(Arc::new(cluster.server(&room_type, 40).await));
    }
    let rooms = orphans(cluster, &room_type, 40).await;
    let mut taken = BTreeMap::new();
    until("all rooms have an owner", async || {
        let claims = survivors.iter().flat_map(|server| [server, server]).map(|server| {
            let (server, room_type) = (Arc::clone(server), room_type.clone());
            tokio::spawn(async move { claim(&server, &room_type).await })
        });
        let claimed = join_all(claims).await.into_iter().flat_map(Result::unwrap);
        for (room_id, owner) in owners(claimed) {
            assert_eq!(taken.insert(room_id, owner), None, "no room is hosted twice");
        }
        if taken.len() == rooms.len() { Ok(()) } else { Err(taken.len()) }
    })
    .await;
    for room in &rooms {
        assert_eq!(cluster.present(room).await.server_id.as_ref(), taken.get(&room.room_id));
    }
}

pub async fn orphans_are_shared_out(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (a, b) = (cluster.server(&room_type, 40).await, cluster.server(&room_type, 40).await);
    let rooms = orphans(cluster, &room_type, 12).await;
    let mut claimed = claim(&a, &room_type).await;
    let first = claimed.len();
    assert!((6..=12).contains(&first), "its share at least, not {first}");
    until("all rooms have an owner", async || {
        claimed.extend(claim(&b, &room_type).await);
        if claimed.len() == rooms.len() { Ok(()) } else { Err(claimed.len()) }
    })
    .await;
    assert_eq!(owners(claimed).len(), rooms.len());
}

pub async fn a_claim_stays_within_capacity(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let small = cluster.server(&room_type, 3).await;
    let rooms = orphans(cluster, &room_type, 5).await;
    let mut claimed = 0;
    until("the server is full", async || {
        claimed += claim(&small, &room_type).await.len();
        if claimed >= 3 { Ok(()) } else { Err(claimed) }
    })
    .await;
    assert!(claim(&small, &room_type).await.is_empty());
    let mut owned = 0;
    for room in &rooms {
        owned += usize::from(cluster.present(room).await.server_id.is_some());
    }
    assert_eq!((claimed, owned), (3, 3));
}
