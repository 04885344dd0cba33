//! What becomes of the log when its files are cut or garbled.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use openraft::{
    RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
    type_config::TypeConfigExt,
    vote::leader_id_adv::LeaderId,
};

use super::{Entry, EntryPayload, LogId, LogStore, StorageError, TypeConfig, Vote};
use crate::{
    model::{Epoch, RoomEpoch, RoomId},
    raft::{Batch, Proposal},
    registry::Operation,
};

const LEADER: LeaderId<u64, u64> = LeaderId { term: 1, node_id: 2 };

/// As in a cluster, the log begins at 0 with what is no command.
fn entry(index: u64) -> Entry {
    if index == 0 {
        return Entry { log_id: LogId { leader_id: LEADER, index }, payload: EntryPayload::Blank };
    }
    let room = RoomEpoch { room_id: RoomId::new("arena-1").expect("an id"), epoch: Epoch(3) };
    let bytes = Bytes::from(vec![b'x'; 5 + usize::try_from(index % 40).expect("small")]);
    let operation = Operation::SaveSnapshot { room, version: index, bytes, ttl_ms: 0 };
    let proposal = Proposal::new(&operation).expect("plain data");
    let batch = Batch::new([&proposal]).expect("plain data").at(1_000 + index);
    Entry { log_id: LogId { leader_id: LEADER, index }, payload: EntryPayload::Normal(batch) }
}

async fn append(log: &mut LogStore, entries: Vec<Entry>) {
    let (callback, durable) = TypeConfig::oneshot();
    log.append(entries, IOFlushed::signal(callback)).await.expect("appended");
    durable.await.expect("told").expect("durable");
}

/// A log of entries 0 to `last`, closed; gives its only file.
async fn written(folder: &Path, last: u64) -> PathBuf {
    let mut log = LogStore::open(folder).expect("opened");
    log.save_vote(&Vote { leader_id: LEADER, committed: true }).await.expect("saved");
    for index in 0..=last {
        append(&mut log, vec![entry(index)]).await;
    }
    log.close().expect("closed");
    file(folder)
}

fn file(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).expect("listed").map(|file| file.expect("an entry").path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "wal")).expect("a log file")
}

/// Opens a copy of a log with these bytes in its file.
async fn reopened(name: &Path, bytes: &[u8]) -> Result<Vec<Entry>, StorageError> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(name.file_name().expect("a name")), bytes).expect("written");
    let mut log = LogStore::open(folder.path())?;
    let entries = log.try_get_log_entries(0..1_000).await.expect("read");
    assert!(log.read_vote().await.expect("read").is_some() || entries.is_empty());
    log.close().expect("closed");
    Ok(entries)
}

#[tokio::test]
async fn a_log_cut_anywhere_in_its_unsynced_tail_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = written(folder.path(), 10).await;
    let acknowledged = fs::read(&name).expect("read").len();
    {
        let mut log = LogStore::open(folder.path()).expect("opened");
        append(&mut log, (11..=14).map(entry).collect()).await;
        log.close().expect("closed");
    }
    let whole = fs::read(&name).expect("read");
    assert!(whole.len() > acknowledged);
    for length in (acknowledged..=whole.len()).step_by(3) {
        let entries = reopened(&name, &whole[..length]).await.expect("a torn tail is normal");
        let expected: Vec<Entry> = (0..u64::try_from(entries.len()).expect("few")).map(entry).collect();
        assert!(entries.len() >= 11, "cut to {length}: {} entries", entries.len());
        assert_eq!(entries, expected, "cut to {length}");

        // A file whose length reached the disk before its content: cut between records it is normal, else it is
        // refused; it is never opened with less than was acknowledged.
        let mut zeroed = whole.clone();
        zeroed[length..].fill(0);
        match reopened(&name, &zeroed).await {
            Ok(entries) => assert!(entries.len() >= 11, "zeros from {length}: {} entries", entries.len()),
            Err(error) => {
                assert!(length > acknowledged && matches!(error, StorageError::Garbled { .. }), "{length}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_garbled_byte_anywhere_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = written(folder.path(), 6).await;
    let whole = fs::read(&name).expect("read");
    for position in 0..whole.len() {
        let mut garbled = whole.clone();
        garbled[position] ^= 1 << (position % 8);
        match reopened(&name, &garbled).await {
            Err(StorageError::Garbled { path, .. }) => {
                assert_eq!(path.file_name(), name.file_name(), "byte {position}");
            }
            other => panic!("byte {position} of {} garbled: {other:?}", whole.len()),
        }
    }
}

#[tokio::test]
async fn a_log_without_its_oldest_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let mut log = LogStore::open_with_files_of(folder.path(), 300).expect("opened");
        for index in 0..=30 {
            append(&mut log, vec![entry(index)]).await;
        }
        log.close().expect("closed");
    }
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.path()).expect("listed").map(|f| f.expect("one").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    files.sort();
    assert!(files.len() > 3, "{} files", files.len());
    let copy = tempfile::tempdir().expect("a folder");
    for missing in 0..files.len() - 1 {
        for (position, file) in files.iter().enumerate() {
            let target = copy.path().join(file.file_name().expect("a name"));
            if position == missing {
                let _ = fs::remove_file(target);
            } else {
                fs::copy(file, target).expect("copied");
            }
        }
        let opened = LogStore::open(copy.path());
        assert!(matches!(opened, Err(StorageError::Garbled { .. })), "file {missing} missing: {opened:?}");
    }
}

#[tokio::test]
async fn many_appends_at_once_share_flushes_and_all_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = LogStore::open(folder.path()).expect("opened");
    let mut told = Vec::new();
    for index in 0..500 {
        let (callback, durable) = TypeConfig::oneshot();
        log.append(vec![entry(index)], IOFlushed::signal(callback)).await.expect("appended");
        told.push(durable);
    }
    for durable in told {
        durable.await.expect("told").expect("durable");
    }
    assert_eq!(log.try_get_log_entries(0..500).await.expect("read").len(), 500);
    let limited = log.limited_get_log_entries(499, 500).await.expect("read");
    assert_eq!(limited, [entry(499)]);
    log.close().expect("closed");
    let (callback, durable) = TypeConfig::oneshot();
    assert!(log.append(vec![entry(500)], IOFlushed::signal(callback)).await.is_err());
    assert!(durable.await.is_err(), "nobody is told that it is durable");
}
