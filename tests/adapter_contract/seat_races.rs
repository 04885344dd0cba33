//! Many players at once.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use roomraft::{
    adapter::AdapterResult,
    model::{RoomType, SeatGrant},
    registry::Rejection,
};

use crate::cluster::{Cluster, Server, any_room, by_id, rejection};

/// One server per handle.
async fn servers(cluster: &Cluster, room_type: &RoomType, capacity: u32, seats: u32) -> Vec<Server> {
    let mut servers = Vec::new();
    for _ in cluster.handles() {
        let server = cluster.server_with(room_type, capacity, |server| {
            for spec in server.room_types.values_mut() {
                spec.max_players = seats;
            }
        });
        servers.push(server.await);
    }
    servers
}

/// So many joins at once, spread over the servers, each as a task of its own.
async fn join_at_once(
    servers: &[Server],
    count: usize,
    target: impl Fn() -> roomraft::model::SeatTarget,
) -> Vec<AdapterResult<SeatGrant>> {
    let joins = (0..count).map(|turn| {
        let server = &servers[turn % servers.len()];
        let (handle, request) = (Arc::clone(&server.handle), server.request(target()));
        tokio::spawn(async move { handle.reserve_seat(request).await })
    });
    join_all(joins).await.into_iter().map(|join| join.expect("no join panics")).collect()
}

fn rooms_of(joins: &[AdapterResult<SeatGrant>]) -> BTreeSet<String> {
    joins.iter().flatten().map(|grant| grant.room.room_id.to_string()).collect()
}

pub async fn one_free_seat_fifty_joins(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let servers = servers(cluster, &room_type, 1, 2).await;
    let room = servers[0].room_with(&room_type, |room| room.max_players = 1).await;
    let joins = join_at_once(&servers, 50, || any_room(&room_type, &[])).await;
    assert_eq!(joins.iter().flatten().count(), 1, "one seat, one player");
    for refused in joins.into_iter().filter(Result::is_err) {
        let refused = rejection(refused);
        assert!(matches!(refused, Rejection::NoCapacity(_)), "nobody is sent to a full room: {refused:?}");
    }
    assert_eq!(cluster.present(&room).await.seat_count, 1);
}

pub async fn finding_and_creating_are_one_step(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let servers = servers(cluster, &room_type, 10, 50).await;
    let candidates: Vec<&Server> = servers.iter().collect();
    let joins = join_at_once(&servers, 30, || any_room(&room_type, &candidates)).await;
    assert_eq!(joins.iter().flatten().count(), 30);
    let rooms = rooms_of(&joins).len();
    assert_eq!(joins.iter().flatten().filter(|grant| grant.created).count(), rooms);
    assert!((1..=cluster.parts()).contains(&rooms), "one room is made, however many ask at once, not {rooms}");
}

pub async fn a_room_is_never_overfull(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let servers = servers(cluster, &room_type, 1, 2).await;
    let room = servers[0].room_with(&room_type, |room| room.max_players = 10).await;
    let joins = join_at_once(&servers, 60, || by_id(&room)).await;
    assert_eq!(joins.iter().flatten().count(), 10);
    let seen = cluster.present(&room).await;
    assert_eq!((seen.seat_count, seen.has_space()), (10, false));
    let players: BTreeSet<_> = joins.iter().flatten().map(|grant| grant.seat.seat_id).collect();
    assert_eq!(players.len(), 10);
}

pub async fn a_full_room_is_followed_by_one_new_room(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let servers = servers(cluster, &room_type, 10, 4).await;
    let candidates: Vec<&Server> = servers[..1].iter().collect();
    let joins = join_at_once(&servers, 20, || any_room(&room_type, &candidates)).await;
    assert_eq!(joins.iter().flatten().count(), 20);
    let rooms = rooms_of(&joins).len();
    assert!((5..5 + cluster.parts()).contains(&rooms), "twenty players fill five rooms of four, not {rooms}");
    let (mut seats, mut full) = (0, 0);
    for room in cluster.any().rooms_by_server(servers[0].id()).await.unwrap() {
        seats += room.seat_count;
        full += usize::from(!room.has_space());
    }
    assert_eq!(seats, 20);
    assert!(rooms - full <= cluster.parts(), "{full} of {rooms} rooms are full");
}

pub async fn a_burst_of_new_rooms_stays_within_capacity(cluster: &Cluster) {
    let types = [cluster.room_type(), cluster.room_type()];
    let serve_both = |server: &mut roomraft::model::NewServer| {
        let mut spec = server.room_types[&types[0]].clone();
        spec.max_players = 1;
        server.room_types = types.iter().map(|room_type| (room_type.clone(), spec.clone())).collect();
    };
    let mut servers = vec![cluster.server_with(&types[0], 5, serve_both).await];
    for _ in cluster.handles() {
        servers.push(cluster.server_with(&types[0], 0, serve_both).await);
    }
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let target = || {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        any_room(&types[turn % 2], &[&servers[0]])
    };
    let joins = join_at_once(&servers, 48, target).await;
    for refused in joins.iter().filter(|join| join.is_err()) {
        let refused = rejection(refused.clone());
        assert!(matches!(refused, Rejection::NoCapacity(_)), "{refused:?}");
    }
    let rooms = cluster.any().rooms_by_server(servers[0].id()).await.unwrap();
    let kept: BTreeSet<String> = rooms.iter().map(|room| room.room_id.to_string()).collect();
    assert_eq!(kept.len(), 5, "so many rooms as it takes, of both types together");
    assert_eq!(rooms_of(&joins), kept, "whoever got a seat has it in a room that stays");
}
