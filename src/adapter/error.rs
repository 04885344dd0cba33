//! What can go wrong with a backend.

use crate::{
    model::{Epoch, InvalidId},
    registry::Rejection,
};

/// Why a call of an adapter failed. Each variant says whether state may have changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The adapter is not connected. Nothing was changed.
    #[error("the adapter is not connected: call connect() first, and no more after disconnect()")]
    Disconnected,
    /// The backend cannot be used as it is configured, or found its data or its place in the cluster unusable. Nothing
    /// was changed; trying again is of no use before the cause is mended.
    #[error("{0}")]
    Startup(String),
    /// No quorum, or the backend does not answer. Nothing was changed by this call.
    #[error("the registry is unavailable ({0}): try again")]
    Unavailable(String),
    /// The answer did not come in time. The outcome is unknown.
    #[error("no answer in time ({0}): the outcome is unknown, it is safe to retry")]
    Timeout(String),
    /// The caller is no longer the owner. Nothing was changed.
    #[error("the epoch is over (the present one is {present}): stop acting as the owner")]
    Fenced {
        /// The present epoch; 0 where the server or the ownership is gone.
        present: Epoch,
    },
    /// Refused by the rules. Nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// What was sent is above a limit. Nothing was changed.
    #[error("{what} has {bytes} bytes, at most {limit} are allowed: raise the limit or send less")]
    TooLarge {
        /// What it was.
        what: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The backend holds something that this program cannot read. Nothing was changed.
    #[error("the backend's data is damaged: {0}")]
    Damaged(String),
}

impl From<InvalidId> for AdapterError {
    fn from(error: InvalidId) -> Self {
        Self::Rejected(Rejection::Invalid(error.to_string()))
    }
}
