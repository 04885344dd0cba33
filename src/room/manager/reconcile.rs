//! What the registry says against what runs here.
//!
//! Events bring word at once; the comparison each second makes good what they missed. Both lead to
//! the same few steps, each harmless when it is done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Inner, Phase};
use crate::{
    adapter::{AdapterError, AdapterResult, Consistency, EventFilter, EventItem},
    model::{
        DistributedEvent, Epoch, EventKind, EventPayload, OrphanClaim, RoomEpoch, RoomId, RoomQuery, RoomRegistration,
        RoomType, RoomTypeSpec, ServerEpoch, ServerUpdate,
    },
    registry::Rejection,
    room::{actor::Stop, migration::FORWARDED},
};

/// Time between comparisons.
const PERIOD: Duration = Duration::from_secs(1);

/// What a comparison leads to.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    /// Rooms that are this server's and do not run.
    start: Vec<RoomRegistration>,
    /// Rooms that run and are not in the list: to be looked at once more.
    doubtful: Vec<RoomEpoch>,
}

/// Compares this server's rooms in the registry with those that run.
fn compare(listed: Vec<RoomRegistration>, running: &[(RoomId, Epoch)]) -> Plan {
    let running: BTreeMap<&RoomId, Epoch> = running.iter().map(|(room_id, epoch)| (room_id, *epoch)).collect();
    let matching = |row: &RoomRegistration| running.get(&row.room_id).is_some_and(|epoch| *epoch >= row.epoch);
    let confirmed: BTreeSet<RoomId> =
        listed.iter().filter(|row| matching(row)).map(|row| row.room_id.clone()).collect();
    let doubtful = running.iter().filter(|(room_id, _)| !confirmed.contains(*room_id));
    let doubtful = doubtful.map(|(room_id, epoch)| RoomEpoch { room_id: (*room_id).clone(), epoch: *epoch }).collect();
    Plan { start: listed.into_iter().filter(|row| !matching(row)).collect(), doubtful }
}

impl Inner {
    pub(super) async fn keep_reconciled(self: Arc<Self>) {
        loop {
            let server = self.server.borrow().clone();
            if let Some(server) = server
                && matches!(*self.phase.borrow(), Phase::Running | Phase::Draining)
                && let Err(error) = self.reconcile(&server).await
            {
                if matches!(error, AdapterError::Fenced { .. } | AdapterError::Rejected(Rejection::ServerUnknown(_))) {
                    self.beat_now.notify_one();
                }
                tracing::debug!(%error, "not reconciled with the registry");
            }
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn reconcile(self: &Arc<Self>, server: &ServerEpoch) -> AdapterResult<()> {
        if self.types_changed.swap(false, Ordering::AcqRel) {
            let update = ServerUpdate { room_types: Some(self.room_types()), ..ServerUpdate::default() };
            if let Err(error) = self.adapter.update_server(server, update).await {
                self.types_changed.store(true, Ordering::Release);
                return Err(error);
            }
        }
        if *self.phase.borrow() == Phase::Running {
            self.take_offers(server).await?;
            if self.options.enable_failover {
                self.take_orphans(server).await?;
            }
        }
        let query = RoomQuery { server_id: Some(server.server_id.clone()), ..RoomQuery::default() };
        let listed = self.adapter.rooms(&query, Consistency::Local).await?;
        let running: Vec<(RoomId, Epoch)> =
            self.table.rooms().iter().map(|room| (room.id().clone(), room.epoch())).collect();
        let plan = compare(listed, &running);
        for row in plan.start {
            self.start_or_clear(&row).await?;
        }
        for room in plan.doubtful {
            self.check_ownership(server, &room).await?;
        }
        Ok(())
    }

    async fn take_orphans(self: &Arc<Self>, server: &ServerEpoch) -> AdapterResult<()> {
        let capacity = usize::try_from(self.options.capacity).unwrap_or(usize::MAX);
        let limit = u32::try_from(capacity.saturating_sub(self.table.len())).unwrap_or(u32::MAX);
        let room_types: Vec<RoomType> = self.types.read().keys().cloned().collect();
        if limit == 0 || room_types.is_empty() {
            return Ok(());
        }
        let claim = OrphanClaim { claimant: server.clone(), room_types, limit };
        for row in self.adapter.claim_orphans(claim).await? {
            self.start_or_clear(&row).await?;
        }
        Ok(())
    }

    /// Starts a room that is this server's. One that has ended here is taken out of the registry, which had not heard of it.
    pub(super) async fn start_or_clear(self: &Arc<Self>, row: &RoomRegistration) -> AdapterResult<()> {
        match self.ensure(row) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                // The list may be older than the room's end.
                let present = self.adapter.room(&row.room_id, Consistency::Linearizable).await?;
                match present.filter(|present| present.epoch == row.epoch && present.server_id.is_some()) {
                    Some(present) => self.adapter.unregister_room(&present.room_epoch(), "the room has ended").await,
                    None => Ok(()),
                }
            }
            Err(error) => {
                tracing::warn!(room = %row.room_id, %error, "a room of this server cannot be started");
                Ok(())
            }
        }
    }

    /// Stops a room that is no longer this server's.
    async fn check_ownership(&self, server: &ServerEpoch, room: &RoomEpoch) -> AdapterResult<()> {
        let present = self.adapter.room(&room.room_id, Consistency::Linearizable).await?;
        let own = present.is_some_and(|present| {
            present.server_id.as_ref() == Some(&server.server_id) && present.epoch == room.epoch
        });
        // A room that is on its way knows best itself.
        let running = self.table.room(&room.room_id).filter(|running| !running.core().is_moving());
        if !own && let Some(running) = running.filter(|running| running.epoch() == room.epoch) {
            running.stop(Stop::Abandon("the room is no longer on this server".to_owned()));
        }
        Ok(())
    }

