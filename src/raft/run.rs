//! The thread of consensus: what it starts, and how it ends.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use openraft::{Instant as _, Raft, async_runtime::WatchReceiver};
use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    Member, PeerHandler, RaftConfig, RaftHandle, RaftNodeError, Storage,
    bootstrap::{Binding, Bootstrapper, Own, RecordFile},
    departure::Departure,
    links::Links,
    membership::Membership,
    membership_plan::Wishes,
    neighbours::Neighbours,
    network::NetworkFactory,
    node::Parts,
    service::Service,
    settings::openraft_settings,
    trigger_snapshots,
    types::NodeNumber,
};
use crate::{
    adapter::EventHub,
    model::NodeId,
    quic::{ClusterId, Endpoint, Identity},
};

/// How long a stopping leader waits for its successor.
const HANDOVER_MAX: Duration = Duration::from_secs(1);

/// How long consensus may take to end; it waits for the disk.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// The place for whoever serves the requests of other members.
pub(super) type HandlerCell = Arc<OnceLock<Arc<dyn PeerHandler>>>;

/// How the thread and its handle talk.
pub(super) struct Signals {
    pub(super) joined: watch::Sender<Option<ClusterId>>,
    pub(super) fatal: watch::Sender<Option<String>>,
    pub(super) stopping: CancellationToken,
}

type Started = oneshot::Sender<Result<Parts, RaftNodeError>>;

/// Runs a node until it is told to stop.
pub(super) fn run(config: &RaftConfig, events: EventHub, started: Started, signals: Signals) {
    // Whoever waits for `started` may have gone; then nobody needs the answer.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Err(error) => drop(started.send(Err(RaftNodeError::Thread(error)))),
        Ok(runtime) => runtime.block_on(async {
            match Running::start(config, events).await {
                Err(error) => drop(started.send(Err(error))),
                Ok(running) => match started.send(Ok(running.parts(config))) {
                    Ok(()) => running.go_on(config, signals).await,
                    // Starting was given up: nobody could ever stop this node.
                    Err(_) => running.close().await,
                },
            }
        }),
    }
}

/// What a node has before consensus begins: its place in a cluster and its socket.
struct Bound {
    record: Arc<RecordFile>,
    endpoint: Endpoint,
    own: Own,
    address: std::net::SocketAddr,
}

impl Bound {
    fn new(config: &RaftConfig, node: NodeNumber) -> Result<Self, RaftNodeError> {
        let binding = |source| RaftNodeError::Binding { path: config.data_dir.clone(), source };
        let record = Arc::new(RecordFile::open(&config.data_dir, node).map_err(binding)?);
        if let Binding::Left { cluster_id } = record.binding() {
            return Err(RaftNodeError::Left { cluster_id, path: config.data_dir.clone() });
        }
        let cluster_id = record.binding().firm_cluster_id();
        let identity = Identity::new(NodeId(node), config.server_id.clone(), cluster_id);
        let endpoint = Endpoint::bind(config.listen, identity, &config.security)?;
        let address = endpoint.local_addr().map_err(binding)?;
        let advertised = config.advertise.clone().unwrap_or_else(|| address.to_string());
        let expect = config.expected_nodes(&advertised)?;
        let member = Member { addr: advertised, server_id: config.server_id.to_string() };
        let own = Own { node, member, expect };
        Ok(Self { record, endpoint, own, address })
    }
}

/// Everything that runs on the thread.
struct Running {
    storage: Arc<Storage>,
    endpoint: Endpoint,
    record: Arc<RecordFile>,
    own: Own,
    links: Links,
    raft: RaftHandle,
    membership: Membership,
    handler: HandlerCell,
    answered: Arc<Mutex<BTreeMap<u64, u64>>>,
    leaving: Arc<AtomicBool>,
    address: std::net::SocketAddr,
}

