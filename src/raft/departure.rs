//! A node's way out of its cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{
    RaftHandle,
    bootstrap::{Binding, JoinAnswer, RecordFile},
    links::Links,
    membership::Membership,
    messages::{PeerRequest, PeerResponse},
    run::hand_over,
};

/// How long a node tries to leave.
const LEAVE_MAX: Duration = Duration::from_secs(10);
/// How long one change of the membership may take until it is asked for again.
const ANSWER_MAX: Duration = Duration::from_secs(6);
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// What a node needs to leave. Cheap to clone.
#[derive(Clone)]
pub(super) struct Departure {
    pub(super) raft: RaftHandle,
    pub(super) links: Links,
    pub(super) membership: Membership,
    pub(super) record: Arc<RecordFile>,
    /// Set while the node leaves: it must not ask to be let in again.
    pub(super) leaving: Arc<AtomicBool>,
}

impl Departure {
    /// Leaves, and keeps that on disk. Asked for again and again, since the leader may change, or be this very node.
    ///
    /// # Errors
    /// Why the node stays, for people.
    pub(super) async fn leave(self) -> Result<(), String> {
        let Binding::Member { cluster_id } = self.record.binding() else {
            return Err("this node is no member of a cluster".to_owned());
        };
        self.leaving.store(true, Ordering::SeqCst);
        // Removed while it leads, it would leave the others without a leader until they elect one.
        hand_over(&self.raft).await;
        if let Err(why) = self.be_removed().await {
            self.leaving.store(false, Ordering::SeqCst);
            return Err(why);
        }
        let record = Arc::clone(&self.record);
        let kept = tokio::task::spawn_blocking(move || record.update(|_| Some(Binding::Left { cluster_id }))).await;
        match kept {
            Ok(Ok(_)) => warn!(%cluster_id, "this node has left its cluster: its data folder is of no use any more"),
            Ok(Err(error)) => warn!(%error, "this node has left its cluster, and cannot keep that in its data folder"),
            Err(error) => warn!(%error, "this node has left its cluster, and cannot keep that in its data folder"),
        }
        Ok(())
    }

    async fn be_removed(&self) -> Result<(), String> {
        let deadline = Instant::now() + LEAVE_MAX;
        loop {
            let why = match self.ask().await {
                Ok(JoinAnswer::Done) => return Ok(()),
                Ok(JoinAnswer::Refused(why)) => return Err(why),
                Ok(JoinAnswer::NotNow(why)) | Err(why) => why,
                Ok(JoinAnswer::NotLeader(_)) => "no leader is known".to_owned(),
            };
            if Instant::now() >= deadline {
                return Err(format!("{why}: try again"));
            }
            sleep(PAUSE).await;
        }
    }

    async fn ask(&self) -> Result<JoinAnswer, String> {
        let own = *self.raft.node_id();
        match self.membership.leave(own).await {
            JoinAnswer::NotLeader(Some(leader)) => {
                match self.links.ask(&leader, None, PeerRequest::Leave(own), ANSWER_MAX).await {
                    Ok(PeerResponse::Membership(answer)) => Ok(answer),
                    Ok(_) => Err(format!("{leader} answered another question")),
                    Err(error) => Err(error.to_string()),
                }
            }
            other => Ok(other),
        }
    }
}
