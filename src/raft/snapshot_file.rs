//! A snapshot as a plain file on its way from one node to another.
//!
//! The network only moves bytes: the sender reads the file in chunks, the receiver writes them to
//! a file of its own. What the bytes mean, and whether they are whole, is checked when the
//! snapshot is installed. The methods block on the disk: call them where blocking is allowed.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How many bytes are read or sent at once; a chunk is never larger.
pub const SNAPSHOT_CHUNK_BYTES: usize = 256 * 1024;

/// A whole snapshot file. Cheap to clone.
///
/// It keeps the file open, so that a newer snapshot may replace it while it is still being read.
#[derive(Debug, Clone)]
pub struct SnapshotFile {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    file: File,
    length: u64,
    /// Whether it is only on its way: it goes with its last user, unless it was renamed.
    temporary: bool,
    damaged: AtomicBool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.temporary {
            // It was renamed, or the folder is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl SnapshotFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// That of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_as(path, false)
    }

    fn open_as(path: &Path, temporary: bool) -> io::Result<Self> {
        let file = File::open(path)?;
        let (path, length) = (path.to_owned(), file.metadata()?.len());
        Ok(Self { shared: Arc::new(Shared { path, file, length, temporary, damaged: AtomicBool::new(false) }) })
    }

    /// Where it is, or was: the newest snapshot alone keeps its name.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Its size in bytes.
    pub fn length(&self) -> u64 {
        self.shared.length
    }

    /// Notes that its bytes are not those that were written: a new one has to be made.
    pub(super) fn note_damage(&self) {
        self.shared.damaged.store(true, Ordering::Relaxed);
    }

    /// Whether damage was noted.
    pub(super) fn is_damaged(&self) -> bool {
        self.shared.damaged.load(Ordering::Relaxed)
    }

    /// The bytes from `offset` on, [`SNAPSHOT_CHUNK_BYTES`] at most; empty at the end. Blocks.
    ///
    /// # Errors
    /// That of the file system.
    pub fn read_chunk(&self, offset: u64) -> io::Result<Vec<u8>> {
        let wanted = self.length().saturating_sub(offset).min(SNAPSHOT_CHUNK_BYTES as u64);
        let mut chunk = vec![0; usize::try_from(wanted).unwrap_or(0)];
        std::os::unix::fs::FileExt::read_exact_at(&self.shared.file, &mut chunk, offset)?;
        Ok(chunk)
    }

    /// The file from its start, with a position of its own.
    pub fn reader(&self) -> SnapshotReader {
        SnapshotReader { file: self.clone(), position: 0 }
    }
}

/// Reads a [`SnapshotFile`] from start to end.
#[derive(Debug)]
pub struct SnapshotReader {
    file: SnapshotFile,
    position: u64,
}

impl Read for SnapshotReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(&self.file.shared.file, buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// A snapshot that is being received into a file of its own; the file is removed unless it is finished.
#[derive(Debug)]
pub struct IncomingSnapshot {
    path: PathBuf,
    file: File,
    expected: u64,
    received: u64,
    finished: bool,
}

impl IncomingSnapshot {
    /// Makes an empty file at `path` for a snapshot of `expected` bytes.
    ///
    /// # Errors
    /// That of the file system.
    pub fn create(path: PathBuf, expected: u64) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { path, file, expected, received: 0, finished: false })
    }

    /// How many bytes have arrived.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes the next bytes. Blocks.
    ///
    /// # Errors
    /// `InvalidData` where they are more than was announced; else that of the file system.
    pub fn write_chunk(&mut self, chunk: &[u8]) -> io::Result<()> {
        let received = self.received + chunk.len() as u64;
        if received > self.expected {
            return Err(self.mismatch(received));
        }
        self.file.write_all(chunk)?;
        self.received = received;
        Ok(())
    }

    /// The whole file, ready to be installed. It is made durable by the installation; without one it is removed with
    /// its last user. Blocks.
    ///
    /// # Errors
    /// `InvalidData` where bytes are missing; else that of the file system.
    pub fn finish(mut self) -> io::Result<SnapshotFile> {
        if self.received != self.expected {
            return Err(self.mismatch(self.received));
        }
        self.file.flush()?;
        self.file.seek(SeekFrom::Start(0))?;
        let file = SnapshotFile::open_as(&self.path, true)?;
        self.finished = true;
        Ok(file)
    }

    fn mismatch(&self, received: u64) -> io::Error {
        let expected = self.expected;
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a snapshot of {expected} bytes was announced, {received} came: it is sent again"),
        )
    }
}

impl Drop for IncomingSnapshot {
    fn drop(&mut self) {
        if !self.finished {
            // A leftover is harmless: the folder is swept at start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_crosses_in_chunks() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..SNAPSHOT_CHUNK_BYTES + 10).map(|n| u8::try_from(n % 251).expect("small")).collect();
        let path = folder.path().join("sent");
        std::fs::write(&path, &bytes).expect("written");
        let sent = SnapshotFile::open(&path).expect("opened");
        std::fs::remove_file(&path).expect("the open file outlives its name");

        let mut incoming = IncomingSnapshot::create(folder.path().join("got"), sent.length()).expect("made");
        loop {
            let chunk = sent.read_chunk(incoming.received()).expect("read");
            if chunk.is_empty() {
                break;
            }
            incoming.write_chunk(&chunk).expect("taken");
        }
        let got = incoming.finish().expect("whole");
        let path = got.path().to_owned();
        assert_eq!(std::fs::read(&path).expect("read"), bytes);
        drop(got);
        assert!(!path.exists(), "nobody has installed it");
    }

    #[test]
    fn too_few_and_too_many_bytes_are_refused_and_leave_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("got");
        let mut incoming = IncomingSnapshot::create(path.clone(), 3).expect("made");
        assert!(incoming.write_chunk(b"four").is_err());
        incoming.write_chunk(b"tw").expect("fits");
        assert!(incoming.finish().is_err());
        assert!(!path.exists());
    }
}
