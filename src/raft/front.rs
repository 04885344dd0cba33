//! What a node does for its server, on top of consensus: propose, read, watch over leases, deliver events.
//!
//! ```text
//! adapter ─ propose ─▶ proposer ─┐            ┌─ leader: stamp, commit
//!         ─ ready ───▶ reads ────┼─ route ────┤  (this node, or another by QUIC)
//!         ─ heartbeat ───────────┘            └─ leases
//!         ─ broadcast, deliver ─▶ mailroom ─▶ other nodes' subscribers
//! ```

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{sync::oneshot, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ApplicationRefusal, ApplicationRequest, ApplicationResponse, PeerHandler, RaftNode, ReadIndex, SharedRegistry,
    leader::Leader,
    leases::Leases,
    letters::{decode_event, encode_event},
    mailroom::{EVENT_BYTES_MAX, Mailroom},
    proposer::Proposer,
    reads::Reads,
    route::{Lead, Route, refusal_of},
    types::NodeNumber,
};
use crate::{
    adapter::{AdapterError, AdapterResult, EventHub},
    clock::Clock,
    model::{DistributedEvent, NodeId, RoomId, ServerEpoch, ServerId},
    registry::{Operation, Reply},
};

/// The times of a node's front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontTimes {
    /// The lease of a server.
    pub lease: Duration,
    /// How long another node may take to answer one request.
    pub answer_max: Duration,
    /// How long a caller waits at most for the outcome of a call, retries included.
    pub call_max: Duration,
}

/// A running node's front. Cheap to clone; its work ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct RaftFront {
    shared: Arc<Shared>,
}

struct Shared {
    node: RaftNode,
    hub: EventHub,
    times: FrontTimes,
    route: Arc<Route>,
    proposer: Proposer,
    reads: Reads,
    leases: Arc<Leases>,
    mailroom: Mailroom,
    stopping: CancellationToken,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftFront").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl RaftFront {
    /// Takes up work on a node whose events come out at `hub`.
    ///
    /// # Errors
    /// `Unavailable` where the node has stopped meanwhile.
    pub async fn start(node: RaftNode, hub: EventHub, clock: Clock, times: FrontTimes) -> AdapterResult<Self> {
        let (sender, started) = oneshot::channel();
        let runtime = node.runtime().clone();
        // Its tasks belong on the runtime of consensus.
        runtime.spawn(async move {
            let front = Self::start_here(node, hub, &clock, times);
            let _ = sender.send(front);
        });
        started.await.map_err(|_| AdapterError::Unavailable("the node has stopped".to_owned()))
    }

    fn start_here(node: RaftNode, hub: EventHub, clock: &Clock, times: FrontTimes) -> Self {
        let (raft, registry) = (node.raft().clone(), node.registry().clone());
        let leader = Arc::new(Leader::new(raft.clone(), registry.clone(), clock.clone(), node.quorum_silence()));
        let leases = Leases::new(raft, registry.clone(), Arc::clone(&leader), clock.clone(), times.lease);
        let leases = Arc::new(leases);
        let (desk_leader, desk_leases, answer_max) = (Arc::clone(&leader), Arc::clone(&leases), times.answer_max);
        node.serve(Arc::new(Desk { leader: desk_leader, leases: desk_leases, answer_max, hub: hub.clone() }));
        let route = Arc::new(Route { node: node.clone(), leader, answer_max: times.answer_max });
        let proposer = Proposer::start(node.proposer(), Arc::clone(&route));
        let reads = Reads::start(Arc::clone(&route));
        let mailroom = Mailroom::new(node.clone(), times.answer_max);
        let stopping = CancellationToken::new();
        tokio::spawn(stopping.clone().run_until_cancelled_owned(Arc::clone(&leases).keep_watch()));
        Self { shared: Arc::new(Shared { node, hub, times, route, proposer, reads, leases, mailroom, stopping }) }
    }

    /// The node.
    pub fn node(&self) -> &RaftNode {
        &self.shared.node
    }

    /// The registry as far as this node has applied the log.
    pub fn registry(&self) -> &SharedRegistry {
        self.shared.node.registry()
    }

    /// Has an operation applied, exactly once, and gives its outcome.
    ///
    /// # Errors
    /// `Unavailable` where it reached no leader in time; `Timeout` where it may have.
    pub async fn propose(&self, operation: Operation) -> AdapterResult<Reply> {
        self.shared.proposer.propose(operation, self.shared.times.call_max).await
    }

    /// Waits until the registry of this node has every write that was acknowledged before this call.
    ///
    /// # Errors
    /// `Unavailable` without a quorum.
    pub async fn caught_up(&self) -> AdapterResult<()> {
        self.shared.reads.ready(self.shared.times.call_max).await
    }

    /// The bytes of a room's last snapshot.
    ///
    /// # Errors
    /// `Unavailable` without a quorum; `Damaged` where they cannot be read.
    pub async fn snapshot_bytes(&self, room_id: &RoomId) -> AdapterResult<Option<Bytes>> {
        self.caught_up().await?;
        let loaded = self.registry().load_snapshot(room_id).await;
        loaded.map(|found| found.map(|(_, bytes)| bytes)).map_err(|error| AdapterError::Damaged(error.to_string()))
    }

