//! A server that was paused for longer than its lease, and goes on.

use std::{collections::BTreeMap, time::Duration};

use nix::sys::signal::Signal;
use roomraft::clock::Clock;
use serde_json::{Value, json};

use crate::{
    metronome::{self, Deed, Line},
    support::{
        player::{Place, Player},
        process::Cluster,
        redis::RedisServer,
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

async fn a_paused_owner_does_nothing_more(cluster: Cluster, paused: usize) {
    let old = &cluster.nodes[paused];
    let players = seated(&old.gateway, 3).await;
    let places: Vec<Place> = players.iter().map(|(_, place)| place.clone()).collect();

    until("a writer that remembers every room", || async {
        let journal = metronome::journal(&cluster);
        let wrote = |place: &Place| journal.iter().any(|line| line.room == place.room_id && line.what == Deed::Wrote);
        if places.iter().all(wrote) { Ok(()) } else { Err(journal.len()) }
    })
    .await;
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
    let cluster = metronome::cluster().await;
    let follower = cluster.follower().await;
    Box::pin(a_paused_owner_does_nothing_more(cluster, follower)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_for_longer_than_its_lease_stops_its_rooms_and_redirects_their_players() {
    let cluster = metronome::cluster().await;
    let leader = cluster.leader().await;
    Box::pin(a_paused_owner_does_nothing_more(cluster, leader)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn on_redis_a_server_that_was_paused_for_longer_than_its_lease_does_nothing_more() {
    let redis = RedisServer::start(&[]);
    let cluster = metronome::cluster_on(&redis).await;
    Box::pin(a_paused_owner_does_nothing_more(cluster, 1)).await;
}

/// Waits until no room has beaten for a while on any server; gives the moment.
async fn silent(cluster: &Cluster, places: &[Place]) -> Duration {
    until("rooms that are still", || async {
        let last = |place: &Place| {
            let journal = metronome::journal(cluster);
            journal
                .iter()
                .filter(|line| line.room == place.room_id && line.what == Deed::Beat)
                .map(|line| line.at)
                .max()
        };
        let now = Clock::system().boot();
        let newest = places.iter().filter_map(last).max().unwrap_or_default();
        if newest + Duration::from_millis(500) < now {
            Ok(now)
        } else {
            Err(format!("a beat at {newest:?} of {now:?}"))
        }
    })
    .await
}

/// After a room was restored on one server, no other one does more in it than the one thing that it had begun.
fn one_owner_at_a_time(journal: &[Line], room: &str) {
    let mut owners: Vec<(&str, usize)> = Vec::new();
    for line in journal.iter().filter(|line| line.room == room) {
        match (&line.what, owners.last().map(|(owner, _)| *owner == line.server)) {
            (Deed::Restored, _) | (Deed::Beat, None) => owners.push((&line.server, 0)),
            (Deed::Beat, Some(false)) => {
                let late = owners.last_mut().expect("an owner");
                late.1 += 1;
                assert!(late.1 <= 1, "room {room} beats at {} after {} took it over: {line:?}", line.server, late.0);
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn no_room_has_two_owners_when_redis_is_paused_killed_and_wiped() {
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let cluster = metronome::cluster_on(&redis).await;
    let mut places = Vec::new();
    for node in &cluster.nodes {
        places.extend(seated(&node.gateway, 2).await.into_iter().map(|(_, place)| place));
    }
    let beats_after = async |since: Duration| {
        until("every room beats again", || async {
            let journal = metronome::journal(&cluster);
            let beats = |place: &&Place| {
                let mut of_room = journal.iter().filter(|line| line.room == place.room_id && line.at > since);
                of_room.any(|line| line.what == Deed::Beat)
            };
            let count = places.iter().filter(beats).count();
            if count == places.len() { Ok(()) } else { Err(format!("{count} of {}", places.len())) }
        })
        .await;
    };
    // Paused: nobody can renew its lease, so everybody stops.
    redis.signal(Signal::SIGSTOP);
    let paused = silent(&cluster, &places).await;
    redis.signal(Signal::SIGCONT);
    beats_after(paused).await;
    // Killed, and back with what it had acknowledged.
    redis.kill();
    let killed = silent(&cluster, &places).await;
    redis.restart();
    beats_after(killed).await;
    // Wiped: nobody knows any more whose the rooms are, so they end.
    redis.cli(&["flushall"]);
    silent(&cluster, &places).await;
    for node in &cluster.nodes {
        node.ready().await;
    }
    let (_, place) = Player::join(&cluster.nodes[0].gateway, "metronome").await.expect("a new room");
    assert!(places.iter().all(|old| old.room_id != place.room_id), "a room's id never comes again");
    let journal = metronome::journal(&cluster);
    for place in &places {
        one_owner_at_a_time(&journal, &place.room_id);
    }
}
