//! What a room asks and tells the registry while it goes on.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{RoomActor, Way, guard::guard_call};
use crate::{
    adapter::{AdapterError, AdapterResult, Consistency},
    model::{PlayerId, RoomState, RoomUpdate, SeatGrant},
    registry::Rejection,
    room::{
        ConnectionId, RoomError,
        core::{Ended, RoomCore},
        saver::Taken,
        services::Services,
    },
};

/// How long to wait before an update that failed is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How long to wait before the registry is asked again whether every seat is free.
const VACANCY_RETRY: Duration = Duration::from_secs(1);

/// An answer of the registry, or the end of something else that was waited for.
pub(super) enum Done {
    /// The room's record was changed, or not.
    Updated { update: RoomUpdate, answer: AdapterResult<()> },
    /// A periodic snapshot was kept, or not.
    Saved { taken: Box<Taken>, answer: AdapterResult<()> },
    /// A player's seat was confirmed, or not.
    Returned(Box<Returned>),
    /// A player's connection is closed, or the player has gone.
    Closed { player_id: PlayerId, connection: ConnectionId },
    /// Whether every seat is free.
    Vacant(AdapterResult<Vacancy>),
}

/// What came of a player's wish to have its seat back.
pub(super) struct Returned {
    pub(super) way: Way,
    /// Whether the room knew the player when the registry was asked.
    pub(super) was_here: bool,
    pub(super) answer: AdapterResult<SeatGrant>,
}

/// Whether a room's seats are free.
pub(super) enum Vacancy {
    /// All are, and none can be taken any more: the room is locked.
    Free,
    /// Some are not.
    Taken,
    /// Some were taken at the last moment, when the room had been locked already.
    TakenAndLocked,
}

impl RoomActor {
    pub(super) async fn done(&mut self, done: Done) {
        match done {
            Done::Updated { update, answer } => self.updated(update, answer),
            Done::Saved { taken, answer } => self.saved(*taken, answer).await,
            Done::Returned(returned) => self.returned(*returned).await,
            Done::Closed { player_id, connection } => self.disconnected(&player_id, connection).await,
            Done::Vacant(answer) => self.vacant(&answer),
        }
    }

    /// Tells the registry what has changed, one update at a time.
    pub(super) fn push_update(&mut self) {
        if self.pending.update || self.pending.vacancy || self.update == RoomUpdate::default() {
            return;
        }
        self.pending.update = true;
        let update = std::mem::take(&mut self.update);
        let (services, room) = (Arc::clone(&self.services), self.core().room_epoch());
        self.work.push(Box::pin(async move {
            let answer = services.adapter.update_room(&room, update.clone()).await;
            if answer.as_ref().is_err_and(is_passing) {
                tokio::time::sleep(RETRY).await;
            }
            Done::Updated { update, answer }
        }));
    }

    fn updated(&mut self, update: RoomUpdate, answer: AdapterResult<()>) {
        self.pending.update = false;
        match answer {
            Ok(()) => {}
            Err(error) if is_passing(&error) => {
                let newer = std::mem::take(&mut self.update);
                self.update = merged(update, newer);
            }
            Err(error) if is_loss(&error) => self.ending = Some(Ended::Lost(error.to_string())),
            Err(error) => tracing::error!(room = %self.core().room_id, %error, "the room's change was refused"),
        }
    }

    /// Writes a snapshot where the state has changed since the last one; the room does not wait for it.
    pub(super) async fn save_if_changed(&mut self) {
        if self.pending.save {
            return;
        }
        let state = match guard_call(|| self.room.save()) {
            Ok(Some(state)) => state,
            Ok(None) => return,
            Err(error) => return self.check(Err(error)).await,
        };
        match self.context.saver.take(self.handle.core(), state) {
            Err(error) => self.check(Err(error)).await,
            Ok(Err(_unchanged)) => {}
            Ok(Ok(taken)) => {
                self.pending.save = true;
                let (services, core) = (Arc::clone(&self.services), Arc::clone(self.handle.core_arc()));
                self.work.push(Box::pin(async move {
                    let answer = taken.write(&*services.adapter, &core).await;
                    Done::Saved { taken: Box::new(taken), answer }
                }));
            }
        }
    }

