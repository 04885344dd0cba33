//! How nodes talk to each other: QUIC with mutual TLS, and nothing else.
//!
//! An [`Endpoint`] takes connections and makes them; a [`Peer`] is one other node that is dialled
//! again whenever its connection is gone. Every connection begins with a [`Hello`] from both sides,
//! so that a node of another cluster, or of another version, is told why it is refused. What
//! travels on the streams is not known here: frames of bytes, with a size limit.

mod accept;
mod complaints;
mod endpoint;
mod error;
mod frame;
mod hello;
mod peer;
mod secret;
mod tls;

pub use endpoint::{Endpoint, EndpointError, StreamHandler};
pub use error::QuicError;
pub use frame::{FRAME_BYTES_MAX, read_frame, write_frame};
pub use hello::{ClusterId, Hello, Identity, Refusal};
pub use peer::Peer;
pub use secret::{ClusterSecret, SecretError};
pub use tls::{ClusterSecurity, TlsError};
