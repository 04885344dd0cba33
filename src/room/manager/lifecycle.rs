//! A server's life in the cluster: registered, kept alive, stopped.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};

use super::{DistributedRoomManager, Inner, Phase};
use crate::{
    adapter::{AdapterError, AdapterResult, Consistency},
    model::{NewServer, NodeId, RoomQuery, ServerEpoch},
    registry::Rejection,
    room::actor::Stop,
};

/// How long a server that stops waits for a lease that is over to be renewed.
const OUT_OF_TOUCH: Duration = Duration::from_secs(5);

impl DistributedRoomManager {
    /// Connects the backend, registers this server and begins to take players. Harmless on one that runs.
    ///
    /// # Errors
    /// What the backend says; the manager can then be started again. A stopped manager gives `Disconnected`.
    pub async fn start(&self) -> AdapterResult<()> {
        let inner = &self.inner;
        let first = inner.phase.send_if_modified(|phase| {
            let first = *phase == Phase::New;
            if first {
                *phase = Phase::Starting;
            }
            first
        });
        if !first {
            return match *inner.phase.borrow() {
                Phase::Stopping | Phase::Stopped => Err(AdapterError::Disconnected),
                _ => Ok(()),
            };
        }
        if let Err(error) = inner.connect_and_register().await {
            inner.phase.send_replace(Phase::New);
            return Err(error);
        }
        if let Some(writer) = inner.release_writer.lock().take() {
            tokio::spawn(writer.run());
        }
        inner.phase.send_replace(Phase::Running);
        inner.tasks.spawn(Arc::clone(inner).keep_alive());
        inner.tasks.spawn(Arc::clone(inner).follow_events());
        inner.tasks.spawn(Arc::clone(inner).keep_reconciled());
        Ok(())
    }

    /// Ends this server's part in the cluster; the backend stays connected.
    ///
    /// `graceful`: it [drains](Self::drain) first. Otherwise every room is disposed of, its snapshot
    /// too. Harmless on one that is stopped or has not started.
    ///
    /// # Errors
    /// What the backend says to the unregistration; the server's lease ends by itself then.
    pub async fn stop(&self, graceful: bool) -> AdapterResult<()> {
        let inner = &self.inner;
        if graceful {
            self.drain().await;
        }
        let was = inner.phase.send_replace(Phase::Stopping);
        if !matches!(was, Phase::Running | Phase::Draining) {
            let never_ran = matches!(was, Phase::New | Phase::Starting);
            inner.phase.send_replace(if never_ran { Phase::Stopped } else { was });
            return Ok(());
        }
        if graceful {
            inner.break_off_rooms();
        } else {
            inner.dispose_rooms().await;
        }
        let server = inner.server.borrow().clone();
        inner.services.releases.flush().await;
        inner.cancel.cancel();
        let outcome = match server {
            // A room that could not be given up keeps its snapshot: its server's lease ends instead.
            Some(server) if graceful => inner.tell(inner.unregister_if_roomless(&server)).await,
            Some(server) => inner.tell(inner.adapter.unregister_server(&server)).await,
            None => Ok(()),
        };
        inner.server.send_replace(None);
        inner.phase.send_replace(Phase::Stopped);
        inner.tasks.close();
        outcome
    }
}

impl Inner {
    /// Tells the cluster something of this server, unless it has lost touch with it.
    pub(super) async fn tell(&self, call: impl Future<Output = AdapterResult<()>>) -> AdapterResult<()> {
        tokio::select! {
            outcome = call => outcome,
            () = self.out_of_touch() => Err(AdapterError::Unavailable("this server's lease is over".to_owned())),
        }
    }

    /// Returns once this server's lease has been over for longer than an election takes: a cluster without a quorum
    /// would be waited for in vain.
    pub(super) async fn out_of_touch(&self) {
        self.services.tenure.over_for(OUT_OF_TOUCH).await;
    }

    async fn connect_and_register(&self) -> AdapterResult<()> {
        self.adapter.connect().await?;
        self.register().await
    }

