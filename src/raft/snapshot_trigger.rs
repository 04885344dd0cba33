//! When a Raft snapshot is made: by bytes, not by entries.
//!
//! A snapshot is due when the log has grown, since the last one, by more than a limit and by more
//! than the last one's size; so the cost of snapshots stays in proportion to what is written.
//! A snapshot that was found damaged on the disk is replaced as well.
//! openraft then purges the log behind it, up to the entries that its configuration keeps; of those
//! that are more bytes than the limit are purged here, since a log of large entries would fill the disk.

use std::{sync::Arc, time::Duration};

use openraft::{Raft, async_runtime::WatchReceiver, errors::Fatal};

use super::{log_marks::LogMarks, state_machine::StateMachine, storage::Storage, types::TypeConfig};

/// Time between two looks at the log.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Asks for a Raft snapshot whenever one is due; ends when the node has stopped. `log_bytes` is the
/// least growth of the log, in bytes, and what of it is kept at most behind a snapshot.
pub async fn trigger_snapshots(raft: Raft<TypeConfig, StateMachine>, storage: Arc<Storage>, log_bytes: u64) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut covered, mut marks) = (0, LogMarks::new(log_bytes));
    loop {
        looks.tick().await;
        let written = storage.log_bytes();
        let grown = is_due(written.saturating_sub(covered), storage.snapshot_bytes(), log_bytes);
        if grown || storage.state_machine().snapshot_is_damaged() {
            covered = written;
            if raft.trigger().snapshot().await.is_err() {
                return;
            }
        }
        let Some(last) = raft.data_metrics().borrow_watched().last_log.map(|log_id| log_id.index) else { continue };
        if let Some(spare) = marks.note(last, written)
            && purge(&raft, spare).await.is_err()
        {
            return;
        }
    }
}

/// Purges the log up to this entry or the last one that a snapshot has, whichever is first.
async fn purge(raft: &Raft<TypeConfig, StateMachine>, spare: u64) -> Result<(), Fatal<TypeConfig>> {
    let (snapshot, purged) = {
        let metrics = raft.data_metrics();
        let metrics = metrics.borrow_watched();
        (metrics.snapshot.map(|log_id| log_id.index), metrics.purged.map(|log_id| log_id.index))
    };
    match snapshot.map(|snapshot| snapshot.min(spare)) {
        Some(upto) if Some(upto) > purged => raft.trigger().purge_log(upto).await,
        _ => Ok(()),
    }
}

fn is_due(grown: u64, last_snapshot: u64, limit: u64) -> bool {
    grown > limit.max(last_snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_when_the_log_has_outgrown_limit_and_last_snapshot() {
        assert!(!is_due(100, 0, 100));
        assert!(is_due(101, 0, 100));
        assert!(!is_due(101, 200, 100));
        assert!(is_due(201, 200, 100));
    }
}
