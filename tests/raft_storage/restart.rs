//! The state machine comes back the same, byte for byte, whatever is left of its store.

use std::{fs, path::Path};

use openraft::{
    RaftLogReader, RaftSnapshotBuilder,
    storage::{RaftLogStorage, RaftStateMachine},
};
use roomraft::{
    model::RoomId,
    raft::{IncomingSnapshot, Storage, StorageError},
};

use crate::helpers::{append, copy, files, image, log_id, open, room_bytes, run, start};

async fn assert_room_bytes(storage: &Storage, index: u64) {
    let room_id = RoomId::new("arena-own").expect("an id");
    let (meta, bytes) = storage.registry().load_snapshot(&room_id).await.expect("readable").expect("there");
    assert_eq!((meta.version, bytes), (index, room_bytes(index)));
}

/// A folder with a Raft snapshot at 20, the log purged up to 15, 30 applied, and closed in order.
async fn stopped(folder: &Path) -> Vec<roomraft::registry::Record> {
    let storage = open(folder).await.expect("opened");
    run(&storage, 0, 20).await;
    storage.state_machine().get_snapshot_builder().await.build_snapshot().await.expect("built");
    storage.log().purge(log_id(15)).await.expect("purged");
    run(&storage, 21, 30).await;
    assert_room_bytes(&storage, 30).await;
    let image = image(&storage);
    storage.close().await.expect("closed");
    image
}

async fn assert_comes_back(folder: &Path, expected: &[roomraft::registry::Record], applied_at_open: Option<u64>) {
    let storage = open(folder).await.expect("opened");
    assert_eq!(storage.registry().last_applied().map(|log_id| log_id.index), applied_at_open);
    start(&storage).await;
    assert_eq!(storage.registry().last_applied(), Some(log_id(30)));
    assert_eq!(image(&storage), expected);
    assert_room_bytes(&storage, 30).await;
    storage.close().await.expect("closed");
}

#[tokio::test]
async fn a_node_that_was_stopped_in_order_opens_its_store_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = stopped(folder.path()).await;
    assert_comes_back(folder.path(), &expected, Some(30)).await;
    assert_comes_back(folder.path(), &expected, Some(30)).await;
}

#[tokio::test]
async fn without_a_mark_or_a_store_it_is_rebuilt_from_snapshot_and_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = stopped(folder.path()).await;
    fs::remove_file(folder.path().join("sled.clean")).expect("removed");
    assert_comes_back(folder.path(), &expected, Some(20)).await;
    fs::remove_dir_all(folder.path().join("sled")).expect("removed");
    assert_comes_back(folder.path(), &expected, Some(20)).await;
    fs::write(folder.path().join("sled.clean"), b"not what it should be").expect("written");
    assert_comes_back(folder.path(), &expected, Some(20)).await;
}

#[tokio::test]
async fn a_store_garbled_anywhere_is_rebuilt() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = stopped(folder.path()).await;
    let mut rebuilt = 0;
    for file in files(&folder.path().join("sled")) {
        let bytes = fs::read(&file).expect("read");
        for part in 0..6 {
            let scratch = tempfile::tempdir().expect("a folder");
            copy(folder.path(), scratch.path());
            let target = scratch.path().join(file.strip_prefix(folder.path()).expect("below"));
            let mut garbled = bytes.clone();
            let (from, to) = (bytes.len() * part / 6, bytes.len() * (part + 1) / 6);
            for byte in &mut garbled[from..to] {
                *byte = byte.wrapping_add(0x55);
            }
            fs::write(&target, &garbled).expect("written");
            let storage = open(scratch.path()).await.expect("a garbled store is no error");
            rebuilt += usize::from(storage.registry().last_applied() == Some(log_id(20)));
            start(&storage).await;
            assert_eq!(image(&storage), expected, "{} part {part}", file.display());
            assert_room_bytes(&storage, 30).await;
        }
    }
    assert!(rebuilt > 0, "the damage was never noticed");
}

#[tokio::test]
async fn a_node_without_a_whole_snapshot_behind_a_purged_log_stops_with_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    stopped(folder.path()).await;
    fs::remove_file(folder.path().join("sled.clean")).expect("removed");
    let snapshot = files(&folder.path().join("snapshots")).pop().expect("a snapshot");
    let mut bytes = fs::read(&snapshot).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&snapshot, bytes).expect("written");
    let error = open(folder.path()).await.expect_err("nothing to start from");
    assert!(matches!(&error, StorageError::Garbled { path, .. } if path.ends_with("snapshots")), "{error}");
}

