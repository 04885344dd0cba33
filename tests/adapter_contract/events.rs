//! Events and messages.

use roomraft::{
    adapter::{EventFilter, EventItem},
    model::{DistributedEvent, EventKind, EventPayload, RoomId, RoomUpdate, SeatRelease},
    registry::Rejection,
};
use serde_json::json;

use crate::cluster::{Cluster, by_id, next_event, next_of_room, rejection};

pub async fn registry_events_come_once_and_in_order_on_every_handle(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let mut streams = Vec::new();
    for handle in cluster.handles() {
        streams.push(handle.subscribe(EventFilter::All, None).await.unwrap());
    }
    let room = server.room(&room_type).await;
    let lock = |locked| RoomUpdate { is_locked: Some(locked), ..RoomUpdate::default() };
    let grant = server.join(by_id(&room)).await.unwrap();
    server.handle.update_room(&room.room_epoch(), lock(true)).await.unwrap();
    server.handle.update_room(&room.room_epoch(), lock(false)).await.unwrap();
    let release = SeatRelease { room_id: room.room_id.clone(), seat_id: grant.seat.seat_id, away_ms: 0 };
    server.handle.release_seats(&server.epoch, vec![release]).await.unwrap();
    server.handle.unregister_room(&room.room_epoch(), "the match is over").await.unwrap();
    let expected = ["room:created", "player:joined", "room:locked", "room:unlocked", "player:left", "room:disposed"];
    for stream in &mut streams {
        let mut last = None;
        for name in expected {
            let event = next_of_room(stream, &room.room_epoch()).await;
            assert_eq!(event.kind.name(), name);
            assert_eq!(event.server_id.as_ref(), Some(server.id()));
            assert!(event.revision > last, "revisions only grow");
            last = event.revision;
            match &event.payload {
                EventPayload::Player(player) => assert_eq!(*player, grant.seat.player_id),
                EventPayload::Reason(reason) => assert_eq!(reason, "the match is over"),
                _ => {}
            }
        }
    }
}

pub async fn a_filter_passes_one_kind(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let mut stream = cluster.any().subscribe(EventFilter::from_pattern("room:disposed"), None).await.unwrap();
    let room = server.room(&room_type).await;
    server.handle.unregister_room(&room.room_epoch(), "over").await.unwrap();
    assert_eq!(next_of_room(&mut stream, &room.room_epoch()).await.kind, EventKind::RoomDisposed);
}

pub async fn a_subscription_resumes_after_a_revision(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let handle = cluster.any();
    let mut stream = handle.subscribe(EventFilter::All, None).await.unwrap();
    let first = server.room(&room_type).await;
    let seen = next_of_room(&mut stream, &first.room_epoch()).await.revision;
    drop(stream);
    let second = server.room(&room_type).await;
    let mut resumed = handle.subscribe(EventFilter::All, seen).await.unwrap();
    let created = |event: &DistributedEvent| {
        let rooms = [&first.room_id, &second.room_id];
        event.room_id.as_ref().is_some_and(|room_id| rooms.contains(&room_id))
    };
    assert_eq!(next_event(&mut resumed, created).await.room_id.as_ref(), Some(&second.room_id));
}

pub async fn what_is_published_reaches_every_handle_in_order(cluster: &Cluster) {
    let kind = EventKind::from_name(&cluster.name("chat"));
    let mut streams = Vec::new();
    for handle in cluster.handles() {
        streams.push(handle.subscribe(EventFilter::Kind(kind.clone()), None).await.unwrap());
    }
    let publisher = cluster.any();
    for number in 0..20 {
        let event = DistributedEvent {
            kind: kind.clone(),
            server_id: None,
            room_id: None,
            payload: EventPayload::Json(json!({ "number": number })),
            timestamp: 1,
            revision: None,
        };
        publisher.publish(event).await.unwrap();
    }
    for stream in &mut streams {
        for number in 0..20 {
            let event = next_event(stream, |_| true).await;
            assert_eq!(event.payload, EventPayload::Json(json!({ "number": number })));
            assert_eq!(event.revision, None);
        }
    }
}

pub async fn a_message_to_a_room_reaches_its_owner_in_order(cluster: &Cluster) {
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    let mut stream = server.handle.subscribe(EventFilter::Kind(EventKind::RoomMessage), None).await.unwrap();
    let player = "player".try_into().unwrap();
    for handle in cluster.handles() {
        for number in 0..10 {
            handle.send_to_room(&room.room_id, "move", json!(number), Some(&player)).await.unwrap();
        }
        for number in 0..10 {
            let event = next_of_room(&mut stream, &room.room_epoch()).await;
            let expected = EventPayload::Message {
                message_type: "move".to_owned(),
                data: json!(number),
                player_id: Some(player.clone()),
            };
            assert_eq!(event.payload, expected);
        }
    }
    assert!(
        !matches!(futures_util::FutureExt::now_or_never(stream.next()), Some(Some(EventItem::Event(event)))
        if event.room_id.as_ref() == Some(&room.room_id)),
        "each message came once"
    );
}

pub async fn a_message_to_no_room_is_refused(cluster: &Cluster) {
    let nowhere = RoomId::new(cluster.name("room")).unwrap();
    let refused = rejection(cluster.any().send_to_room(&nowhere, "move", json!(1), None).await);
    assert_eq!(refused, Rejection::RoomUnknown(nowhere));
    let room_type = cluster.room_type();
    let server = cluster.server(&room_type, 7).await;
    let room = server.room(&room_type).await;
    server.crash().await;
    let refused = rejection(cluster.any().send_to_room(&room.room_id, "move", json!(1), None).await);
    assert_eq!(refused, Rejection::RoomOrphaned(room.room_id));
}
