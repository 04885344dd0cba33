//! The registry in this process's memory.
//!
//! For tests, development and games that one server carries. Several handles of one backend
//! behave as several servers of a cluster; nothing survives the process.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    AdapterError, AdapterResult, Consistency, EventHub, Lease,
    backend::{RegistryBackend, SnapshotTerms},
    leases::LeaseTable,
};
use crate::{
    clock::{Clock, millis},
    model::{DistributedEvent, NodeId, Revision, RoomId, ServerEpoch, ServerId, ServerRegistration, ServerStatus},
    registry::{Change, Command, Operation, Registry, Rejection, Reply},
};

/// Options of a [`MemoryAdapter`].
#[derive(Debug, Clone)]
pub struct MemoryOptions {
    /// How long a server counts as alive after its last heartbeat; 15 s by default, more than zero.
    pub server_ttl: Duration,
    /// Whether servers whose time is over are found without being asked for; `true` by default.
    pub enable_ttl_check: bool,
    /// The longest time between two looks for what is past its time; 5 s by default, more than zero.
    pub ttl_check_interval: Duration,
    /// What is kept of snapshots, and how long.
    pub snapshots: SnapshotTerms,
    /// The source of time.
    pub clock: Clock,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            server_ttl: Duration::from_secs(15),
            enable_ttl_check: true,
            ttl_check_interval: Duration::from_secs(5),
            snapshots: SnapshotTerms::default(),
            clock: Clock::system(),
        }
    }
}

/// One handle of a registry in memory.
#[derive(Debug)]
pub struct MemoryAdapter {
    shared: Arc<Shared>,
    node_id: NodeId,
    hub: EventHub,
    open: AtomicBool,
    check: Mutex<CancellationToken>,
}

#[derive(Debug)]
struct Shared {
    options: MemoryOptions,
    started_wall_ms: u64,
    started_boot: Duration,
    inner: Mutex<Inner>,
    /// Rung when something falls due earlier than was known.
    sooner: Notify,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    leases: LeaseTable,
    snapshots: BTreeMap<RoomId, Bytes>,
    hubs: BTreeMap<NodeId, EventHub>,
    handles: u64,
}

impl Default for MemoryAdapter {
    fn default() -> Self {
        Self::new(MemoryOptions::default())
    }
}

impl MemoryAdapter {
    /// The first handle of a new, empty registry.
    pub fn new(options: MemoryOptions) -> Self {
        let inner = Inner {
            registry: Registry::default(),
            leases: LeaseTable::new(options.server_ttl),
            snapshots: BTreeMap::new(),
            hubs: BTreeMap::new(),
            handles: 0,
        };
        let (started_wall_ms, started_boot) = (options.clock.wall_ms(), options.clock.boot());
        let shared = Shared { options, started_wall_ms, started_boot, inner: Mutex::new(inner), sooner: Notify::new() };
        Self::handle(Arc::new(shared))
    }

    /// Another handle of the same registry, as another server's of the cluster.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self::handle(Arc::clone(&self.shared))
    }

    /// Takes offline whose time is over, and frees what is past its deadline, now. The handle's own check does so
    /// by itself; this is for those who switched it off or move the clock by hand.
    pub fn expire(&self) {
        self.shared.expire();
    }

    fn handle(shared: Arc<Shared>) -> Self {
        let hub = EventHub::default();
        let node_id = {
            let mut inner = shared.inner.lock();
            inner.handles += 1;
            // What happened before this handle was made is not in its ring.
            hub.lag(Revision { index: inner.registry.last_index(), ordinal: u32::MAX });
            let node_id = NodeId(inner.handles);
            inner.hubs.insert(node_id, hub.clone());
            node_id
        };
        Self { shared, node_id, hub, open: AtomicBool::new(false), check: Mutex::new(CancellationToken::new()) }
    }

    fn ready(&self) -> AdapterResult<()> {
        if self.is_open() { Ok(()) } else { Err(AdapterError::Disconnected) }
    }
}

impl Shared {
    /// Milliseconds that follow the wall clock of the start and never jump.
    fn now_ms(&self) -> u64 {
        self.started_wall_ms + millis(self.options.clock.boot().saturating_sub(self.started_boot))
    }

    fn apply(&self, operation: Operation) -> Reply {
        let time_ms = self.now_ms();
        let mut inner = self.inner.lock();
        let due = inner.registry.next_deadline();
        let reply = inner.apply(&Command { time_ms, origin: None, operation });
        if inner.registry.next_deadline().is_some_and(|next| due.is_none_or(|due| next < due)) {
            self.sooner.notify_one();
        }
        reply
    }

    /// Reads the registry as of now: what has fallen due is not seen any more.
    fn look<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        let time_ms = self.now_ms();
        let mut inner = self.inner.lock();
        inner.tick_if_due(time_ms);
        read(&inner.registry)
    }

    fn expire(&self) {
        let (time_ms, boot) = (self.now_ms(), self.options.clock.boot());
        let mut inner = self.inner.lock();
        for server in inner.leases.ended(boot) {
            let reason = "no heartbeat within its time to live".to_owned();
            inner.apply(&Command { time_ms, origin: None, operation: Operation::ExpireServer { server, reason } });
        }
        inner.tick_if_due(time_ms);
        inner.watch(boot);
    }

    /// How long nothing falls due.
    fn quiet_for(&self) -> Duration {
        let (now_ms, boot) = (self.now_ms(), self.options.clock.boot());
        let inner = self.inner.lock();
        let deadline = inner.registry.next_deadline().map(|due| Duration::from_millis(due.saturating_sub(now_ms)));
        let lease = inner.leases.next_end().map(|end| end.saturating_sub(boot));
        let soonest = deadline.into_iter().chain(lease).min().unwrap_or(Duration::MAX);
        // Never zero, so that a clock that stands still is not asked again and again.
        soonest.min(self.options.ttl_check_interval).max(Duration::from_millis(1))
    }

    async fn check_until(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let sooner = self.sooner.notified();
            tokio::select! {
                () = stop.cancelled() => return,
                () = sooner => {}
                () = tokio::time::sleep(self.quiet_for()) => self.expire(),
            }
        }
    }
}

