//! Who a node is for Redis: a number that its data folder keeps, so that a server which starts again takes its name over
//! at once instead of waiting for its former lease to end.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use super::NodeFault;
use crate::model::NodeId;

/// The file's name in the data folder.
const FILE: &str = "redis-node-id";

/// A node's number, with the folder that keeps it locked against a second process.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) node_id: NodeId,
    _lock: File,
}

impl Identity {
    /// Reads the number that `folder` keeps; draws one where there is none. Blocks.
    pub(super) fn open(folder: &Path) -> Result<Self, NodeFault> {
        let unusable =
            |error: io::Error| fault(folder, &format!("cannot be used ({error}): give a folder to write in"));
        fs::create_dir_all(folder).map_err(unusable)?;
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"));
        let lock = lock.map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(fault(folder, "is in use by another process: stop it, or give another folder"));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let path = folder.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => match text.trim().parse().ok().filter(|number| *number > 0) {
                Some(number) => Ok(Self { node_id: NodeId(number), _lock: lock }),
                None => Err(fault(folder, &format!("has a damaged file {FILE}: remove that file"))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // 53 bits, so that it survives every JSON reader.
                let number: u64 = rand::random_range(1..1 << 53);
                let new = folder.join(format!("{FILE}.new"));
                fs::write(&new, number.to_string()).and_then(|()| fs::rename(&new, &path)).map_err(unusable)?;
                Ok(Self { node_id: NodeId(number), _lock: lock })
            }
            Err(error) => Err(unusable(error)),
        }
    }
}

fn fault(folder: &Path, problem: &str) -> NodeFault {
    NodeFault::Other(format!("--data-dir: {} {problem}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_the_number_and_serves_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/b");
        let first = Identity::open(&data).unwrap();
        let busy = Identity::open(&data).unwrap_err().to_string();
        assert!(busy.contains("--data-dir") && busy.contains("in use"), "{busy}");
        let number = first.node_id;
        drop(first);
        assert_eq!(Identity::open(&data).unwrap().node_id, number);
        fs::write(data.join(FILE), "what").unwrap();
        let damaged = Identity::open(&data).unwrap_err().to_string();
        assert!(damaged.contains(FILE), "{damaged}");
    }
}