    pub(super) async fn follow_events(self: Arc<Self>) {
        while !self.cancel.is_cancelled() {
            match self.adapter.subscribe(EventFilter::All, None).await {
                Ok(mut events) => {
                    // What happened before the subscription is found by comparison.
                    self.wake.notify_one();
                    loop {
                        let item = tokio::select! {
                            () = self.cancel.cancelled() => return,
                            item = events.next() => item,
                        };
                        match item {
                            Some(EventItem::Event(event)) => self.on_event(&event).await,
                            Some(EventItem::Lagged) => self.wake.notify_one(),
                            None => break,
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "no events for now"),
            }
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn on_event(self: &Arc<Self>, event: &DistributedEvent) {
        if let Some(room_id) = &event.room_id {
            self.stir(room_id);
        }
        if matches!(event.kind, EventKind::RoomMigrated | EventKind::RoomDisposed | EventKind::ServerOffline) {
            self.handovers.send_replace(());
        }
        match (&event.kind, &event.room_id) {
            (EventKind::RoomCreated, Some(room_id)) if event.server_id.as_ref() == Some(&self.options.server_id) => {
                if let Err(error) = self.create_placed(room_id).await {
                    tracing::debug!(room = %room_id, %error, "a room that was placed here waits for the next comparison");
                }
            }
            (EventKind::RoomMessage, Some(room_id)) => {
                if let EventPayload::Message { message_type, data, player_id } = &event.payload
                    && let Some(room) = self.table.room(room_id)
                {
                    match message_type.as_str() {
                        FORWARDED => room.forwarded(data),
                        _ => room.remote_message(message_type, data, player_id.as_ref()),
                    }
                }
            }
            (EventKind::RoomUpdated, Some(room_id)) if offered_to(event) == Some(self.options.server_id.as_str()) => {
                // Not here: messages that follow other rooms must not wait for this one.
                let (inner, room_id) = (Arc::clone(self), room_id.clone());
                self.tasks.spawn(async move {
                    if let Err(error) = inner.answer_offer(&room_id).await {
                        tracing::debug!(room = %room_id, %error, "an offered room waits for the next comparison");
                    }
                });
            }
            (EventKind::RoomDisposed | EventKind::RoomMigrated, Some(room_id))
                if self.table.room(room_id).is_some() =>
            {
                self.wake.notify_one();
            }
            (EventKind::ServerOffline, _) => self.wake.notify_one(),
            _ => {}
        }
    }

    /// A room is offered to this server.
    async fn answer_offer(self: &Arc<Self>, room_id: &RoomId) -> AdapterResult<()> {
        let server = self.server.borrow().clone();
        let Some(server) = server.filter(|_| *self.phase.borrow() == Phase::Running) else { return Ok(()) };
        match self.adapter.room(room_id, Consistency::Local).await? {
            Some(row) => self.take_offer(&server, &row).await,
            None => Ok(()),
        }
    }

    /// A room was placed on this server, perhaps by another one.
    async fn create_placed(self: &Arc<Self>, room_id: &RoomId) -> Result<(), AdapterError> {
        let row = self.adapter.room(room_id, Consistency::Local).await?;
        let server = self.server.borrow().clone();
        match row.zip(server).filter(|(row, server)| row.server_id.as_ref() == Some(&server.server_id)) {
            Some((row, _)) if !self.table.is_over(&row.room_id, row.epoch) => self.start_or_clear(&row).await,
            _ => Ok(()),
        }
    }

    pub(super) fn room_types(&self) -> BTreeMap<RoomType, RoomTypeSpec> {
        self.types.read().iter().map(|(name, definition)| (name.clone(), definition.config.spec())).collect()
    }
}

/// The server that a room is offered to, in word of a change of its record.
fn offered_to(event: &DistributedEvent) -> Option<&str> {
    match &event.payload {
        EventPayload::Json(word) => word["offeredTo"].as_str(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Metadata, RoomState};

    fn row(name: &str, epoch: u64) -> RoomRegistration {
        RoomRegistration {
            room_id: RoomId::new(name).expect("a valid id"),
            room_type: RoomType::new("relay").expect("a valid type"),
            server_id: None,
            server_address: String::new(),
            player_count: 0,
            max_players: 1,
            is_locked: false,
            metadata: Metadata::default(),
            created_at: 0,
            updated_at: 0,
            epoch: Epoch(epoch),
            state: RoomState::Live,
            seat_count: 0,
            snapshot_version: None,
            options: String::new(),
            migration: None,
        }
    }

    #[test]
    fn what_is_listed_and_does_not_run_starts_and_what_runs_unlisted_is_doubtful() {
        let running = [("both", 3), ("older", 1), ("newer", 9), ("unlisted", 4)];
        let running = running.map(|(name, epoch)| (row(name, epoch).room_id, Epoch(epoch)));
        let listed = vec![row("both", 3), row("older", 2), row("newer", 8), row("missing", 5)];
        let plan = compare(listed, &running);
        let start: Vec<&str> = plan.start.iter().map(|row| row.room_id.as_str()).collect();
        assert_eq!(start, ["older", "missing"]);
        let doubtful: Vec<&str> = plan.doubtful.iter().map(|room| room.room_id.as_str()).collect();
        assert_eq!(doubtful, ["older", "unlisted"]);
    }
}
