//! Seats are reserved, confirmed, kept and freed.

use roomraft::{
    model::{
        Metadata, RoomState, RoomUpdate, SeatConfirmation, SeatGrant, SeatRelease, SeatState, SeatTarget, TokenHash,
    },
    registry::Rejection,
};

use crate::{
    cluster::{Cluster, Server, TOKEN, any_room, by_id, rejection},
    wait::until,
};

fn confirmation(grant: &SeatGrant, token: TokenHash) -> SeatConfirmation {
    SeatConfirmation { room: grant.room.room_epoch(), seat_id: grant.seat.seat_id, token }
}

fn release(grant: &SeatGrant, away_ms: u64) -> Vec<SeatRelease> {
    vec![SeatRelease { room_id: grant.room.room_id.clone(), seat_id: grant.seat.seat_id, away_ms }]
}

/// Seats taken and players in a room.
async fn counts(cluster: &Cluster, grant: &SeatGrant) -> (u32, u32) {
    let room = cluster.present(&grant.room).await;
    (room.seat_count, room.player_count)
}

pub async fn a_seat_on_the_callers_server_is_joined_at_once(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let grant = server.join(any_room(&room_type, &[&server])).await.unwrap();
    assert!(grant.created);
    assert_eq!((grant.seat.state, grant.seat.token), (SeatState::Joined, Some(TOKEN)));
    assert_eq!((grant.room.state, grant.room.server_id.as_ref()), (RoomState::Creating, Some(server.id())));
    assert_eq!(counts(cluster, &grant).await, (1, 1));
    let second = server.join(any_room(&room_type, &[&server])).await.unwrap();
    assert!(!second.created);
    assert_eq!(second.room.room_id, grant.room.room_id);
}

pub async fn a_seat_elsewhere_is_held_until_confirmed(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (owner, other) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 0).await);
    let grant = other.join(any_room(&room_type, &[&other, &owner])).await.unwrap();
    assert_eq!(grant.room.server_id.as_ref(), Some(owner.id()));
    assert_eq!((grant.seat.state, grant.seat.token), (SeatState::Held, None));
    assert_eq!(counts(cluster, &grant).await, (1, 0));
    let confirmed = owner.handle.confirm_seat(confirmation(&grant, TOKEN)).await.unwrap();
    assert_eq!(confirmed.seat.state, SeatState::Joined);
    assert_eq!(counts(cluster, &grant).await, (1, 1));
}

pub async fn a_held_seat_falls_free_and_is_not_confirmed_late(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (owner, other) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = owner.room(&room_type).await;
    let request = roomraft::model::SeatRequest { hold_ms: 200, ..other.request(by_id(&room)) };
    let grant = other.handle.reserve_seat(request).await.unwrap();
    until("the held seat falls free", async || match counts(cluster, &grant).await {
        (0, 0) => Ok(()),
        taken => Err(taken),
    })
    .await;
    let late = rejection(owner.handle.confirm_seat(confirmation(&grant, TOKEN)).await);
    assert_eq!(late, Rejection::SeatUnknown(room.room_id));
}

pub async fn a_repeated_request_gets_the_same_seat(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let request = server.request(any_room(&room_type, &[&server]));
    let first = cluster.any().reserve_seat(request.clone()).await.unwrap();
    for handle in cluster.handles() {
        let again = handle.reserve_seat(request.clone()).await.unwrap();
        assert_eq!((again.seat, &again.room.room_id), (first.seat.clone(), &first.room.room_id));
    }
    assert_eq!(counts(cluster, &first).await, (1, 1));
    assert_eq!(cluster.any().rooms_by_server(server.id()).await.unwrap().len(), 1);
}

pub async fn a_consumed_reservation_is_counted_once(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (owner, other) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = owner.room(&room_type).await;
    let grant = other.join(by_id(&room)).await.unwrap();
    for _ in 0..3 {
        owner.handle.confirm_seat(confirmation(&grant, TOKEN)).await.unwrap();
    }
    assert_eq!(counts(cluster, &grant).await, (1, 1));
    owner.join(by_id(&room)).await.unwrap();
    assert_eq!(rejection(owner.join(by_id(&room)).await), Rejection::RoomFull(room.room_id));
}

