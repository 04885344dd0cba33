//! Many players that come, go, break off and come back on several servers at once.

use std::time::Duration;

use futures_util::future::join_all;
use rand::Rng;
use roomraft::{
    adapter::Consistency,
    model::RoomQuery,
    room::{DistributedRoomManager, JoinOutcome, JoinedRoom, RoomConfig},
};
use serde_json::json;

use super::{
    probe::Script,
    support::{Guest, backend, eventually, seats, serving},
};

const PLAYERS: usize = 24;
const ROUNDS: usize = 12;

/// Joins, following redirects; gives the session and where it is.
async fn follow<'m>(
    guest: &Guest,
    managers: &'m [DistributedRoomManager],
    first: usize,
) -> (JoinedRoom, &'m DistributedRoomManager) {
    let mut manager = &managers[first];
    let mut outcome = guest.join_type(manager).await;
    for _ in 0..8 {
        match outcome {
            Ok(JoinOutcome::Joined(joined)) => return (joined, manager),
            Ok(JoinOutcome::Redirect(redirect)) => {
                let owner = |manager: &&DistributedRoomManager| {
                    redirect.address.starts_with(manager.options().server_id.as_str())
                };
                manager = managers.iter().find(owner).expect("one of them");
                outcome = guest.join_room(manager, &redirect.room_id, redirect.reservation).await;
            }
            Err(error) => panic!("{} did not get in: {error}", guest.id),
        }
    }
    panic!("{} was sent on and on", guest.id)
}

async fn live(player: usize, managers: &[DistributedRoomManager]) {
    for round in 0..ROUNDS {
        let guest = Guest::new(&format!("p{player}-{round}"));
        let (session, manager) = follow(&guest, managers, (player + round) % managers.len()).await;
        // The room may end at any moment only when this player is out of it.
        manager.handle_message(&guest.id, "say", json!(round)).await.expect("it is in its room");
        let fate = rand::rng().random_range(0..4);
        match fate {
            0 => manager.leave(&guest.id, "done").await,
            1 => guest.connection.close(),
            _ => {
                guest.drop_connection(manager);
                let back = guest.again();
                // In time, or a moment too late: both must be told apart cleanly.
                if let Ok(outcome) = back.reconnect(manager, &session.session_token).await {
                    assert_eq!(outcome, JoinOutcome::Joined(session));
                }
                manager.leave(&guest.id, "done").await;
                back.connection.close();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn churn_leaves_nothing_behind() {
    let backend = backend();
    let script = Script::default();
    let config = RoomConfig { reconnect_grace: Duration::from_millis(5), ..seats(3) };
    let mut managers = Vec::new();
    for name in ["s1", "s2", "s3"] {
        managers.push(serving(&backend, name, config.clone(), &script).await);
    }
    join_all((0..PLAYERS).map(|player| live(player, &managers))).await;
    eventually("every room has ended", async || {
        let rooms = backend.rooms(&RoomQuery::default(), Consistency::Linearizable).await.expect("connected");
        rooms.is_empty() && managers.iter().all(|manager| manager.rooms().is_empty())
    })
    .await;
    let journal = script.journal();
    for player in 0..PLAYERS {
        for round in 0..ROUNDS {
            let name = format!(" p{player}-{round} ");
            let of = |hook: &str| journal.iter().filter(|line| line.starts_with(hook) && line.contains(&name)).count();
            assert_eq!((of("join"), of("leave")), (1, 1), "{name}");
        }
    }
    assert_eq!(script.creations(), script.count("dispose"));
}
