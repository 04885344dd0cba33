//! Why a client's call failed.

use std::time::Duration;

use crate::protocol::ErrorCode;

/// A call of the client that failed; each message says the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No address was given.
    #[error("no server address was given: pass at least one, as `host:port`, `ws://…` or `wss://…`")]
    NoAddresses,
    /// An address that cannot be one.
    #[error("`{address}` is no server address ({problem}): use `host:port`, `ws://…` or `wss://…`")]
    InvalidAddress {
        /// What was given.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server answered with an error that another attempt would not change.
    #[error("the server refused with {code}: {message}")]
    Refused {
        /// What kind of error.
        code: ErrorCode,
        /// The server's words.
        message: String,
    },
    /// More redirects in a row than allowed.
    #[error(
        "redirected more than {hops_max} times in a row: the servers disagree about where the room is, so try again in a few seconds"
    )]
    TooManyRedirects {
        /// How many were allowed.
        hops_max: u32,
    },
    /// No known address served the player in time.
    #[error(
        "gave up after {after:?}, last because: {problem}; check that one of the addresses is reachable, or allow more time in `ClientConfig`"
    )]
    DeadlinePassed {
        /// How long it was tried.
        after: Duration,
        /// What went wrong last.
        problem: String,
    },
    /// One call got no answer in time; whether it took effect is unknown.
    #[error(
        "`{call}` got no answer within {after:?}, and may have taken effect; ask again, and make sure that events are being read"
    )]
    TimedOut {
        /// Which call.
        call: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection ended before the answer; whether the call took effect is unknown.
    #[error(
        "the connection ended before the answer, and the call may have taken effect; the client reconnects, so ask again"
    )]
    ConnectionLost,
    /// A join while the player is in a room.
    #[error("the player is in a room already: call `leave` first, or use another client")]
    AlreadyInRoom,
    /// A message for a room while the player is in none.
    #[error("the player is in no room: call `join` first")]
    NotInRoom,
    /// A message over the limit.
    #[error("the message has {bytes} bytes, at most {limit} are allowed: send less, or split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit of `ClientConfig::message_bytes_max`.
        limit: usize,
    },
    /// An answer that is not what the protocol says.
    #[error("the answer to `{call}` is not understood ({problem}): the server speaks another version of the protocol")]
    BadAnswer {
        /// Which call.
        call: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The client has ended; the last event said why.
    #[error("this client is closed, its last event says why: make a new one with `Client::connect`")]
    Closed,
}
