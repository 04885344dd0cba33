//! What the Raft log's files hold, as bytes.
//!
//! raft-log takes a record that ends too early for the torn tail of a crash and cuts it off. So
//! that a garbled byte can never look like that, every value begins with a mark of its kind, and a
//! payload's length is covered by a checksum of its own before it is believed: damage gives
//! `InvalidData`, and only a file that is really too short gives `UnexpectedEof`.

use std::io::{self, Read, Write};

use super::{
    log_flush::FlushReport,
    types::{EntryPayload, LogId, Vote},
};
use crate::codec;

const MARK_LOG_ID: u8 = b'L';
const MARK_VOTE: u8 = b'V';
const MARK_PAYLOAD: u8 = b'P';
const MARK_NOTE: u8 = b'N';

/// The types that the log files are made of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct LogTypes;

impl raft_log::Types for LogTypes {
    type LogId = StoredLogId;
    type LogPayload = StoredPayload;
    type Vote = StoredVote;
    type Callback = FlushReport;
    type UserData = StoredNote;

    fn log_index(log_id: &StoredLogId) -> u64 {
        log_id.0.index
    }

    fn payload_size(payload: &StoredPayload) -> u64 {
        payload.size
    }
}

/// A log id on disk: its mark, then term, node and index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StoredLogId(pub(super) LogId);

/// A vote on disk: its mark, then term, node and whether it is committed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd)]
pub(super) struct StoredVote(pub(super) Vote);

/// An entry's payload on disk: its mark, its length, a checksum of both, then its encoding.
#[derive(Debug, Clone)]
pub(super) struct StoredPayload {
    pub(super) payload: EntryPayload,
    /// Bytes of the encoding.
    pub(super) size: u64,
}

/// Nothing: raft-log's place for data of its user, which is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredNote;

impl StoredPayload {
    pub(super) fn new(payload: EntryPayload) -> io::Result<Self> {
        let size = codec::encoded_size(&payload).map_err(invalid)? as u64;
        Ok(Self { payload, size })
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn expect_mark<R: Read>(reader: &mut R, expected: u8) -> io::Result<()> {
    let mut mark = [0];
    reader.read_exact(&mut mark)?;
    if mark[0] == expected {
        return Ok(());
    }
    let message = format!("found byte {} where {} was due", mark[0], expected);
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

fn read_u64<R: Read>(reader: &mut R) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

impl codeq::Encode for StoredLogId {
    fn encode<W: Write>(&self, mut writer: W) -> io::Result<usize> {
        let mut bytes = [MARK_LOG_ID; 25];
        bytes[1..9].copy_from_slice(&self.0.leader_id.term.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.0.leader_id.node_id.to_be_bytes());
        bytes[17..].copy_from_slice(&self.0.index.to_be_bytes());
        writer.write_all(&bytes)?;
        Ok(bytes.len())
    }
}

impl codeq::Decode for StoredLogId {
    fn decode<R: Read>(mut reader: R) -> io::Result<Self> {
        expect_mark(&mut reader, MARK_LOG_ID)?;
        let (term, node_id) = (read_u64(&mut reader)?, read_u64(&mut reader)?);
        let leader_id = openraft::vote::leader_id_adv::LeaderId { term, node_id };
        Ok(Self(LogId { leader_id, index: read_u64(&mut reader)? }))
    }
}

impl codeq::Encode for StoredVote {
    fn encode<W: Write>(&self, mut writer: W) -> io::Result<usize> {
        let mut bytes = [MARK_VOTE; 18];
        bytes[1..9].copy_from_slice(&self.0.leader_id.term.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.0.leader_id.node_id.to_be_bytes());
        bytes[17] = u8::from(self.0.committed);
        writer.write_all(&bytes)?;
        Ok(bytes.len())
    }
}

impl codeq::Decode for StoredVote {
    fn decode<R: Read>(mut reader: R) -> io::Result<Self> {
        expect_mark(&mut reader, MARK_VOTE)?;
        let (term, node_id) = (read_u64(&mut reader)?, read_u64(&mut reader)?);
        let leader_id = openraft::vote::leader_id_adv::LeaderId { term, node_id };
        let mut committed = [0];
        reader.read_exact(&mut committed)?;
        Ok(Self(Vote { leader_id, committed: committed[0] == 1 }))
    }
}

impl codeq::Encode for StoredPayload {
    fn encode<W: Write>(&self, mut writer: W) -> io::Result<usize> {
        let length = u32::try_from(self.size).map_err(invalid)?;
        let header = payload_header(length);
        writer.write_all(&header)?;
        codec::encode_into(&self.payload, &mut writer)?;
        Ok(header.len() + length as usize)
    }
}

impl codeq::Decode for StoredPayload {
    fn decode<R: Read>(mut reader: R) -> io::Result<Self> {
        expect_mark(&mut reader, MARK_PAYLOAD)?;
        let mut header = [MARK_PAYLOAD; 9];
        reader.read_exact(&mut header[1..])?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        if header != payload_header(length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the length of an entry is garbled"));
        }
        // The bytes are taken as they come, so that a length cannot make this allocate what is not there.
        let mut bytes = Vec::new();
        reader.by_ref().take(u64::from(length)).read_to_end(&mut bytes)?;
        if bytes.len() < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let payload = codec::decode(&bytes).map_err(invalid)?;
        Ok(Self { payload, size: u64::from(length) })
    }
}

fn payload_header(length: u32) -> [u8; 9] {
    let mut header = [MARK_PAYLOAD; 9];
    header[1..5].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32fast::hash(&header[..5]);
    header[5..].copy_from_slice(&checksum.to_be_bytes());
    header
}

impl codeq::Encode for StoredNote {
    fn encode<W: Write>(&self, mut writer: W) -> io::Result<usize> {
        writer.write_all(&[MARK_NOTE])?;
        Ok(1)
    }
}

impl codeq::Decode for StoredNote {
    fn decode<R: Read>(mut reader: R) -> io::Result<Self> {
        expect_mark(&mut reader, MARK_NOTE)?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use codeq::{Decode, Encode};

    use super::*;
    use crate::{
        raft::{Batch, Proposal},
        registry::Operation,
    };

    fn encoded<T: Encode>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.encode(&mut bytes).expect("plain data");
        bytes
    }

    #[test]
    fn no_garbled_byte_of_an_entry_looks_like_a_torn_tail() {
        let tick = Proposal::new(&Operation::Tick).expect("plain data");
        let batch = Batch::new([&tick]).expect("plain data").at(70_000);
        let bytes = encoded(&StoredPayload::new(EntryPayload::Normal(batch)).expect("encodes"));
        for position in 0..9 {
            for bit in 0..8 {
                let mut garbled = bytes.clone();
                garbled[position] ^= 1 << bit;
                let error = StoredPayload::decode(&garbled[..]).expect_err("garbled");
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "byte {position}, bit {bit}");
            }
        }
        for length in 0..bytes.len() {
            let error = StoredPayload::decode(&bytes[..length]).expect_err("torn");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length} bytes");
        }
    }

    #[test]
    fn ids_and_votes_survive() {
        let leader_id = openraft::vote::leader_id_adv::LeaderId { term: 3, node_id: u64::MAX };
        let id = StoredLogId(LogId { leader_id, index: 9 });
        assert_eq!(StoredLogId::decode(&encoded(&id)[..]).expect("whole"), id);
        let vote = StoredVote(Vote { leader_id, committed: true });
        assert_eq!(StoredVote::decode(&encoded(&vote)[..]).expect("whole"), vote);
    }
}
