//! Raft snapshots as plain files under `DATA/snapshots`.
//!
//! ```text
//! RRSNAP01 · frame · frame · … · crc32 of all before
//! frame = length in 4 bytes, then one encoded item: meta first, records, room snapshots, end last
//! ```
//! A file is written to a temporary name, synced, renamed, its folder synced; so a name that ends
//! in `.snapshot` is whole, or the disk is damaged, which its checksum tells. Items are streamed:
//! neither writing nor reading holds the whole of it.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    files::{rename_durably, sync_folder},
    snapshot_file::{IncomingSnapshot, SnapshotFile},
    types::{LogId, SnapshotMeta},
};
use crate::{codec, model::RoomId, registry::Record};

const MAGIC: &[u8; 8] = b"RRSNAP01";
const FRAME_BYTES_MAX: u32 = 64 * 1024 * 1024;
const SUFFIX: &str = "snapshot";

/// One part of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SnapshotItem {
    /// What the snapshot covers; the first item.
    Meta(SnapshotMeta),
    /// A record of the registry.
    Record(Record),
    /// The snapshot of a room.
    RoomBytes {
        room_id: RoomId,
        /// The index of the command that wrote it.
        index: u64,
        bytes: Bytes,
    },
    /// The last item: how many came before.
    End { items: u64 },
}

/// The folder of snapshots. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SnapshotFolder {
    path: PathBuf,
}

impl SnapshotFolder {
    /// Makes the folder if need be and removes what a crash left half done. Blocks.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        for entry in fs::read_dir(&path)? {
            let file = entry?.path();
            if file.extension().is_none_or(|extension| extension != SUFFIX) {
                fs::remove_file(file)?;
            }
        }
        Ok(Self { path })
    }

    /// A place for a snapshot of `length` bytes that a peer sends. Blocks on the disk.
    ///
    /// # Errors
    /// That of the file system.
    pub fn receive(&self, length: u64) -> io::Result<IncomingSnapshot> {
        IncomingSnapshot::create(self.temporary(), length)
    }

    /// The newest snapshot that is whole; damaged ones are named in the log and passed over. Blocks.
    pub(super) fn newest(&self) -> io::Result<Option<(SnapshotMeta, SnapshotFile)>> {
        let mut files = self.files()?;
        while let Some(path) = files.pop() {
            let checked = SnapshotFile::open(&path).and_then(|file| {
                let meta = read_snapshot(&file, |_| Ok(()))?;
                Ok((meta, file))
            });
            match checked {
                Ok(newest) => return Ok(Some(newest)),
                Err(error) => tracing::warn!(file = %path.display(), %error, "a Raft snapshot is damaged and not used"),
            }
        }
        Ok(None)
    }

    /// Writes a snapshot; `fill` gives the items between meta and end. Blocks.
    pub(super) fn write(
        &self,
        meta: &SnapshotMeta,
        fill: impl FnOnce(&mut SnapshotWriter) -> io::Result<()>,
    ) -> io::Result<SnapshotFile> {
        let temporary = self.temporary();
        let written = SnapshotWriter::create(&temporary).and_then(|mut writer| {
            writer.push(&SnapshotItem::Meta(meta.clone()))?;
            fill(&mut writer)?;
            writer.finish()
        });
        match written {
            Ok(()) => self.keep(&temporary, meta.last_log_id),
            Err(error) => {
                // What is left is swept at the next start.
                let _ = fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    /// Gives a synced file its name and removes those that are older. Blocks.
    pub(super) fn keep(&self, temporary: &Path, last: Option<LogId>) -> io::Result<SnapshotFile> {
        let path = self.path.join(format!("{:020}.{SUFFIX}", last.map_or(0, |log_id| log_id.index)));
        rename_durably(temporary, &path)?;
        let kept = SnapshotFile::open(&path)?;
        for older in self.files()?.into_iter().filter(|other| *other < path) {
            fs::remove_file(older)?;
        }
        sync_folder(&self.path)?;
        Ok(kept)
    }

    /// The snapshots' files, the newest last.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let files = fs::read_dir(&self.path)?.map(|entry| entry.map(|entry| entry.path()));
        let mut files = files.collect::<io::Result<Vec<_>>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == SUFFIX));
        files.sort();
        Ok(files)
    }

    fn temporary(&self) -> PathBuf {
        self.path.join(format!("{:016x}.tmp", rand::random::<u64>()))
    }
}

/// Writes the items of one snapshot.
#[derive(Debug)]
pub(super) struct SnapshotWriter {
    file: BufWriter<File>,
    checksum: crc32fast::Hasher,
    items: u64,
}

