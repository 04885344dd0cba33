//! `GET /status`: the node, its cluster, the servers and the counts, as this node knows them.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::OpsState;
use crate::{
    adapter::{AdapterResult, Consistency},
    model::{ServerId, ServerRegistration},
};

/// What a node is in its cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It decides the order of commands.
    Leader,
    /// It votes and follows.
    Follower,
    /// It follows without a vote.
    Learner,
    /// It asks for votes.
    Candidate,
    /// There is no Raft cluster.
    #[default]
    None,
}

/// A member of the cluster as this node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Its Raft id, as text, since it exceeds what JSON numbers hold.
    pub node_id: String,
    /// The server that it runs.
    pub server_id: Option<ServerId>,
    /// What peers dial.
    pub addr: String,
    /// Whether it votes.
    pub voter: bool,
    /// Whether this node's connection to it works.
    pub reachable: bool,
    /// How many log entries it is behind; known to the leader alone.
    pub lag: Option<u64>,
}

/// A node's place in its cluster. The default is that of a node off the raft backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClusterStatus {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// This node's Raft id, as text.
    pub node_id: Option<String>,
    /// What this node is.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// The leader's server.
    pub leader: Option<ServerId>,
    /// Whether a read round succeeded lately; off raft, whether the backend answers.
    pub quorum: bool,
    /// The log index that was applied last.
    pub last_applied: u64,
    /// Every member.
    pub members: Vec<MemberStatus>,
}

/// A count in the whole cluster and on this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    pub(super) total: u64,
    pub(super) local: u64,
}

#[derive(Debug, Serialize)]
struct Status {
    version: &'static str,
    adapter: &'static str,
    server_id: ServerId,
    #[serde(flatten)]
    cluster: ClusterStatus,
    servers: Vec<ServerRegistration>,
    rooms: Count,
    players: Count,
}

pub(super) async fn status(State(state): State<OpsState>) -> Response {
    let cluster = state.node.cluster().await;
    // While the backend is not connected yet, nothing is known of servers and rooms; the rest is told all the same.
    let (servers, rooms, players) = counts(&state).await.unwrap_or_default();
    let (version, adapter) = (env!("CARGO_PKG_VERSION"), state.adapter.name());
    Json(Status { version, adapter, server_id: state.server_id, cluster, servers, rooms, players }).into_response()
}

/// The servers, the rooms' count and the players' count.
pub(super) async fn counts(state: &OpsState) -> AdapterResult<(Vec<ServerRegistration>, Count, Count)> {
    let servers = state.adapter.servers(Consistency::Local).await?;
    let totals = state.adapter.totals(&state.server_id).await?;
    let room_count = Count { total: totals.rooms, local: totals.own_rooms };
    let player_count = Count { total: totals.players, local: totals.own_players };
    Ok((servers, room_count, player_count))
}
