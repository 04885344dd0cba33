//! The word of a node that was stopped in order: the store is whole, up to this log index.
//!
//! It is a file beside the store: written after the store's files were really synced, removed
//! before the store is opened again. It says what the registry was, so that a record that the
//! store has lost is noticed. Without it, or where it does not fit, the store is not used.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    files::{remove_durably, replace_durably},
    types::LogId,
};
use crate::{codec, registry::Registry};

/// The file's name in the data folder.
const FILE: &str = "sled.clean";

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CleanMark {
    /// How far the store had come.
    pub(super) last_applied: Option<LogId>,
    /// A checksum of the registry's records, all of them in their order.
    records_crc32: u32,
}

impl CleanMark {
    /// The mark of a state machine.
    pub(super) fn of(last_applied: Option<LogId>, registry: &Registry) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        for record in registry.records() {
            for part in [&record.key, &record.value] {
                hasher.update(&part.len().to_be_bytes());
                hasher.update(part);
            }
        }
        Self { last_applied, records_crc32: hasher.finalize() }
    }
}

/// Takes the mark away and tells what it said. Blocks.
pub(super) fn take(data_dir: &Path) -> io::Result<Option<CleanMark>> {
    let path = data_dir.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    remove_durably(&path)?;
    Ok(parse(&bytes))
}

/// Leaves the mark. Blocks.
pub(super) fn leave(data_dir: &Path, mark: &CleanMark) -> io::Result<()> {
    let content = codec::encode(mark).map_err(io::Error::other)?;
    let bytes = [&crc32fast::hash(&content).to_be_bytes(), content.as_slice()].concat();
    replace_durably(&data_dir.join(FILE), &bytes)
}

fn parse(bytes: &[u8]) -> Option<CleanMark> {
    let (checksum, content) = bytes.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*checksum) != crc32fast::hash(content) {
        return None;
    }
    codec::decode(content).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Command, Operation, RecordKind};

    #[test]
    fn a_mark_counts_once_and_a_garbled_one_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let leader_id = openraft::vote::leader_id_adv::LeaderId { term: 1, node_id: 2 };
        let mark = CleanMark::of(Some(LogId { leader_id, index: 5 }), &Registry::default());
        leave(folder.path(), &mark).expect("left");
        assert_eq!(take(folder.path()).expect("taken"), Some(mark));
        assert_eq!(take(folder.path()).expect("taken"), None);
        fs::write(folder.path().join(FILE), b"garbage").expect("written");
        assert_eq!(take(folder.path()).expect("taken"), None);
    }

    #[test]
    fn a_registry_that_lacks_a_record_is_another_one() {
        let mut registry = Registry::default();
        let operation = Operation::AcquireLock { key: "key".to_owned(), ttl_ms: 1000 };
        registry.apply(&Command { time_ms: 5, origin: None, operation });
        let without = registry.records().filter(|record| record.kind != RecordKind::Lock);
        let without = Registry::restore(without).expect("the rest fits together");
        assert_ne!(CleanMark::of(None, &registry), CleanMark::of(None, &without));
        let whole = Registry::restore(registry.records()).expect("it fits together");
        assert_eq!(CleanMark::of(None, &registry), CleanMark::of(None, &whole));
    }
}
