//! Why a call failed, as clients read it.

use std::{convert::Infallible, fmt, str::FromStr};

/// The code of an API error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A field is missing or of the wrong type, or the packet is none.
    InvalidRequest,
    /// No such call, room type, room or session; or the room is full or locked.
    NotFound,
    /// The player is not allowed in.
    Unauthorized,
    /// A fault of the server.
    InternalError,
    /// No answer in time; the outcome is unknown.
    Timeout,
    /// The connection ended first.
    ConnectionClosed,
    /// No quorum, draining, no capacity, or an owner that is not yet replaced: try again or elsewhere.
    Unavailable,
    /// Too many packets in too short a time.
    RateLimited,
    /// A code that this program does not know.
    Other(String),
}

const NAMES: [(ErrorCode, &str); 8] = [
    (ErrorCode::InvalidRequest, "INVALID_REQUEST"),
    (ErrorCode::NotFound, "NOT_FOUND"),
    (ErrorCode::Unauthorized, "UNAUTHORIZED"),
    (ErrorCode::InternalError, "INTERNAL_ERROR"),
    (ErrorCode::Timeout, "TIMEOUT"),
    (ErrorCode::ConnectionClosed, "CONNECTION_CLOSED"),
    (ErrorCode::Unavailable, "UNAVAILABLE"),
    (ErrorCode::RateLimited, "RATE_LIMITED"),
];

impl ErrorCode {
    /// Its name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => NAMES.iter().find(|(code, _)| code == known).map_or("", |(_, name)| name),
        }
    }
}

impl FromStr for ErrorCode {
    type Err = Infallible;
    fn from_str(name: &str) -> Result<Self, Infallible> {
        let known = NAMES.iter().find(|(_, known)| *known == name);
        Ok(known.map_or_else(|| Self::Other(name.to_owned()), |(code, _)| code.clone()))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
