//! A command on its way through the log.
//!
//! Its operation is encoded once, by the node that proposes it, and decoded where it is applied. In between, in the
//! log, its cache and the frames to followers, it is shared bytes that nobody looks into.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    codec::{self, CodecError},
    registry::{Command, Operation, Origin},
};

/// A [`Command`] whose operation is encoded. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    time_ms: u64,
    origin: Option<Origin>,
    operation: Bytes,
}

impl Proposal {
    /// Encodes an operation; it has no author and no time yet.
    ///
    /// # Errors
    /// [`CodecError::Unencodable`] where it cannot be encoded.
    pub fn new(operation: &Operation) -> Result<Self, CodecError> {
        Ok(Self { time_ms: 0, origin: None, operation: codec::encode(operation)?.into() })
    }

    /// The same by an author.
    #[must_use]
    pub fn by(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// The same at a cluster time in milliseconds; it is 0 before.
    #[must_use]
    pub fn at(self, time_ms: u64) -> Self {
        Self { time_ms, ..self }
    }

    /// Decodes the operation.
    ///
    /// # Errors
    /// Any [`CodecError`] but `Unencodable` where this program does not know the operation.
    pub fn command(&self) -> Result<Command, CodecError> {
        let Self { time_ms, origin, operation } = self;
        Ok(Command { time_ms: *time_ms, origin: *origin, operation: codec::decode(operation)? })
    }

    /// The size of the encoded operation in bytes.
    pub(super) fn operation_bytes(&self) -> usize {
        self.operation.len()
    }
}

/// Short, for logs: when, by whom, how large.
impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.operation.len();
        match &self.origin {
            Some(Origin { proposer, serial, .. }) => {
                write!(f, "command {serial} of node {} at {} ms, {bytes} bytes", proposer.node, self.time_ms)
            }
            None => write!(f, "bookkeeping at {} ms, {bytes} bytes", self.time_ms),
        }
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_and_garbage_is_an_error() {
        let operation = Operation::AcquireLock { key: "gate".to_owned(), ttl_ms: 5 };
        let proposal = Proposal::new(&operation).expect("plain data").at(9);
        assert_eq!(proposal.command().expect("whole"), Command { time_ms: 9, origin: None, operation });
        let garbled = Proposal { operation: Bytes::from_static(&[1, 250]), ..proposal };
        assert!(garbled.command().is_err());
    }
}
