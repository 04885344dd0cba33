//! One node of the cluster: started, looked at, stopped.
//!
//! Everything that belongs to consensus runs on one thread with a runtime of its own, where
//! players' traffic cannot starve it. This handle may be used from anywhere.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    thread::JoinHandle,
    time::Duration,
};

use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{
    RaftConfig, RaftConfigError, RaftHandle, RaftStatus, SharedRegistry, StorageError,
    departure::Departure,
    links::{LinkError, Links},
    messages::{ApplicationRequest, ApplicationResponse, PeerRequest, PeerResponse},
    run, status,
    types::{Member, NodeNumber},
};
use crate::{
    adapter::EventHub,
    quic::{ClusterId, EndpointError},
    registry::ProposerId,
};

/// Why a node cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RaftNodeError {
    /// A setting that cannot be.
    #[error(transparent)]
    Config(#[from] RaftConfigError),
    /// A data folder that cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A socket or certificates that cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// What is kept of the node's binding to a cluster cannot be used.
    #[error("{path}: {source}: acknowledged data is not touched; mend the file system and start again")]
    Binding {
        /// The file's folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It left its cluster, and nobody knows it there.
    #[error(
        "this node has left cluster {cluster_id} for good, and its data folder {path} is of no use any more: delete \
         it, or give another --data-dir, and start again to join as a new node"
    )]
    Left {
        /// The cluster.
        cluster_id: ClusterId,
        /// The data folder.
        path: std::path::PathBuf,
    },
    /// Consensus does not start, or has stopped.
    #[error("consensus has stopped: {0}")]
    Raft(String),
    /// The operating system gives no thread or runtime.
    #[error("cannot start the thread of consensus: {0}")]
    Thread(std::io::Error),
}

/// Why another member gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// Nothing was done.
    #[error("{0}")]
    Unsent(String),
    /// The outcome is unknown.
    #[error("{0}: the outcome is unknown")]
    Unknown(String),
}

/// What the thread of consensus shares with the handle.
pub(super) struct Parts {
    pub(super) raft: RaftHandle,
    pub(super) registry: SharedRegistry,
    pub(super) proposer: ProposerId,
    pub(super) links: Links,
    pub(super) departure: Departure,
    pub(super) handler: run::HandlerCell,
    pub(super) answered: Arc<Mutex<BTreeMap<NodeNumber, u64>>>,
    pub(super) address: SocketAddr,
    pub(super) quorum_silence: Duration,
    pub(super) runtime: tokio::runtime::Handle,
}

/// A running node. Cheap to clone; it runs until [`stop`](Self::stop). Dropping the last clone stops it as well, but
/// nobody can await the end.
#[derive(Clone)]
pub struct RaftNode {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    /// The cluster, once the node is a member.
    joined: watch::Receiver<Option<ClusterId>>,
    /// Why the node cannot go on.
    fatal: watch::Receiver<Option<String>>,
    stopping: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl fmt::Debug for RaftNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftNode").field("proposer", &self.shared.parts.proposer).finish_non_exhaustive()
    }
}

