//! What operators can have this process do.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::backend::Backing;
use crate::{ops::NodeControl, raft::RaftNode, room::DrainReport, server::Server};

/// How long a node tries to leave: an election or another change of the membership may be under way.
const LEAVE_MAX: Duration = Duration::from_secs(15);
/// Time between two tries.
const LEAVE_PAUSE: Duration = Duration::from_millis(200);

/// This process, for operators.
pub(super) struct Control {
    pub(super) backing: Backing,
    pub(super) server: Arc<Server>,
    /// Told once the node is no member any more: the process ends.
    pub(super) left: CancellationToken,
}

#[async_trait]
impl NodeControl for Control {
    async fn drain(&self) -> DrainReport {
        self.server.drain().await
    }

    async fn leave(&self) -> Result<DrainReport, String> {
        let Backing::Raft(adapter) = &self.backing else {
            return Err("this node is in no Raft cluster: end its process instead".to_owned());
        };
        let node = adapter.node().ok_or("this node has not started yet: try again shortly")?;
        if is_only_voter(&node) {
            let mend = "start another node with this one among its --peers first, or just end this process";
            return Err(format!("it is its cluster's only voter: {mend}"));
        }
        let report = self.drain().await;
        // From now on nobody is led here, even if leaving takes several tries.
        self.server.stop(true).await.map_err(|error| error.to_string())?;
        leave(&node).await?;
        self.left.cancel();
        Ok(report)
    }
}

fn is_only_voter(node: &RaftNode) -> bool {
    let status = node.status();
    let mut voters = status.members.iter().filter(|member| member.voter);
    voters.all(|voter| voter.node_id == status.node_id)
}

async fn leave(node: &RaftNode) -> Result<(), String> {
    let end = Instant::now() + LEAVE_MAX;
    loop {
        match node.leave().await {
            Ok(()) => return Ok(()),
            Err(problem) if Instant::now() >= end => {
                return Err(format!("it has no rooms any more, but is a member still ({problem}): ask again"));
            }
            Err(_) => sleep(LEAVE_PAUSE).await,
        }
    }
}
