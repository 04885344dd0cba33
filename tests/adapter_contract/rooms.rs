//! Rooms are registered, changed and unregistered by their owners.

use roomraft::{
    adapter::Consistency,
    model::{Metadata, RoomEpoch, RoomId, RoomState, RoomUpdate},
    registry::Rejection,
};

use crate::cluster::{Cluster, by_id, is_fenced, new_room, rejection, snapshot};

pub async fn a_room_is_seen_on_every_handle_until_it_is_unregistered(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    assert_eq!((room.max_players, room.player_count, room.is_locked), (2, 0, false));
    for handle in cluster.handles() {
        let seen = handle.room(&room.room_id, Consistency::Linearizable).await.unwrap().expect("it is registered");
        assert_eq!(seen, room);
        assert_eq!(seen.server_address, "game.example:3000");
        assert_eq!(handle.rooms_by_server(server.id()).await.unwrap(), std::slice::from_ref(&room));
    }
    for _ in 0..2 {
        server.handle.unregister_room(&room.room_epoch(), "over").await.unwrap();
    }
    for handle in cluster.handles() {
        assert_eq!(handle.room(&room.room_id, Consistency::Linearizable).await.unwrap(), None);
    }
}

pub async fn a_rooms_name_is_never_given_twice(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room_id = RoomId::new(cluster.name("room")).unwrap();
    let named = || roomraft::model::NewRoom { room_id: Some(room_id.clone()), ..new_room(&room_type) };
    server.handle.register_room(&server.epoch, named()).await.unwrap();
    let again = rejection(server.handle.register_room(&server.epoch, named()).await);
    assert_eq!(again, Rejection::RoomExists(room_id));
}

pub async fn room_ids_never_collide(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let mut calls = Vec::new();
    for _ in 0..4 {
        let server = cluster.server(&room_type, 50).await;
        calls.push(tokio::spawn(async move {
            let room_type = room_type_of(&server);
            let rooms = (0..10).map(|_| server.room(&room_type));
            futures_util::future::join_all(rooms).await
        }));
    }
    let mut ids = std::collections::BTreeSet::new();
    for call in calls {
        ids.extend(call.await.unwrap().into_iter().map(|room| room.room_id));
    }
    assert_eq!(ids.len(), 40);
}

fn room_type_of(server: &crate::cluster::Server) -> roomraft::model::RoomType {
    server.registered.room_types.keys().next().expect("it serves a type").clone()
}

pub async fn lock_and_metadata_reach_every_handle(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    let metadata: Metadata = [("map", "desert")].into_iter().collect();
    let update = RoomUpdate { is_locked: Some(true), metadata: Some(metadata.clone()), ..RoomUpdate::default() };
    server.handle.update_room(&room.room_epoch(), update).await.unwrap();
    for handle in cluster.handles() {
        let seen = handle.room(&room.room_id, Consistency::Linearizable).await.unwrap().expect("it is registered");
        assert_eq!((seen.is_locked, &seen.metadata, seen.max_players), (true, &metadata, 2));
        assert_eq!(seen.epoch, room.epoch);
    }
}

pub async fn seats_are_never_cut_below_those_taken(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    for _ in 0..2 {
        server.join(by_id(&room)).await.unwrap();
    }
    let update = |seats| RoomUpdate { max_players: Some(seats), ..RoomUpdate::default() };
    for refused in [0, 1] {
        let refused = rejection(server.handle.update_room(&room.room_epoch(), update(refused)).await);
        assert!(matches!(refused, Rejection::Invalid(_)), "{refused:?}");
    }
    server.handle.update_room(&room.room_epoch(), update(3)).await.unwrap();
    assert!(cluster.present(&room).await.has_space());
}

pub async fn a_server_at_its_capacity_gets_no_room(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 1).await;
    let room = server.room(&room_type).await;
    let refused = rejection(server.handle.register_room(&server.epoch, new_room(&room_type)).await);
    assert_eq!(refused, Rejection::ServerFull(server.id().clone()));
    server.handle.unregister_room(&room.room_epoch(), "over").await.unwrap();
    server.room(&room_type).await;
}

pub async fn a_room_of_another_owner_is_fenced(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    let older = RoomEpoch { epoch: server.epoch.epoch, ..room.room_epoch() };
    assert!(is_fenced(&server.handle.update_room(&older, RoomUpdate::default()).await));
    assert!(is_fenced(&server.handle.unregister_room(&older, "old").await));
    assert!(is_fenced(&server.handle.delete_snapshot(&older).await));
    assert_eq!(cluster.present(&room).await, room);
}

pub async fn what_is_above_a_limit_is_refused_by_name(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let long = "x".repeat(17 * 1024);
    let mut fat = new_room(&room_type);
    fat.metadata = [("note", long.as_str())].into_iter().collect();
    let mut demanding = new_room(&room_type);
    demanding.options = long;
    let mut crowded = new_room(&room_type);
    crowded.max_players = 100_001;
    for (room, named) in [(fat, "metadata"), (demanding, "options"), (crowded, "max_players")] {
        match rejection(server.handle.register_room(&server.epoch, room).await) {
            Rejection::Invalid(problem) => assert!(problem.contains(named), "{problem}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(server.handle.rooms_by_server(server.id()).await.unwrap().is_empty());
}

pub async fn an_owner_parks_a_room_only_with_a_snapshot(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    let park = || RoomUpdate { state: Some(RoomState::Parked), ..RoomUpdate::default() };
    let refused = rejection(server.handle.update_room(&room.room_epoch(), park()).await);
    assert_eq!(refused, Rejection::SnapshotMissing(room.room_id.clone()));
    server.handle.save_snapshot(room.epoch, &snapshot(&room, 1)).await.unwrap();
    server.handle.update_room(&room.room_epoch(), park()).await.unwrap();
    let parked = cluster.present(&room).await;
    assert_eq!((parked.state, parked.server_id), (RoomState::Parked, None));
    assert_eq!(cluster.any().find_available_room(&room_type).await.unwrap(), None);
}
