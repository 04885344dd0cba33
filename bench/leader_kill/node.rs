//! A child: one Raft node, which writes when it is told to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use roomraft::adapter::{DistributedAdapter, RaftAdapter};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{interval, timeout},
};

use super::bench::{self, child, raft_node};

/// Another write is begun so often, whatever became of those before.
const EVERY: Duration = Duration::from_millis(10);
/// After so long it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until the parent is gone.
pub fn serve(role: &Value) {
    let runtime = bench::runtime();
    let adapter = raft_node::adapter(role);
    runtime.block_on(adapter.connect()).expect("the node joins its cluster");
    let own = raft_node::name("server", role);
    child::serve(|command| {
        if command == "write" {
            let began = Instant::now();
            let accepted = runtime.block_on(async { timeout(PATIENCE, until_accepted(&adapter, &own)).await });
            accepted.expect("a write is accepted");
            return json!(began.elapsed().as_secs_f64() * 1000.0);
        }
        let status = adapter.node().expect("it is connected").status();
        json!({ "leader": status.leader, "applied": status.last_applied, "quorum": status.quorum })
    });
}

/// Returns once one of its writes was accepted.
async fn until_accepted(adapter: &Arc<RaftAdapter>, own: &str) {
    let (mut writes, mut turns) = (JoinSet::new(), interval(EVERY));
    for number in 0_u64.. {
        let mut begun = false;
        while !begun {
            tokio::select! {
                Some(write) = writes.join_next() => {
                    if matches!(write, Ok(true)) {
                        return;
                    }
                }
                _ = turns.tick() => begun = true,
            }
        }
        let (adapter, key) = (Arc::clone(adapter), format!("{own}-{number}"));
        writes.spawn(async move { adapter.acquire_lock(&key, Duration::from_secs(1)).await.is_ok() });
    }
}
