//! What operators can ask of this process beyond the registry.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

use crate::{
    adapter::{Consistency, DistributedAdapter},
    ops::{ClusterStatus, NodeView},
    room::DistributedRoomManager,
};

/// The time in which the backend must answer to count as there.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// A node whose backend is no Raft group.
pub(super) struct PlainView {
    pub(super) adapter: Arc<dyn DistributedAdapter>,
    pub(super) manager: DistributedRoomManager,
}

#[async_trait]
impl NodeView for PlainView {
    async fn cluster(&self) -> ClusterStatus {
        let answer = timeout(ANSWER_TIME, self.adapter.servers(Consistency::Linearizable)).await;
        ClusterStatus { quorum: matches!(answer, Ok(Ok(_))), ..ClusterStatus::default() }
    }

    async fn readiness(&self) -> Result<(), String> {
        serving(&self.manager)
    }
}

/// Whether this server is registered and holds its lease.
pub(super) fn serving(manager: &DistributedRoomManager) -> Result<(), String> {
    if manager.is_serving() {
        Ok(())
    } else if manager.server_epoch().is_none() {
        Err("this server is not registered".to_owned())
    } else {
        Err("this server's lease has ended, or it is stopping".to_owned())
    }
}