    /// Registers this server; its lease counts from before the call.
    async fn register(&self) -> AdapterResult<()> {
        let room_types = self.room_types();
        let options = &self.options;
        let server = NewServer {
            server_id: options.server_id.clone(),
            address: options.server_address.clone(),
            port: options.server_port,
            capacity: options.capacity,
            metadata: options.metadata.clone(),
            room_types,
            node_id: NodeId(0),
        };
        let sent = options.clock.boot();
        let epoch = self.adapter.register_server(server).await?;
        self.services.tenure.extend(sent, self.adapter.lease().length);
        let server_id = options.server_id.clone();
        tracing::info!(server = %server_id, %epoch, "registered");
        self.server.send_replace(Some(ServerEpoch { server_id, epoch }));
        self.wake.notify_one();
        Ok(())
    }

    /// Sends heartbeats; registers again where the registration is over.
    async fn keep_alive(self: Arc<Self>) {
        let lease = self.adapter.lease();
        let period = self.options.heartbeat_interval.min(lease.renewal).max(Duration::from_millis(1));
        let mut beat = tokio::time::interval_at(Instant::now() + period, period);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return,
                _ = beat.tick() => {}
                () = self.beat_now.notified() => {}
            }
            let server = self.server.borrow().clone();
            match server {
                Some(server) => self.beat(&server, lease.length).await,
                None => self.register_again().await,
            }
        }
    }

    async fn beat(&self, server: &ServerEpoch, lease: Duration) {
        let sent = self.options.clock.boot();
        match self.adapter.heartbeat(server).await {
            Ok(()) => self.services.tenure.extend(sent, lease),
            Err(AdapterError::Fenced { .. } | AdapterError::Rejected(Rejection::ServerUnknown(_))) => {
                tracing::warn!(server = %server.server_id, "this server's registration is over: its rooms stop, and it registers again");
                self.server.send_replace(None);
                self.abandon_rooms("this server has lost its place in the cluster");
                self.register_again().await;
            }
            Err(error) => tracing::warn!(%error, "a heartbeat was not acknowledged"),
        }
    }

    async fn register_again(&self) {
        if !matches!(*self.phase.borrow(), Phase::Running | Phase::Draining) {
            return;
        }
        if let Err(error) = self.register().await {
            return tracing::warn!(%error, "this server is not registered");
        }
        if *self.phase.borrow() == Phase::Draining {
            self.announce_draining().await;
        }
    }

    fn abandon_rooms(&self, reason: &str) {
        for room in self.table.rooms() {
            room.stop(Stop::Abandon(reason.to_owned()));
        }
    }

    /// Ends what still runs, without its last words.
    fn break_off_rooms(&self) {
        for room in self.table.rooms() {
            tracing::error!(room = %room.id(), "a room did not end in time");
        }
        self.table.abort_all();
    }

    /// Takes this server out of the registry unless rooms are still in its name: those would be disposed of with it,
    /// their snapshots too.
    async fn unregister_if_roomless(&self, server: &ServerEpoch) -> AdapterResult<()> {
        let query = RoomQuery { server_id: Some(server.server_id.clone()), ..RoomQuery::default() };
        let left = self.adapter.rooms(&query, Consistency::Linearizable).await?;
        if left.is_empty() {
            return self.adapter.unregister_server(server).await;
        }
        tracing::warn!(rooms = left.len(), "rooms could not be given up: they wait for this server's lease to end");
        Ok(())
    }

    /// Ends every room for good.
    async fn dispose_rooms(&self) {
        let deadline = Instant::now() + self.options.migration_timeout;
        // A join that was under way when the phase changed may still start one.
        while self.table.len() > 0 {
            let rooms = self.table.rooms();
            for room in &rooms {
                room.stop(Stop::Dispose("the server is stopping".to_owned()));
            }
            for room in &rooms {
                if tokio::time::timeout_at(deadline, room.over()).await.is_err() {
                    tracing::error!(room = %room.id(), "a room did not end in time");
                    self.table.abort_all();
                    return;
                }
            }
        }
    }
}
