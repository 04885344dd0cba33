//! The way to the leader, whoever it is.

use std::{sync::Arc, time::Duration};

use openraft::async_runtime::WatchReceiver;
use rand::Rng;
use tokio::time::sleep;

use super::{
    ApplicationRefusal, ApplicationRequest, ApplicationResponse, AskError, RaftNode, batch::Batch, leader::Leader,
    types::NodeNumber,
};
use crate::registry::Reply;

/// Asks the leader, be it this node or another. Every answer is raced against a change of leader, since a dead peer
/// shows only after a while.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) node: RaftNode,
    pub(super) leader: Arc<Leader>,
    /// How long another node may take to answer.
    pub(super) answer_max: Duration,
}

/// Who leads.
pub(super) enum Lead {
    Own,
    Other(NodeNumber),
    Nobody,
}

impl Route {
    pub(super) fn lead(&self) -> Lead {
        match self.node.leader() {
            Some(leader) if leader == *self.node.raft().node_id() => Lead::Own,
            Some(leader) => Lead::Other(leader),
            None => Lead::Nobody,
        }
    }

    /// Gets commands to the leader; gives a reply to each, or why there is none to any.
    pub(super) async fn propose(&self, batch: Batch) -> Result<Vec<Reply>, ApplicationRefusal> {
        match self.lead() {
            Lead::Own => self.leader.propose(batch).await,
            Lead::Nobody => Err(ApplicationRefusal::NotLeader { leader: None }),
            Lead::Other(leader) => match self.ask(leader, ApplicationRequest::Forward(batch)).await? {
                ApplicationResponse::Replies(replies) => Ok(replies),
                other => Err(refusal_of(other)),
            },
        }
    }

    /// Asks another node as long as it leads.
    pub(super) async fn ask(
        &self,
        leader: NodeNumber,
        request: ApplicationRequest,
    ) -> Result<ApplicationResponse, ApplicationRefusal> {
        tokio::select! {
            answer = self.node.ask(leader, request, self.answer_max) => answer.map_err(|error| match error {
                AskError::Unsent(reason) => ApplicationRefusal::NotReady(reason),
                AskError::Unknown(reason) => ApplicationRefusal::Unknown(reason),
            }),
            () = self.leader_changes(leader) => Err(ApplicationRefusal::Unknown("the leader changed".to_owned())),
        }
    }

    /// A short while before the next try, a random one, so that those who failed together do not return together.
    pub(super) async fn back_off(&self) {
        let pause = Duration::from_millis(rand::rng().random_range(20..50));
        sleep(pause).await;
    }

    async fn leader_changes(&self, from: NodeNumber) {
        let mut metrics = self.node.raft().server_metrics();
        loop {
            if metrics.borrow_and_update().current_leader != Some(from) {
                return;
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }
}

/// What a response that is no answer means.
pub(super) fn refusal_of(response: ApplicationResponse) -> ApplicationRefusal {
    match response {
        ApplicationResponse::Refused(refusal) => refusal,
        _ => ApplicationRefusal::Unknown("the leader answered another question".to_owned()),
    }
}