impl SnapshotWriter {
    fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1024 * 1024, File::create(path)?);
        let mut writer = Self { file, checksum: crc32fast::Hasher::new(), items: 0 };
        writer.write(MAGIC)?;
        Ok(writer)
    }

    pub(super) fn push(&mut self, item: &SnapshotItem) -> io::Result<()> {
        let bytes = codec::encode(item).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
        let Some(length) = length else { return Err(invalid("an item of a snapshot is too large")) };
        self.write(&length.to_be_bytes())?;
        self.write(&bytes)?;
        self.items += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.push(&SnapshotItem::End { items: self.items })?;
        let checksum = self.checksum.finalize();
        self.file.write_all(&checksum.to_be_bytes())?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

/// Reads a snapshot from start to end, hands its records and room snapshots to `take`, and tells
/// what it covers. What `take` got counts only once this has succeeded: the checksum comes last. Blocks.
pub(super) fn read_snapshot(
    file: &SnapshotFile,
    mut take: impl FnMut(SnapshotItem) -> io::Result<()>,
) -> io::Result<SnapshotMeta> {
    let mut source = Source { file: BufReader::new(file.reader()), checksum: crc32fast::Hasher::new() };
    let mut magic = [0; MAGIC.len()];
    source.fill(&mut magic)?;
    if magic != *MAGIC {
        return Err(invalid("it is not a snapshot of this program's"));
    }
    let SnapshotItem::Meta(meta) = source.item()? else { return Err(invalid("it does not begin with its meta")) };
    let mut count = 1;
    loop {
        match source.item()? {
            SnapshotItem::Meta(_) => return Err(invalid("it has two metas")),
            SnapshotItem::End { items } if items == count => break,
            SnapshotItem::End { .. } => return Err(invalid("items are missing")),
            item => take(item)?,
        }
        count += 1;
    }
    let expected = source.checksum.clone().finalize();
    let mut found = [0; 4];
    source.fill(&mut found)?;
    if u32::from_be_bytes(found) != expected {
        return Err(invalid("its checksum does not fit"));
    }
    match source.file.read(&mut [0])? {
        0 => Ok(meta),
        _ => Err(invalid("bytes follow its end")),
    }
}

/// Checks a snapshot that a leader has sent: whole, and the one that was announced. Blocks.
pub(super) fn check_snapshot(file: &SnapshotFile, announced: &SnapshotMeta) -> io::Result<()> {
    let found = read_snapshot(file, |_| Ok(()))?;
    if found == *announced { Ok(()) } else { Err(invalid("it is not the one that was announced")) }
}

struct Source<R> {
    file: BufReader<R>,
    checksum: crc32fast::Hasher,
}

impl<R: Read> Source<R> {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(buffer)?;
        self.checksum.update(buffer);
        Ok(())
    }

    fn item(&mut self) -> io::Result<SnapshotItem> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > FRAME_BYTES_MAX {
            return Err(invalid("an item has an impossible length"));
        }
        let mut bytes = Vec::new();
        self.file.by_ref().take(u64::from(length)).read_to_end(&mut bytes)?;
        if bytes.len() < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.checksum.update(&bytes);
        codec::decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the snapshot cannot be used: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, SnapshotFolder) {
        let directory = tempfile::tempdir().expect("a folder");
        let folder = SnapshotFolder::open(directory.path().join("snapshots")).expect("made");
        (directory, folder)
    }

    fn meta(index: u64) -> SnapshotMeta {
        let leader_id = openraft::vote::leader_id_adv::LeaderId { term: 1, node_id: 2 };
        SnapshotMeta { last_log_id: Some(LogId { leader_id, index }), ..SnapshotMeta::default() }
    }

    fn write(folder: &SnapshotFolder, index: u64) -> SnapshotFile {
        let room_id = RoomId::new("arena-1").expect("an id");
        folder
            .write(&meta(index), |writer| {
                writer.push(&SnapshotItem::RoomBytes { room_id, index: 3, bytes: Bytes::from_static(b"state") })
            })
            .expect("written")
    }

    #[test]
    fn only_the_newest_is_kept_and_it_reads_back() {
        let (_directory, folder) = folder();
        write(&folder, 9);
        write(&folder, 10);
        let (found, file) = folder.newest().expect("readable").expect("there");
        assert_eq!((found, folder.files().expect("listed").len()), (meta(10), 1));
        let mut rooms = Vec::new();
        read_snapshot(&file, |item| {
            rooms.push(format!("{item:?}"));
            Ok(())
        })
        .expect("whole");
        assert_eq!(rooms.len(), 1);
        assert!(rooms[0].contains("arena-1") && rooms[0].contains("state"));
    }

    #[test]
    fn every_garbled_or_missing_byte_is_noticed() {
        let (_directory, folder) = folder();
        let file = write(&folder, 9);
        let whole = fs::read(file.path()).expect("read");
        for position in 0..whole.len() {
            let mut garbled = whole.clone();
            garbled[position] ^= 0x10;
            fs::write(file.path(), &garbled).expect("written");
            assert!(folder.newest().expect("listed").is_none(), "byte {position} garbled");
            fs::write(file.path(), &whole[..position]).expect("written");
            assert!(folder.newest().expect("listed").is_none(), "cut to {position} bytes");
        }
    }
}
