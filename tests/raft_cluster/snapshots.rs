//! Nodes that lack more than the log still has.

use std::{fs, path::PathBuf};

use futures_util::future::join_all;
use roomraft::{
    raft::{Batch, Proposal, RaftNode},
    registry::Operation,
};

use crate::cluster::{DEADLINE, Place, leader_of, places, start_all, stop_all, until, write};

/// Two nodes whose log begins behind a snapshot, a third that was stopped before all that, and how far they have come.
async fn one_far_behind() -> (Vec<Place>, Vec<RaftNode>, usize, u64) {
    let mut places = places(3);
    for place in &mut places {
        place.config.snapshots.entries_kept = 0;
    }
    let mut nodes = start_all(&places).await;
    let behind = (leader_of(&nodes).await + 1) % 3;
    nodes.remove(behind).stop().await;
    let others: Vec<_> = nodes.iter().collect();
    let mut index = 0;
    for _ in 0..50 {
        index = write(&others).await;
    }
    for node in &nodes {
        until("all of it is applied", node, |status| status.last_applied >= index).await;
        node.raft().trigger().snapshot().await.expect("it runs");
        has_snapshot(node, index).await;
        node.raft().trigger().purge_log(index).await.expect("it runs");
        let wait = node.raft().wait(Some(DEADLINE));
        wait.metrics(|metrics| metrics.purged.is_some_and(|id| id.index >= index), "purged")
            .await
            .expect("the log is purged behind it");
    }
    (places, nodes, behind, index)
}

async fn has_snapshot(node: &RaftNode, index: u64) {
    let wait = node.raft().wait(Some(DEADLINE));
    wait.metrics(|metrics| metrics.snapshot.is_some_and(|id| id.index >= index), "a snapshot")
        .await
        .expect("there is a snapshot");
}

fn snapshots(place: &Place) -> Vec<PathBuf> {
    let files = fs::read_dir(place.config.data_dir.join("snapshots")).expect("listed");
    files.map(|file| file.expect("an entry").path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_far_behind_catches_up_by_snapshot() {
    let (places, mut nodes, behind, index) = one_far_behind().await;
    let node = places[behind].joined().await;
    until("it has caught up", &node, |status| status.last_applied >= index).await;
    has_snapshot(&node, index).await;
    nodes.push(node);
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_is_refused_and_made_anew_and_nobody_stops() {
    let (places, mut nodes, behind, index) = one_far_behind().await;
    for (at, place) in places.iter().enumerate().filter(|(at, _)| *at != behind) {
        for file in snapshots(place) {
            let mut bytes = fs::read(&file).expect("read");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            // In place: the node has the file open.
            fs::write(&file, bytes).unwrap_or_else(|error| panic!("node {at}: {error}"));
        }
    }
    let node = places[behind].joined().await;
    until("it has caught up", &node, |status| status.last_applied >= index).await;
    has_snapshot(&node, index).await;
    nodes.push(node);
    let later = write(&nodes.iter().collect::<Vec<_>>()).await;
    for node in &nodes {
        until("all go on", node, |status| status.last_applied >= later).await;
    }
    let kept = snapshots(&places[behind]);
    assert_eq!(kept.len(), 1, "what was refused is gone: {kept:?}");
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_are_kept_for_peers_that_lag_do_not_fill_the_disk() {
    const LOG_BYTES: u64 = 64 * 1024;
    let mut place = places(1).remove(0);
    place.config.bootstrap_expect = Some(1);
    place.config.snapshots.log_bytes = LOG_BYTES;
    let node = place.joined().await;
    let kept = place.config.snapshots.entries_kept;
    let purged = node.raft().wait(Some(DEADLINE));
    let purged = purged.metrics(|metrics| metrics.purged.is_some_and(|id| id.index > 100), "some of the log is purged");
    let mut purged = std::pin::pin!(purged);
    let mut written = 0;
    let metrics = loop {
        let round = (0..100).map(|at| {
            let key = format!("{}-{:x<400}", written + at, "");
            let command = Proposal::new(&Operation::AcquireLock { key, ttl_ms: 1 }).expect("plain data");
            node.raft().client_write(Batch::new([&command]).expect("plain data").at(1))
        });
        tokio::select! {
            metrics = &mut purged => break metrics.expect("the log is purged behind a snapshot"),
            results = join_all(round) => assert!(results.iter().all(Result::is_ok)),
        }
        written += 100;
    };
    let last = metrics.last_log_index.expect("entries");
    let gone = metrics.purged.expect("the same").index;
    assert!(last < kept, "by their number all {last} would be kept");
    assert!((last - gone) * 400 >= LOG_BYTES, "of {last} entries {gone} are gone");
    node.stop().await;
}
