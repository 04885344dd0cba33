//! What can go wrong between two nodes.

use std::io;

use super::hello::Refusal;

/// Why bytes did not get to another node, or an answer back. What the other node did with a
/// request that was sent is unknown, unless the variant says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QuicError {
    /// No connection could be made. Nothing was sent.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Whom.
        address: String,
        /// Why, for people.
        reason: String,
    },
    /// The other side refused this node, or this node the other. Nothing was sent.
    #[error("{address} and this node refuse each other: {refusal}")]
    Refused {
        /// Whom.
        address: String,
        /// Why.
        refusal: Refusal,
    },
    /// The TLS handshake failed. Nothing was sent.
    #[error(
        "{address} does not accept this node's certificate, or has none that this node accepts ({reason}): check that all nodes have the same cluster secret"
    )]
    Certificate {
        /// Whom.
        address: String,
        /// Why, as TLS says it.
        reason: String,
    },
    /// The connection ended while a request was under way.
    #[error("the connection to {address} was lost: {reason}")]
    Lost {
        /// To whom.
        address: String,
        /// Why, for people.
        reason: String,
    },
    /// The deadline passed.
    #[error("{address} did not answer in time")]
    Deadline {
        /// Whom.
        address: String,
    },
    /// A frame above the limit, or bytes that are no frame.
    #[error("a malformed frame: {0}")]
    Malformed(String),
    /// This node's own socket failed.
    #[error("cannot listen on {address} for other nodes: {reason}: give --listen another address, or end what uses it")]
    Bind {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
}

impl QuicError {
    /// Whether the other node was there and refused this one's identity, so that trying again is of no use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Certificate { .. })
    }

    pub(super) fn malformed(error: &impl ToString) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<QuicError> for io::Error {
    fn from(error: QuicError) -> Self {
        Self::other(error)
    }
}
