//! A room leaves for another server: the source's side of a migration.
//!
//! From the freeze on no hook runs, and the mailbox is held. The room goes on here only by winning
//! a claim of its own; otherwise what is in the mailbox goes after it, and its players are told
//! where it is.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{RoomActor, RoomCommand, abandoned, work};
use crate::{
    adapter::{AdapterError, AdapterResult, Consistency},
    clock::millis,
    crash_point::crash_point,
    model::{RoomClaim, RoomEpoch, RoomOffer, RoomRegistration, RoomUpdate, SeatConfirmation, ServerEpoch, ServerId},
    registry::Rejection,
    room::{
        MigrationError, RoomError,
        core::Ended,
        message::redirect_message,
        migration::{FORWARDED, Forwarded, Outlook, Verdict},
        token::SessionToken,
    },
};

/// Time between two looks at the record; word of a change brings one at once.
const GLANCE: Duration = Duration::from_millis(250);

/// An order to leave.
pub(crate) struct Departure {
    /// This server.
    pub(crate) server: ServerEpoch,
    pub(crate) target: ServerId,
    /// From then on the room goes on here, if it still can.
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<Duration, MigrationError>>,
}

impl RoomActor {
    /// Carries out an order to leave, to its end one way or the other.
    pub(super) async fn depart(&mut self, departure: Departure) {
        if departure.reply.is_closed() || departure.deadline <= Instant::now() {
            return;
        }
        let frozen = Instant::now();
        self.core().set_moving(true);
        let outcome = self.hand_over(&departure).await;
        self.core().set_moving(false);
        let outcome = outcome.map(|owner| {
            self.ending = Some(Ended::Moved(Box::new(owner)));
            frozen.elapsed()
        });
        // Whoever gave the order may have gone.
        let _ = departure.reply.send(outcome);
    }

    async fn hand_over(&mut self, departure: &Departure) -> Result<RoomRegistration, MigrationError> {
        self.quiesce(departure.deadline).await?;
        crash_point("migration::frozen").await;
        let version = self.save_now().await.map_err(|error| self.not_saved(error))?;
        crash_point("migration::saved").await;
        let offered = self.core().room_epoch();
        self.offer(departure, &offered, version).await?;
        crash_point("migration::offered").await;
        self.await_outcome(departure, &offered, version).await
    }

    /// Finishes what is under way with the registry, so that nothing of it comes after the offer.
    async fn quiesce(&mut self, deadline: Instant) -> Result<(), MigrationError> {
        loop {
            if let Err(ended) = self.settle().await {
                self.ending = Some(ended);
                return Err(MigrationError::NotHere(self.core().room_id.clone()));
            }
            let idle = !self.pending.any() && self.returning.is_empty() && self.update == RoomUpdate::default();
            if idle {
                break;
            }
            match timeout_at(deadline, self.work.next()).await {
                Ok(Some(done)) => {
                    self.core().outbox.cork();
                    self.done(done).await;
                }
                Ok(None) => tokio::task::yield_now().await,
                Err(_) => return Err(MigrationError::TimedOut(self.core().room_id.clone())),
            }
        }
        // Seats that were left are freed by their owner, and this is it for a moment longer only.
        self.services.releases.flush().await;
        Ok(())
    }

    fn not_saved(&mut self, error: RoomError) -> MigrationError {
        match error {
            RoomError::NothingToSave => MigrationError::NothingToSave(self.core().room_id.clone()),
            RoomError::Save(error) if work::is_loss(&error) => self.lost(error.to_string()),
            error => MigrationError::Save(error),
        }
    }

    fn lost(&mut self, reason: String) -> MigrationError {
        self.ending = Some(Ended::Lost(reason.clone()));
        MigrationError::Lost(reason)
    }

