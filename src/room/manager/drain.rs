//! A server hands its rooms on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{DistributedRoomManager, Inner, Phase};
use crate::{
    adapter::Consistency,
    model::{RoomId, ServerId, ServerStatus, ServerUpdate},
    room::{
        DrainReport, DrainedRoom, MigrationError, RoomFate, RoomHandle,
        actor::Stop,
        core::Ended,
        migration::{Load, spread},
    },
};

/// So many rooms are on their way at once; the others go on until it is their turn.
const PARALLEL: usize = 8;
/// How often a room that was not taken is offered to another server.
const ROUNDS: usize = 3;
/// How long to wait before the cluster is told again that this server drains.
const RETRY: Duration = Duration::from_millis(250);

impl DistributedRoomManager {
    /// Hands every room of this server on, and returns when it has none left.
    ///
    /// From now on it takes no new players and no new rooms (`UNAVAILABLE`); it stays registered as
    /// draining until it is [stopped](Self::stop). Each room goes to a server that serves its type
    /// and has room left, spread evenly, some at a time; each is bounded by `migration_timeout`.
    /// What nobody can take is saved and parked; a room without a state to save ends.
    /// Harmless on a server that drained already, or does not run: the report is empty then.
    pub async fn drain(&self) -> DrainReport {
        let _one_at_a_time = self.inner.draining.lock().await;
        self.inner.drain().await
    }
}

impl Inner {
    pub(super) async fn drain(&self) -> DrainReport {
        let began = Instant::now();
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Draining;
            }
            running
        });
        if *self.phase.borrow() != Phase::Draining {
            return DrainReport::default();
        }
        self.announce_draining().await;
        let mut drained = BTreeMap::new();
        // A join that was under way when the phase changed may still have started a room.
        while self.table.len() > 0 {
            self.move_rooms(&mut drained).await;
            let left = self.table.rooms();
            self.give_up(&left, &mut drained).await;
            if left.iter().any(|room| !room.is_over()) {
                break;
            }
        }
        DrainReport { rooms: drained.into_values().collect(), took: began.elapsed() }
    }

    /// Tells the cluster; tries for as long as one room may take.
    pub(super) async fn announce_draining(&self) {
        let update = ServerUpdate { status: Some(ServerStatus::Draining), ..ServerUpdate::default() };
        let deadline = Instant::now() + self.options.migration_timeout;
        loop {
            let Some(server) = self.server.borrow().clone() else { return };
            match self.tell(self.adapter.update_server(&server, update.clone())).await {
                Ok(()) => return,
                Err(error) if Instant::now() >= deadline => {
                    return tracing::warn!(%error, "the cluster does not know that this server drains");
                }
                Err(_) => tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = self.out_of_touch() => return,
                },
            }
        }
    }

    /// Moves what others can take.
    async fn move_rooms(&self, drained: &mut BTreeMap<RoomId, DrainedRoom>) {
        let mut shunned: BTreeMap<RoomId, BTreeSet<ServerId>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let rooms: Vec<RoomHandle> = self.table.rooms().into_iter().filter(|room| !room.is_over()).collect();
            let servers = tokio::select! {
                servers = self.adapter.servers(Consistency::Linearizable) => servers,
                () = self.out_of_touch() => return,
            };
            let servers = match servers {
                Ok(servers) => servers,
                Err(error) => return tracing::warn!(%error, "nowhere to move this server's rooms to"),
            };
            let load = |room: &RoomHandle| Load {
                room_type: room.room_type().clone(),
                shunned: shunned.get(room.id()).cloned().unwrap_or_default(),
            };
            let loads: Vec<Load> = rooms.iter().map(load).collect();
            let targets = spread(&loads, &servers, &self.options.server_id);
            let plan: Vec<(RoomHandle, ServerId)> =
                rooms.into_iter().zip(targets).filter_map(|(room, target)| Some((room, target?))).collect();
            if plan.is_empty() {
                return;
            }
            let mut outcomes = stream::iter(plan)
                .map(|(room, target)| async move {
                    let outcome = self.send_away(&room, &target).await;
                    (room, target, outcome)
                })
                .buffer_unordered(PARALLEL);
            while let Some((room, target, outcome)) = outcomes.next().await {
                match outcome {
                    Ok(moved) => {
                        let fate = RoomFate::Moved { to: moved.to, frozen: moved.frozen };
                        let line = DrainedRoom { players: moved.players, fate, ..line(&room) };
                        drained.insert(moved.room_id, line);
                    }
                    Err(error) => {
                        tracing::info!(room = %room.id(), %target, %error, "a room was not moved");
                        let shunned = shunned.entry(room.id().clone()).or_default();
                        shunned.insert(target);
                        if !may_move_elsewhere(&error) {
                            shunned.extend(servers.iter().map(|server| server.server_id.clone()));
                        }
                    }
                }
            }
        }
    }

    /// Saves rooms and gives them up without an heir.
    async fn give_up(&self, rooms: &[RoomHandle], drained: &mut BTreeMap<RoomId, DrainedRoom>) {
        for room in rooms {
            room.stop(Stop::Park);
        }
        let deadline = Instant::now() + self.options.migration_timeout;
        for room in rooms {
            let line = drained.entry(room.id().clone()).or_insert_with(|| line(room));
            let over = async {
                tokio::select! {
                    biased;
                    over = timeout_at(deadline, room.over()) => over.map_err(|_| "it did not end in time: a hook holds it up, or the registry does not answer"),
                    () = self.out_of_touch() => Err("this server has lost touch with its cluster"),
                }
            };
            line.fate = match over.await {
                Ok(()) => fate(room),
                Err(reason) => RoomFate::Stayed { reason: reason.to_owned() },
            };
        }
    }
}

/// What became of a room that is over here.
fn fate(room: &RoomHandle) -> RoomFate {
    match room.core().ended.get() {
        Some(Ended::Parked) => RoomFate::Parked,
        Some(Ended::Disposed(reason) | Ended::Failed(reason)) => RoomFate::Disposed { reason: reason.clone() },
        Some(Ended::Moved(owner)) if let Some(to) = owner.server_id.clone() => {
            RoomFate::Moved { to, frozen: Duration::ZERO }
        }
        Some(Ended::Lost(reason)) => RoomFate::Stayed { reason: reason.clone() },
        Some(Ended::Moved(_)) | None => RoomFate::Stayed { reason: "its task was ended".to_owned() },
    }
}

/// Whether another server may take what this one did not.
fn may_move_elsewhere(error: &MigrationError) -> bool {
    matches!(error, MigrationError::Refused(_) | MigrationError::NotTaken { .. })
}

fn line(room: &RoomHandle) -> DrainedRoom {
    DrainedRoom {
        room_id: room.id().clone(),
        room_type: room.room_type().clone(),
        players: room.player_count(),
        fate: RoomFate::Parked,
    }
}
