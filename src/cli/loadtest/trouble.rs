//! What can go wrong for a player of the load test, and under which name it is counted.

use std::time::Duration;

use crate::{config::one_line, protocol::ErrorCode};

/// What is said of a trouble is cut to so many characters: servers may have much to say.
const LINE_MAX: usize = 300;

/// Why a call or a message failed. Addresses are those of servers.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no connection: {0}")]
    NoConnection(String),
    #[error("the connection to {address} was lost: {problem}")]
    ConnectionLost { address: String, problem: String },
    #[error("{address} refused {call}: {code}, {message}{}", way_out(.code))]
    Refused { address: String, call: &'static str, code: ErrorCode, message: String },
    #[error("{address} did not answer {call} within {patience:?}")]
    NoAnswer { address: String, call: &'static str, patience: Duration },
    #[error("{address} answered {call} with something else: {problem}")]
    BadAnswer { address: String, call: &'static str, problem: String },
    #[error("redirected more than {hops_max} times in a row")]
    TooManyRedirects { hops_max: u32 },
    #[error(
        "a message did not reach the other player within {patience:?}: rooms of this type have to relay messages \
         as the built-in ones do; --only joins leaves messages out"
    )]
    MessageLost { patience: Duration },
    #[error("{address} sent the player of a running exchange elsewhere")]
    Moved { address: String },
}

fn way_out(code: &ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotFound => ": --room-type names the type to play, which its nodes must serve",
        _ => "",
    }
}

impl Trouble {
    /// The name that it is counted under: the protocol's code, or one of few of our own, whatever a server says.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::NoConnection(_) => "NO_CONNECTION",
            Self::ConnectionLost { .. } => "CONNECTION_LOST",
            Self::Refused { code: ErrorCode::Other(_), .. } => "OTHER_CODE",
            Self::Refused { code, .. } => code.name(),
            Self::NoAnswer { .. } => "NO_ANSWER",
            Self::BadAnswer { .. } => "BAD_ANSWER",
            Self::TooManyRedirects { .. } => "TOO_MANY_REDIRECTS",
            Self::MessageLost { .. } => "MESSAGE_LOST",
            Self::Moved { .. } => "MOVED",
        }
    }

    /// What happened, as one line of bounded length.
    pub(super) fn line(&self) -> String {
        one_line(&self.to_string()).chars().take(LINE_MAX).collect()
    }

    /// Whether the connection that it happened on is of no use any more.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::ConnectionLost { .. } | Self::NoAnswer { .. })
    }
}
