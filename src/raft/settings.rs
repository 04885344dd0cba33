//! openraft's settings, from ours.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use super::RaftConfig;
use crate::clock::millis;

/// Settings for openraft. Its defaults are made for other uses; what differs has its reason beside it.
pub(super) fn openraft_settings(config: &RaftConfig) -> Config {
    let timing = &config.timing;
    Config {
        cluster_name: "roomraft".to_owned(),
        heartbeat_interval: millis(timing.heartbeat),
        election_timeout_min: millis(timing.election_min),
        election_timeout_max: millis(timing.election_max),
        install_snapshot_timeout: millis(timing.install_snapshot),
        // A node that was cut off must not unseat a healthy leader when it comes back.
        enable_pre_vote: Some(true),
        // A leader that restarts fast would go on as if its lease had never ended.
        enable_leader_restore: Some(false),
        // A leader that lost its quorum falls silent, so that its followers can elect.
        quorum_loss_probe_interval: Some(millis((timing.election_max * 2).max(Duration::from_secs(1)))),
        // Snapshots are made by bytes, not by entries.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: config.snapshots.entries_kept,
        // Above what the log keeps: whoever lacks more gets a snapshot anyway.
        replication_lag_threshold: config.snapshots.entries_kept.saturating_mul(2).max(10_000),
        purge_batch_size: 1024,
        max_payload_entries: 1024,
        max_append_entries: Some(4096),
        api_batch_linger_ms: 0,
        api_channel_size: Some(8192),
        backoff: "20ms 40ms ...1s".to_owned(),
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::{ClusterSecret, ClusterSecurity};

    #[test]
    fn openraft_takes_the_defaults() {
        let secret = ClusterSecret::parse("a secret of a test's own").expect("long enough");
        let server_id = crate::model::ServerId::new("s1").expect("a name");
        let config = RaftConfig::new(server_id, "data".into(), ClusterSecurity::Secret(secret));
        openraft_settings(&config).validate().expect("they are valid");
    }
}
