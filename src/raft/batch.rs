//! Commands that go through the log together, as one entry.
//!
//! Consensus, the log and its files cost the same for an entry whatever is in it: what is proposed
//! at the same time shares one. Operations are encoded once, by the node that proposes them, and
//! decoded where they are applied. In between, in the log, its cache and the frames between nodes,
//! a batch is shared bytes that nobody looks into.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::proposal::Proposal;
use crate::{
    codec::{self, CodecError},
    registry::{Command, Origin},
};

/// Commands of one moment, in order, encoded. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    time_ms: u64,
    /// Encoded [`Proposal`]s.
    proposals: Bytes,
}

/// A [`Proposal`] as it is read, its operation in place.
#[derive(Deserialize)]
struct Read<'a> {
    origin: Option<Origin>,
    operation: &'a [u8],
}

impl Batch {
    /// Puts proposals into one batch; it has no time yet.
    ///
    /// # Errors
    /// [`CodecError::Unencodable`] where they cannot be encoded.
    pub fn new<'a>(proposals: impl IntoIterator<Item = &'a Proposal>) -> Result<Self, CodecError> {
        let proposals: Vec<&Proposal> = proposals.into_iter().collect();
        Ok(Self { time_ms: 0, proposals: codec::encode(&proposals)?.into() })
    }

    /// The same at a cluster time in milliseconds; it is 0 before.
    #[must_use]
    pub fn at(self, time_ms: u64) -> Self {
        Self { time_ms, ..self }
    }

    /// Decodes the commands.
    ///
    /// # Errors
    /// Any [`CodecError`] but `Unencodable` where this program does not know an operation.
    pub fn commands(&self) -> Result<Vec<Command>, CodecError> {
        let command = |read: Read<'_>| {
            let operation = codec::decode(read.operation)?;
            Ok(Command { time_ms: self.time_ms, origin: read.origin, operation })
        };
        codec::decode::<Vec<Read<'_>>>(&self.proposals)?.into_iter().map(command).collect()
    }
}

/// Short, for logs: when, how large.
impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of commands at {} ms", self.proposals.len(), self.time_ms)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Operation, ProposerId};

    #[test]
    fn commands_survive_in_order_and_garbage_is_an_error() {
        let gate = Operation::AcquireLock { key: "gate".to_owned(), ttl_ms: 5 };
        let origin = Origin { proposer: ProposerId { node: 7, incarnation: 1 }, serial: 3, settled_below: 2 };
        let proposals = [
            Proposal::new(&gate).expect("plain data").by(origin),
            Proposal::new(&Operation::Tick).expect("plain data"),
        ];
        let batch = Batch::new(&proposals).expect("plain data").at(9);
        let expected = [
            Command { time_ms: 9, origin: Some(origin), operation: gate },
            Command { time_ms: 9, origin: None, operation: Operation::Tick },
        ];
        assert_eq!(batch.commands().expect("whole"), expected);
        for length in 0..batch.proposals.len() {
            let torn = Batch { proposals: batch.proposals.slice(..length), ..batch.clone() };
            assert!(torn.commands().is_err(), "{length} bytes");
        }
        let unknown = Proposal::unknown();
        assert!(Batch::new([&unknown]).expect("plain data").commands().is_err());
    }
}
