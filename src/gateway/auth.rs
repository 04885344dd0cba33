//! Who may come in.

use std::{fmt, net::SocketAddr};

use async_trait::async_trait;
use serde_json::Value;

use crate::model::PlayerId;

/// A player that the game's own login knows.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The id that it has in every room.
    pub player_id: PlayerId,
    /// What the `Authenticate` call tells the client of it.
    pub profile: Value,
}

/// What is known of a connection before the WebSocket is opened.
#[derive(Debug, Clone)]
pub struct AuthRequest {
    /// The path and query of the request, such as `/play?token=…`.
    pub target: String,
    /// The headers that are text, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Where it comes from.
    pub remote: SocketAddr,
}

impl AuthRequest {
    /// One header's value; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why a player is not let in; its text goes to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthError(pub String);

/// A game's own login.
#[async_trait]
pub trait Authenticator: Send + Sync + fmt::Debug + 'static {
    /// Looks at a connection before it is opened: a user, nobody in particular yet (`None`), or a refusal.
    async fn connect(&self, _request: &AuthRequest) -> Result<Option<User>, AuthError> {
        Ok(None)
    }

    /// The `Authenticate` call.
    async fn authenticate(&self, token: &str) -> Result<User, AuthError>;

    /// Whether joins need a user. Default `true`: without one they are `UNAUTHORIZED`.
    fn is_required(&self) -> bool {
        true
    }
}

/// No login: everybody may come in, under an id of chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenDoor;

#[async_trait]
impl Authenticator for OpenDoor {
    async fn authenticate(&self, _token: &str) -> Result<User, AuthError> {
        Err(AuthError("this server has no login: join without one".to_owned()))
    }

    fn is_required(&self) -> bool {
        false
    }
}
