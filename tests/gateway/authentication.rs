//! The game's own login, at the connection and by call.

use async_trait::async_trait;
use roomraft::{
    adapter::MemoryAdapter,
    gateway::{AuthError, AuthRequest, Authenticator, User},
    model::PlayerId,
    server::Server,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, http::StatusCode};

use super::{
    cluster::{RELAY, builder, run},
    raw::{Raw, code},
};

/// Knows who shows the token `let-in-NAME`.
#[derive(Debug)]
struct Guard;

fn user(token: &str) -> Result<User, AuthError> {
    let name = token.strip_prefix("let-in-").ok_or_else(|| AuthError("unknown token".to_owned()))?;
    let player_id = PlayerId::new(name).map_err(|error| AuthError(error.to_string()))?;
    Ok(User { player_id, profile: json!({ "name": name }) })
}

#[async_trait]
impl Authenticator for Guard {
    async fn connect(&self, request: &AuthRequest) -> Result<Option<User>, AuthError> {
        if request.header("sec-websocket-key").is_none() {
            return Err(AuthError("no headers are seen".to_owned()));
        }
        request.target.split_once("?token=").map(|(_, token)| user(token)).transpose()
    }

    async fn authenticate(&self, token: &str) -> Result<User, AuthError> {
        user(token)
    }
}

async fn guarded() -> Server {
    run(builder(MemoryAdapter::default(), "guarded").authentication(Guard)).await
}

#[tokio::test]
async fn a_stranger_is_unauthorized_until_it_says_who_it_is() {
    let server = guarded().await;
    let mut raw = Raw::to(&server).await;
    assert_eq!(code(&raw.call("JoinRoom", json!({ "roomType": RELAY })).await), "UNAUTHORIZED");
    let wrong = raw.call("Authenticate", json!({ "token": "wrong" })).await;
    assert_eq!(wrong, json!([1, 1, { "success": false, "error": "unknown token" }]));
    assert_eq!(code(&raw.call("JoinRoom", json!({ "roomType": RELAY })).await), "UNAUTHORIZED");
    let known = raw.call("Authenticate", json!({ "token": "let-in-ada" })).await;
    assert_eq!(known, json!([1, 1, { "success": true, "user": { "name": "ada" } }]));
    let joined = raw.call("JoinRoom", json!({ "roomType": RELAY })).await;
    assert_eq!(joined[2]["playerId"], json!("ada"), "{joined}");
}

#[tokio::test]
async fn a_player_can_be_known_by_its_connection() {
    let server = guarded().await;
    let mut raw = Raw::open(&server, "/play?token=let-in-bob").await.expect("let in");
    let joined = raw.call("JoinRoom", json!({ "roomType": RELAY })).await;
    assert_eq!(joined[2]["playerId"], json!("bob"), "{joined}");
}

#[tokio::test]
async fn a_connection_can_be_refused_before_it_is_open() {
    let server = guarded().await;
    match Raw::open(&server, "/play?token=wrong").await.err().map(|error| *error) {
        Some(Error::Http(response)) => assert_eq!(response.status(), StatusCode::UNAUTHORIZED),
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(server.connections(), 0);
}
