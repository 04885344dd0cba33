//! Linearizable reads on any node: one question to the leader, then the local registry.
//!
//! The leader confirms with a quorum that it leads still; once this node has applied what was
//! committed by then, its registry shows every write that was acknowledged before the read began.
//! Reads that come together share the question. There are no lease reads: a fast restart of a node
//! breaks them.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    ApplicationRequest, ApplicationResponse,
    rounds::Rounds,
    route::{Lead, Route, refusal_of},
    types::LogId,
};
use crate::adapter::{AdapterError, AdapterResult};

/// How long a follower may take to apply what the leader has committed.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

/// A node's linearizable reads. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reads {
    rounds: Rounds<()>,
    route: Arc<Route>,
}

impl Reads {
    /// Must be called on the runtime of consensus.
    pub(super) fn start(route: Arc<Route>) -> Self {
        let asking = Arc::clone(&route);
        let rounds = Rounds::start(move || round(Arc::clone(&asking)));
        Self { rounds, route }
    }

    /// Once this returns, the local registry shows every write that was acknowledged before the call.
    ///
    /// # Errors
    /// `Unavailable` where no quorum confirms the leader within `deadline`.
    pub(super) async fn ready(&self, deadline: Duration) -> AdapterResult<()> {
        let end = Instant::now() + deadline;
        let mut reason = format!("no leader within {} ms", deadline.as_millis());
        let tries = async {
            loop {
                match self.rounds.join().await {
                    Ok(()) => return,
                    Err(error) => reason = error,
                }
                self.route.back_off().await;
            }
        };
        let ended = timeout_at(end, tries).await;
        ended.map_err(|_| AdapterError::Unavailable(reason))
    }
}

async fn round(route: Arc<Route>) -> Result<(), String> {
    let log_id = match route.lead() {
        Lead::Own => route.leader.confirm().await.map_err(|refusal| refusal.to_string())?,
        Lead::Nobody => return Err("no leader is known".to_owned()),
        Lead::Other(leader) => match route.ask(leader, ApplicationRequest::ReadIndex).await {
            Ok(ApplicationResponse::ReadIndex(index)) => index.log_id(),
            Ok(other) => return Err(refusal_of(other).to_string()),
            Err(refusal) => return Err(refusal.to_string()),
        },
    };
    applied(&route, log_id).await
}

/// Waits until this node has applied so far.
pub(super) async fn applied(route: &Route, log_id: LogId) -> Result<(), String> {
    if route.node.registry().last_applied().is_some_and(|applied| applied.index >= log_id.index) {
        return Ok(());
    }
    let wait = route.node.raft().wait(Some(CATCH_UP_MAX));
    let waited = wait.applied_index_at_least(Some(log_id.index), "a linearizable read").await;
    waited.map(drop).map_err(|error| error.to_string())
}
