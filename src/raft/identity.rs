//! Who a node is: kept in its data folder, never reused with an empty one.
//!
//! The node's number is drawn at random at the first start. Each start raises the incarnation,
//! durably and before anything is proposed, so that commands of an older process are never taken
//! for those of the present one.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{StorageError, files::replace_durably, types::NodeNumber};
use crate::registry::ProposerId;

/// The file's name in the data folder.
const FILE: &str = "identity.json";

/// A node's identity as its data folder keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The node's number in the cluster.
    pub node_id: NodeNumber,
    /// The number of this start, from 1.
    pub incarnation: u64,
    /// The cluster that it belongs to, once it is known.
    pub cluster_id: Option<String>,
    /// Whether there was ever something in its log, which must then never be missing.
    pub(super) log_started: bool,
}

/// The file's form: a checksum beside, since a changed digit would be another node.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityFile {
    #[serde(flatten)]
    identity: Identity,
    checksum: u32,
}

impl Identity {
    /// This process as the author of commands.
    pub fn proposer(&self) -> ProposerId {
        ProposerId { node: self.node_id, incarnation: self.incarnation }
    }

    /// Reads the identity in `data_dir`, if there is one. Blocks.
    pub(super) fn load(data_dir: &Path) -> Result<Option<Self>, StorageError> {
        let path = data_dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::io("read", &path, &error)),
        };
        let garbled = |detail: String| StorageError::Garbled { path: path.clone(), detail };
        let file: IdentityFile = serde_json::from_slice(&text).map_err(|error| garbled(error.to_string()))?;
        if file.checksum != file.identity.checksum() {
            return Err(garbled("its checksum does not fit".to_owned()));
        }
        Ok(Some(file.identity))
    }

    /// A new identity for an empty data folder.
    pub(super) fn fresh() -> Self {
        // 53 bits, so that it survives every JSON reader; 0 is what other backends use.
        Self { node_id: rand::random_range(1..1 << 53), incarnation: 0, cluster_id: None, log_started: false }
    }

    /// Keeps it durably. Blocks.
    pub(super) fn save(&self, data_dir: &Path) -> Result<(), StorageError> {
        let path = data_dir.join(FILE);
        let file = IdentityFile { identity: self.clone(), checksum: self.checksum() };
        serde_json::to_vec_pretty(&file)
            .map_err(io::Error::other)
            .and_then(|text| replace_durably(&path, &text))
            .map_err(|error| StorageError::io("write", &path, &error))
    }

    fn checksum(&self) -> u32 {
        let cluster = self.cluster_id.as_deref().unwrap_or_default();
        let started = self.log_started;
        crc32fast::hash(format!("{}/{}/{started}/{cluster}", self.node_id, self.incarnation).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_and_a_changed_digit_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Identity::load(folder.path()).expect("readable"), None);
        let identity = Identity { cluster_id: Some("c1".to_owned()), incarnation: 7, ..Identity::fresh() };
        identity.save(folder.path()).expect("saved");
        assert_eq!(Identity::load(folder.path()).expect("readable"), Some(identity));

        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).expect("text").replace("\"incarnation\": 7", "\"incarnation\": 8");
        fs::write(&path, text).expect("written");
        assert!(matches!(Identity::load(folder.path()), Err(StorageError::Garbled { .. })));
    }
}
