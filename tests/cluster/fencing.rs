//! A server that was paused for longer than its lease, and goes on.

use std::{collections::BTreeMap, time::Duration};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    metronome::{self, Deed, Line},
    support::{
        player::{Place, Player},
        process::Cluster,
        wait::until,
    },
};

/// A player in each of so many rooms of one server, with word that its room's state is durable.
async fn seated(gateway: &str, rooms: usize) -> Vec<(Player, Place)> {
    let mut players = Vec::new();
    for number in 0..rooms {
        // A room of each player's own: the attribute keeps the others out.
        let input = json!({ "roomType": "metronome", "query": { "metadata": { "number": number } } });
        let player = Player::connect(gateway).await.expect("a gateway");
        let (mut player, place) = player.join_with(input).await.expect("a seat");
        player.say("note", json!({ "number": number })).await.expect("a connection");
        player.heard("noted").await.expect("a durable note");
        players.push((player, place));
    }
    players
}

/// Waits until every room beats on another server than `old`; gives the moment at which each began there.
async fn taken_over(cluster: &Cluster, old: &str, places: &[Place]) -> BTreeMap<String, Duration> {
    until("every room on another server", || async {
        let journal = metronome::journal(cluster);
        let elsewhere = |place: &Place| {
            let mut lines = journal.iter().filter(|line| line.server != old && line.room == place.room_id);
            let began = lines.find(|line| line.what == Deed::Restored)?;
            lines.any(|line| line.what == Deed::Beat).then_some((place.room_id.clone(), began.at))
        };
        let began: BTreeMap<String, Duration> = places.iter().filter_map(elsewhere).collect();
        if began.len() == places.len() { Ok(began) } else { Err(format!("{} of {}", began.len(), places.len())) }
    })
    .await
}

/// The beats that a player still gets before it is told where its room is now, and what it is told.
async fn until_redirected(player: &mut Player) -> (Vec<Value>, Value) {
    let mut beats = Vec::new();
    loop {
        let (name, data) = player.next_message().await.expect("a redirect comes");
        match name.as_str() {
            "$redirect" => return (beats, data),
            "RoomMessage" if data["type"] == "beat" => beats.push(data["data"].clone()),
            _ => {}
        }
    }
}

fn deeds<'a>(journal: &'a [Line], server: &str, room: &str, since: Duration) -> Vec<&'a Line> {
    journal.iter().filter(|line| line.server == server && line.room == room && line.at > since).collect()
}

async fn a_paused_owner_does_nothing_more(leads: bool) {
    let cluster = metronome::cluster().await;
    let paused = if leads { cluster.leader().await } else { cluster.follower().await };
    let old = &cluster.nodes[paused];
    let players = seated(&old.gateway, 3).await;
    let places: Vec<Place> = players.iter().map(|(_, place)| place.clone()).collect();

    old.signal(Signal::SIGSTOP);
    let began = taken_over(&cluster, &old.server_id, &places).await;
    old.signal(Signal::SIGCONT);

    for (mut player, place) in players {
        let (beats, redirect) = until_redirected(&mut player).await;
        let late = |beat: &&Value| {
            let at = Duration::from_micros(beat["at"].as_u64().unwrap_or_default());
            beat["server"] == old.server_id.as_str() && at > began[&place.room_id]
        };
        assert!(beats.iter().filter(late).count() <= 1, "what was sent after another began: {beats:?}");
        assert_eq!(redirect["sessionToken"], place.session_token.as_str(), "{redirect}");
        let address = redirect["address"].as_str().expect("an address");
        assert_ne!(address, old.gateway, "another server has the room: {redirect}");
        let mut again = Player::connect(address).await.expect("the new owner");
        let input = json!({ "sessionToken": place.session_token });
        let answer = again.call("ReconnectRoom", input).await.expect("its seat");
        assert_eq!(answer["playerId"], place.player_id.as_str());
        let welcome = again.heard("welcome-back").await.expect("the room's word");
        assert_eq!(welcome["data"]["last"], welcome["notes"], "the player's data came along: {welcome}");
        again.heard("beat").await.expect("it beats on");
    }
    let refused = until("late writes that were refused", || async {
        let journal = metronome::journal(&cluster);
        let fenced = |place: &&Place| {
            let late = deeds(&journal, &old.server_id, &place.room_id, began[&place.room_id]);
            late.iter().any(|line| line.what == Deed::Fenced)
        };
        let count = places.iter().filter(fenced).count();
        if count == places.len() { Ok(journal.clone()) } else { Err(format!("{count} of {}", places.len())) }
    })
    .await;
    for (room, began) in &began {
        let late = deeds(&refused, &old.server_id, room, *began);
        assert!(late.iter().filter(|line| line.what == Deed::Beat).count() <= 1, "of {room}: {late:?}");
        assert!(late.iter().all(|line| line.what != Deed::Wrote), "durable, of {room}: {late:?}");
    }
    old.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_paused_for_longer_than_its_lease_stops_its_rooms_and_redirects_their_players() {
    Box::pin(a_paused_owner_does_nothing_more(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_for_longer_than_its_lease_stops_its_rooms_and_redirects_their_players() {
    Box::pin(a_paused_owner_does_nothing_more(true)).await;
}
