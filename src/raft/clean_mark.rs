//! The word of a node that was stopped in order: the store is whole, up to this log index.
//!
//! It is a file beside the store: written after the store's files were really synced, removed
//! before the store is opened again. Without it, or where it does not fit, the store is not used.

use std::{fs, io, path::Path};

use super::{
    files::{remove_durably, replace_durably},
    types::LogId,
};
use crate::codec;

/// The file's name in the data folder.
const FILE: &str = "sled.clean";

/// What the mark says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CleanMark {
    /// How far the store had come.
    pub(super) last_applied: Option<LogId>,
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
pub(super) fn leave(data_dir: &Path, last_applied: Option<LogId>) -> io::Result<()> {
    let content = codec::encode(&last_applied).map_err(io::Error::other)?;
    let bytes = [&crc32fast::hash(&content).to_be_bytes(), content.as_slice()].concat();
    replace_durably(&data_dir.join(FILE), &bytes)
}

fn parse(bytes: &[u8]) -> Option<CleanMark> {
    let (checksum, content) = bytes.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*checksum) != crc32fast::hash(content) {
        return None;
    }
    codec::decode(content).ok().map(|last_applied| CleanMark { last_applied })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_once_and_a_garbled_one_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let leader_id = openraft::vote::leader_id_adv::LeaderId { term: 1, node_id: 2 };
        let last_applied = Some(LogId { leader_id, index: 5 });
        leave(folder.path(), last_applied).expect("left");
        assert_eq!(take(folder.path()).expect("taken"), Some(CleanMark { last_applied }));
        assert_eq!(take(folder.path()).expect("taken"), None);
        fs::write(folder.path().join(FILE), b"garbage").expect("written");
        assert_eq!(take(folder.path()).expect("taken"), None);
    }
}
