//! Servers register, live, drain and die.

use roomraft::{
    adapter::{Consistency, EventFilter},
    model::{EventKind, EventPayload, Metadata, RoomState, ServerStatus, ServerUpdate},
    registry::Rejection,
};

use crate::cluster::{Cluster, Server, any_room, by_id, is_fenced, next_event, rejection};

pub async fn a_server_is_seen_on_every_handle_until_it_is_unregistered(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server =
        cluster.server_with(&room_type, 7, |server| server.metadata = [("zone", "eu")].into_iter().collect()).await;
    for handle in cluster.handles() {
        let online = handle.servers(Consistency::Linearizable).await.unwrap();
        let seen = online.iter().find(|seen| seen.server_id == *server.id()).expect("it is online");
        assert_eq!((seen.capacity, seen.status, seen.epoch), (7, ServerStatus::Online, server.epoch.epoch));
        assert_eq!(seen.player_address(), "game.example:3000");
        assert_eq!(seen.metadata.value("zone"), Some(&"eu".into()));
        assert!(seen.last_heartbeat > 0);
    }
    for _ in 0..2 {
        server.handle.unregister_server(&server.epoch).await.unwrap();
    }
    for handle in cluster.handles() {
        assert_eq!(handle.server(server.id()).await.unwrap(), None);
    }
}

pub async fn an_update_is_seen_on_every_handle(cluster: &Cluster) {
    let server = cluster.server(&cluster.room_type(), 7).await;
    let metadata: Metadata = [("zone", "us")].into_iter().collect();
    let update = ServerUpdate { capacity: Some(9), metadata: Some(metadata.clone()), ..ServerUpdate::default() };
    server.handle.update_server(&server.epoch, update).await.unwrap();
    for handle in cluster.handles() {
        let seen = handle.server(server.id()).await.unwrap().expect("it is registered");
        assert_eq!((seen.capacity, &seen.metadata), (9, &metadata));
    }
}

pub async fn a_draining_server_gets_no_new_room(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    let mut events = cluster.any().subscribe(EventFilter::Kind(EventKind::ServerDraining), None).await.unwrap();
    let update = ServerUpdate { status: Some(ServerStatus::Draining), ..ServerUpdate::default() };
    server.handle.update_server(&server.epoch, update).await.unwrap();
    next_event(&mut events, |event| event.server_id.as_ref() == Some(server.id())).await;
    let online = cluster.any().servers(Consistency::Linearizable).await.unwrap();
    assert!(online.iter().all(|seen| seen.server_id != *server.id()));
    assert_eq!(cluster.any().find_available_room(&room_type).await.unwrap(), None);
    let refused = rejection(server.join(any_room(&room_type, &[&server])).await);
    assert!(matches!(refused, Rejection::NoCapacity(_)), "{refused:?}");
    assert_eq!(cluster.present(&room).await.server_id.as_ref(), Some(server.id()));
}

pub async fn an_older_registration_is_fenced(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let older = cluster.server(&room_type, 7).await;
    let newer = Server::start(older.handle.clone(), older.registered.clone()).await;
    assert!(newer.epoch.epoch > older.epoch.epoch);
    assert!(is_fenced(&older.handle.heartbeat(&older.epoch).await));
    assert!(is_fenced(&older.handle.update_server(&older.epoch, ServerUpdate::default()).await));
    assert!(is_fenced(&older.handle.unregister_server(&older.epoch).await));
    assert!(is_fenced(&older.join(any_room(&room_type, &[&older])).await));
    newer.handle.heartbeat(&newer.epoch).await.unwrap();
}

pub async fn heartbeats_keep_a_server_online(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (living, dying) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    // A whole lease passes, as another server's end shows.
    dying.crash().await;
    let seen = cluster.any().server(living.id()).await.unwrap().expect("it is registered");
    assert_eq!((seen.status, seen.epoch), (ServerStatus::Online, living.epoch.epoch));
}

pub async fn a_crash_is_detected_and_announced_once(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    let mut events = cluster.any().subscribe(EventFilter::All, None).await.unwrap();
    server.crash().await;
    let online = cluster.any().servers(Consistency::Linearizable).await.unwrap();
    assert!(online.iter().all(|seen| seen.server_id != *server.id()));
    let orphan = cluster.present(&room).await;
    assert_eq!((orphan.state, orphan.server_id), (RoomState::Orphaned, None));
    assert_eq!(cluster.any().find_available_room(&room_type).await.unwrap(), None);
    // A later event of the same server ends the search: until then it went offline once. That it came online before
    // the crash may be told late.
    let again = Server::start(server.handle.clone(), server.registered.clone()).await;
    let mut offline = 0;
    loop {
        let event = next_event(&mut events, |event| event.server_id.as_ref() == Some(again.id())).await;
        match &event.kind {
            EventKind::ServerOffline => {
                offline += 1;
                assert!(matches!(&event.payload, EventPayload::Reason(reason) if !reason.is_empty()));
            }
            EventKind::ServerOnline if offline > 0 => break,
            _ => {}
        }
    }
    assert_eq!(offline, 1);
}

pub async fn a_late_heartbeat_leaves_no_half_record(cluster: &Cluster) {
    let server = cluster.server(&cluster.room_type(), 7).await;
    server.crash().await;
    let late = rejection(server.handle.heartbeat(&server.epoch).await);
    assert_eq!(late, Rejection::ServerUnknown(server.id().clone()));
    let seen = cluster.any().server(server.id()).await.unwrap().expect("it is remembered");
    assert_eq!((seen.status, seen.capacity), (ServerStatus::Offline, 7));
    let again = Server::start(server.handle.clone(), server.registered.clone()).await;
    assert!(again.epoch.epoch > server.epoch.epoch);
    again.handle.heartbeat(&again.epoch).await.unwrap();
}

pub async fn unregistering_a_server_disposes_of_its_rooms(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    server.join(by_id(&room)).await.unwrap();
    let mut events = cluster.any().subscribe(EventFilter::Kind(EventKind::RoomDisposed), None).await.unwrap();
    server.handle.unregister_server(&server.epoch).await.unwrap();
    next_event(&mut events, |event| event.room_id.as_ref() == Some(&room.room_id)).await;
    assert_eq!(cluster.room(&room.room_id).await, None);
}

pub async fn a_server_that_registers_again_gives_its_rooms_up(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let older = cluster.server(&room_type, 7).await;
    let room = older.room(&room_type).await;
    let newer = Server::start(older.handle.clone(), older.registered.clone()).await;
    assert_eq!(cluster.present(&room).await.state, RoomState::Orphaned);
    assert!(is_fenced(&older.handle.unregister_room(&room.room_epoch(), "old").await));
    let seen = cluster.any().server(newer.id()).await.unwrap().expect("it is registered");
    assert_eq!((seen.room_count, seen.status), (0, ServerStatus::Online));
}

pub async fn counts_follow_the_seats(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (owner, other) = (cluster.server(&room_type, 7).await, cluster.server(&room_type, 7).await);
    let room = owner.room(&room_type).await;
    owner.join(by_id(&room)).await.unwrap();
    other.join(by_id(&room)).await.unwrap();
    for handle in cluster.handles() {
        let seen = handle.server(owner.id()).await.unwrap().expect("it is registered");
        assert_eq!((seen.room_count, seen.player_count, seen.seat_count), (1, 1, 2));
        // That read has brought the handle up to date; the totals are local.
        let totals = handle.totals(owner.id()).await.unwrap();
        assert_eq!((totals.own_rooms, totals.own_players), (1, 1));
        assert!(totals.rooms >= 1 && totals.players >= 1, "{totals:?}");
    }
}
