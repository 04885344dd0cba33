//! The registry in a Raft cluster that the servers themselves form.
//!
//! Each handle runs one node of the cluster: connecting starts it and waits until it is a member,
//! disconnecting stops it in order. Any handle takes any call.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    AdapterError, AdapterResult, Consistency, EventHub, Lease,
    backend::{RegistryBackend, SnapshotTerms},
};
use crate::{
    clock::Clock,
    model::{DistributedEvent, NodeId, RoomId, ServerEpoch, ServerId},
    raft::{FrontTimes, RaftConfig, RaftFront, RaftNode, RaftNodeError},
    registry::{Operation, Registry, Rejection, Reply},
};

/// Options of a [`RaftAdapter`].
#[derive(Debug, Clone)]
pub struct RaftOptions {
    /// The node.
    pub node: RaftConfig,
    /// How long a parked room and its snapshot are kept; zero = for ever. A day by default.
    pub snapshot_ttl: Duration,
    /// How long a call waits for its outcome at most, retries included; 5 s by default.
    pub call_max: Duration,
    /// The source of time.
    pub clock: Clock,
}

impl RaftOptions {
    /// The defaults for a node.
    pub fn new(node: RaftConfig) -> Self {
        let snapshot_ttl = SnapshotTerms::default().ttl;
        Self { node, snapshot_ttl, call_max: Duration::from_secs(5), clock: Clock::system() }
    }
}

/// One node of a Raft cluster, as a backend.
#[derive(Debug)]
pub struct RaftAdapter {
    options: RaftOptions,
    hub: EventHub,
    front: RwLock<Option<RaftFront>>,
    /// The node while it looks for its cluster.
    joining: RwLock<Option<RaftNode>>,
    /// Held while the node is started or stopped.
    changing: Mutex<()>,
    /// Ends a start that still looks for the cluster, which may take for ever.
    starting: RwLock<Option<CancellationToken>>,
}

impl RaftAdapter {
    /// A handle that is not connected yet.
    pub fn new(options: RaftOptions) -> Self {
        let (front, joining, starting) = (RwLock::new(None), RwLock::new(None), RwLock::new(None));
        Self { options, hub: EventHub::default(), front, joining, changing: Mutex::new(()), starting }
    }

    /// The node, while the handle is connected or connects.
    pub fn node(&self) -> Option<RaftNode> {
        let connected = self.front.read().as_ref().map(|front| front.node().clone());
        connected.or_else(|| self.joining.read().clone())
    }

    fn front(&self) -> AdapterResult<RaftFront> {
        self.front.read().clone().ok_or(AdapterError::Disconnected)
    }

    async fn start(&self, given_up: &CancellationToken) -> AdapterResult<RaftFront> {
        let RaftOptions { node: config, call_max, clock, .. } = self.options.clone();
        let times = FrontTimes { lease: config.lease, answer_max: config.timing.request, call_max };
        let node = RaftNode::start(config, self.hub.clone()).await.map_err(|error| start_error(&error))?;
        *self.joining.write() = Some(node.clone());
        let _joining = Joining(&self.joining);
        let front = RaftFront::start(node.clone(), self.hub.clone(), clock, times).await;
        let joined = given_up.run_until_cancelled(node.joined()).await;
        let Some(joined) = joined else {
            drop(front);
            node.stop().await;
            return Err(AdapterError::Disconnected);
        };
        match (front, joined) {
            (Ok(front), Ok(_)) => Ok(front),
            (front, joined) => {
                node.stop().await;
                Err(joined.err().map_or_else(
                    || front.err().unwrap_or(AdapterError::Disconnected),
                    |reason| AdapterError::Startup(format!("this node cannot join its cluster: {reason}")),
                ))
            }
        }
    }
}

/// Takes the node out of sight again, also where connecting is given up half-way: its last clone stops it.
struct Joining<'a>(&'a RwLock<Option<RaftNode>>);

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        *self.0.write() = None;
    }
}

fn start_error(error: &RaftNodeError) -> AdapterError {
    match error {
        RaftNodeError::Config(error) => Rejection::Invalid(error.to_string()).into(),
        other => AdapterError::Startup(format!("this node cannot start: {other}")),
    }
}

#[async_trait]
impl RegistryBackend for RaftAdapter {
    fn backend_name(&self) -> &'static str {
        "raft"
    }

    fn lease_terms(&self) -> Lease {
        let length = self.options.node.lease;
        Lease { length, renewal: length / 6 }
    }

    fn snapshot_terms(&self) -> SnapshotTerms {
        SnapshotTerms { bytes_max: self.options.node.snapshots.room_bytes_max, ttl: self.options.snapshot_ttl }
    }

    fn clock(&self) -> &Clock {
        &self.options.clock
    }

    fn node_id(&self) -> NodeId {
        self.node().map_or(NodeId(0), |node| NodeId(node.proposer().node))
    }

    async fn open(&self) -> AdapterResult<()> {
        let _changing = self.changing.lock().await;
        if self.is_open() {
            return Ok(());
        }
        self.hub.reopen();
        let given_up = CancellationToken::new();
        *self.starting.write() = Some(given_up.clone());
        let front = self.start(&given_up).await;
        *self.starting.write() = None;
        *self.front.write() = Some(front?);
        Ok(())
    }

    async fn close(&self) -> AdapterResult<()> {
        if let Some(starting) = &*self.starting.read() {
            starting.cancel();
        }
        let _changing = self.changing.lock().await;
        let front = self.front.write().take();
        if let Some(front) = front {
            self.hub.close();
            let node = front.node().clone();
            drop(front);
            node.stop().await;
        }
        Ok(())
    }

    fn round_trips_known(&self) -> BTreeMap<String, Duration> {
        self.node().map(|node| node.round_trips()).unwrap_or_default()
    }

    fn is_open(&self) -> bool {
        self.front.read().is_some()
    }

    async fn propose(&self, operation: Operation) -> AdapterResult<Reply> {
        self.front()?.propose(operation).await
    }

    async fn look<T, F>(&self, consistency: Consistency, read: F) -> AdapterResult<T>
    where
        T: Send,
        F: FnOnce(&Registry) -> T + Send,
    {
        let front = self.front()?;
        if consistency == Consistency::Linearizable {
            front.caught_up().await?;
        }
        Ok(front.registry().read(read))
    }

    async fn renew(&self, server: &ServerEpoch) -> AdapterResult<()> {
        match self.front()?.heartbeat(server).await? {
            Reply::Fenced { present } => Err(AdapterError::Fenced { present }),
            Reply::Rejected(rejection) => Err(rejection.into()),
            _ => Ok(()),
        }
    }

    async fn last_heartbeats(&self, consistency: Consistency) -> AdapterResult<BTreeMap<ServerId, u64>> {
        let front = self.front()?;
        match consistency {
            Consistency::Linearizable => front.heartbeats().await,
            Consistency::Local => Ok(BTreeMap::new()),
        }
    }

    async fn snapshot_bytes(&self, room_id: &RoomId) -> AdapterResult<Option<Bytes>> {
        self.front()?.snapshot_bytes(room_id).await
    }

    fn hub(&self) -> &EventHub {
        &self.hub
    }

    async fn broadcast(&self, event: DistributedEvent) -> AdapterResult<()> {
        self.front()?.broadcast(event)
    }

    async fn deliver(&self, node: NodeId, event: DistributedEvent) -> AdapterResult<()> {
        self.front()?.deliver(node, event)
    }
}