#[tokio::test]
async fn a_snapshot_that_is_installed_replaces_everything_and_lasts() {
    let (leader, follower) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let source = open(leader.path()).await.expect("opened");
    run(&source, 0, 30).await;
    let snapshot = source.state_machine().get_snapshot_builder().await.build_snapshot().await.expect("built");

    let target = open(follower.path()).await.expect("opened");
    run(&target, 0, 4).await;
    let mut events = target.registry().events().subscribe(roomraft::adapter::EventFilter::All, None);
    let mut incoming: IncomingSnapshot = target.snapshots().receive(snapshot.snapshot.length()).expect("made");
    while incoming.received() < snapshot.snapshot.length() {
        incoming.write_chunk(&snapshot.snapshot.read_chunk(incoming.received()).expect("read")).expect("taken");
    }
    let received = incoming.finish().expect("whole");
    target.state_machine().install_snapshot(&snapshot.meta, received).await.expect("installed");
    assert_eq!(events.next().await, Some(roomraft::adapter::EventItem::Lagged));
    assert_eq!(image(&target), image(&source));
    assert_room_bytes(&target, 30).await;
    target.log().purge(log_id(30)).await.expect("purged");
    run(&target, 31, 33).await;
    run(&source, 31, 33).await;
    let expected = image(&source);
    assert_eq!(image(&target), expected);

    // It is there after a stop in order, and after a crash.
    target.close().await.expect("closed");
    for crashed in [false, true] {
        if crashed {
            fs::remove_file(follower.path().join("sled.clean")).expect("removed");
        }
        let target = open(follower.path()).await.expect("opened");
        start(&target).await;
        assert_eq!(image(&target), expected);
        assert_room_bytes(&target, 33).await;
        target.close().await.expect("closed");
    }
}

#[tokio::test]
async fn a_snapshot_is_of_one_moment_though_apply_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = open(folder.path()).await.expect("opened");
    run(&storage, 0, 30).await;
    let expected = image(&storage);
    let mut builder = storage.state_machine().get_snapshot_builder().await;
    for index in 31..=90 {
        run(&storage, index, index).await;
    }
    let snapshot = builder.build_snapshot().await.expect("built");
    assert_eq!(snapshot.meta.last_log_id, Some(log_id(30)));

    let other = tempfile::tempdir().expect("a folder");
    let target = open(other.path()).await.expect("opened");
    let copy = target.snapshots().receive(snapshot.snapshot.length()).and_then(|mut incoming| {
        while incoming.received() < snapshot.snapshot.length() {
            incoming.write_chunk(&snapshot.snapshot.read_chunk(incoming.received())?)?;
        }
        incoming.finish()
    });
    target.state_machine().install_snapshot(&snapshot.meta, copy.expect("copied")).await.expect("installed");
    assert_eq!(image(&target), expected);
    assert_room_bytes(&target, 30).await;
    drop(builder);
    assert_room_bytes(&storage, 90).await;
}

#[tokio::test]
async fn a_folder_is_used_by_one_process_and_keeps_its_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = open(folder.path()).await.expect("opened");
    let first = storage.identity();
    assert!(matches!(open(folder.path()).await, Err(StorageError::InUse { .. })));
    storage.save_cluster_id("c-1").expect("saved");
    run(&storage, 0, 3).await;
    storage.close().await.expect("closed");
    let storage = open(folder.path()).await.expect("opened");
    let second = storage.identity();
    assert_eq!((second.node_id, second.incarnation), (first.node_id, first.incarnation + 1));
    assert_eq!(second.cluster_id.as_deref(), Some("c-1"));
    assert_eq!(storage.log().try_get_log_entries(0..=3).await.expect("read").len(), 4);
    storage.close().await.expect("closed");

    fs::remove_dir_all(folder.path().join("log")).expect("removed");
    let error = open(folder.path()).await.expect_err("the vote is gone");
    assert!(error.to_string().contains("the log is gone"), "{error}");
}

#[tokio::test]
async fn a_crash_right_after_a_snapshot_was_installed_loses_nothing_of_it() {
    let (leader, follower) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let source = open(leader.path()).await.expect("opened");
    run(&source, 0, 30).await;
    let snapshot = source.state_machine().get_snapshot_builder().await.build_snapshot().await.expect("built");
    let target = open(follower.path()).await.expect("opened");
    run(&target, 0, 4).await;
    // It has more than was ever committed; that goes before the snapshot comes.
    append(&target, 5, 35).await;
    target.log().truncate_after(Some(log_id(4))).await.expect("truncated");
    let mut incoming = target.snapshots().receive(snapshot.snapshot.length()).expect("made");
    while incoming.received() < snapshot.snapshot.length() {
        incoming.write_chunk(&snapshot.snapshot.read_chunk(incoming.received()).expect("read")).expect("taken");
    }
    let received = incoming.finish().expect("whole");
    target.state_machine().install_snapshot(&snapshot.meta, received).await.expect("installed");

    // The log is not purged yet, and nothing is closed.
    let crashed = tempfile::tempdir().expect("a folder");
    copy(follower.path(), crashed.path());
    let again = open(crashed.path()).await.expect("opened");
    start(&again).await;
    assert_eq!(image(&again), image(&source));
    assert_room_bytes(&again, 30).await;
    let state = again.log().get_log_state().await.expect("read");
    assert_eq!(state.last_log_id, Some(log_id(30)), "nothing is left of what was truncated");
    run(&again, 31, 33).await;
    run(&source, 31, 33).await;
    assert_eq!(image(&again), image(&source));
}
