//! The built-in room.

use std::time::Duration;

use roomraft::{
    adapter::DistributedAdapter,
    model::Metadata,
    room::{DistributedRoomManager, JoinTarget, JoinedRoom, RelayRoom, RoomConfig},
};
use serde_json::{Value, json};
use std::sync::Arc;

use super::support::{Guest, backend, bare, eventually, joined, say};

async fn relaying(backend: &Arc<dyn DistributedAdapter>) -> DistributedRoomManager {
    let manager = bare(backend, "s1", |_| {});
    let config = RoomConfig { reconnect_grace: Duration::from_mins(10), ..RoomConfig::default() };
    manager.define("relay", config, RelayRoom::default).expect("a valid type");
    manager.start().await.expect("connected");
    manager
}

async fn enter(manager: &DistributedRoomManager, guest: &Guest) -> JoinedRoom {
    let room_type = "relay".try_into().expect("a valid type");
    let target = JoinTarget::Type { room_type, options: Value::Null, metadata: Metadata::default() };
    joined(manager.join(guest.request(target, None)).await)
}

#[tokio::test]
async fn a_message_goes_to_the_others_with_its_sender() {
    let backend = backend();
    let manager = relaying(&backend).await;
    let (mut ann, mut bob) = (Guest::new("ann"), Guest::new("bob"));
    enter(&manager, &ann).await;
    enter(&manager, &bob).await;
    say(&manager, &ann, "chat", json!({ "text": "hi" })).await;
    assert_eq!(bob.next_of("chat").await, json!({ "from": "ann", "data": { "text": "hi" } }));
    say(&manager, &bob, "chat", json!(2)).await;
    assert_eq!(ann.next_of("chat").await, json!({ "from": "bob", "data": 2 }), "its own did not come back");
}

#[tokio::test]
async fn the_state_is_shared_and_a_null_deletes() {
    let backend = backend();
    let manager = relaying(&backend).await;
    let (mut ann, mut bob) = (Guest::new("ann"), Guest::new("bob"));
    let session = enter(&manager, &ann).await;
    assert_eq!(ann.next().await, json!(["joined", session.room_id, "ann"]));
    assert_eq!(ann.next().await, json!([3, "RoomMessage", { "type": "$state", "data": {} }]));
    say(&manager, &ann, "$set", json!({ "key": "score", "value": 3 })).await;
    say(&manager, &ann, "$set", json!({ "key": "map", "value": "isle" })).await;
    assert_eq!(ann.next_of("$state").await, json!({ "score": 3 }));
    assert_eq!(ann.next_of("$state").await, json!({ "map": "isle" }));
    enter(&manager, &bob).await;
    assert_eq!(bob.next_of("$state").await, json!({ "score": 3, "map": "isle" }));
    say(&manager, &bob, "$set", json!({ "key": "map", "value": null })).await;
    assert_eq!(ann.next_of("$state").await, json!({ "map": null }));
    ann.drop_connection(&manager);
    let mut back = ann.again();
    joined(back.reconnect(&manager, &session.session_token).await);
    assert_eq!(back.next().await[0], "reconnected");
    assert_eq!(back.next().await, json!([3, "RoomMessage", { "type": "$state", "data": { "score": 3 } }]));
}

#[tokio::test]
async fn what_does_not_fit_is_told_to_its_sender_alone() {
    let backend = backend();
    let manager = relaying(&backend).await;
    let (mut ann, mut bob) = (Guest::new("ann"), Guest::new("bob"));
    enter(&manager, &ann).await;
    enter(&manager, &bob).await;
    bob.next_of("$state").await;
    say(&manager, &ann, "$set", json!({ "key": "big", "value": "x".repeat(65 * 1024) })).await;
    let error = ann.next_of("$error").await;
    assert!(error["message"].as_str().is_some_and(|text| text.contains("65536")), "{error}");
    say(&manager, &ann, "$set", json!({ "value": 1 })).await;
    let error = ann.next_of("$error").await;
    assert!(error["message"].as_str().is_some_and(|text| text.contains("key")), "{error}");
    say(&manager, &ann, "$set", json!({ "key": "small", "value": 1 })).await;
    assert_eq!(bob.next().await[2], json!({ "type": "$state", "data": { "small": 1 } }));
}

#[tokio::test]
async fn the_state_survives_a_restart() {
    let backend = backend();
    let before = relaying(&backend).await;
    let mut ann = Guest::new("ann");
    let session = enter(&before, &ann).await;
    say(&before, &ann, "$set", json!({ "key": "score", "value": 3 })).await;
    assert_eq!(ann.next_of("$state").await, json!({}));
    assert_eq!(ann.next_of("$state").await, json!({ "score": 3 }));
    before.save_snapshot(&session.room_id).await.expect("it saves");
    before.stop(true).await.expect("connected");
    let after = relaying(&backend).await;
    eventually("the room runs again", async || after.room(&session.room_id).is_some()).await;
    let mut back = ann.again();
    joined(back.reconnect(&after, &session.session_token).await);
    assert_eq!(back.next_of("$state").await, json!({ "score": 3 }));
}
