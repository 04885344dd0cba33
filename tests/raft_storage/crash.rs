//! A node's process is killed at any moment: what it acknowledged is there.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use openraft::{RaftLogReader, storage::RaftLogStorage};

use crate::helpers::{commit, copy, entry, image, log_id, open, run, start};

const FOLDER: &str = "ROOMRAFT_TEST_CRASH_FOLDER";

/// Not a test of its own: the process that is killed. It writes and tells what it has acknowledged.
#[tokio::test]
async fn writer_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let storage = open(Path::new(&folder)).await.expect("opened");
    start(&storage).await;
    let mut log = storage.log();
    let next = log.get_log_state().await.expect("read").last_log_id.map_or(0, |log_id| log_id.index + 1);
    // What is in the log, and was not known to be committed, is committed by the next leader before anything new.
    let unapplied = storage.registry().last_applied().map_or(0, |log_id| log_id.index + 1);
    if unapplied < next {
        commit(&storage, unapplied, next - 1).await;
    }
    for index in next.. {
        run(&storage, index, index).await;
        println!("acknowledged {index}");
        if index == next + 40 {
            let mut builder =
                openraft::storage::RaftStateMachine::get_snapshot_builder(&mut storage.state_machine()).await;
            openraft::RaftSnapshotBuilder::build_snapshot(&mut builder).await.expect("built");
            log.purge(log_id(index - 10)).await.expect("purged");
        }
    }
}

/// Runs the writer until it has acknowledged `count` entries, and kills it; gives the last acknowledged.
fn run_and_kill(folder: &Path, count: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "crash::writer_process", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let acknowledged = lines.map_while(Result::ok).filter_map(|line| {
        let (_, index) = line.split_once("acknowledged ")?;
        index.parse::<u64>().ok()
    });
    let last = acknowledged.take(count).last().expect("it acknowledged something");
    child.kill().expect("killed");
    child.wait().expect("ended");
    last
}

#[tokio::test]
async fn what_was_acknowledged_survives_kills_at_any_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut before = None;
    for count in [5, 30, 60, 17] {
        let last = run_and_kill(folder.path(), count);
        assert!(Some(last) > before, "{last} after {before:?}");
        before = Some(last);
        let copied = tempfile::tempdir().expect("a folder");
        copy(folder.path(), copied.path());
        let storage = open(copied.path()).await.expect("opened");
        start(&storage).await;
        let state = storage.log().get_log_state().await.expect("read");
        assert!(state.last_log_id >= Some(log_id(last)), "{state:?} after {last} was acknowledged");
        let first = state.last_purged_log_id.map_or(0, |log_id| log_id.index + 1);
        for found in storage.log().try_get_log_entries(first..=last).await.expect("read") {
            assert_eq!(found, entry(found.log_id.index));
        }
        let applied = storage.registry().last_applied().expect("something is applied").index;
        assert!(applied + 1 >= last, "the commit index lags behind by one entry at most: {applied}, {last}");

        // The same entries in an empty folder give the same registry, byte for byte.
        let other = tempfile::tempdir().expect("a folder");
        let reference = open(other.path()).await.expect("opened");
        run(&reference, 0, applied).await;
        assert_eq!(image(&storage), image(&reference));
    }
}

#[tokio::test]
async fn a_copy_taken_while_writing_opens_with_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = open(folder.path()).await.expect("opened");
    for index in 0..=60 {
        run(&storage, index, index).await;
        if index.is_multiple_of(20) {
            let copied = tempfile::tempdir().expect("a folder");
            copy(folder.path(), copied.path());
            let opened = open(copied.path()).await.expect("opened");
            start(&opened).await;
            let entries = opened.log().try_get_log_entries(0..=index).await.expect("read");
            assert_eq!(entries.len() as u64, index + 1);
        }
    }
}
