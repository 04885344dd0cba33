//! Why a server does not run.

use crate::{adapter::AdapterError, gateway::GatewayError, model::InvalidId};

/// What can go wrong with a server as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The players' socket cannot be used.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The server id cannot be one.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// The backend refused or did not answer.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// It was stopped; a stopped server stays so.
    #[error("this server was stopped: build another one")]
    Stopped,
}
