//! How large a node's data folder is.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::bench::figures::{Figure, count};

/// What the file system counts in.
const BLOCK_BYTES: f64 = 512.0;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What a node keeps on disk, in bytes.
pub struct Sizes {
    pub log: f64,
    store: f64,
    snapshots: f64,
}

impl Sizes {
    /// Looks at a node's folder.
    pub fn of(folder: &Path) -> Self {
        let size = |name: &str| allocated(&folder.join(name));
        Self { log: size("log"), store: size("sled"), snapshots: size("snapshots") }
    }

    /// Adds what a node keeps to the figures.
    pub fn report(&self, figures: &mut Vec<Figure>, when: &str) {
        let parts = [
            ("log", self.log),
            ("store", self.store),
            ("Raft snapshots", self.snapshots),
            ("all of it", self.log + self.store + self.snapshots),
        ];
        figures
            .extend(parts.map(|(name, bytes)| Figure::alone(format!("disk {when}, {name}"), bytes / MEBIBYTE, "MiB")));
    }
}

/// The bytes of all files below; those that go away meanwhile do not count.
fn allocated(path: &Path) -> f64 {
    let Ok(entries) = fs::read_dir(path) else { return 0.0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => allocated(&entry.path()),
        Ok(found) => count(usize::try_from(found.blocks()).unwrap_or(usize::MAX)) * BLOCK_BYTES,
        Err(_) => 0.0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}
