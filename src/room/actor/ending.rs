//! A room's end on this server.

use std::{sync::Arc, time::Duration};

use super::{
    RoomActor, give_back,
    guard::{guard, guard_for},
    work,
};
use crate::{
    adapter::AdapterError,
    model::{RoomState, RoomUpdate},
    room::{RoomError, core::Ended, message::left_message},
};

/// How long a hook may take while the room ends.
const HOOK_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait before the registry is told again.
const RETRY: Duration = Duration::from_millis(500);

impl RoomActor {
    /// Ends the room. Its record is gone from the registry, or given up, when this returns; unless
    /// the room is no longer this server's.
    pub(super) async fn end(mut self, ended: Ended) {
        if !self.services.tenure.may_act() {
            // What the last hook sent was sent by no owner.
            self.core().outbox.clear();
        }
        let ended = match ended {
            Ended::Parked => self.park().await,
            Ended::Failed(reason) => match self.origin.take() {
                Some(origin) => give_back(&self.services, self.core(), &origin, &reason).await,
                None => Ended::Failed(reason),
            },
            other => other,
        };
        tracing::info!(room = %self.core().room_id, %ended, "a room has ended here");
        // Before the players hear of it, so that one who asks at once is told the same.
        let _ = self.core().ended.set(ended.clone());
        match &ended {
            Ended::Disposed(reason) => {
                self.farewell(reason, false).await;
                self.unregister(reason).await;
            }
            Ended::Failed(reason) => {
                self.tell_players(reason, false);
                self.unregister(reason).await;
            }
            Ended::Moved(owner) => self.follow_room(owner).await,
            Ended::Parked => self.tell_players("the server is stopping", true),
            Ended::Lost(reason) => {
                // What the last hook sent was sent by no owner.
                self.core().outbox.clear();
                self.send_after_lost(reason);
            }
        }
        self.forget_players();
    }

    /// Gives the room up with its newest state; one that cannot be is disposed of. Tries until the registry answers:
    /// whoever ended the room limits that.
    async fn park(&mut self) -> Ended {
        if let Err(error) = self.save_at_last().await {
            // An older snapshot is better than none: the registry refuses to park without any.
            tracing::warn!(room = %self.core().room_id, %error, "the last state was not kept");
        }
        let parked = RoomUpdate { state: Some(RoomState::Parked), ..RoomUpdate::default() };
        let room = self.core().room_epoch();
        loop {
            match self.services.adapter.update_room(&room, parked.clone()).await {
                Ok(()) => return Ended::Parked,
                Err(AdapterError::Rejected(_)) => return Ended::Disposed("the server is stopping".to_owned()),
                Err(error) if work::is_passing(&error) => tokio::time::sleep(RETRY).await,
                Err(error) => return Ended::Lost(error.to_string()),
            }
        }
    }

    /// Saves the last state.
    async fn save_at_last(&mut self) -> Result<(), RoomError> {
        loop {
            match self.save_now().await {
                Ok(_) | Err(RoomError::NothingToSave) => return Ok(()),
                Err(RoomError::Save(error)) if work::is_passing(&error) => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// The last hooks. One that hangs or panics is not waited for.
    async fn farewell(&mut self, reason: &str, can_reconnect: bool) {
        self.tell_players(reason, can_reconnect);
        for player in self.core().players() {
            self.core().remove(player.id());
            self.services.sessions.remove(player.id(), self.core());
            let hook = self.room.on_leave(&mut self.context, &player, reason);
            let outcome = guard_for("on_leave", HOOK_LIMIT, hook).await;
            if outcome.as_ref().is_err_and(RoomError::is_fatal) {
                break;
            }
            self.check(outcome).await;
        }
        let outcome = guard_for("on_dispose", HOOK_LIMIT, self.room.on_dispose(&mut self.context)).await;
        if let Err(error) = outcome {
            let room = &mut self.room;
            let context = &mut self.context;
            let hook = Box::pin(async move {
                room.on_error(context, &error).await;
                Ok(())
            });
            // The room ends in any case.
            let _ = guard(hook).await;
        }
        self.let_out();
    }

    fn tell_players(&self, reason: &str, can_reconnect: bool) {
        let told = left_message(&self.core().room_id, reason, can_reconnect);
        for player in self.core().players() {
            player.send_outgoing(told.clone());
        }
        self.let_out();
    }

    fn let_out(&self) {
        self.core().outbox.uncork();
    }

    fn forget_players(&self) {
        for player in self.core().players() {
            self.services.sessions.remove(player.id(), self.core());
            self.core().remove(player.id());
        }
    }

    /// Takes the room out of the registry; tries until the registry answers.
    async fn unregister(&mut self, reason: &str) {
        let adapter = Arc::clone(&self.services.adapter);
        let room = self.core().room_epoch();
        loop {
            match adapter.unregister_room(&room, reason).await {
                Err(error) if work::is_passing(&error) => tokio::time::sleep(RETRY).await,
                Err(error) if work::is_loss(&error) => return,
                Err(error) => return tracing::error!(room = %room.room_id, %error, "the room was not taken out"),
                Ok(()) => return,
            }
        }
    }
}