    /// Offers the room. What is not refused plainly may have been heard: the record will tell.
    async fn offer(&mut self, departure: &Departure, room: &RoomEpoch, version: u64) -> Result<(), MigrationError> {
        let patience = departure.deadline.saturating_duration_since(Instant::now());
        let ttl_ms = millis(patience).max(1);
        let offer = RoomOffer { room: room.clone(), target: departure.target.clone(), version, ttl_ms };
        let mut in_doubt = false;
        while Instant::now() < departure.deadline {
            match self.services.adapter.offer_room(offer.clone()).await {
                Err(error @ AdapterError::Rejected(_)) if !in_doubt => return Err(MigrationError::Refused(error)),
                Err(AdapterError::Timeout(_)) => in_doubt = true,
                Err(error) if work::is_passing(&error) => tokio::time::sleep(GLANCE).await,
                Ok(()) | Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Waits until the record says where the room goes on.
    async fn await_outcome(
        &mut self,
        departure: &Departure,
        offered: &RoomEpoch,
        version: u64,
    ) -> Result<RoomRegistration, MigrationError> {
        let mut reason = "it did not answer in time".to_owned();
        loop {
            let core = Arc::clone(self.handle.core_arc());
            let stirred = core.stirred.notified();
            let late = departure.deadline <= Instant::now();
            let outlook = Outlook { own: &departure.server.server_id, offered, version, late };
            match self.services.adapter.room(&core.room_id, Consistency::Linearizable).await {
                Ok(row) => match (outlook.verdict(row.as_ref()), row) {
                    (Verdict::Wait, _) => {}
                    (Verdict::Moved, Some(owner)) => {
                        crash_point("migration::confirmed").await;
                        return Ok(owner);
                    }
                    (Verdict::Reclaim(room), _) => {
                        if room.epoch != offered.epoch {
                            "it could not go on with it".clone_into(&mut reason);
                        }
                        if let Some(kept) = self.reclaim(departure, &room, version, late).await? {
                            self.go_on(&kept, &room != offered).await;
                            return Err(MigrationError::NotTaken { target: departure.target.clone(), reason });
                        }
                    }
                    (Verdict::Gone(reason), _) => return Err(self.lost(reason)),
                    (Verdict::Moved, None) => return Err(self.lost("the room was disposed of".to_owned())),
                },
                Err(error) if work::is_loss(&error) => return Err(self.lost(error.to_string())),
                Err(error) => tracing::debug!(room = %core.room_id, %error, "where the room goes on is not known yet"),
            }
            tokio::select! {
                () = stirred => {}
                () = tokio::time::sleep(GLANCE) => {}
                stop = abandoned(&mut self.inlets.stop) => {
                    self.ending = Some(stop.into());
                    return Err(MigrationError::Lost("this server has lost its place in the cluster".to_owned()));
                }
            }
        }
    }

    /// Claims the room back. `None` where the record must be looked at once more.
    async fn reclaim(
        &mut self,
        departure: &Departure,
        room: &RoomEpoch,
        version: u64,
        late: bool,
    ) -> Result<Option<RoomRegistration>, MigrationError> {
        let claim = RoomClaim { claimant: departure.server.clone(), room: room.clone() };
        match self.services.adapter.claim_room(claim).await {
            Ok(kept) if kept.snapshot_version == Some(version) => Ok(Some(kept)),
            // It is this server's, and is restored from what the other one saved.
            Ok(_) => Err(self.lost("another server got further with the room".to_owned())),
            Err(error) if work::is_passing(&error) => Ok(None),
            Err(AdapterError::Rejected(Rejection::RoomOwned(_))) => Ok(None),
            // Somebody else will take it.
            Err(AdapterError::Rejected(Rejection::ServerDraining(_) | Rejection::ServerFull(_))) if !late => Ok(None),
            Err(error) => Err(self.lost(error.to_string())),
        }
    }

    /// The room goes on here, under a new ownership. `was_elsewhere`: its players' seats are away by now.
    async fn go_on(&mut self, kept: &RoomRegistration, was_elsewhere: bool) {
        self.core().set_epoch(kept.epoch);
        tracing::info!(room = %kept.room_id, epoch = %kept.epoch, "a room that was offered goes on here");
        if !was_elsewhere {
            return;
        }
        let core = Arc::clone(self.handle.core_arc());
        for player in core.players().into_iter().filter(crate::room::Player::connected) {
            let Some((_, token)) = player.session_token().and_then(|text| SessionToken::parse(&text)) else { continue };
            let seat_id = player.seat_id();
            let confirmation = SeatConfirmation { room: kept.room_epoch(), seat_id, token: token.hash() };
            if let Err(error) = self.seat_again(confirmation).await {
                tracing::warn!(room = %core.room_id, player = %player.id(), %error, "a player's seat was lost on the way");
                self.remove(player.id(), "the seat was lost while the room moved").await;
            }
        }
    }

    async fn seat_again(&mut self, confirmation: SeatConfirmation) -> AdapterResult<()> {
        for _ in 0..4 {
            match self.services.adapter.confirm_seat(confirmation.clone()).await {
                Err(error) if work::is_passing(&error) => tokio::time::sleep(GLANCE).await,
                answer => return answer.map(drop),
            }
        }
        // The registry cannot be asked: the player stays, and its seat is found out about when it next matters.
        Ok(())
    }

    /// Sends what came too late after the room, in order, then its players.
    pub(super) async fn follow_room(&mut self, owner: &RoomRegistration) {
        self.inlets.mailbox.close();
        while let Some(command) = self.inlets.mailbox.recv().await {
            self.forward(command).await;
        }
        for player in self.core().players() {
            if let Some(token) = player.session_token() {
                player.send_outgoing(redirect_message(owner, token));
            }
        }
        self.core().outbox.uncork();
    }

    async fn forward(&mut self, command: RoomCommand) {
        let forwarded = match command {
            RoomCommand::Message { player_id, message_type, data } => {
                Forwarded::Message { player_id, message_type, data }
            }
            RoomCommand::Leave { player_id, reason, .. } => Forwarded::Leave { player_id, reason },
            RoomCommand::Remote { message_type, data, player_id } => {
                return self.send_after(&message_type, data, player_id.as_ref()).await;
            }
            // Whoever waits for an answer asks again, and is sent to where the room is; who is not
            // connected any more, that server finds out by itself.
            RoomCommand::Join(_)
            | RoomCommand::Reconnect(_)
            | RoomCommand::Save { .. }
            | RoomCommand::Disconnected { .. }
            | RoomCommand::Depart(_) => return,
            RoomCommand::Forwarded(item) => item,
        };
        match serde_json::to_value(forwarded) {
            Ok(data) => self.send_after(FORWARDED, data, None).await,
            Err(error) => tracing::error!(%error, "a message cannot be forwarded"),
        }
    }

    async fn send_after(
        &mut self,
        message_type: &str,
        data: serde_json::Value,
        player_id: Option<&crate::model::PlayerId>,
    ) {
        let room_id = &self.core().room_id;
        if let Err(error) = self.services.adapter.send_to_room(room_id, message_type, data, player_id).await {
            tracing::warn!(room = %room_id, %error, "a message did not follow its room");
        }
    }
}
