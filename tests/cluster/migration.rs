//! Processes that die in the middle of a migration: at each of its steps the source, the target and the leader.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    player::{Place, Player},
    process::Cluster,
    wait::until,
};

/// Rooms whose players may take their time.
const ARENA: &str = "arena=relay,max_players=1,reconnect_grace_ms=600000";
/// How long a process stands still at a step, where it is not the one that dies.
const STAND_MS: u32 = 1_500;

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Source,
    Target,
    Leader,
}

/// Where a migration is held up, and in which process.
struct Step {
    name: &'static str,
    at_target: bool,
}

/// A cluster with a room on a follower, that another follower will get.
struct Scene {
    cluster: Cluster,
    leader: usize,
    source: usize,
    target: usize,
    place: Place,
}

impl Scene {
    async fn set(step: &Step) -> Self {
        let mut cluster = Cluster::new(3, &["--room", ARENA, "--snapshot-interval-ms", "50"]);
        for node in &mut cluster.nodes {
            node.failpoints = format!("migration::{}=1*sleep({STAND_MS})", step.name);
        }
        cluster.start().await;
        let leader = cluster.leader().await;
        let (source, target) = ((leader + 1) % 3, (leader + 2) % 3);
        // The leader has a room already, so the other follower is the one that gets the next.
        Player::join(&cluster.nodes[leader].gateway, "arena").await.expect("a room on the leader");
        let (mut player, place) = Player::join(&cluster.nodes[source].gateway, "arena").await.expect("a seat");
        let mut scene = Self { cluster, leader, source, target, place };
        scene.saved(1).await;
        player.say("$set", json!({ "key": "score", "value": 41 })).await.expect("it is connected");
        until("the write to be acknowledged", async || {
            let state = player.heard("$state").await.map_err(|error| format!("{error:?}"))?;
            if state["score"] == 41 { Ok(()) } else { Err(state.to_string()) }
        })
        .await;
        // Whoever dies before the migration has saved anything leaves what was saved before.
        scene.saved(2).await;
        scene
    }

    /// Waits until the room has a snapshot of this version.
    async fn saved(&mut self, version: u64) {
        until("a snapshot", async || {
            let rooms = self.cluster.any().rooms().await?;
            let room = rooms.into_iter().find(|room| room["roomId"] == self.place.room_id.as_str());
            match room.as_ref().and_then(|room| room["snapshotVersion"].as_u64()) {
                Some(found) if found >= version => Ok(()),
                _ => Err(format!("{room:?}")),
            }
        })
        .await;
    }

    /// Drains the source, and ends the victim once the step is reached.
    async fn crash(&mut self, step: &Step, victim: Victim) {
        self.cluster.nodes[self.source].signal(Signal::SIGTERM);
        let at = if step.at_target { self.target } else { self.source };
        let reached = format!("crash point migration::{}", step.name);
        until(&reached, async || if self.cluster.nodes[at].log().contains(&reached) { Ok(()) } else { Err("not yet") })
            .await;
        let dead = match victim {
            Victim::Source => self.source,
            Victim::Target => self.target,
            Victim::Leader => self.leader,
        };
        self.cluster.nodes[dead].kill();
        if victim != Victim::Source {
            self.cluster.nodes[self.source].exit().await;
        }
    }

    /// The room lives, once, with what was acknowledged, and its player has its seat.
    async fn all_is_well(&self) {
        let mut player = self.back().await;
        let state = player.heard("$state").await.expect("the state of the room");
        assert_eq!(state["score"], 41, "what was acknowledged is there");
        until("the room to run where the registry says, and nowhere else", async || {
            let (owner, running) = (self.owner().await?, self.running().await);
            if running == [owner.as_str()] { Ok(()) } else { Err(format!("{owner} owns it, it runs on {running:?}")) }
        })
        .await;
    }

    /// The server that has the room, where it is live and at rest.
    async fn owner(&self) -> Result<String, String> {
        let rooms = self.cluster.any().rooms().await?;
        let of_room: Vec<&Value> = rooms.iter().filter(|room| room["roomId"] == self.place.room_id.as_str()).collect();
        match of_room.as_slice() {
            [room] if room["state"] == "live" && room["migration"].is_null() => {
                room["serverId"].as_str().map(str::to_owned).ok_or_else(|| room.to_string())
            }
            other => Err(format!("{other:?}")),
        }
    }

    /// The player with its session, asking a node that may know nothing of it.
    async fn back(&self) -> Player {
        let token = json!({ "sessionToken": self.place.session_token });
        until("the player to be back", async || {
            let mut player =
                Player::connect(&self.cluster.any().gateway).await.map_err(|error| format!("{error:?}"))?;
            for _ in 0..4 {
                let answer = player.call("ReconnectRoom", token.clone()).await.map_err(|error| format!("{error:?}"))?;
                let Some(address) = answer["redirect"].as_str() else {
                    assert_eq!(answer["playerId"], self.place.player_id.as_str());
                    return Ok(player);
                };
                player = Player::connect(address).await.map_err(|error| format!("{error:?}"))?;
            }
            Err("sent on and on".to_owned())
        })
        .await
    }

    /// The servers where the room runs: only there its players are known.
    async fn running(&self) -> Vec<String> {
        let mut servers = Vec::new();
        for node in &self.cluster.nodes {
            let mut stranger = Player::connect(&node.gateway).await.expect("a connection");
            let info = stranger.call("GetRoomInfo", json!({ "roomId": self.place.room_id })).await.expect("an answer");
            if info["players"].is_array() {
                servers.push(node.server_id.clone());
            }
        }
        servers
    }
}

async fn survives(step: Step) {
    for victim in [Victim::Source, Victim::Target, Victim::Leader] {
        let mut scene = Scene::set(&step).await;
        scene.crash(&step, victim).await;
        scene.cluster.start().await;
        eprintln!("{} died at {}", format!("{victim:?}").to_lowercase(), step.name);
        scene.all_is_well().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_when_the_room_is_frozen_loses_nothing() {
    survives(Step { name: "frozen", at_target: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_when_its_state_is_saved_loses_nothing() {
    survives(Step { name: "saved", at_target: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_when_it_is_offered_loses_nothing() {
    survives(Step { name: "offered", at_target: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_when_its_source_has_learned_of_it_loses_nothing() {
    survives(Step { name: "confirmed", at_target: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_when_it_is_claimed_loses_nothing() {
    survives(Step { name: "claimed", at_target: true }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_when_it_is_restored_loses_nothing() {
    survives(Step { name: "restored", at_target: true }).await;
}
