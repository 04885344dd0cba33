//! What only a leader does: it stamps commands with cluster time and has them committed.

use std::time::Duration;

use futures_util::StreamExt;
use openraft::{
    Instant as _, ReadPolicy,
    async_runtime::WatchReceiver,
    errors::{ClientWriteError, LinearizableReadError},
};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::{
    ApplicationRefusal, RaftHandle, SharedRegistry, batch::Batch, cluster_clock::ClusterClock, proposal::Proposal,
    rounds::Rounds, types::LogId,
};
use crate::{
    clock::Clock,
    registry::{Operation, Reply},
};

/// How long one round of confirming leadership may take.
const CONFIRM_MAX: Duration = Duration::from_secs(1);

/// The leader's work on this node. On a node that does not lead it says so.
#[derive(Debug)]
pub(super) struct Leader {
    raft: RaftHandle,
    registry: SharedRegistry,
    source: Clock,
    clock: Mutex<ClusterClock>,
    confirmations: Rounds<LogId>,
    /// How long a quorum may be silent until nothing more is proposed.
    quorum_silence: Duration,
}

impl Leader {
    /// Must be called on the runtime of consensus.
    pub(super) fn new(raft: RaftHandle, registry: SharedRegistry, source: Clock, quorum_silence: Duration) -> Self {
        let confirming = raft.clone();
        let confirmations = Rounds::start(move || confirm(confirming.clone()));
        Self { raft, registry, source, clock: Mutex::default(), confirmations, quorum_silence }
    }

    /// Cluster time as this node continues it.
    pub(super) fn now_ms(&self) -> u64 {
        let applied_ms = self.registry.read(crate::registry::Registry::now_ms);
        self.clock.lock().now_ms(applied_ms, self.source.boot(), self.source.wall_ms())
    }

    /// Has commands committed and applied and gives the reply to each, in order.
    pub(super) async fn propose(&self, batch: Batch) -> Result<Vec<Reply>, ApplicationRefusal> {
        if self.is_cut_off() {
            return Err(ApplicationRefusal::NotReady("no quorum answers".to_owned()));
        }
        let proposed = self.raft.client_write_many([batch.at(self.now_ms())]).await;
        let mut results = proposed.map_err(|fatal| ApplicationRefusal::NotReady(fatal.to_string()))?;
        match results.next().await {
            Some(Ok(Ok(written))) => Ok(written.response),
            Some(Ok(Err(ClientWriteError::ForwardToLeader(forward)))) => {
                Err(ApplicationRefusal::NotLeader { leader: forward.leader_id })
            }
            Some(Ok(Err(error))) => Err(ApplicationRefusal::Unknown(error.to_string())),
            Some(Err(fatal)) => Err(ApplicationRefusal::Unknown(fatal.to_string())),
            None => Err(ApplicationRefusal::Unknown("consensus gave no answer".to_owned())),
        }
    }

    /// Whether a quorum has been silent for long. What is proposed then would only wait in the log, again at each
    /// retry, and its outcome be unknown.
    fn is_cut_off(&self) -> bool {
        let metrics = self.raft.data_metrics();
        let acked = metrics.borrow_watched().last_quorum_acked;
        acked.is_some_and(|acked| acked.elapsed() > self.quorum_silence) && self.has_other_voters()
    }

    fn has_other_voters(&self) -> bool {
        let metrics = self.raft.metrics();
        metrics.borrow_watched().membership_config.voter_ids().any(|voter| voter != *self.raft.node_id())
    }

    /// As [`propose`](Self::propose), for another node: an operation that this one could not apply never gets into the
    /// log.
    pub(super) async fn propose_for_another(&self, batch: Batch) -> Result<Vec<Reply>, ApplicationRefusal> {
        if let Err(error) = batch.commands() {
            let problem = format!("it does not know an operation ({error}): update it");
            return Err(ApplicationRefusal::NotReady(problem));
        }
        self.propose(batch).await
    }

    /// The cluster's own bookkeeping, which is harmless twice.
    pub(super) async fn keep_books(&self, operations: Vec<Operation>) -> Result<Vec<Reply>, ApplicationRefusal> {
        let proposals = operations.iter().map(Proposal::new).collect::<Result<Vec<_>, _>>();
        let batch = proposals.and_then(|proposals| Batch::new(&proposals));
        self.propose(batch.map_err(|error| ApplicationRefusal::NotReady(error.to_string()))?).await
    }

    /// A round that begins after this call confirms that this node leads; what was committed before it began is
    /// applied when the log id that it gives is.
    pub(super) async fn confirm(&self) -> Result<LogId, ApplicationRefusal> {
        if !self.raft.is_leader() {
            return Err(ApplicationRefusal::NotLeader { leader: None });
        }
        self.confirmations.join().await.map_err(ApplicationRefusal::NotReady)
    }
}

async fn confirm(raft: RaftHandle) -> Result<LogId, String> {
    let confirmed = timeout(CONFIRM_MAX, raft.get_read_linearizer(ReadPolicy::ReadIndex)).await;
    let linearizer = confirmed.map_err(|_| "no quorum answered in time".to_owned())?;
    linearizer.map(|linearizer| *linearizer.read_log_id().log_id()).map_err(|error| match error.api_error() {
        Some(LinearizableReadError::QuorumNotEnough(_)) => "no quorum answers".to_owned(),
        Some(LinearizableReadError::ForwardToLeader(_)) => "it does not lead any more".to_owned(),
        _ => error.to_string(),
    })
}
