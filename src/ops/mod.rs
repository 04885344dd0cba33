//! The operators' side of a server: health, readiness, status, rooms and metrics over HTTP.
//!
//! ```text
//! GET /healthz  the process works          GET /status   the node, its cluster, servers, counts
//! GET /readyz   players can be sent here   GET /rooms    the rooms, by type and server
//! GET /metrics  Prometheus text            POST /admin/* changes, with the operators' token
//! ```
//!
//! It reads through the adapter, locally, and asks a [`NodeView`] for what only the process itself
//! knows. It decides nothing: what operators ask for under `/admin/` is done by a [`NodeControl`].

mod admin;
mod listener;
mod metrics;
mod rooms;
mod status;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tower_http::timeout::TimeoutLayer;

pub use admin::OpsToken;
pub use listener::OpsListener;
pub use metrics::install_metrics;
pub use status::{ClusterStatus, MemberStatus, Role};

use crate::{adapter::DistributedAdapter, model::ServerId, room::DrainReport};

/// The time for an answer to a question. What operators have done takes as long as it takes.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// What only the process itself knows.
#[async_trait]
pub trait NodeView: Send + Sync + 'static {
    /// The node's place in its cluster, without waiting for the network.
    async fn cluster(&self) -> ClusterStatus;
    /// Whether players can be sent here; why not, for people, otherwise.
    async fn readiness(&self) -> Result<(), String>;
}

/// What operators can have a node do.
#[async_trait]
pub trait NodeControl: Send + Sync + 'static {
    /// Lets no more players in and gives every room to other servers. The node goes on, without rooms.
    async fn drain(&self) -> DrainReport;
    /// Drains, takes the node out of its cluster for good, and ends the process soon after.
    ///
    /// # Errors
    /// Why it is still a member, for people; it can be asked again.
    async fn leave(&self) -> Result<DrainReport, String>;
}

/// What the listener serves from.
#[derive(Clone)]
pub struct OpsState {
    /// This server's name.
    pub server_id: ServerId,
    /// The registry.
    pub adapter: Arc<dyn DistributedAdapter>,
    /// The process.
    pub node: Arc<dyn NodeView>,
    /// Who carries out what operators ask for.
    pub control: Arc<dyn NodeControl>,
    /// The token that `POST /admin/*` asks for; none refuses every such request.
    pub token: Option<OpsToken>,
}

impl std::fmt::Debug for OpsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpsState").field("server_id", &self.server_id).finish_non_exhaustive()
    }
}

fn router(state: OpsState) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(|| async { Json(json!({ "healthy": true })) }))
        .route("/readyz", get(readiness))
        .route("/status", get(status::status))
        .route("/rooms", get(rooms::rooms))
        .route("/metrics", get(metrics::metrics))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, ANSWER_TIME))
        .route("/admin/{*action}", post(admin::admin))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "no such path: GET / lists them") })
        .with_state(state)
}

async fn index(State(state): State<OpsState>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("roomraft {version}, server {}\n\n/healthz\n/readyz\n/status\n/rooms\n/metrics\n", state.server_id)
}

async fn readiness(State(state): State<OpsState>) -> Response {
    match state.node.readiness().await {
        Ok(()) => Json(json!({ "ready": true })).into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "reason": reason }))).into_response()
        }
    }
}

/// An error as every path answers it: `{"error": …}`.
fn failure(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(json!({ "error": error.into() }))).into_response()
}