impl Inner {
    fn apply(&mut self, command: &Command) -> Reply {
        let applied = self.registry.apply(command);
        for change in applied.changes {
            match change {
                Change::SnapshotSaved { room_id, bytes, .. } => drop(self.snapshots.insert(room_id, bytes)),
                Change::SnapshotDropped { room_id, .. } if self.registry.snapshot_meta(&room_id).is_none() => {
                    self.snapshots.remove(&room_id);
                }
                _ => {}
            }
        }
        for hub in self.hubs.values() {
            hub.publish(applied.events.iter().cloned());
        }
        applied.reply
    }

    fn tick_if_due(&mut self, time_ms: u64) {
        if self.registry.next_deadline().is_some_and(|due| due <= time_ms) {
            self.apply(&Command { time_ms, origin: None, operation: Operation::Tick });
        }
    }

    /// Brings the leases in step with the registered servers.
    fn watch(&mut self, boot: Duration) {
        let alive = self.registry.servers().filter(|server| server.status != ServerStatus::Offline);
        let alive = alive.map(ServerRegistration::server_epoch);
        self.leases.watch(alive, boot);
    }

    fn renew(&mut self, server: &ServerEpoch, boot: Duration, seen_ms: u64) -> AdapterResult<()> {
        let present = self.registry.server(&server.server_id);
        match present.filter(|present| present.status != ServerStatus::Offline) {
            None => Err(Rejection::ServerUnknown(server.server_id.clone()).into()),
            Some(present) if present.epoch != server.epoch => Err(AdapterError::Fenced { present: present.epoch }),
            Some(_) => {
                self.leases.renew(server, boot, seen_ms);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl RegistryBackend for MemoryAdapter {
    fn backend_name(&self) -> &'static str {
        "memory"
    }

    fn lease_terms(&self) -> Lease {
        let length = self.shared.options.server_ttl;
        Lease { length, renewal: (length / 3).max(Duration::from_millis(1)) }
    }

    fn snapshot_terms(&self) -> SnapshotTerms {
        self.shared.options.snapshots
    }

    fn clock(&self) -> &Clock {
        &self.shared.options.clock
    }

    fn node_id(&self) -> NodeId {
        self.node_id
    }

    async fn open(&self) -> AdapterResult<()> {
        if !self.open.swap(true, Ordering::SeqCst) {
            self.hub.reopen();
            let stop = CancellationToken::new();
            *self.check.lock() = stop.clone();
            if self.shared.options.enable_ttl_check {
                tokio::spawn(Arc::clone(&self.shared).check_until(stop));
            }
        }
        Ok(())
    }

    async fn close(&self) -> AdapterResult<()> {
        if self.open.swap(false, Ordering::SeqCst) {
            self.check.lock().cancel();
            self.hub.close();
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    async fn propose(&self, operation: Operation) -> AdapterResult<Reply> {
        self.ready()?;
        Ok(self.shared.apply(operation))
    }

    async fn look<T, F>(&self, _: Consistency, read: F) -> AdapterResult<T>
    where
        T: Send,
        F: FnOnce(&Registry) -> T + Send,
    {
        self.ready()?;
        Ok(self.shared.look(read))
    }

    async fn renew(&self, server: &ServerEpoch) -> AdapterResult<()> {
        self.ready()?;
        let (boot, seen_ms) = (self.shared.options.clock.boot(), self.shared.options.clock.wall_ms());
        let mut inner = self.shared.inner.lock();
        let due = inner.leases.next_end();
        inner.renew(server, boot, seen_ms)?;
        if inner.leases.next_end() < due || due.is_none() {
            self.shared.sooner.notify_one();
        }
        Ok(())
    }

    async fn last_heartbeats(&self, _: Consistency) -> AdapterResult<BTreeMap<ServerId, u64>> {
        self.ready()?;
        let inner = self.shared.inner.lock();
        let seen = inner.registry.servers().filter_map(|server| {
            let seen = inner.leases.seen_ms(&server.server_epoch())?;
            Some((server.server_id.clone(), seen))
        });
        Ok(seen.collect())
    }

    async fn snapshot_bytes(&self, room_id: &RoomId) -> AdapterResult<Option<Bytes>> {
        self.ready()?;
        self.shared.inner.lock().tick_if_due(self.shared.now_ms());
        Ok(self.shared.inner.lock().snapshots.get(room_id).cloned())
    }

    fn hub(&self) -> &EventHub {
        &self.hub
    }

    async fn broadcast(&self, event: DistributedEvent) -> AdapterResult<()> {
        self.ready()?;
        let inner = self.shared.inner.lock();
        for hub in inner.hubs.values() {
            hub.publish([event.clone()]);
        }
        Ok(())
    }

    async fn deliver(&self, node: NodeId, event: DistributedEvent) -> AdapterResult<()> {
        self.ready()?;
        let hub = self.shared.inner.lock().hubs.get(&node).cloned();
        let hub = hub.ok_or_else(|| AdapterError::Unavailable(format!("node {node} is gone")))?;
        hub.publish([event]);
        Ok(())
    }
}

impl Drop for MemoryAdapter {
    fn drop(&mut self) {
        self.check.lock().cancel();
        self.shared.inner.lock().hubs.remove(&self.node_id);
    }
}
