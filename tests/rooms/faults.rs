//! A game's faults stay in their room.

use roomraft::{model::RoomQuery, room::JoinError};
use serde_json::{Value, json};

use super::{
    probe::{Probe, Script},
    support::{Guest, backend, bare, eventually, record, say, seats, serving},
};

#[tokio::test]
async fn a_panic_ends_its_room_alone() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(1), &script).await;
    let (mut ann, mut bob) = (Guest::new("ann"), Guest::new("bob"));
    let doomed = manager.room(&ann.enter(&manager).await.room_id).expect("it runs here");
    let other = bob.enter(&manager).await.room_id;
    say(&manager, &ann, "panic", Value::Null).await;
    assert!(ann.next_of("$left").await["reason"].as_str().is_some_and(|reason| reason.contains("panicked")));
    doomed.over().await;
    assert_eq!(record(&backend, doomed.id()).await, None);
    assert_eq!(script.count("error the room panicked: as told"), 1);
    assert_eq!(script.journal().iter().filter(|line| line.starts_with("leave ann")).count(), 1);
    say(&manager, &bob, "say", json!("still here")).await;
    assert_eq!(bob.next_of("said").await, "still here");
    assert!(record(&backend, &other).await.is_some());
    ann.enter(&manager).await;
}

#[tokio::test]
async fn an_error_of_a_hook_reaches_on_error_and_the_room_goes_on() {
    let backend = backend();
    let script = Script::default();
    let manager = serving(&backend, "s1", seats(1), &script).await;
    let mut ann = Guest::new("ann");
    ann.enter(&manager).await;
    say(&manager, &ann, "fail", Value::Null).await;
    say(&manager, &ann, "nonsense", Value::Null).await;
    say(&manager, &ann, "say", json!(1)).await;
    assert_eq!(ann.next_of("said").await, 1);
    assert_eq!(script.count("error failed as told"), 1);
    assert_eq!(script.count(r#"error messages of type "nonsense" are not understood here"#), 1);
}

#[tokio::test]
async fn a_factory_that_panics_leaves_nothing() {
    let backend = backend();
    let manager = bare(&backend, "s1", |_| {});
    manager.define::<Probe>("probe", seats(1), || panic!("as told")).expect("a valid type");
    manager.start().await.expect("connected");
    let outcome = Guest::new("ann").join_type(&manager).await;
    assert!(matches!(&outcome, Err(JoinError::Internal(text)) if text.contains("factory")), "{outcome:?}");
    eventually("nothing is left", async || manager.rooms().is_empty()).await;
    let rooms = manager.query_distributed_rooms(&RoomQuery::default()).await.expect("connected");
    assert_eq!(rooms, []);
}
