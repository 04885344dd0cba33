//! Players whose server died: who comes back, and who does not.

use serde_json::json;

use crate::{
    metronome::{self, Deed},
    relay::comes_back,
    support::{
        player::{Place, Player},
        process::Cluster,
        wait::until,
    },
};

/// Players in one room of a server, with data that a snapshot has.
async fn seated(cluster: &Cluster, server: usize, count: usize) -> Vec<(Player, Place)> {
    let mut players = Vec::new();
    for number in 0..count {
        let (mut player, place) = Player::join(&cluster.nodes[server].gateway, "metronome").await.expect("a seat");
        player.say("note", json!(number)).await.expect("a connection");
        player.heard("noted").await.expect("a durable note");
        players.push((player, place));
    }
    players
}

fn times_left(cluster: &Cluster, place: &Place) -> usize {
    let left = Deed::Left(place.player_id.clone());
    metronome::journal(cluster).iter().filter(|line| line.what == left).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_a_session_is_found_from_any_server_with_its_players_data() {
    let mut cluster = metronome::cluster().await;
    let victim = cluster.leader().await;
    let players = seated(&cluster, victim, 3).await;
    cluster.nodes[victim].kill();
    for gateway in cluster.gateways() {
        for (number, (_, place)) in players.iter().enumerate() {
            let mut player = comes_back(&gateway, place).await;
            let welcome = player.heard("welcome-back").await.expect("the room's word");
            assert_eq!(welcome, json!({ "data": { "last": number }, "notes": 2 }));
            player.cut();
        }
    }
    let journal = metronome::journal(&cluster);
    assert_eq!(journal.iter().filter(|line| line.what == Deed::Restored).count(), 1, "one server has the room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_come_back_after_a_failover_keeps_its_seat_for_the_grace_period_and_then_leaves_once() {
    let mut cluster = metronome::cluster().await;
    let victim = cluster.follower().await;
    let players = seated(&cluster, victim, 2).await;
    let ((_, stays), (_, goes)) = (&players[0], &players[1]);
    cluster.nodes[victim].kill();
    let gateway = cluster.any().gateway.clone();
    let mut stayed = comes_back(&gateway, stays).await;
    let seats = async || {
        let rooms = cluster.any().rooms().await?;
        let room = rooms.iter().find(|room| room["roomId"] == stays.room_id.as_str());
        Ok::<_, String>(room.map(|room| room["seatCount"].clone()))
    };
    assert_eq!(seats().await, Ok(Some(json!(2))), "the seat is kept");
    assert_eq!(times_left(&cluster, goes), 0, "and nobody has left");

    until("the end of the grace period", || async {
        if times_left(&cluster, goes) > 0 { Ok(()) } else { Err("it has not left") }
    })
    .await;
    until("a seat that is free", || async {
        let seats = seats().await?;
        if seats == Some(json!(1)) { Ok(()) } else { Err(format!("{seats:?}")) }
    })
    .await;
    let mut late = Player::connect(&gateway).await.expect("a gateway");
    let refused = late.call("ReconnectRoom", json!({ "sessionToken": goes.session_token })).await;
    let late = match refused {
        Ok(answer) => {
            let owner = answer["redirect"].as_str().expect("its owner knows");
            let mut late = Player::connect(owner).await.expect("the owner");
            late.call("ReconnectRoom", json!({ "sessionToken": goes.session_token })).await
        }
        refused => refused,
    };
    assert_eq!(late.expect_err("the session is over").code(), "NOT_FOUND");

    stayed.call("LeaveRoom", json!({})).await.expect("it leaves");
    until("the end of the room", || async {
        let seats = seats().await?;
        if seats.is_none() { Ok(()) } else { Err(format!("{seats:?}")) }
    })
    .await;
    assert_eq!((times_left(&cluster, goes), times_left(&cluster, stays)), (1, 1), "each has left once");
}
