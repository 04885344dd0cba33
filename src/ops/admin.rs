//! What operators can have done, and who may ask for it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::{OpsState, failure};

/// The token that changing requests carry as `Authorization: Bearer …`; kept as a hash, never printed.
#[derive(Clone)]
pub struct OpsToken([u8; 32]);

impl OpsToken {
    /// The token with this text.
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Compares without telling by its time where the texts differ.
    fn is(&self, text: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        self.0.iter().zip(given).fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs)) == 0
    }
}

impl std::fmt::Debug for OpsToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpsToken(…)")
    }
}

pub(super) async fn admin(State(state): State<OpsState>, headers: HeaderMap, Path(action): Path<String>) -> Response {
    if let Err((status, problem)) = authorize(state.token.as_ref(), &headers) {
        ::metrics::counter!("roomraft_ops_refused_total").increment(1);
        return failure(status, problem);
    }
    let control = Arc::clone(&state.control);
    // Whoever asked may hang up: what was begun is finished all the same.
    let work = match action.as_str() {
        "drain" => tokio::spawn(async move { Ok(control.drain().await) }),
        "leave" => tokio::spawn(async move { control.leave().await }),
        _ => return failure(StatusCode::NOT_FOUND, format!("there is no administrative action {action:?}")),
    };
    match work.await {
        Ok(Ok(report)) => Json(report).into_response(),
        Ok(Err(problem)) => failure(StatusCode::CONFLICT, problem),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn authorize(token: Option<&OpsToken>, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    // A browser sends an Origin with every changing request: no page may act for an operator.
    if headers.contains_key(header::ORIGIN) {
        return Err((StatusCode::FORBIDDEN, "requests from web pages are refused"));
    }
    let Some(token) = token else {
        return Err((StatusCode::FORBIDDEN, "this node has no operators' token: set ROOMRAFT_OPS_TOKEN"));
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(given) if token.is(given.trim()) => Ok(()),
        _ => Err((StatusCode::UNAUTHORIZED, "the operators' token is missing or wrong")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(token: Option<&OpsToken>, headers: &[(header::HeaderName, &str)]) -> Option<StatusCode> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        authorize(token, &headers).err().map(|(status, _)| status)
    }

    #[test]
    fn only_the_token_opens_the_door_and_never_to_a_web_page() {
        let token = OpsToken::new("right");
        let bearer = |text| (header::AUTHORIZATION, text);
        assert_eq!(status(Some(&token), &[bearer("Bearer right")]), None);
        for wrong in ["Bearer wrong", "Bearer righ", "right", "Bearer "] {
            assert_eq!(status(Some(&token), &[bearer(wrong)]), Some(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        assert_eq!(status(Some(&token), &[]), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(status(None, &[bearer("Bearer right")]), Some(StatusCode::FORBIDDEN));
        let origin = (header::ORIGIN, "http://localhost:9400");
        assert_eq!(status(Some(&token), &[bearer("Bearer right"), origin]), Some(StatusCode::FORBIDDEN));
    }
}