impl Running {
    async fn start(config: &RaftConfig, events: EventHub) -> Result<Self, RaftNodeError> {
        let storage = Storage::open(&config.data_dir, events).await?;
        let Bound { record, endpoint, own, address } = match Bound::new(config, storage.identity().node_id) {
            Ok(bound) => bound,
            Err(error) => {
                // A socket that is taken must not cost a rebuild of the store at the next start.
                if let Err(error) = storage.close().await {
                    warn!(%error, "the data folder was not closed in order: the next start rebuilds the store");
                }
                return Err(error);
            }
        };
        let links = Links::new(endpoint.clone(), Arc::clone(&record));
        let factory = NetworkFactory::new(links.clone(), config.timing.install_snapshot);
        let settings = openraft_settings(config).validate();
        let settings = Arc::new(settings.map_err(|error| RaftNodeError::Raft(error.to_string()))?);
        let raft = Raft::new(own.node, settings, factory, storage.log(), storage.state_machine()).await;
        let raft = raft.map_err(|error| RaftNodeError::Raft(error.to_string()))?;
        let wishes = Wishes { voters_max: config.voters_max, voter_silence_max: config.voter_silence_max };
        let membership = Membership::new(raft.clone(), wishes);
        let handler = super::node::handler_cell();
        endpoint.serve(Arc::new(Service {
            own: own.clone(),
            raft: raft.clone(),
            record: Arc::clone(&record),
            snapshots: storage.snapshots().clone(),
            membership: membership.clone(),
            handler: Arc::clone(&handler),
        }));
        let (storage, answered, leaving) = (Arc::new(storage), Arc::default(), Arc::default());
        Ok(Self { storage, endpoint, record, own, links, raft, membership, handler, answered, leaving, address })
    }

