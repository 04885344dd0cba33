//! One operation on its way to the leader: encoded, with its author.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    codec::{self, CodecError},
    registry::{Operation, Origin},
};

/// An encoded [`Operation`]; several of them make a [`Batch`](super::Batch).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    origin: Option<Origin>,
    operation: Bytes,
}

impl Proposal {
    /// Encodes an operation; it has no author yet.
    ///
    /// # Errors
    /// [`CodecError::Unencodable`] where it cannot be encoded.
    pub fn new(operation: &Operation) -> Result<Self, CodecError> {
        Ok(Self { origin: None, operation: codec::encode(operation)?.into() })
    }

    /// The same by an author.
    #[must_use]
    pub fn by(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// The size of the encoded operation in bytes.
    pub(super) fn operation_bytes(&self) -> usize {
        self.operation.len()
    }

    /// What a later version of this program may know.
    #[cfg(test)]
    pub(super) fn unknown() -> Self {
        Self { origin: None, operation: Bytes::from_static(&[1, 250]) }
    }
}
