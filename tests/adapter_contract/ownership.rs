//! Ownership is lost, claimed and fenced.

use roomraft::{
    adapter::EventFilter,
    model::{
        EventKind, EventPayload, OrphanClaim, RoomClaim, RoomRegistration, RoomState, RoomType, RoomUpdate,
        SeatConfirmation, SeatState,
    },
    registry::Rejection,
};

use crate::cluster::{Cluster, Server, TOKEN, by_id, is_fenced, next_event, rejection, snapshot};

fn claim(claimant: &Server, room: &RoomRegistration) -> RoomClaim {
    RoomClaim { claimant: claimant.epoch.clone(), room: room.room_epoch() }
}

async fn claim_orphans(claimant: &Server, room_type: &RoomType) -> Vec<RoomRegistration> {
    let claim = OrphanClaim { claimant: claimant.epoch.clone(), room_types: vec![room_type.clone()], limit: 100 };
    claimant.handle.claim_orphans(claim).await.unwrap()
}

pub async fn a_claim_is_compare_and_set(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (old, new) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let late = cluster.server(&room_type, 7).await;
    let room = old.room(&room_type).await;
    old.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    let mut events = cluster.any().subscribe(EventFilter::Kind(EventKind::RoomMigrated), None).await.unwrap();
    old.crash().await;
    let moved = new.handle.claim_room(claim(&new, &room)).await.unwrap();
    assert_eq!((moved.server_id.as_ref(), moved.state), (Some(new.id()), RoomState::Live));
    assert!(moved.epoch > room.epoch);
    assert_eq!(
        rejection(late.handle.claim_room(claim(&late, &room)).await),
        Rejection::RoomOwned(room.room_id.clone())
    );
    let event = next_event(&mut events, |event| event.room_id.as_ref() == Some(&room.room_id)).await;
    let expected = EventPayload::Migrated { from_server: Some(old.id().clone()), to_server: new.id().clone() };
    assert_eq!(event.payload, expected);
}

pub async fn an_owner_renews_its_ownership(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let owner = cluster.server(&room_type, 1).await;
    let room = owner.room(&room_type).await;
    let renewed = owner.handle.claim_room(claim(&owner, &room)).await.unwrap();
    assert!(renewed.epoch > room.epoch);
    assert!(is_fenced(&owner.handle.update_room(&room.room_epoch(), RoomUpdate::default()).await));
    owner.handle.update_room(&renewed.room_epoch(), RoomUpdate::default()).await.unwrap();
}

pub async fn a_live_rooms_owner_keeps_it(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (owner, other) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = owner.room(&room_type).await;
    assert_eq!(
        rejection(other.handle.claim_room(claim(&other, &room)).await),
        Rejection::RoomOwned(room.room_id.clone())
    );
    assert!(claim_orphans(&other, &room_type).await.is_empty());
    assert_eq!(cluster.present(&room).await, room);
}

pub async fn an_orphan_without_a_snapshot_is_disposed_of(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (old, new) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = old.room(&room_type).await;
    let mut events = cluster.any().subscribe(EventFilter::Kind(EventKind::RoomDisposed), None).await.unwrap();
    old.crash().await;
    assert!(claim_orphans(&new, &room_type).await.is_empty());
    let event = next_event(&mut events, |event| event.room_id.as_ref() == Some(&room.room_id)).await;
    assert!(matches!(&event.payload, EventPayload::Reason(reason) if reason.contains("snapshot")));
    assert_eq!(cluster.room(&room.room_id).await, None);
}

pub async fn an_orphan_that_never_lived_is_created_elsewhere(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (old, new) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = old
        .room_with(&room_type, |room| {
            room.state = RoomState::Creating;
            room.options.push_str(r#"{"rounds":3}"#);
        })
        .await;
    old.crash().await;
    let claimed = claim_orphans(&new, &room_type).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((&claimed[0].room_id, claimed[0].state), (&room.room_id, RoomState::Creating));
    assert_eq!(claimed[0].options, r#"{"rounds":3}"#);
    let live = RoomUpdate { state: Some(RoomState::Live), ..RoomUpdate::default() };
    new.handle.update_room(&claimed[0].room_epoch(), live).await.unwrap();
    let seen = cluster.present(&room).await;
    assert_eq!((seen.state, seen.options.as_str()), (RoomState::Live, ""));
}

pub async fn the_old_owner_that_comes_back_is_fenced(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (old, new) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = old.room(&room_type).await;
    old.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    old.crash().await;
    let moved = claim_orphans(&new, &room_type).await;
    assert_eq!(moved.len(), 1);
    let back = Server::start(old.handle.clone(), old.registered.clone()).await;
    for server in [&old, &back] {
        assert!(is_fenced(&server.handle.unregister_room(&room.room_epoch(), "mine").await));
        assert!(is_fenced(&server.handle.update_room(&room.room_epoch(), RoomUpdate::default()).await));
        assert!(is_fenced(&server.handle.save_snapshot(room.epoch, &snapshot(&room, 9)).await));
    }
    assert!(claim_orphans(&back, &room_type).await.is_empty(), "what has moved stays where it is");
    assert_eq!(cluster.present(&room).await.server_id.as_ref(), Some(new.id()));
}

pub async fn players_of_an_orphan_are_away_with_its_grace(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (old, new) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let kept = old.room_with(&room_type, |room| room.reconnect_grace_ms = 600_000).await;
    let emptied = old.room(&room_type).await;
    let grant = old.join(by_id(&kept)).await.unwrap();
    old.join(by_id(&emptied)).await.unwrap();
    for room in [&kept, &emptied] {
        old.handle.save_snapshot(room.epoch, &snapshot(room, 1)).await.unwrap();
    }
    old.crash().await;
    assert_eq!(cluster.present(&kept).await.player_count, 1);
    assert_eq!(cluster.present(&emptied).await.player_count, 0);
    let moved = new.handle.claim_room(claim(&new, &kept)).await.unwrap();
    let confirmation = SeatConfirmation { room: moved.room_epoch(), seat_id: grant.seat.seat_id, token: TOKEN };
    let back = new.handle.confirm_seat(confirmation).await.unwrap();
    assert_eq!((back.seat.state, back.seat.player_id), (SeatState::Joined, grant.seat.player_id));
}

pub async fn a_parked_room_is_claimed_on_demand(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (old, new) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = old.room(&room_type).await;
    old.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    let park = RoomUpdate { state: Some(RoomState::Parked), ..RoomUpdate::default() };
    old.handle.update_room(&room.room_epoch(), park).await.unwrap();
    assert_eq!(rejection(new.join(by_id(&room)).await), Rejection::RoomParked(room.room_id.clone()));
    assert!(is_fenced(&old.handle.update_room(&room.room_epoch(), RoomUpdate::default()).await));
    let moved = new.handle.claim_room(claim(&new, &room)).await.unwrap();
    assert_eq!((moved.state, moved.snapshot_version), (RoomState::Live, Some(1)));
    assert_eq!(new.join(by_id(&room)).await.unwrap().seat.state, SeatState::Joined);
}
