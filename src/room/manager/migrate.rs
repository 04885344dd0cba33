//! Rooms go to other servers, and come from them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{DistributedRoomManager, Inner, Phase};
use crate::{
    adapter::{AdapterError, AdapterResult, Consistency},
    crash_point::crash_point,
    model::{MigrationStage, RoomClaim, RoomId, RoomRegistration, ServerEpoch, ServerId},
    registry::Rejection,
    room::{
        MigrationError, RoomHandle, RoomMoved,
        actor::{Departure, RoomCommand},
    },
};

/// How much longer than the migration itself its outcome is waited for.
const MARGIN: Duration = Duration::from_secs(2);

impl DistributedRoomManager {
    /// Moves a room of this server to another one, and returns once it runs there.
    ///
    /// Its hooks stop, its state is saved, and the target takes it over from exactly there; its
    /// players are sent after it with their session tokens. The room stands still for that long,
    /// `migration_timeout` at most. Where the target does not take it, it goes on here.
    ///
    /// # Errors
    /// [`MigrationError`]; unless it is `Lost` the room still runs here.
    pub async fn migrate_room(&self, room: &RoomId, target: &ServerId) -> Result<RoomMoved, MigrationError> {
        let handle = self.room(room).ok_or_else(|| MigrationError::NotHere(room.clone()))?;
        self.inner.send_away(&handle, target).await
    }
}

impl Inner {
    pub(super) async fn send_away(&self, room: &RoomHandle, target: &ServerId) -> Result<RoomMoved, MigrationError> {
        let running = matches!(*self.phase.borrow(), Phase::Running | Phase::Draining);
        let server = self.server.borrow().clone().filter(|_| running).ok_or(MigrationError::NotServing)?;
        let not_here = || MigrationError::NotHere(room.id().clone());
        let too_late = || MigrationError::TimedOut(room.id().clone());
        let deadline = Instant::now() + self.options.migration_timeout;
        let players = room.player_count();
        let (reply, answer) = oneshot::channel();
        let departure = Box::new(Departure { server, target: target.clone(), deadline, reply });
        let ordered = timeout_at(deadline, room.command(RoomCommand::Depart(departure))).await;
        ordered.map_err(|_| too_late())?.map_err(|_| not_here())?;
        let answer = timeout_at(deadline + MARGIN, answer).await.map_err(|_| too_late())?;
        let frozen = answer.map_err(|_| not_here())??;
        // Its players are on their way when it is over here.
        timeout_at(deadline + MARGIN, room.over()).await.map_err(|_| too_late())?;
        let (room_id, room_type) = (room.id().clone(), room.room_type().clone());
        Ok(RoomMoved { room_id, room_type, to: target.clone(), players, frozen })
    }

    /// Takes what other servers offer to this one.
    pub(super) async fn take_offers(self: &Arc<Self>, server: &ServerEpoch) -> AdapterResult<()> {
        for row in self.adapter.offered_rooms(&server.server_id, Consistency::Local).await? {
            self.take_offer(server, &row).await?;
        }
        Ok(())
    }

    /// Claims one room that is offered to this server, and starts it.
    pub(super) async fn take_offer(
        self: &Arc<Self>,
        server: &ServerEpoch,
        row: &RoomRegistration,
    ) -> AdapterResult<()> {
        let offer = row.migration.as_ref().filter(|migration| migration.is_offered_to(&server.server_id));
        let Some(offer) = offer else { return Ok(()) };
        if offer.stage == MigrationStage::Returned {
            // Only the room that was frozen here can go on; without it the room is better parked.
            self.stir(&row.room_id);
            return Ok(());
        }
        if self.definition(&row.room_type).is_none() {
            return Ok(());
        }
        let claim = RoomClaim { claimant: server.clone(), room: row.room_epoch() };
        match self.adapter.claim_room(claim).await {
            Ok(claimed) => {
                crash_point("migration::claimed").await;
                self.start_or_clear(&claimed).await
            }
            // The offer was over meanwhile, or the list was old.
            Err(AdapterError::Rejected(
                Rejection::RoomOwned(_) | Rejection::RoomUnknown(_) | Rejection::ServerFull(_),
            )) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Tells a room's task that the registry has news of it.
    pub(super) fn stir(&self, room_id: &RoomId) {
        if let Some(room) = self.table.room(room_id) {
            room.core().stirred.notify_waiters();
        }
    }
}
