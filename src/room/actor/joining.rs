//! Players that come in, and come back.

use serde_json::Value;

use super::{
    Arrival, Return, RoomActor, Way,
    guard::guard,
    work::{Done, Returned},
};
use crate::{
    adapter::AdapterError,
    model::{PlayerId, SeatConfirmation, SeatId},
    registry::Rejection,
    room::{JoinError, JoinedRoom, Player, RoomError, core::Ended, player::Identity},
};

impl RoomActor {
    /// A player on a seat that the registry has as joined.
    pub(super) async fn arrive(&mut self, arrival: Arrival) {
        let Arrival { player_id, data, way } = arrival;
        // The same player on a second seat: it had gone without a word, and has joined anew.
        self.remove(&player_id, "joined again").await;
        let player = self.seat(player_id, way.seat_id, data, &way);
        let outcome = guard(self.room.on_join(&mut self.context, &player)).await;
        match outcome {
            Ok(()) => self.welcome(&player, way).await,
            Err(error) => self.refuse(&player, error, way).await,
        }
    }

    /// A player wants its seat back: the registry decides whether the token is good, while the room goes on.
    pub(super) fn ask_return(&mut self, back: Return) {
        let way = back.way;
        let seat_id = way.seat_id;
        if !self.returning.insert(seat_id) {
            let busy = "this session is being resumed by another connection: try again".to_owned();
            let _ = way.reply.send(Err(JoinError::Unavailable(busy)));
            return;
        }
        let was_here = self.core().player_on_seat(seat_id).is_some();
        let confirmation = SeatConfirmation { room: self.core().room_epoch(), seat_id, token: way.token.hash() };
        let services = std::sync::Arc::clone(&self.services);
        self.work.push(Box::pin(async move {
            // A release of this seat that is on its way must not come after the confirmation.
            let answer = if services.releases.settle(seat_id).await {
                services.adapter.confirm_seat(confirmation).await
            } else {
                Err(AdapterError::Rejected(Rejection::SeatUnknown(confirmation.room.room_id)))
            };
            Done::Returned(Box::new(Returned { way, was_here, answer }))
        }));
    }

    /// The registry's answer to [`ask_return`](Self::ask_return).
    pub(super) async fn returned(&mut self, returned: Returned) {
        let Returned { way, was_here, answer } = returned;
        self.returning.remove(&way.seat_id);
        let present = self.core().player_on_seat(way.seat_id);
        match (answer, present) {
            (Ok(_), Some(player)) => self.resume(player, way).await,
            // It joined after the last snapshot: the room does not know it, so it comes in anew on its seat.
            (Ok(grant), None) if !was_here => self.arrive_again(grant.seat.player_id, way).await,
            (Ok(_), None) => {
                self.free(way.seat_id);
                let _ = way.reply.send(Err(session_over()));
            }
            (Err(error), present) => self.not_returned(way, error, present).await,
        }
    }

    async fn resume(&mut self, player: Player, way: Way) {
        self.away.remove(&way.seat_id);
        let text = way.token.text(&self.core().room_id);
        if let Some(older) = player.connect(way.connection.clone(), text)
            && older.id() != way.connection.id()
        {
            // The last connection has the seat.
            self.core().outbox.discard(older.id());
            older.close();
        }
        self.services.sessions.settle(player.id(), self.handle.clone());
        let outcome = guard(self.room.on_player_reconnected(&mut self.context, &player)).await;
        self.welcome(&player, way).await;
        self.check(outcome).await;
    }

    async fn arrive_again(&mut self, player_id: PlayerId, way: Way) {
        if self.core().player(&player_id).is_some() {
            self.free(way.seat_id);
            let _ = way.reply.send(Err(session_over()));
            return;
        }
        self.arrive(Arrival { player_id, data: Value::Null, way }).await;
    }

    async fn not_returned(&mut self, way: Way, error: AdapterError, present: Option<Player>) {
        let refused = match &error {
            AdapterError::Rejected(Rejection::TokenMismatch(_)) => session_over(),
            AdapterError::Rejected(Rejection::SeatUnknown(_)) => {
                if let Some(player) = present.filter(|player| !player.connected()) {
                    self.remove(player.id(), "did not come back in time").await;
                }
                session_over()
            }
            AdapterError::Fenced { .. } | AdapterError::Rejected(Rejection::RoomUnknown(_)) => {
                self.ending = Some(Ended::Lost("the room has another owner".to_owned()));
                JoinError::Unavailable("the room is moving: try again".to_owned())
            }
            other => JoinError::Unavailable(other.to_string()),
        };
        self.keep_seat_of_away(way.seat_id);
        let _ = way.reply.send(Err(refused));
    }

    /// Puts a player on its seat and links it.
    fn seat(&mut self, player_id: PlayerId, seat_id: SeatId, data: Value, way: &Way) -> Player {
        let core = self.handle.core();
        let identity = Identity { id: player_id, room_id: core.room_id.clone(), seat_id, data };
        let player = Player::new(identity, std::sync::Arc::clone(&core.outbox), core.effects.clone());
        player.connect(way.connection.clone(), way.token.text(&core.room_id));
        core.insert(player.clone());
        self.services.sessions.settle(player.id(), self.handle.clone());
        player
    }

    /// Answers a player that is in: first the response, then what the hook sent to it.
    async fn welcome(&mut self, player: &Player, way: Way) {
        self.keeps_empty = false;
        self.kept_until = None;
        if let Err(ended) = self.may_act().await {
            // The answer is not given: whoever waits finds out where the room is now.
            self.ending = Some(ended);
            return;
        }
        let joined = JoinedRoom {
            room_id: self.core().room_id.clone(),
            player_id: player.id().clone(),
            session_token: way.token.text(&self.core().room_id),
        };
        if let Some(response) = (way.respond)(&joined) {
            way.connection.send(response);
        }
        let _ = way.reply.send(Ok(joined));
        // Whoever closes the connection may not know yet under which id the player is here.
        let (player_id, connection) = (player.id().clone(), way.connection.id());
        let closing = player.closing(way.connection);
        self.work.push(Box::pin(async move {
            closing.await;
            Done::Closed { player_id, connection }
        }));
    }

    /// `on_join` did not let the player in.
    async fn refuse(&mut self, player: &Player, error: RoomError, way: Way) {
        self.core().remove(player.id());
        self.services.sessions.remove(player.id(), self.core());
        self.core().outbox.discard(way.connection.id());
        self.free(way.seat_id);
        let refusal = match &error {
            RoomError::Panicked(_) => JoinError::Internal("the room failed and was closed".to_owned()),
            refused => JoinError::Invalid(refused.to_string()),
        };
        let _ = way.reply.send(Err(refusal));
        if error.is_fatal() {
            self.check(Err(error)).await;
        }
    }
}

fn session_over() -> JoinError {
    JoinError::NotFound("the session is unknown or over: join again".to_owned())
}