    async fn saved(&mut self, taken: Taken, answer: AdapterResult<()>) {
        self.pending.save = false;
        match answer {
            Ok(()) => self.context.saver.keep(taken),
            Err(error) if is_loss(&error) => self.ending = Some(Ended::Lost(error.to_string())),
            // One that was taken later is kept already.
            Err(AdapterError::Rejected(Rejection::SnapshotOutdated { .. })) => {}
            Err(error @ AdapterError::TooLarge { .. }) => self.check(Err(RoomError::Save(error))).await,
            Err(error) => tracing::warn!(room = %self.core().room_id, %error, "a snapshot was not kept"),
        }
    }

    /// Writes a snapshot and waits for it.
    pub(super) async fn save_now(&mut self) -> Result<u64, RoomError> {
        let state = guard_call(|| self.room.save())?;
        self.context.keep(state).await
    }

    /// Asks the registry whether every seat is free.
    pub(super) fn ask_vacancy(&mut self) {
        self.timers.vacancy = Some(Instant::now() + VACANCY_RETRY);
        if self.pending.vacancy || self.pending.update || !self.returning.is_empty() {
            return;
        }
        self.pending.vacancy = true;
        let (services, core) = (Arc::clone(&self.services), Arc::clone(self.handle.core_arc()));
        self.work.push(Box::pin(async move { Done::Vacant(is_vacant(&services, &core).await) }));
    }

    fn vacant(&mut self, answer: &AdapterResult<Vacancy>) {
        self.pending.vacancy = false;
        match answer {
            Ok(Vacancy::Free) if self.core().player_count() == 0 => {
                self.ending = Some(Ended::Disposed("the last player has left".to_owned()));
            }
            Ok(Vacancy::Taken) => {}
            Err(error) if is_loss(error) => self.ending = Some(Ended::Lost(error.to_string())),
            Ok(_) | Err(_) => {
                // The lock was taken for the count alone, or may have been: it is as the game wants it again.
                let locked = self.core().is_locked();
                self.update.is_locked.get_or_insert(locked);
            }
        }
    }
}

/// Whether every seat is free, and stays so: the room is locked before its seats are counted, so
/// that nobody can take one between the count and the room's end.
async fn is_vacant(services: &Services, core: &RoomCore) -> AdapterResult<Vacancy> {
    services.releases.flush().await;
    if !seats_free(services, core).await? {
        return Ok(Vacancy::Taken);
    }
    let lock = RoomUpdate { is_locked: Some(true), ..RoomUpdate::default() };
    services.adapter.update_room(&core.room_epoch(), lock).await?;
    let free = seats_free(services, core).await?;
    Ok(if free { Vacancy::Free } else { Vacancy::TakenAndLocked })
}

async fn seats_free(services: &Services, core: &RoomCore) -> AdapterResult<bool> {
    match services.adapter.room(&core.room_id, Consistency::Linearizable).await? {
        Some(row) if row.epoch == core.epoch() => Ok(row.seat_count == 0),
        _ => Err(AdapterError::Rejected(Rejection::RoomUnknown(core.room_id.clone()))),
    }
}

/// Whether trying again may help.
pub(super) fn is_passing(error: &AdapterError) -> bool {
    matches!(error, AdapterError::Unavailable(_) | AdapterError::Timeout(_))
}

/// Whether it says that the room is no longer this server's.
pub(crate) fn is_loss(error: &AdapterError) -> bool {
    matches!(
        error,
        AdapterError::Fenced { .. }
            | AdapterError::Disconnected
            | AdapterError::Rejected(Rejection::RoomUnknown(_) | Rejection::ServerUnknown(_))
    )
}

/// Two updates in one; the newer counts where both say something.
pub(super) fn merged(older: RoomUpdate, newer: RoomUpdate) -> RoomUpdate {
    let state: Option<RoomState> = newer.state.or(older.state);
    RoomUpdate {
        is_locked: newer.is_locked.or(older.is_locked),
        metadata: newer.metadata.or(older.metadata),
        max_players: newer.max_players.or(older.max_players),
        state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_updates_the_newer_counts_field_by_field() {
        let older = RoomUpdate { is_locked: Some(true), max_players: Some(4), ..RoomUpdate::default() };
        let newer = RoomUpdate { is_locked: Some(false), ..RoomUpdate::default() };
        let both = merged(older, newer);
        assert_eq!((both.is_locked, both.max_players, both.metadata), (Some(false), Some(4), None));
    }
}
