//! The players of a room that this server has lost without having given it up.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::RoomActor;
use crate::{
    adapter::Consistency,
    model::{PlayerId, RoomEpoch, RoomRegistration},
    room::{
        Connection,
        message::{left_message, redirect_message},
        services::Services,
    },
};

/// How long the room's new owner is waited for.
const OWNER_WAIT: Duration = Duration::from_secs(10);
/// Time between two looks at the record.
const GLANCE: Duration = Duration::from_millis(100);

/// A player that is still connected here.
struct Bereft {
    player_id: PlayerId,
    connection: Connection,
    session_token: String,
}

/// What the registry says of a room that was lost.
enum Whereabouts {
    /// Another ownership of it began.
    Owned(Box<RoomRegistration>),
    /// It is not known yet who has it.
    Unknown,
    /// It is gone.
    Gone,
}

impl RoomActor {
    /// Sends the players after the room, once it is known where it is. They are not in it here any
    /// more, so nothing waits for that.
    pub(super) fn send_after_lost(&self, reason: &str) {
        let bereft = |player: crate::room::Player| {
            let (connection, session_token) = player.connection().zip(player.session_token())?;
            Some(Bereft { player_id: player.id().clone(), connection, session_token })
        };
        let players: Vec<Bereft> = self.core().players().into_iter().filter_map(bereft).collect();
        if !players.is_empty() {
            let (services, lost, reason) = (Arc::clone(&self.services), self.core().room_epoch(), reason.to_owned());
            tokio::spawn(async move { send_after(&services, &lost, &reason, &players).await });
        }
    }
}

async fn send_after(services: &Services, lost: &RoomEpoch, reason: &str, players: &[Bereft]) {
    let deadline = Instant::now() + OWNER_WAIT;
    let mut found = whereabouts(services, lost).await;
    while matches!(found, Whereabouts::Unknown) && Instant::now() < deadline {
        tokio::time::sleep(GLANCE).await;
        found = whereabouts(services, lost).await;
    }
    // Whoever has found another room meanwhile is left alone.
    for player in players.iter().filter(|player| services.sessions.room(&player.player_id).is_none()) {
        let word = match &found {
            Whereabouts::Owned(owner) => redirect_message(owner, player.session_token.clone()),
            Whereabouts::Unknown => left_message(&lost.room_id, reason, true),
            Whereabouts::Gone => left_message(&lost.room_id, reason, false),
        };
        player.connection.send(word);
    }
}

async fn whereabouts(services: &Services, lost: &RoomEpoch) -> Whereabouts {
    match services.adapter.room(&lost.room_id, Consistency::Linearizable).await {
        Ok(Some(row)) if row.server_id.is_some() && row.epoch > lost.epoch => Whereabouts::Owned(Box::new(row)),
        Ok(None) => Whereabouts::Gone,
        Ok(Some(_)) | Err(_) => Whereabouts::Unknown,
    }
}
