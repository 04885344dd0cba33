//! The leader's watch over the servers: who is alive, and what falls due.
//!
//! Heartbeats are not logged. The leader renews a lease in its memory, after a round that began
//! after the heartbeat came has confirmed that it leads; so a deposed leader keeps nobody alive. A
//! new leader gives every server one full lease. That a lease has ended is a logged command.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::{ApplicationRefusal, RaftHandle, SharedRegistry, leader::Leader};
use crate::{
    adapter::LeaseTable,
    clock::Clock,
    model::{ServerEpoch, ServerId, ServerRegistration, ServerStatus},
    registry::{Operation, Registry, Rejection, Reply},
};

/// The longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a look waits for its commands to be committed before it looks again.
const COMMIT_MAX: Duration = Duration::from_secs(2);

/// A node's watch; it does nothing while the node does not lead.
#[derive(Debug)]
pub(super) struct Leases {
    raft: RaftHandle,
    registry: SharedRegistry,
    leader: Arc<Leader>,
    clock: Clock,
    length: Duration,
    watch: Mutex<Watch>,
}

#[derive(Debug)]
struct Watch {
    /// The term in which the leases were granted.
    term: Option<u64>,
    looked: Duration,
    table: LeaseTable,
}

impl Leases {
    pub(super) fn new(
        raft: RaftHandle,
        registry: SharedRegistry,
        leader: Arc<Leader>,
        clock: Clock,
        length: Duration,
    ) -> Self {
        let watch = Watch { term: None, looked: clock.boot(), table: LeaseTable::new(length) };
        Self { raft, registry, leader, clock, length, watch: Mutex::new(watch) }
    }

    /// A server says that it is alive. The reply says whether its registration is the present one.
    pub(super) async fn heartbeat(&self, server: &ServerEpoch) -> Result<Reply, ApplicationRefusal> {
        let (arrived, seen_ms) = (self.clock.boot(), self.clock.wall_ms());
        let log_id = self.leader.confirm().await?;
        self.registry_at(log_id.index).await?;
        let refusal = self.registry.read(|registry| refusal(registry, server));
        Ok(refusal.unwrap_or_else(|| {
            self.watch.lock().table.renew(server, arrived, seen_ms);
            Reply::Done
        }))
    }

    /// When each server's last heartbeat came, in milliseconds since 1970.
    pub(super) fn seen(&self) -> BTreeMap<ServerId, u64> {
        let servers: Vec<ServerEpoch> =
            self.registry.read(|registry| registry.servers().map(ServerRegistration::server_epoch).collect());
        let watch = self.watch.lock();
        let seen = servers.into_iter().filter_map(|server| Some((watch.table.seen_ms(&server)?, server.server_id)));
        seen.map(|(seen_ms, server_id)| (server_id, seen_ms)).collect()
    }

    /// Looks for ended leases and for what falls due, as long as it is polled.
    pub(super) async fn keep_watch(self: Arc<Self>) {
        loop {
            let due = match self.leading_term() {
                None => {
                    self.watch.lock().term = None;
                    Vec::new()
                }
                Some(term) => self.look(term),
            };
            if !due.is_empty() {
                // Whatever was not committed is still due at the next look.
                let _ = timeout(COMMIT_MAX, self.leader.keep_books(due)).await;
            }
            sleep(self.pause()).await;
        }
    }

    /// The present term, where this node leads and has committed an entry of its own.
    fn leading_term(&self) -> Option<u64> {
        let applied = self.registry.last_applied()?.leader_id;
        let metrics = self.raft.server_metrics();
        let vote = metrics.borrow_watched().vote;
        (self.raft.is_leader() && applied == vote.leader_id).then_some(applied.term)
    }

    /// The commands that are due now.
    fn look(&self, term: u64) -> Vec<Operation> {
        let (boot, now_ms) = (self.clock.boot(), self.leader.now_ms());
        let (alive, tick) = self.registry.read(|registry| {
            let alive = registry.servers().filter(|server| server.status != ServerStatus::Offline);
            let alive: Vec<ServerEpoch> = alive.map(ServerRegistration::server_epoch).collect();
            (alive, registry.next_deadline().is_some_and(|deadline| deadline <= now_ms))
        });
        let mut watch = self.watch.lock();
        // A leader that was stopped for a while knows nothing of the heartbeats of that time: it begins anew.
        let paused = boot.saturating_sub(watch.looked) > self.length / 2;
        if watch.term != Some(term) || paused {
            watch.term = Some(term);
            watch.table = LeaseTable::new(self.length);
        }
        watch.looked = boot;
        watch.table.watch(alive, boot);
        let reason = || format!("no heartbeat within its lease of {} ms", self.length.as_millis());
        let ended = watch.table.ended(boot).into_iter();
        let expired = ended.map(|server| Operation::ExpireServer { server, reason: reason() });
        expired.chain(tick.then_some(Operation::Tick)).collect()
    }

    fn pause(&self) -> Duration {
        let watch = self.watch.lock();
        if watch.term.is_none() {
            return LOOK_EVERY;
        }
        let now_ms = self.leader.now_ms();
        let deadline = self.registry.read(Registry::next_deadline);
        let deadline = deadline.map(|deadline| Duration::from_millis(deadline.saturating_sub(now_ms)));
        let lease = watch.table.next_end().map(|end| end.saturating_sub(self.clock.boot()));
        let soonest = deadline.into_iter().chain(lease).min().unwrap_or(LOOK_EVERY);
        soonest.clamp(Duration::from_millis(1), LOOK_EVERY)
    }

    async fn registry_at(&self, index: u64) -> Result<(), ApplicationRefusal> {
        if self.registry.last_applied().is_some_and(|applied| applied.index >= index) {
            return Ok(());
        }
        let waited = self.raft.wait(Some(COMMIT_MAX)).applied_index_at_least(Some(index), "a heartbeat").await;
        waited.map(drop).map_err(|error| ApplicationRefusal::NotReady(error.to_string()))
    }
}

/// Why a server's registration is not the present one.
fn refusal(registry: &Registry, server: &ServerEpoch) -> Option<Reply> {
    match registry.server(&server.server_id).filter(|present| present.status != ServerStatus::Offline) {
        None => Some(Reply::Rejected(Rejection::ServerUnknown(server.server_id.clone()))),
        Some(present) if present.epoch != server.epoch => Some(Reply::Fenced { present: present.epoch }),
        Some(_) => None,
    }
}
