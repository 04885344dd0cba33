//! A room of this server, seen from outside.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    ConnectionId, Player, RoomError,
    actor::{RoomCommand, Stop},
    core::{Ended, RoomCore},
    migration::Forwarded,
};
use crate::model::{Epoch, Metadata, PlayerId, RoomId, RoomType};

/// A room that runs on this server. Cheap to clone; it goes on existing when the room has ended,
/// and its calls then give [`RoomError::Ended`].
#[derive(Debug, Clone)]
pub struct RoomHandle {
    core: Arc<RoomCore>,
    mailbox: mpsc::Sender<RoomCommand>,
    stop: Arc<watch::Sender<Option<Stop>>>,
}

impl RoomHandle {
    pub(crate) fn new(
        core: Arc<RoomCore>,
        mailbox: mpsc::Sender<RoomCommand>,
        stop: Arc<watch::Sender<Option<Stop>>>,
    ) -> Self {
        Self { core, mailbox, stop }
    }

    /// Its id.
    pub fn id(&self) -> &RoomId {
        &self.core.room_id
    }

    /// Its kind.
    pub fn room_type(&self) -> &RoomType {
        &self.core.room_type
    }

    /// What granted this server the ownership.
    pub fn epoch(&self) -> Epoch {
        self.core.epoch()
    }

    /// Its players, those too whose connection ended and whose grace period runs.
    pub fn players(&self) -> Vec<Player> {
        self.core.players()
    }

    /// One player.
    pub fn player(&self, player_id: &PlayerId) -> Option<Player> {
        self.core.player(player_id)
    }

    /// How many players it has.
    pub fn player_count(&self) -> usize {
        self.core.player_count()
    }

    /// Its seats.
    pub fn max_players(&self) -> u32 {
        self.core.max_players()
    }

    /// Whether it takes no new players.
    pub fn is_locked(&self) -> bool {
        self.core.is_locked()
    }

    /// Its attributes.
    pub fn metadata(&self) -> Metadata {
        self.core.metadata()
    }

    /// Whether it has ended on this server.
    pub fn is_over(&self) -> bool {
        self.core.gone.is_cancelled()
    }

    /// Returns once it has ended on this server.
    pub async fn over(&self) {
        self.core.gone.cancelled().await;
    }

    /// Returns once it has begun, or how it ended before that.
    pub(crate) async fn begun(&self) -> Result<(), Ended> {
        tokio::select! {
            biased;
            () = self.core.begun.cancelled() => Ok(()),
            () = self.core.gone.cancelled() => {
                Err(self.core.ended.get().cloned().unwrap_or_else(|| Ended::Lost("its task was ended".to_owned())))
            }
        }
    }

    /// Keeps its present state; gives the snapshot's version once the backend has it.
    ///
    /// # Errors
    /// [`RoomError::NothingToSave`], [`RoomError::Save`], [`RoomError::Ended`].
    pub async fn save(&self) -> Result<u64, RoomError> {
        let (reply, answer) = oneshot::channel();
        self.command(RoomCommand::Save { reply }).await?;
        answer.await.unwrap_or(Err(RoomError::Ended))
    }

    /// Ends it for good: its players are told, its snapshot is deleted.
    pub fn dispose(&self, reason: &str) {
        self.stop(Stop::Dispose(reason.to_owned()));
    }

    pub(crate) fn core(&self) -> &RoomCore {
        &self.core
    }

    pub(crate) fn core_arc(&self) -> &Arc<RoomCore> {
        &self.core
    }

    /// Puts a command into the mailbox; waits while that is full.
    pub(crate) async fn command(&self, command: RoomCommand) -> Result<(), RoomError> {
        self.mailbox.send(command).await.map_err(|_| RoomError::Ended)
    }

    /// Asks it to end; the first wish counts, but for the word that it is no longer this server's.
    pub(crate) fn stop(&self, stop: Stop) {
        self.stop.send_if_modified(|present| {
            let counts = present.is_none() || matches!(stop, Stop::Abandon(_));
            if counts {
                *present = Some(stop);
            }
            counts
        });
    }

    /// A message from elsewhere; dropped where the mailbox is full.
    pub(crate) fn remote_message(&self, message_type: &str, data: &Value, player_id: Option<&PlayerId>) {
        let command = RoomCommand::Remote {
            message_type: message_type.to_owned(),
            data: data.clone(),
            player_id: player_id.cloned(),
        };
        if self.mailbox.try_send(command).is_err() {
            tracing::warn!(room = %self.id(), message_type, "a message from elsewhere was dropped: the room is too busy");
        }
    }

    /// What came to it on its last server too late; dropped where the mailbox is full, as it was never acknowledged.
    pub(crate) fn forwarded(&self, item: &Value) {
        let item = serde_json::from_value::<Forwarded>(item.clone());
        let sent = item.is_ok_and(|item| self.mailbox.try_send(RoomCommand::Forwarded(item)).is_ok());
        if !sent {
            tracing::warn!(room = %self.id(), "a message that followed the room was dropped");
        }
    }

    /// A connection ended.
    pub(crate) fn disconnected(&self, player_id: &PlayerId, connection: ConnectionId) {
        let command = RoomCommand::Disconnected { player_id: player_id.clone(), connection };
        if let Err(mpsc::error::TrySendError::Full(command)) = self.mailbox.try_send(command) {
            let mailbox = self.mailbox.clone();
            // It must not be lost: the player would never leave.
            tokio::spawn(async move { mailbox.send(command).await });
        }
    }
}