pub async fn a_count_never_goes_below_zero(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (owner, other) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let grant = owner.join(any_room(&room_type, &[&owner])).await.unwrap();
    // Only the owner frees seats; the other's word is passed over.
    other.handle.release_seats(&other.epoch, release(&grant, 0)).await.unwrap();
    assert_eq!(counts(cluster, &grant).await, (1, 1));
    for _ in 0..3 {
        owner.handle.release_seats(&owner.epoch, release(&grant, 0)).await.unwrap();
    }
    assert_eq!(counts(cluster, &grant).await, (0, 0));
    let server = cluster.any().server(owner.id()).await.unwrap().expect("it is registered");
    assert_eq!((server.player_count, server.seat_count), (0, 0));
}

pub async fn an_away_seat_waits_for_its_player(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let owner = cluster.server(&room_type, 7).await;
    let grant = owner.join(any_room(&room_type, &[&owner])).await.unwrap();
    owner.handle.release_seats(&owner.epoch, release(&grant, 60_000)).await.unwrap();
    assert_eq!(counts(cluster, &grant).await, (1, 1));
    let stranger = owner.handle.confirm_seat(confirmation(&grant, TokenHash([1; 32]))).await;
    assert_eq!(rejection(stranger), Rejection::TokenMismatch(grant.room.room_id.clone()));
    let back = owner.handle.confirm_seat(confirmation(&grant, TOKEN)).await.unwrap();
    assert_eq!(back.seat.state, SeatState::Joined);
    owner.handle.release_seats(&owner.epoch, release(&grant, 100)).await.unwrap();
    until("the away seat falls free", async || match counts(cluster, &grant).await {
        (0, 0) => Ok(()),
        taken => Err(taken),
    })
    .await;
}

pub async fn a_failed_create_leaves_nothing_behind(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (owner, other) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 0).await);
    let grant = other.join(any_room(&room_type, &[&owner])).await.unwrap();
    owner.handle.unregister_room(&grant.room.room_epoch(), "on_create failed").await.unwrap();
    assert_eq!(cluster.room(&grant.room.room_id).await, None);
    let late = rejection(owner.handle.confirm_seat(confirmation(&grant, TOKEN)).await);
    assert_eq!(late, Rejection::RoomUnknown(grant.room.room_id.clone()));
    let next = other.join(any_room(&room_type, &[&owner])).await.unwrap();
    assert!(next.created);
    assert_ne!(next.room.room_id, grant.room.room_id);
}

