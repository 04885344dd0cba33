//! Players that go: for a while, or for good.

use tokio::time::Instant;

use super::{RoomActor, guard::guard};
use crate::{
    clock::millis,
    model::{PlayerId, SeatId, SeatRelease},
    room::{ConnectionId, message::left_message},
};

impl RoomActor {
    /// A connection ended. One that the player has left for another says nothing about it.
    pub(super) async fn disconnected(&mut self, player_id: &PlayerId, connection: ConnectionId) {
        let Some(player) = self.core().player(player_id).filter(|player| player.is_on(connection)) else { return };
        player.disconnect();
        let grace = self.core().config.reconnect_grace;
        if grace.is_zero() {
            return self.remove(player_id, "disconnected").await;
        }
        self.away.insert(player.seat_id(), Instant::now() + grace);
        self.keep_seat_of_away(player.seat_id());
        let outcome = guard(self.room.on_player_disconnected(&mut self.context, &player)).await;
        self.check(outcome).await;
    }

    /// Tells the registry to keep the seat of a player that is away; not while it is coming back.
    pub(super) fn keep_seat_of_away(&mut self, seat_id: SeatId) {
        if self.away.contains_key(&seat_id) && !self.returning.contains(&seat_id) {
            self.release(seat_id, millis(self.core().config.reconnect_grace));
        }
    }

    /// Those who did not come back in time leave.
    pub(super) async fn grace_over(&mut self) {
        let now = Instant::now();
        let late = self.away.iter().filter(|(seat, due)| **due <= now && !self.returning.contains(seat));
        let late: Vec<SeatId> = late.map(|(seat, _)| *seat).collect();
        for seat_id in late {
            self.away.remove(&seat_id);
            if let Some(player) = self.core().player_on_seat(seat_id) {
                self.remove(player.id(), "did not come back in time").await;
            }
        }
    }

    /// Takes a player out that did not ask for it, and tells it.
    pub(super) async fn kick(&mut self, player_id: &PlayerId, reason: &str) {
        if let Some(player) = self.core().player(player_id) {
            player.send_outgoing(left_message(&self.core().room_id, reason, false));
            self.remove(player_id, reason).await;
        }
    }

    /// A player goes for good. The one place where that happens: `on_leave` is called once.
    pub(super) async fn remove(&mut self, player_id: &PlayerId, reason: &str) {
        let Some(player) = self.core().remove(player_id) else { return };
        self.services.sessions.remove(player_id, self.core());
        self.away.remove(&player.seat_id());
        self.free(player.seat_id());
        let outcome = guard(self.room.on_leave(&mut self.context, &player, reason)).await;
        self.check(outcome).await;
    }

    /// Frees a seat; where it was the last one the room may be over.
    pub(super) fn free(&mut self, seat_id: SeatId) {
        self.release(seat_id, 0);
        self.check_vacancy();
    }

    /// The room may be empty: finds out soon.
    pub(super) fn check_vacancy(&mut self) {
        let now = Instant::now();
        let due = self.kept_until.unwrap_or(now).max(now);
        self.timers.vacancy.get_or_insert(due);
    }

    fn release(&self, seat_id: SeatId, away_ms: u64) {
        let room_id = self.core().room_id.clone();
        self.services.releases.release(SeatRelease { room_id, seat_id, away_ms });
    }
}
