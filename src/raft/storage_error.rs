//! What can go wrong with a data folder.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a data folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process has it.
    #[error(
        "the data folder {folder} is used by another process: stop that one, or give this node a folder of its own"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be written.
    #[error("{path} cannot be written ({detail}): give this user write access, or choose another data folder")]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        detail: String,
    },
    /// The disk is full.
    #[error("the disk of {path} is full: free some space and start again")]
    DiskFull {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file that cannot be rebuilt is damaged.
    #[error(
        "{path} is damaged ({detail}): acknowledged data may be lost, so this node does not start. Restore the data \
         folder from a copy of this very disk's last state; or, if other members of the cluster are up, move the data \
         folder away and start again: the node joins as a new one"
    )]
    Garbled {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The file system failed.
    #[error("cannot {action} {path}: {detail}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system says.
        detail: String,
    },
}

impl StorageError {
    pub(super) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable { path, detail },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { action, path, detail },
        }
    }
}
