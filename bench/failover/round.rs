//! One round: rooms and players are made, a node is killed, and what follows is timed.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    guest::Guest,
    support::{
        process::Cluster,
        wait::{DEADLINE, until},
    },
    watch::{self, Survivor},
};

/// Players in each room.
const PARTY: usize = 2;
/// Longer than what the rooms take to save what changed.
const QUIET: Duration = Duration::from_millis(400);

/// Which node is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Leader,
    Follower,
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Leader { "leader" } else { "non-leader" })
    }
}

/// What came of one kill; times count from it, but `whole` from the restart.
#[derive(Debug)]
pub struct Round {
    pub victim: Victim,
    pub offline: Duration,
    pub joins: Duration,
    pub first_room: Duration,
    pub last_room: Duration,
    pub last_player: Duration,
    pub whole: Duration,
    /// Rooms that changed their server.
    pub moved: usize,
    /// By how many rooms the survivors differ.
    pub uneven: usize,
    pub broken: Vec<String>,
}

impl Round {
    pub async fn run(cluster: &mut Cluster, victim: Victim, turn: usize, rooms: usize) -> Self {
        let guests = seat(cluster, rooms).await;
        let expected = write_and_save(cluster, &guests, turn).await;
        let place = match victim {
            Victim::Leader => cluster.leader().await,
            Victim::Follower => cluster.follower().await,
        };
        let dead = cluster.nodes[place].server_id.clone();
        let survivors: Vec<Survivor> = cluster.nodes.iter().map(Survivor::of).collect();
        let survivors: Vec<Survivor> = survivors.into_iter().filter(|node| node.server_id != dead).collect();
        let owned = watch::rooms(&survivors[0].ops).await;
        let is_lost = |room: &String| owned.get(room).is_some_and(|(owner, _)| owner.as_ref() == Some(&dead));
        let lost: Vec<String> = owned.keys().filter(|room| is_lost(room)).cloned().collect();
        let (displaced, others): (Vec<_>, Vec<_>) =
            guests.into_iter().partition(|guest| is_lost(&guest.room_id.to_string()));

        let killed = Instant::now();
        cluster.nodes[place].kill();
        let ((offline, joins), (restored, (last_player, mut broken))) = tokio::join!(
            async {
                tokio::join!(
                    watch::until_offline(survivors.clone(), dead.clone(), killed),
                    watch::until_joins(survivors.clone(), killed)
                )
            },
            async {
                tokio::join!(
                    watch::until_restored(survivors.clone(), lost.clone(), killed),
                    until_back(&displaced, &expected, killed)
                )
            }
        );
        if restored.len() != lost.len() {
            broken.push(format!("{} of {} rooms of {dead} were restored", restored.len(), lost.len()));
        }
        for guest in others.iter().filter(|guest| guest.back_after(killed).is_some()) {
            broken.push(format!("{} was disturbed though the server of its room lives", guest.player_id));
        }
        let uneven = difference(&survivors).await;
        for guest in displaced.into_iter().chain(others) {
            guest.leave().await;
        }
        let restarted = Instant::now();
        cluster.start().await;
        until_whole(cluster).await;
        Self {
            victim,
            offline: offline.unwrap_or(DEADLINE),
            joins: joins.unwrap_or(DEADLINE),
            first_room: restored.iter().min().copied().unwrap_or(DEADLINE),
            last_room: restored.iter().max().copied().unwrap_or(DEADLINE),
            last_player,
            whole: restarted.elapsed(),
            moved: restored.len(),
            uneven,
            broken,
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [offline, joins, first_room, last_room, last_player, whole] =
            [self.offline, self.joins, self.first_room, self.last_room, self.last_player, self.whole]
                .map(|time| time.as_millis());
        let Self { victim, moved, uneven, broken, .. } = self;
        write!(
            f,
            "{victim}: offline {offline} ms, joins {joins} ms, {moved} rooms {first_room} to {last_room} ms (uneven by \
             {uneven}), last player {last_player} ms, whole again in {whole} ms"
        )?;
        if broken.is_empty() { Ok(()) } else { write!(f, ", {} BROKEN", broken.len()) }
    }
}

/// Fills rooms through all gateways alike.
async fn seat(cluster: &Cluster, rooms: usize) -> Vec<Guest> {
    let gateways = cluster.gateways();
    let mut guests = Vec::new();
    for room in 0..rooms {
        let mut order = gateways.clone();
        order.rotate_left(room % gateways.len());
        for _ in 0..PARTY {
            guests.push(Guest::join(order.clone()).await);
        }
    }
    guests
}

/// Writes each room's state and waits until a snapshot has it; gives the state of each room.
async fn write_and_save(cluster: &Cluster, guests: &[Guest], turn: usize) -> BTreeMap<String, Value> {
    let ops = &cluster.any().ops;
    let quiet = until("snapshots of every room, and no further ones", || async {
        let before = watch::rooms(ops).await;
        sleep(QUIET).await;
        let after = watch::rooms(ops).await;
        let all = guests.iter().all(|guest| after.get(guest.room_id.as_str()).is_some_and(|(_, version)| *version > 0));
        if all && before == after { Ok(after) } else { Err(format!("{after:?}")) }
    })
    .await;
    let mut expected = BTreeMap::new();
    for guest in guests {
        if let Entry::Vacant(vacant) = expected.entry(guest.room_id.to_string()) {
            // One write is one change, so the next snapshot has it.
            let value = json!({ "turn": turn, "room": vacant.key(), "ballast": "x".repeat(1024) });
            guest.set("played", value.clone()).await;
            vacant.insert(json!({ "played": value }));
        }
    }
    until("the writes, in a snapshot of every room", || async {
        let rooms = watch::rooms(ops).await;
        let version = |rooms: &BTreeMap<String, (_, u64)>, room: &String| rooms.get(room).map(|(_, version)| *version);
        let saved = expected.keys().filter(|room| version(&rooms, room) > version(&quiet, room)).count();
        if saved == expected.len() { Ok(()) } else { Err(format!("{saved} of {}", expected.len())) }
    })
    .await;
    expected
}

/// The time until the last of these players was back with its room's state, and what went wrong with any.
async fn until_back(guests: &[Guest], expected: &BTreeMap<String, Value>, killed: Instant) -> (Duration, Vec<String>) {
    let mut last = Duration::ZERO;
    let mut broken = Vec::new();
    for guest in guests {
        while (guest.back_after(killed).is_none() || !guest.has_state())
            && guest.closed().is_none()
            && killed.elapsed() < DEADLINE
        {
            sleep(Duration::from_millis(2)).await;
        }
        let (room_id, player_id) = (&guest.room_id, &guest.player_id);
        match guest.back_after(killed) {
            None => broken.push(format!("{player_id} did not come back to {room_id}: {:?}", guest.closed())),
            Some(_) if expected.get(room_id.as_str()) != Some(&guest.state()) => {
                broken.push(format!("{room_id} came back with {}", guest.state()));
            }
            Some(back) => last = last.max(back),
        }
    }
    (last, broken)
}

/// By how many rooms of the type `arena` the survivors differ.
async fn difference(survivors: &[Survivor]) -> usize {
    let rooms = watch::rooms(&survivors[0].ops).await;
    let count = |survivor: &Survivor| {
        rooms.values().filter(|(owner, _)| owner.as_deref() == Some(survivor.server_id.as_str())).count()
    };
    let counts: Vec<usize> = survivors.iter().map(count).collect();
    counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0)
}

/// Waits until every node has every server online and no room of the round is left.
async fn until_whole(cluster: &Cluster) {
    cluster.leader().await;
    until("a whole cluster", || async {
        let mut leaving = JoinSet::new();
        for node in &cluster.nodes {
            let ops = node.ops.clone();
            leaving.spawn(async move {
                let servers = watch::get(&ops, "/status").await.unwrap_or_default();
                let rooms = watch::rooms(&ops).await;
                (servers["servers"].as_array().map_or(0, Vec::len), rooms.len())
            });
        }
        let seen = leaving.join_all().await;
        if seen.iter().all(|(servers, rooms)| *servers == cluster.nodes.len() && *rooms == 0) {
            Ok(())
        } else {
            Err(format!("servers and rooms: {seen:?}"))
        }
    })
    .await;
}
