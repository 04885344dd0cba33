//! What a node knows of itself, on disk.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::{
    quic::ClusterId,
    raft::types::{Member, NodeNumber},
};

/// The record's name in the data folder.
const FILE: &str = "binding.json";

/// The largest record that is read, in bytes.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// To which cluster a node has bound itself, and how firmly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::raft) enum Binding {
    /// To none.
    #[default]
    Fresh,
    /// To one that it would found, for which it collects pledges.
    Collecting {
        /// Its random number.
        cluster_id: ClusterId,
    },
    /// To one that it founds: all pledges are there.
    Founding {
        /// Its random number.
        cluster_id: ClusterId,
        /// Its first members.
        members: Vec<(NodeNumber, Member)>,
    },
    /// To one that another node would found.
    Pledged {
        /// Its random number.
        cluster_id: ClusterId,
        /// The node that collects.
        founder: NodeNumber,
        /// What peers of that node dial.
        founder_address: String,
    },
    /// To one that exists and that it has yet to join.
    Joining {
        /// Its random number.
        cluster_id: ClusterId,
    },
    /// To the one that it is part of.
    Member {
        /// Its random number.
        cluster_id: ClusterId,
    },
    /// To none ever again: it has left this one for good.
    Left {
        /// Its random number.
        cluster_id: ClusterId,
    },
}

impl Binding {
    /// The cluster whose log it takes.
    pub(in crate::raft) fn cluster_id(&self) -> Option<ClusterId> {
        match self {
            Self::Fresh | Self::Left { .. } => None,
            Self::Collecting { cluster_id }
            | Self::Founding { cluster_id, .. }
            | Self::Pledged { cluster_id, .. }
            | Self::Joining { cluster_id }
            | Self::Member { cluster_id } => Some(*cluster_id),
        }
    }

    /// The cluster that surely exists, by which the node is known to others.
    pub(in crate::raft) fn firm_cluster_id(&self) -> Option<ClusterId> {
        match self {
            Self::Joining { cluster_id } | Self::Member { cluster_id } => Some(*cluster_id),
            _ => None,
        }
    }
}

/// A node's number and binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::raft) struct NodeRecord {
    /// Whose binding it is.
    pub(in crate::raft) node: NodeNumber,
    /// Its binding.
    pub(in crate::raft) binding: Binding,
}

/// A [`NodeRecord`] in a file of its own. A change is on disk before it is seen.
#[derive(Debug)]
pub(in crate::raft) struct RecordFile {
    path: PathBuf,
    record: RwLock<NodeRecord>,
    /// Held while a change is written.
    writing: Mutex<()>,
}

impl RecordFile {
    /// Reads the record of the node with this number in its data folder; without one it is fresh. Blocks.
    ///
    /// # Errors
    /// That of the file system; `InvalidData` where the file is no record, or that of another node.
    pub(in crate::raft) fn open(folder: &Path, node: NodeNumber) -> io::Result<Self> {
        let path = folder.join(FILE);
        let record = match File::open(&path) {
            Ok(file) => read(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => NodeRecord { node, binding: Binding::Fresh },
            Err(error) => return Err(error),
        };
        if record.node != node {
            // Its pledge may count still: a node that forgets one could help to found a second cluster.
            return Err(invalid(format!(
                "it is of node {:016x}: empty the whole data folder, or nothing",
                record.node
            )));
        }
        Ok(Self { path, record: RwLock::new(record), writing: Mutex::default() })
    }

    /// The present binding.
    pub(in crate::raft) fn binding(&self) -> Binding {
        self.record.read().binding.clone()
    }

    /// Changes the binding by what `change` makes of the present one, if it makes anything; gives what is so
    /// afterwards. Blocks.
    ///
    /// # Errors
    /// That of the file system; the binding is then as before.
    pub(in crate::raft) fn update(&self, change: impl FnOnce(&Binding) -> Option<Binding>) -> io::Result<Binding> {
        let _writing = self.writing.lock();
        let present = self.record.read().clone();
        let Some(binding) = change(&present.binding).filter(|next| *next != present.binding) else {
            return Ok(present.binding);
        };
        let record = NodeRecord { node: present.node, binding };
        write(&self.path, &record)?;
        *self.record.write() = record.clone();
        Ok(record.binding)
    }
}

fn read(file: File) -> io::Result<NodeRecord> {
    if file.metadata()?.len() > RECORD_BYTES_MAX {
        return Err(invalid("it is too long"));
    }
    serde_json::from_reader(io::BufReader::new(file)).map_err(invalid)
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn write(path: &Path, record: &NodeRecord) -> io::Result<()> {
    let temporary = path.with_extension("json.new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(record).map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_survives_a_restart_but_not_another_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = RecordFile::open(folder.path(), 5).expect("made");
        assert_eq!(first.binding(), Binding::Fresh);
        let pledged =
            Binding::Pledged { cluster_id: ClusterId(u128::MAX), founder: 7, founder_address: "a:1".to_owned() };
        assert_eq!(first.update(|_| Some(pledged.clone())).expect("written"), pledged);
        assert_eq!(RecordFile::open(folder.path(), 5).expect("read").binding(), pledged);
        let other = RecordFile::open(folder.path(), 6).expect_err("another node's");
        assert_eq!(other.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_garbled_record_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), b"{\"node\":").expect("written");
        assert_eq!(RecordFile::open(folder.path(), 5).expect_err("garbled").kind(), io::ErrorKind::InvalidData);
    }
}