    /// Renews a server's lease at the leader. The reply tells where its registration is over.
    ///
    /// # Errors
    /// `Unavailable` where no leader confirms it in time.
    pub async fn heartbeat(&self, server: &ServerEpoch) -> AdapterResult<Reply> {
        let (front, server) = (self.clone(), server.clone());
        self.retried(move || {
            let (front, server) = (front.clone(), server.clone());
            async move {
                match front.shared.route.lead() {
                    Lead::Own => front.shared.leases.heartbeat(&server).await,
                    Lead::Nobody => Err(ApplicationRefusal::NotLeader { leader: None }),
                    Lead::Other(leader) => {
                        let asked = front.shared.route.ask(leader, ApplicationRequest::Heartbeat(server)).await?;
                        match asked {
                            ApplicationResponse::Replies(mut replies) if replies.len() == 1 => Ok(replies.remove(0)),
                            other => Err(refusal_of(other)),
                        }
                    }
                }
            }
        })
        .await
    }

    /// When each server's last heartbeat came, in milliseconds since 1970, as the leader knows it.
    ///
    /// # Errors
    /// `Unavailable` where no leader answers in time.
    pub async fn heartbeats(&self) -> AdapterResult<BTreeMap<ServerId, u64>> {
        let front = self.clone();
        self.retried(move || {
            let front = front.clone();
            async move {
                match front.shared.route.lead() {
                    Lead::Own => Ok(front.shared.leases.seen()),
                    Lead::Nobody => Err(ApplicationRefusal::NotLeader { leader: None }),
                    Lead::Other(leader) => {
                        match front.shared.route.ask(leader, ApplicationRequest::LastHeartbeats).await? {
                            ApplicationResponse::LastHeartbeats(seen) => Ok(seen.into_iter().collect()),
                            other => Err(refusal_of(other)),
                        }
                    }
                }
            }
        })
        .await
    }

    /// Hands an event to the subscribers of every node, at most once.
    ///
    /// # Errors
    /// `TooLarge` above 1 MiB.
    pub fn broadcast(&self, event: DistributedEvent) -> AdapterResult<()> {
        let letter = letter(&event)?;
        self.shared.mailroom.post_all(&letter);
        self.shared.hub.publish([event]);
        Ok(())
    }

    /// Hands an event to the subscribers of one node, at most once.
    ///
    /// # Errors
    /// `TooLarge` above 1 MiB; `Unavailable` where that node does not keep up.
    pub fn deliver(&self, node: NodeId, event: DistributedEvent) -> AdapterResult<()> {
        if node.0 == *self.shared.node.raft().node_id() {
            self.shared.hub.publish([event]);
            return Ok(());
        }
        self.shared.mailroom.post(node.0, letter(&event)?)
    }

    /// Tries again, on the runtime of consensus, until there is an answer or the time of a call is over.
    async fn retried<T, F>(&self, attempt: impl Fn() -> F + Send + Sync + 'static) -> AdapterResult<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ApplicationRefusal>> + Send + 'static,
    {
        let (route, call_max) = (Arc::clone(&self.shared.route), self.shared.times.call_max);
        let mut task = JoinSet::new();
        task.spawn_on(
            async move {
                let mut last = ApplicationRefusal::NotLeader { leader: None };
                let tries = async {
                    loop {
                        match attempt().await {
                            Ok(answer) => return answer,
                            Err(refusal) => last = refusal,
                        }
                        route.back_off().await;
                    }
                };
                timeout(call_max, tries).await.map_err(|_| AdapterError::Unavailable(last.to_string()))
            },
            self.shared.node.runtime(),
        );
        // Where the caller gives up the task ends with the set.
        match task.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => Err(AdapterError::Unavailable("the node was stopped".to_owned())),
        }
    }
}

fn letter(event: &DistributedEvent) -> AdapterResult<Vec<u8>> {
    let letter = encode_event(event)
        .map_err(|error| AdapterError::Rejected(crate::registry::Rejection::Invalid(error.to_string())))?;
    if letter.len() > EVENT_BYTES_MAX {
        let what = format!("the event {}", event.kind.name());
        return Err(AdapterError::TooLarge { what, bytes: letter.len(), limit: EVENT_BYTES_MAX });
    }
    Ok(letter)
}

fn answer(outcome: Result<Vec<Reply>, ApplicationRefusal>) -> ApplicationResponse {
    match outcome {
        Ok(replies) => ApplicationResponse::Replies(replies),
        Err(refusal) => ApplicationResponse::Refused(refusal),
    }
}

/// Serves what other nodes ask of this one. It holds no handle of the node, which holds it.
#[derive(Debug)]
struct Desk {
    leader: Arc<Leader>,
    /// How long the asking node waits.
    answer_max: Duration,
    leases: Arc<Leases>,
    hub: EventHub,
}

#[async_trait]
impl PeerHandler for Desk {
    async fn handle(&self, _: NodeNumber, request: ApplicationRequest) -> ApplicationResponse {
        match request {
            ApplicationRequest::Forward(batch) => {
                // Who asked does not wait any longer either.
                let proposed = timeout(self.answer_max, self.leader.propose_for_another(batch)).await;
                let silence = || Err(ApplicationRefusal::Unknown("no quorum answered".to_owned()));
                answer(proposed.unwrap_or_else(|_| silence()))
            }
            ApplicationRequest::ReadIndex => match self.leader.confirm().await {
                Ok(log_id) => ApplicationResponse::ReadIndex(ReadIndex::new(log_id)),
                Err(refusal) => ApplicationResponse::Refused(refusal),
            },
            ApplicationRequest::Heartbeat(server) => {
                answer(self.leases.heartbeat(&server).await.map(|reply| vec![reply]))
            }
            ApplicationRequest::LastHeartbeats => {
                ApplicationResponse::LastHeartbeats(self.leases.seen().into_iter().collect())
            }
            ApplicationRequest::Publish(letters) => {
                self.hub.publish(letters.iter().filter_map(|letter| decode_event(letter)));
                ApplicationResponse::Done
            }
        }
    }
}