    fn parts(&self, config: &RaftConfig) -> Parts {
        Parts {
            raft: self.raft.clone(),
            registry: self.storage.registry().clone(),
            proposer: self.storage.identity().proposer(),
            links: self.links.clone(),
            departure: Departure {
                raft: self.raft.clone(),
                links: self.links.clone(),
                membership: self.membership.clone(),
                record: Arc::clone(&self.record),
                leaving: Arc::clone(&self.leaving),
            },
            handler: Arc::clone(&self.handler),
            answered: Arc::clone(&self.answered),
            address: self.address,
            quorum_silence: config.timing.quorum_silence(),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    async fn go_on(self, config: &RaftConfig, signals: Signals) {
        let Signals { joined, fatal, stopping } = signals;
        let fatal = Arc::new(fatal);
        let others = config.other_peers(&self.own.member.addr);
        let mut tasks = JoinSet::new();
        tasks.spawn(self.membership.clone().look_after());
        tasks.spawn(self.neighbours(others.clone()).watch());
        tasks.spawn(trigger_snapshots(self.raft.clone(), Arc::clone(&self.storage), config.snapshots.log_bytes));
        tasks.spawn(report_end(self.raft.clone(), Arc::clone(&self.storage), Arc::clone(&fatal), stopping.clone()));
        tasks.spawn(become_member(
            self.bootstrapper(others, config),
            Arc::clone(&self.storage),
            joined,
            Arc::clone(&fatal),
        ));
        tokio::select! {
            () = stopping.cancelled() => {}
            () = first_panic(&mut tasks) => {
                error!("a task of this node has ended by a fault of the program");
                fatal.send_replace(Some("a task of this node has ended by a fault of the program".to_owned()));
                stopping.cancelled().await;
            }
        }
        hand_over(&self.raft).await;
        tasks.shutdown().await;
        self.close().await;
    }

    fn neighbours(&self, addresses: Vec<String>) -> Neighbours {
        Neighbours {
            own: self.own.clone(),
            addresses,
            links: self.links.clone(),
            record: Arc::clone(&self.record),
            raft: self.raft.clone(),
            membership: self.membership.clone(),
            leaving: Arc::clone(&self.leaving),
            applied: Arc::clone(&self.answered),
        }
    }

    fn bootstrapper(&self, addresses: Vec<String>, config: &RaftConfig) -> Bootstrapper {
        Bootstrapper {
            own: self.own.clone(),
            addresses,
            voters_max: config.voters_max,
            links: self.links.clone(),
            record: Arc::clone(&self.record),
            identity: self.endpoint.identity().clone(),
            raft: self.raft.clone(),
        }
    }

    async fn close(self) {
        let shutdown = timeout(SHUTDOWN_MAX, self.raft.shutdown()).await;
        if let Ok(Err(error)) = &shutdown {
            warn!(%error, "consensus did not stop in order");
        }
        self.links.close();
        self.endpoint.close().await;
        if shutdown.is_err() {
            warn!("consensus does not end, perhaps since the disk does not answer: the next start rebuilds the store");
            return;
        }
        let Some(storage) = Arc::into_inner(self.storage) else {
            warn!("the data folder is still in use: the next start rebuilds the store");
            return;
        };
        if let Err(error) = storage.close().await {
            warn!(%error, "the data folder was not closed in order: the next start rebuilds the store");
        }
    }
}

/// Returns once a task has panicked; a node without one of its parts must not go on as if it were whole.
async fn first_panic(tasks: &mut JoinSet<()>) {
    loop {
        match tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// Looks for the cluster until the node is a member, and keeps that.
async fn become_member(
    bootstrapper: Bootstrapper,
    storage: Arc<Storage>,
    joined: watch::Sender<Option<ClusterId>>,
    fatal: Arc<watch::Sender<Option<String>>>,
) {
    let ended = match bootstrapper.run().await {
        Ok(cluster_id) => {
            let text = cluster_id.to_string();
            let saved = tokio::task::spawn_blocking(move || storage.save_cluster_id(&text)).await;
            match saved {
                Ok(Ok(())) => {
                    info!(%cluster_id, "this node is a member of the cluster");
                    joined.send_replace(Some(cluster_id));
                    return;
                }
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            }
        }
        Err(error) => error.to_string(),
    };
    debug!(reason = ended, "this node cannot become a member");
    fatal.send_replace(Some(ended));
}

/// Says so when consensus ends by itself: a node whose disk fails must not go on.
async fn report_end(
    raft: RaftHandle,
    storage: Arc<Storage>,
    fatal: Arc<watch::Sender<Option<String>>>,
    stopping: CancellationToken,
) {
    let mut metrics = raft.metrics();
    loop {
        let state = metrics.borrow_and_update().running_state.clone();
        if let Err(end) = state
            && !stopping.is_cancelled()
        {
            error!(%end, "consensus has stopped");
            fatal.send_replace(Some(storage.failure().unwrap_or_else(|| format!("consensus has stopped: {end}"))));
            return;
        }
        if metrics.changed().await.is_err() {
            // A panic within leaves no last word.
            if !stopping.is_cancelled() {
                error!("consensus has ended by a fault of the program");
                fatal.send_replace(Some("consensus has ended by a fault of the program".to_owned()));
            }
            return;
        }
    }
}

/// Has the voter that lags least lead, where this node leads and there is another.
pub(super) async fn hand_over(raft: &RaftHandle) {
    let successor = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let voters: Vec<_> = metrics.membership_config.voter_ids().filter(|node| *node != metrics.id).collect();
        let heard = |node: &u64| metrics.heartbeat.as_ref().and_then(|all| all.get(node).copied().flatten());
        let lives = |node: &u64| heard(node).is_some_and(|heard| heard.elapsed() < HANDOVER_MAX / 2);
        let matching = metrics.replication.iter().flatten().filter(|(node, _)| voters.contains(node) && lives(node));
        matching.max_by_key(|(_, id)| id.map(|id| id.index)).map(|(node, _)| *node)
    };
    let Some(successor) = successor.filter(|_| raft.is_leader()) else { return };
    let transferred = timeout(HANDOVER_MAX, raft.trigger().transfer_leader(successor)).await;
    if matches!(transferred, Ok(Ok(()))) {
        let own = *raft.node_id();
        let wait = raft.wait(Some(HANDOVER_MAX));
        let led = wait.metrics(|metrics| metrics.current_leader.is_some_and(|leader| leader != own), "another leads");
        if led.await.is_err() {
            warn!("leadership was not handed over in time: an election follows");
        }
    }
}
