//! A game that moves from one backend to another.

use roomraft::{
    adapter::{CarriedOver, carry_over},
    model::{Metadata, RoomState, RoomUpdate},
};
use serde_json::{Value, json};

use super::{
    probe::Script,
    support::{Guest, backend, eventually, probe_type, record, say, seats, serving},
};

#[tokio::test]
async fn rooms_go_on_at_another_backend_with_id_state_and_metadata() {
    let (old, new) = (backend(), backend());
    let script = Script::saving();
    let source = serving(&old, "s1", seats(4), &script).await;
    let ann = Guest::new("ann");
    let room_id = ann.enter(&source).await.room_id;
    say(&source, &ann, "write", json!("kept")).await;
    let empty = source.create(&probe_type(), Value::Null).await.expect("capacity").id().clone();
    let row = record(&old, &room_id).await.expect("it lives");
    let metadata: Metadata = [("map".to_owned(), json!("dunes"))].into_iter().collect();
    let update = RoomUpdate { metadata: Some(metadata.clone()), is_locked: Some(true), ..RoomUpdate::default() };
    old.update_room(&row.room_epoch(), update).await.expect("connected");
    source.stop(true).await.expect("connected");

    new.connect().await.expect("memory is always there");
    let mut expected = vec![room_id.clone(), empty];
    expected.sort_unstable();
    let sorted = |mut done: CarriedOver| {
        done.carried.sort_unstable();
        done.present.sort_unstable();
        done
    };
    let done = sorted(carry_over(&*old, &*new).await.expect("both are there"));
    assert_eq!(done, CarriedOver { carried: expected.clone(), present: Vec::new() });
    let again = sorted(carry_over(&*old, &*new).await.expect("both are there"));
    assert_eq!(again, CarriedOver { carried: Vec::new(), present: expected.clone() });
    assert_eq!(
        new.load_snapshot(&room_id).await.expect("connected").map(|snapshot| snapshot.state),
        Some(json!({ "written": "kept" })),
    );

    let _target = serving(&new, "s2", seats(4), &script).await;
    for room_id in &expected {
        eventually("the room lives again", async || {
            record(&new, room_id).await.is_some_and(|row| row.state == RoomState::Live && row.server_id.is_some())
        })
        .await;
    }
    let row = record(&new, &room_id).await.expect("it lives");
    assert_eq!((row.metadata, row.is_locked, row.max_players), (metadata, true, 4));
    assert!(record(&old, &room_id).await.is_some_and(|row| row.state == RoomState::Parked), "nothing was taken away");
}
