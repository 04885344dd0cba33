//! What a game author writes.

use async_trait::async_trait;
use serde_json::Value;

use super::{Player, RoomContext, RoomError};
use crate::model::PlayerId;

/// A game's room. Every hook has a default, so that a room says only what it does.
///
/// The hooks of one room never run at the same time: each room is one task. While a hook runs the
/// room does nothing else, so a hook awaits only what is short. A hook that panics ends its room
/// and no other. What a hook sends leaves when it has returned.
#[async_trait]
#[expect(unused_variables, reason = "the defaults use none of their arguments, whose names are the documentation")]
pub trait Room: Send + 'static {
    /// The room begins. `options` are those of the call that made it; not called on a restored room.
    /// An error removes the room again, and whoever waits for it is told.
    async fn on_create(&mut self, ctx: &mut RoomContext, options: Value) -> Result<(), RoomError> {
        Ok(())
    }

    /// A player has come in. What is sent to it here arrives right after the response to its join.
    /// An error refuses the player; its text is the reason that the player gets.
    async fn on_join(&mut self, ctx: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        Ok(())
    }

    /// A player has gone for good: it left, was kicked, or did not come back in time. Called once per player.
    async fn on_leave(&mut self, ctx: &mut RoomContext, player: &Player, reason: &str) -> Result<(), RoomError> {
        Ok(())
    }

    /// A player's connection ended; its seat is kept for the grace period.
    async fn on_player_disconnected(&mut self, ctx: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        Ok(())
    }

    /// A player has come back within its grace period. What is sent to it here arrives right after
    /// the response to its call.
    async fn on_player_reconnected(&mut self, ctx: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        Ok(())
    }

    /// A player's message; see [`MessageHandlers`](super::MessageHandlers) for handlers by type.
    async fn on_message(
        &mut self,
        ctx: &mut RoomContext,
        player: &Player,
        message_type: &str,
        data: Value,
    ) -> Result<(), RoomError> {
        Ok(())
    }

    /// A message from somewhere else in the cluster, sent with `send_to_remote_room`. It comes at most once.
    async fn on_remote_message(
        &mut self,
        ctx: &mut RoomContext,
        message_type: &str,
        data: Value,
        player_id: Option<&PlayerId>,
    ) -> Result<(), RoomError> {
        Ok(())
    }

    /// Time has passed: `dt` seconds since the last call. Called `tick_rate` times per second; ticks
    /// that could not run in time are left out, not made up for.
    async fn on_tick(&mut self, ctx: &mut RoomContext, dt: f32) -> Result<(), RoomError> {
        Ok(())
    }

    /// The room ends for good. Not called where the room is parked or goes on on another server.
    async fn on_dispose(&mut self, ctx: &mut RoomContext) -> Result<(), RoomError> {
        Ok(())
    }

    /// A hook has failed. By default it is logged.
    async fn on_error(&mut self, ctx: &mut RoomContext, error: &RoomError) {
        tracing::warn!(room = %ctx.id(), %error, "a room's hook failed");
    }

    /// The state that snapshots keep; `None` for a room without snapshots. It must be cheap: it is
    /// called at each snapshot interval, and the result is written only where it changed.
    fn save(&self) -> Option<Value> {
        None
    }

    /// Takes up a state that `save` gave, instead of `on_create`. The players of that time are in
    /// `ctx` already, not connected; each comes back with `on_player_reconnected`, or leaves with
    /// `on_leave` when its grace period is over.
    async fn restore(&mut self, ctx: &mut RoomContext, state: Value) -> Result<(), RoomError> {
        Ok(())
    }
}
