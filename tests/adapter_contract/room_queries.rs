//! Finding rooms.

use roomraft::{
    adapter::Consistency,
    model::{Metadata, RoomQuery, RoomRegistration, RoomUpdate},
};

use crate::cluster::{Cluster, by_id};

async fn found(cluster: &Cluster, query: RoomQuery) -> Vec<RoomRegistration> {
    cluster.any().rooms(&query, Consistency::Linearizable).await.unwrap()
}

fn ids(rooms: &[RoomRegistration]) -> Vec<String> {
    rooms.iter().map(|room| room.room_id.to_string()).collect()
}

pub async fn every_part_of_a_query_must_hold(cluster: &Cluster) {
    let (room_type, other_type) = (cluster.room_type(), cluster.room_type());
    let server = cluster.server(&room_type, 9).await;
    let desert: Metadata = [("map", "desert")].into_iter().collect();
    let full = server.room_with(&room_type, |room| room.max_players = 1).await;
    server.join(by_id(&full)).await.unwrap();
    let locked = server.room(&room_type).await;
    let lock = RoomUpdate { is_locked: Some(true), ..RoomUpdate::default() };
    server.handle.update_room(&locked.room_epoch(), lock).await.unwrap();
    let open = server.room_with(&room_type, |room| room.metadata = desert.clone()).await;
    server.room(&other_type).await;

    let query = RoomQuery { room_type: Some(room_type), ..RoomQuery::default() };
    assert_eq!(ids(&found(cluster, query.clone()).await), ids(&[full.clone(), locked.clone(), open.clone()]));
    let cases = [
        (RoomQuery { has_space: Some(true), ..query.clone() }, vec![locked.clone(), open.clone()]),
        (RoomQuery { has_space: Some(false), ..query.clone() }, vec![full.clone()]),
        (RoomQuery { not_locked: Some(true), ..query.clone() }, vec![full.clone(), open.clone()]),
        (RoomQuery { not_locked: Some(false), ..query.clone() }, vec![locked]),
        (RoomQuery { metadata: desert, ..query.clone() }, vec![open.clone()]),
        (RoomQuery { has_space: Some(true), not_locked: Some(true), ..query }, vec![open]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&found(cluster, query).await), ids(&expected));
    }
}

pub async fn query_by_server_does_not_ignore_the_server(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (a, b) = (cluster.server(&room_type, 9).await, cluster.server(&room_type, 9).await);
    let (of_a, of_b) = (a.room(&room_type).await, b.room(&room_type).await);
    for (server, room) in [(&a, &of_a), (&b, &of_b)] {
        let query = RoomQuery { server_id: Some(server.id().clone()), ..RoomQuery::default() };
        assert_eq!(ids(&found(cluster, query).await), [room.room_id.to_string()]);
        assert_eq!(ids(&cluster.any().rooms_by_server(server.id()).await.unwrap()), [room.room_id.to_string()]);
    }
    let nobody = RoomQuery { server_id: Some("nobody".try_into().unwrap()), ..RoomQuery::default() };
    assert!(found(cluster, nobody).await.is_empty());
}

pub async fn pages_of_a_query_are_oldest_first(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 9).await;
    let mut rooms = Vec::new();
    for _ in 0..5 {
        rooms.push(server.room(&room_type).await);
    }
    let query = RoomQuery { room_type: Some(room_type), ..RoomQuery::default() };
    let page = |offset, limit| RoomQuery { offset: Some(offset), limit: Some(limit), ..query.clone() };
    assert_eq!(ids(&found(cluster, page(0, 2)).await), ids(&rooms[..2]));
    assert_eq!(ids(&found(cluster, page(2, 2)).await), ids(&rooms[2..4]));
    assert_eq!(ids(&found(cluster, page(4, 2)).await), ids(&rooms[4..]));
    assert!(found(cluster, page(5, 2)).await.is_empty());
    assert!(found(cluster, page(0, 0)).await.is_empty());
}

pub async fn the_oldest_open_room_is_found(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let (a, b) = (cluster.server(&room_type, 9).await, cluster.server(&room_type, 9).await);
    let rooms = [a.room(&room_type).await, b.room(&room_type).await, a.room(&room_type).await];
    for room in rooms {
        for handle in cluster.handles() {
            let found = handle.find_available_room(&room_type).await.unwrap().expect("a room is open");
            assert_eq!(found.room_id, room.room_id);
        }
        a.join(by_id(&room)).await.unwrap();
        b.join(by_id(&room)).await.unwrap();
    }
    assert_eq!(cluster.any().find_available_room(&room_type).await.unwrap(), None);
}

pub async fn closed_rooms_are_not_found(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 9).await;
    let room = server.room(&room_type).await;
    let set_lock = |locked| RoomUpdate { is_locked: Some(locked), ..RoomUpdate::default() };
    server.handle.update_room(&room.room_epoch(), set_lock(true)).await.unwrap();
    assert_eq!(cluster.any().find_available_room(&room_type).await.unwrap(), None);
    server.handle.update_room(&room.room_epoch(), set_lock(false)).await.unwrap();
    assert!(cluster.any().find_available_room(&room_type).await.unwrap().is_some());
    server.crash().await;
    assert_eq!(cluster.any().find_available_room(&room_type).await.unwrap(), None);
}