impl RaftNode {
    /// Opens the data folder and the socket and starts looking for the cluster; the registry's events come out at
    /// `events`. Returns before the node is a member: see [`joined`](Self::joined).
    ///
    /// # Errors
    /// [`RaftNodeError`]; nothing runs on then.
    pub async fn start(config: RaftConfig, events: EventHub) -> Result<Self, RaftNodeError> {
        config.validate()?;
        let (started, starting) = oneshot::channel();
        let (joined_sender, joined) = watch::channel(None);
        let (fatal_sender, fatal) = watch::channel(None);
        let stopping = CancellationToken::new();
        let signals = run::Signals { joined: joined_sender, fatal: fatal_sender, stopping: stopping.clone() };
        let thread = std::thread::Builder::new()
            .name("raft".to_owned())
            .spawn(move || run::run(&config, events, started, signals))
            .map_err(RaftNodeError::Thread)?;
        let parts = starting.await.map_err(|_| RaftNodeError::Raft("its thread ended".to_owned()))??;
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared: Arc::new(Shared { parts, joined, fatal, stopping, thread }) })
    }

    /// Who serves the requests of other members. The first call counts; until then they are told to wait.
    pub fn serve(&self, handler: Arc<dyn super::PeerHandler>) {
        // A second handler would find the first one already at work.
        let _ = self.shared.parts.handler.set(handler);
    }

    /// Waits until the node is a member of a cluster, and gives the cluster's number.
    ///
    /// # Errors
    /// Why it cannot go on, for people; the node should then be stopped.
    pub async fn joined(&self) -> Result<ClusterId, String> {
        let mut joined = self.shared.joined.clone();
        tokio::select! {
            biased;
            reason = self.fatal() => Err(reason),
            found = joined.wait_for(Option::is_some) => {
                found.ok().and_then(|found| *found).ok_or_else(|| "the node was stopped".to_owned())
            }
        }
    }

    /// Waits until the node cannot go on, and says why: the process should end with an error then. Pending for ever
    /// while it can, and after a stop.
    pub async fn fatal(&self) -> String {
        let mut fatal = self.shared.fatal.clone();
        let reason = fatal.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            None if !self.shared.stopping.is_cancelled() => "the thread of consensus has ended by a fault".to_owned(),
            None => std::future::pending().await,
        }
    }

    /// The cluster as this node sees it.
    pub fn status(&self) -> RaftStatus {
        let parts = &self.shared.parts;
        let cluster_id = *self.shared.joined.borrow();
        let answered = parts.answered.lock().clone();
        let metrics = parts.raft.metrics();
        let metrics = metrics.borrow_watched();
        status::status(&metrics, cluster_id, &answered, parts.quorum_silence)
    }

    /// How long a packet takes to other members and back, by the names of their servers, where a connection stands.
    pub fn round_trips(&self) -> BTreeMap<String, Duration> {
        let parts = &self.shared.parts;
        let members: Vec<(NodeNumber, Member)> = {
            let metrics = parts.raft.metrics();
            let metrics = metrics.borrow_watched();
            metrics.membership_config.nodes().map(|(node, member)| (*node, member.clone())).collect()
        };
        let round_trip = |(node, member): (NodeNumber, Member)| {
            let address = parts.links.address_of(node, &member.addr);
            Some((member.server_id, parts.links.round_trip(&address)?))
        };
        members.into_iter().filter_map(round_trip).collect()
    }

    /// How long a leader may hear nothing of a quorum until it counts as cut off.
    pub(super) fn quorum_silence(&self) -> Duration {
        self.shared.parts.quorum_silence
    }

    /// Where it listens for its peers.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.parts.address
    }

    /// This process as the author of commands.
    pub fn proposer(&self) -> ProposerId {
        self.shared.parts.proposer
    }

    /// The registry as far as this node has applied the log.
    pub fn registry(&self) -> &SharedRegistry {
        &self.shared.parts.registry
    }

    /// The runtime of consensus, for what works closely with it. Nothing on it may block.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.shared.parts.runtime
    }

    /// openraft's handle.
    pub fn raft(&self) -> &RaftHandle {
        &self.shared.parts.raft
    }

    /// The member that leads, as far as this node knows.
    pub fn leader(&self) -> Option<NodeNumber> {
        self.shared.parts.raft.metrics().borrow_watched().current_leader
    }

    /// The other members, learners too.
    pub fn others(&self) -> Vec<NodeNumber> {
        let metrics = self.shared.parts.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.nodes().map(|(node, _)| *node).filter(|node| *node != metrics.id).collect()
    }

    /// Asks another member. Race it against a change of leader where that matters: a dead peer shows only after
    /// 1.5 seconds of silence. Call it on [`runtime`](Self::runtime).
    ///
    /// # Errors
    /// [`AskError`] says whether the other member may have acted.
    pub async fn ask(
        &self,
        node: NodeNumber,
        request: ApplicationRequest,
        deadline: Duration,
    ) -> Result<ApplicationResponse, AskError> {
        let parts = &self.shared.parts;
        let listed =
            parts.raft.metrics().borrow_watched().membership_config.get_node(&node).map(|member| member.addr.clone());
        let listed = listed.ok_or_else(|| AskError::Unsent(format!("node {node:016x} is no member")))?;
        let address = parts.links.address_of(node, &listed);
        match parts.links.ask(&address, Some(node), PeerRequest::Application(request), deadline).await {
            Ok(PeerResponse::Application(response)) => Ok(response),
            Ok(_) => Err(AskError::Unknown(format!("{address} answered another question"))),
            Err(error) => Err(ask_error(&error)),
        }
    }

    /// Takes this node out of the membership for good, the leader too. Its data folder is of no use afterwards: it
    /// says so at the next start. The node should then be stopped.
    ///
    /// # Errors
    /// Why it stays, for people. Where no quorum took it within ten seconds it may have left all the same: try again.
    pub async fn leave(&self) -> Result<(), String> {
        let Parts { departure, runtime, .. } = &self.shared.parts;
        let left = runtime.spawn(departure.clone().leave()).await;
        left.unwrap_or_else(|_| Err("the node was stopped".to_owned()))
    }

    /// Hands over leadership, where this node leads, and stops; it stays a member. Harmless on a stopped node.
    pub async fn stop(&self) {
        self.shared.stopping.cancel();
        let Some(thread) = self.shared.thread.lock().take() else { return };
        // A panic on that thread has ended the node already; there is nothing left to stop.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

fn ask_error(error: &LinkError) -> AskError {
    if error.is_unsent() { AskError::Unsent(error.to_string()) } else { AskError::Unknown(error.to_string()) }
}

/// A new, empty place for the handler.
pub(super) fn handler_cell() -> run::HandlerCell {
    Arc::new(OnceLock::new())
}