pub async fn wanted_metadata_is_met_or_given(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    server.room(&room_type).await;
    let desert: Metadata = [("map", "desert")].into_iter().collect();
    let wanted = || SeatTarget::Type {
        room_type: room_type.clone(),
        metadata: desert.clone(),
        candidates: vec![server.id().clone()],
        options: r#"{"rounds":3}"#.to_owned(),
    };
    let first = server.join(wanted()).await.unwrap();
    assert!(first.created, "the plain room does not fit");
    assert_eq!((&first.room.metadata, first.room.options.as_str()), (&desert, r#"{"rounds":3}"#));
    let second = server.join(wanted()).await.unwrap();
    assert_eq!(second.room.room_id, first.room.room_id);
}

pub async fn joining_by_id_says_why_not(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room_with(&room_type, |room| room.max_players = 1).await;
    server.join(by_id(&room)).await.unwrap();
    assert_eq!(rejection(server.join(by_id(&room)).await), Rejection::RoomFull(room.room_id.clone()));
    let locked = server.room(&room_type).await;
    let lock = RoomUpdate { is_locked: Some(true), ..RoomUpdate::default() };
    server.handle.update_room(&locked.room_epoch(), lock).await.unwrap();
    assert_eq!(rejection(server.join(by_id(&locked)).await), Rejection::RoomLocked(locked.room_id.clone()));
    server.handle.unregister_room(&room.room_epoch(), "over").await.unwrap();
    assert_eq!(rejection(server.join(by_id(&room)).await), Rejection::RoomUnknown(room.room_id));
    let nobody = rejection(server.join(any_room(&cluster.room_type(), &[&server])).await);
    assert!(matches!(nobody, Rejection::NoCapacity(_)), "{nobody:?}");
    let unknown = Server::request(&server, by_id(&locked));
    let hasty = roomraft::model::SeatRequest { hold_ms: 0, ..unknown };
    assert!(matches!(rejection(server.handle.reserve_seat(hasty).await), Rejection::Invalid(_)));
}

pub async fn a_lost_reservation_is_taken_up_by_its_origin(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (a, b) = (cluster.server(&room_type, 0).await, cluster.server(&room_type, 1).await);
    let from = |server: &Server, target, origin| roomraft::model::SeatRequest { origin, ..server.request(target) };
    let origin = rand::random::<u64>() | 1;
    let redirected = a.handle.reserve_seat(from(&a, any_room(&room_type, &[&b]), origin)).await.unwrap();
    b.join(by_id(&redirected.room)).await.unwrap();
    // The room is full and b has no room left: only the held seat can be meant.
    let stranger = b.handle.reserve_seat(from(&b, any_room(&room_type, &[&b]), origin ^ 2)).await;
    assert!(matches!(rejection(stranger), Rejection::NoCapacity(_)));
    let adopted = b.handle.reserve_seat(from(&b, any_room(&room_type, &[&b]), origin)).await.unwrap();
    assert_eq!(adopted.room.room_id, redirected.room.room_id);
    assert_eq!(adopted.seat.state, SeatState::Joined);
    assert_eq!(counts(cluster, &adopted).await, (2, 2));
}

pub async fn the_nearest_room_is_joined_or_made(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (near, next, far) =
        (cluster.server(&room_type, 1).await, cluster.server(&room_type, 1).await, cluster.server(&room_type, 7).await);
    let nearest = |tiers: &[&[&Server]]| SeatTarget::Nearest {
        room_type: room_type.clone(),
        metadata: Metadata::default(),
        tiers: tiers.iter().map(|tier| tier.iter().map(|server| server.id().clone()).collect()).collect(),
        options: String::new(),
    };
    // An open room far away, even the caller's own, is no reason to go there.
    let distant = far.room(&room_type).await;
    let first = far.join(nearest(&[&[&near], &[&next], &[&far]])).await.unwrap();
    assert_eq!((first.created, first.room.server_id.as_ref()), (true, Some(near.id())));
    assert_eq!(first.seat.state, SeatState::Held);
    // In one tier an open room comes before a new one, whichever server has it.
    let second = far.join(nearest(&[&[&next, &near], &[&far]])).await.unwrap();
    assert_eq!((second.created, &second.room.room_id), (false, &first.room.room_id));
    // Full: the next tier.
    let third = far.join(nearest(&[&[&near], &[&next], &[&far]])).await.unwrap();
    assert_eq!((third.created, third.room.server_id.as_ref()), (true, Some(next.id())));
    let fourth = far.join(nearest(&[&[&near, &next]])).await.unwrap();
    assert_eq!(fourth.room.room_id, third.room.room_id);
    // No tier has any: an open room anywhere.
    let fifth = near.join(nearest(&[&[&near, &next]])).await.unwrap();
    assert_eq!((fifth.created, &fifth.room.room_id), (false, &distant.room_id));
}

pub async fn a_tier_prefers_the_callers_own_rooms(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (a, b) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let (older, own) = (a.room(&room_type).await, b.room(&room_type).await);
    let target = |caller: &Server| {
        let tiers = vec![vec![a.id().clone(), b.id().clone()]];
        let (room_type, options) = (room_type.clone(), String::new());
        caller.request(SeatTarget::Nearest { room_type, metadata: Metadata::default(), tiers, options })
    };
    let c = cluster.server(&room_type, 7).await;
    assert_eq!(b.handle.reserve_seat(target(&b)).await.unwrap().room.room_id, own.room_id);
    // Age counts within a part of the type.
    let taken = c.handle.reserve_seat(target(&c)).await.unwrap().room.room_id;
    assert!(taken == older.room_id || (cluster.parts() > 1 && taken == own.room_id), "{taken}");
    let nobody = SeatTarget::Nearest {
        room_type: cluster.room_type(),
        metadata: Metadata::default(),
        tiers: vec![vec![a.id().clone()]],
        options: String::new(),
    };
    let Rejection::NoCapacity(_) = rejection(a.join(nobody).await) else { panic!("nobody serves it") };
}
