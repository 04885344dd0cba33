//! A room's beginning: made anew, or restored from its snapshot.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Origin, RoomActor, guard::guard_for, stopped, work};
use crate::{
    adapter::AdapterResult,
    crash_point::crash_point,
    model::{RoomSnapshot, RoomState, RoomUpdate},
    registry::MOVE_GRACE_MS,
    room::{Player, RoomError, core::Ended, player::Identity},
};

/// How long `on_create` or `restore` may take, and how long the registry is waited for.
const BEGIN_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait before the registry is asked again.
const RETRY: Duration = Duration::from_millis(250);

/// How long the players of a room that moved are waited for at least.
const MOVE_GRACE: Duration = Duration::from_millis(MOVE_GRACE_MS);
/// How long a restored room waits for a player before it counts as empty.
const RESTORED_WAIT: Duration = Duration::from_mins(1);

/// How a room begins.
#[derive(Debug)]
pub(crate) enum Start {
    /// With `on_create`. `keeps_empty`: nobody has reserved a seat, so it waits for its first player.
    Create { options: Value, keeps_empty: bool },
    /// From its last snapshot. `origin`: it comes from a server that still lives.
    Restore { origin: Option<Origin> },
}

impl RoomActor {
    /// Makes the room and declares it live.
    pub(super) async fn begin(&mut self, start: Start) -> Result<(), Ended> {
        self.may_act().await?;
        self.core().outbox.cork();
        let mut stop = self.inlets.stop.clone();
        let made = tokio::select! {
            made = self.make(start) => made,
            // A room that is not made yet has nothing to save.
            stop = stopped(&mut stop) => Err(stop.into()),
        };
        made?;
        while let Ok(effect) = self.inlets.effects.try_recv() {
            self.apply(effect).await;
        }
        if let Some(ended) = self.ending.take() {
            return Err(ended);
        }
        self.may_act().await?;
        let mut update = std::mem::take(&mut self.update);
        update.state = Some(RoomState::Live);
        if self.origin.is_some() {
            crash_point("migration::restored").await;
        }
        self.declare(update).await?;
        self.origin = None;
        self.core().begun.cancel();
        if self.core().player_count() == 0 {
            self.check_vacancy();
        }
        Ok(())
    }

    async fn make(&mut self, start: Start) -> Result<(), Ended> {
        match start {
            Start::Create { options, keeps_empty } => {
                self.keeps_empty = keeps_empty;
                let hook = self.room.on_create(&mut self.context, options);
                let outcome = guard_for("on_create", BEGIN_LIMIT, hook).await;
                self.made(outcome).await
            }
            Start::Restore { origin } => {
                self.origin = origin;
                let snapshot = self.load().await?;
                if let Some(origin) = self.origin.as_ref().filter(|origin| snapshot.version < origin.version) {
                    let (found, offered) = (snapshot.version, origin.version);
                    return Err(Ended::Failed(format!("its snapshot has version {found}, {offered} was offered")));
                }
                self.expect_players(&snapshot);
                self.context.saver.restored(&snapshot);
                let hook = self.room.restore(&mut self.context, snapshot.state);
                let outcome = guard_for("restore", BEGIN_LIMIT, hook).await;
                self.made(outcome).await
            }
        }
    }

    async fn made(&mut self, outcome: Result<(), RoomError>) -> Result<(), Ended> {
        let Err(error) = outcome else { return Ok(()) };
        let reason = error.to_string();
        self.check(Err(error)).await;
        Err(Ended::Failed(reason))
    }

    async fn load(&mut self) -> Result<RoomSnapshot, Ended> {
        let adapter = std::sync::Arc::clone(&self.services.adapter);
        let room_id = self.core().room_id.clone();
        match retried(|| adapter.load_snapshot(&room_id)).await {
            Ok(Some(snapshot)) => Ok(snapshot),
            Ok(None) => Err(Ended::Failed("it has no snapshot to be restored from".to_owned())),
            Err(error) if work::is_passing(&error) => Err(Ended::Lost(error.to_string())),
            Err(error) => Err(Ended::Failed(error.to_string())),
        }
    }

    /// Players of the snapshot may come back until their grace period is over.
    fn expect_players(&mut self, snapshot: &RoomSnapshot) {
        let core = std::sync::Arc::clone(self.handle.core_arc());
        let grace = core.config.reconnect_grace;
        // The players of a room that moves have not lost their connections: they are being told.
        let due = Instant::now() + if self.origin.is_some() { grace.max(MOVE_GRACE) } else { grace };
        for kept in &snapshot.players {
            let identity = Identity {
                id: kept.id.clone(),
                room_id: core.room_id.clone(),
                seat_id: kept.seat_id,
                data: kept.data.clone(),
            };
            core.insert(Player::new(identity, std::sync::Arc::clone(&core.outbox), core.effects.clone()));
            self.away.insert(kept.seat_id, due);
        }
        self.keeps_empty = snapshot.players.is_empty();
        self.kept_until = Some(Instant::now() + RESTORED_WAIT);
    }

    async fn declare(&mut self, update: RoomUpdate) -> Result<(), Ended> {
        let (adapter, room) = (std::sync::Arc::clone(&self.services.adapter), self.core().room_epoch());
        let mut stop = self.inlets.stop.clone();
        let declared = tokio::select! {
            declared = retried(|| adapter.update_room(&room, update.clone())) => declared,
            stop = stopped(&mut stop) => return Err(stop.into()),
        };
        match declared {
            Ok(()) => Ok(()),
            Err(error) if work::is_loss(&error) => Err(Ended::Lost(error.to_string())),
            Err(error) => Err(Ended::Failed(error.to_string())),
        }
    }
}

/// Asks again while that may help.
async fn retried<T, F: Future<Output = AdapterResult<T>>>(mut ask: impl FnMut() -> F) -> AdapterResult<T> {
    let give_up = Instant::now() + BEGIN_LIMIT;
    loop {
        match ask().await {
            Err(error) if work::is_passing(&error) && Instant::now() < give_up => tokio::time::sleep(RETRY).await,
            answer => return answer,
        }
    }
}
