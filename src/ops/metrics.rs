//! `GET /metrics`: the project's own counters and gauges as Prometheus text.

use std::sync::OnceLock;

use ::metrics::{describe_gauge, gauge};
use axum::{extract::State, http::header, response::IntoResponse};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::{OpsState, Role, status};

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Makes this process keep its metrics for `GET /metrics`; once is enough, and again is harmless.
/// `false` where the process has another recorder already: then the metrics go there, and `/metrics` is empty.
pub fn install_metrics() -> bool {
    RECORDER
        .get_or_init(|| {
            let handle = PrometheusBuilder::new().install_recorder().ok()?;
            describe_gauge!("roomraft_servers", "Servers online, as this node knows them");
            describe_gauge!("roomraft_rooms", "Rooms, in the cluster and on this server");
            describe_gauge!("roomraft_players", "Players, in the cluster and on this server");
            describe_gauge!("roomraft_quorum", "Whether the backend answers (1) or not (0)");
            describe_gauge!("roomraft_ready", "Whether players can be sent here (1) or not (0)");
            describe_gauge!("roomraft_raft_leader", "Whether this node leads (1) or not (0)");
            describe_gauge!("roomraft_raft_term", "The term of this node");
            describe_gauge!("roomraft_raft_last_applied", "The log index that this node applied last");
            describe_gauge!("roomraft_raft_members", "Members of the cluster");
            Some(handle)
        })
        .is_some()
}

pub(super) async fn metrics(State(state): State<OpsState>) -> impl IntoResponse {
    refresh(&state).await;
    let handle = RECORDER.get().and_then(Option::as_ref);
    let text = handle.map(|handle| {
        handle.run_upkeep();
        handle.render()
    });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.unwrap_or_default())
}

/// Gauges are read when they are asked for; a local read that fails leaves them as they were.
async fn refresh(state: &OpsState) {
    let cluster = state.node.cluster().await;
    set("roomraft_quorum", u64::from(cluster.quorum));
    set("roomraft_ready", u64::from(state.node.readiness().await.is_ok()));
    if cluster.role != Role::None {
        set("roomraft_raft_leader", u64::from(cluster.role == Role::Leader));
        set("roomraft_raft_term", cluster.term);
        set("roomraft_raft_last_applied", cluster.last_applied);
        set("roomraft_raft_members", cluster.members.len() as u64);
    }
    let Ok((servers, rooms, players)) = status::counts(state).await else { return };
    set("roomraft_servers", servers.len() as u64);
    for (scope, rooms, players) in [("cluster", rooms.total, players.total), ("server", rooms.local, players.local)] {
        gauge!("roomraft_rooms", "scope" => scope).set(float(rooms));
        gauge!("roomraft_players", "scope" => scope).set(float(players));
    }
}

fn set(name: &'static str, value: u64) {
    gauge!(name).set(float(value));
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus numbers are floats")]
fn float(value: u64) -> f64 {
    value as f64
}
