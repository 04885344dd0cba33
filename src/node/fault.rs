//! What ends a node other than a stop that was asked for.

use std::{io, net::SocketAddr};

use crate::{config::ConfigError, server::ServerError};

/// Why a node could not start or go on. Each is one line that names the thing and the mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeFault {
    /// Something that the configuration names cannot be used.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("--{flag}: cannot listen on {address} ({source}): stop what uses it, or give another address")]
    Listen {
        /// The flag without its dashes.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The game server could not be put together or started.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The backend cannot start or go on.
    #[error("the backend has failed: {0}")]
    Backend(String),
    /// Anything else, in its own words.
    #[error("{0}")]
    Other(String),
}
