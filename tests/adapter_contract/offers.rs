//! A room goes from one living server to another.

use roomraft::{
    adapter::{Consistency, EventFilter},
    model::{
        EventKind, MigrationStage, RoomClaim, RoomEpoch, RoomOffer, RoomRegistration, RoomState, RoomUpdate,
        SeatConfirmation, SeatState,
    },
    registry::Rejection,
};

use crate::cluster::{Cluster, Server, TOKEN, by_id, is_fenced, next_of_room, rejection, snapshot};

fn offer(room: RoomEpoch, target: &Server) -> RoomOffer {
    RoomOffer { room, target: target.id().clone(), version: 1, ttl_ms: 60_000 }
}

fn claim(claimant: &Server, room: &RoomEpoch) -> RoomClaim {
    RoomClaim { claimant: claimant.epoch.clone(), room: room.clone() }
}

/// A source with a saved room, and a target.
async fn two_servers(cluster: &Cluster) -> (Server, Server, RoomRegistration) {
    let room_type = cluster.room_type();
    let (source, target) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = source.room(&room_type).await;
    source.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    (source, target, room)
}

pub async fn an_offered_room_goes_to_its_target_with_its_players(cluster: &Cluster) {
    let (source, target, room) = two_servers(cluster).await;
    let grant = source.join(by_id(&room)).await.unwrap();
    let mut events = cluster.any().subscribe(EventFilter::Kind(EventKind::RoomUpdated), None).await.unwrap();
    source.handle.offer_room(offer(room.room_epoch(), &target)).await.unwrap();
    let event = next_of_room(&mut events, &room.room_epoch()).await;
    assert_eq!((&event.kind, event.server_id.as_ref()), (&EventKind::RoomUpdated, Some(source.id())));
    let offered = target.handle.offered_rooms(target.id(), Consistency::Linearizable).await.unwrap();
    assert_eq!(offered.len(), 1);
    assert_eq!((&offered[0].room_id, offered[0].server_id.as_ref()), (&room.room_id, Some(source.id())));
    let moved = target.handle.claim_room(claim(&target, &room.room_epoch())).await.unwrap();
    assert_eq!(moved.migration.as_ref().map(|migration| migration.stage), Some(MigrationStage::Claimed));
    assert!(is_fenced(&source.handle.save_snapshot(room.epoch, &snapshot(&room, 2)).await));
    let live = RoomUpdate { state: Some(RoomState::Live), ..RoomUpdate::default() };
    target.handle.update_room(&moved.room_epoch(), live).await.unwrap();
    assert_eq!(cluster.present(&room).await.migration, None);
    let confirmation = SeatConfirmation { room: moved.room_epoch(), seat_id: grant.seat.seat_id, token: TOKEN };
    let back = target.handle.confirm_seat(confirmation).await.unwrap();
    assert_eq!((back.seat.state, back.seat.player_id), (SeatState::Joined, grant.seat.player_id));
}

pub async fn an_owner_takes_its_offer_back_by_claiming(cluster: &Cluster) {
    let (source, target, room) = two_servers(cluster).await;
    source.handle.offer_room(offer(room.room_epoch(), &target)).await.unwrap();
    let kept = source.handle.claim_room(claim(&source, &room.room_epoch())).await.unwrap();
    assert_eq!(kept.migration, None);
    let late = target.handle.claim_room(claim(&target, &room.room_epoch())).await;
    assert_eq!(rejection(late), Rejection::RoomOwned(room.room_id.clone()));
    assert!(is_fenced(&source.handle.offer_room(offer(room.room_epoch(), &target)).await), "its old epoch is over");
}

pub async fn source_and_target_claim_at_once_and_one_wins(cluster: &Cluster) {
    for _ in 0..8 {
        let (source, target, room) = two_servers(cluster).await;
        source.handle.offer_room(offer(room.room_epoch(), &target)).await.unwrap();
        let (kept, moved) = tokio::join!(
            source.handle.claim_room(claim(&source, &room.room_epoch())),
            target.handle.claim_room(claim(&target, &room.room_epoch())),
        );
        assert!(kept.is_ok() != moved.is_ok(), "{kept:?} {moved:?}");
        let owner = if kept.is_ok() { source.id() } else { target.id() };
        assert_eq!(cluster.present(&room).await.server_id.as_ref(), Some(owner));
    }
}

pub async fn an_offer_ends_with_its_target(cluster: &Cluster) {
    let (source, target, room) = two_servers(cluster).await;
    source.handle.offer_room(offer(room.room_epoch(), &target)).await.unwrap();
    target.crash().await;
    let present = cluster.present(&room).await;
    assert_eq!((present.migration, present.server_id.as_ref()), (None, Some(source.id())));
    assert_eq!(present.epoch, room.epoch, "nothing else has changed");
}

pub async fn a_room_that_cannot_be_restored_goes_back(cluster: &Cluster) {
    let (source, target, room) = two_servers(cluster).await;
    source.handle.offer_room(offer(room.room_epoch(), &target)).await.unwrap();
    let moved = target.handle.claim_room(claim(&target, &room.room_epoch())).await.unwrap();
    target.handle.offer_room(offer(moved.room_epoch(), &source)).await.unwrap();
    let back = source.handle.claim_room(claim(&source, &moved.room_epoch())).await.unwrap();
    assert_eq!((back.server_id.as_ref(), back.migration), (Some(source.id()), None));
    assert!(is_fenced(&target.handle.update_room(&moved.room_epoch(), RoomUpdate::default()).await));
}
