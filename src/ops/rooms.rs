//! `GET /rooms`: the rooms as this node knows them.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{OpsState, failure};
use crate::{
    adapter::Consistency,
    model::{RoomQuery, RoomType, ServerId},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomsQuery {
    r#type: Option<RoomType>,
    server: Option<ServerId>,
    limit: Option<usize>,
    offset: Option<usize>,
}

pub(super) async fn rooms(State(state): State<OpsState>, query: Result<Query<RoomsQuery>, QueryRejection>) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return failure(StatusCode::BAD_REQUEST, rejection.body_text()),
    };
    let query = RoomQuery {
        room_type: query.r#type,
        server_id: query.server,
        limit: query.limit,
        offset: query.offset,
        ..RoomQuery::default()
    };
    match state.adapter.rooms(&query, Consistency::Local).await {
        Ok(rooms) => Json(json!({ "rooms": rooms })).into_response(),
        Err(error) => failure(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
