//! A room that came from another server: what followed it, and what becomes of one that cannot be restored here.

use std::time::Duration;

use tokio::time::Instant;

use super::{RoomActor, work};
use crate::{
    adapter::{AdapterError, Consistency},
    clock::millis,
    model::{RoomOffer, RoomState, RoomUpdate, ServerId},
    registry::Rejection,
    room::{
        core::{Ended, RoomCore},
        migration::Forwarded,
        services::Services,
    },
};

/// How long the room is offered back before it is parked.
const OFFER: Duration = Duration::from_secs(5);
/// Time between two looks at the record; word of a change brings one at once.
const GLANCE: Duration = Duration::from_millis(250);

/// Where an arriving room came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) from: ServerId,
    /// The version that was offered.
    pub(crate) version: u64,
}

impl RoomActor {
    /// Carries out what came too late where the room was before.
    pub(super) async fn catch_up(&mut self, item: Forwarded) {
        if self.core().player(item.player_id()).is_none_or(|player| player.connected()) {
            return;
        }
        match item {
            Forwarded::Message { player_id, message_type, data } => self.hear(&player_id, &message_type, data).await,
            Forwarded::Leave { player_id, reason } => self.remove(&player_id, &reason).await,
        }
    }
}

/// Offers the room back to where it came from; parks it where that server does not take it.
pub(crate) async fn give_back(services: &Services, core: &RoomCore, origin: &Origin, reason: &str) -> Ended {
    tracing::warn!(room = %core.room_id, from = %origin.from, reason, "a room that moved here goes back: it cannot be restored");
    let (room, target, version) = (core.room_epoch(), origin.from.clone(), origin.version);
    let offer = RoomOffer { room, target, version, ttl_ms: millis(OFFER) };
    let deadline = Instant::now() + OFFER;
    let mut offered = services.adapter.offer_room(offer.clone()).await;
    while offered.as_ref().is_err_and(work::is_passing) && Instant::now() < deadline {
        tokio::time::sleep(GLANCE).await;
        offered = services.adapter.offer_room(offer.clone()).await;
    }
    if offered.is_ok() && went_back(services, core, deadline).await {
        return Ended::Lost("it went back to where it came from".to_owned());
    }
    let parked = RoomUpdate { state: Some(RoomState::Parked), ..RoomUpdate::default() };
    loop {
        match services.adapter.update_room(&core.room_epoch(), parked.clone()).await {
            Ok(()) => return Ended::Parked,
            Err(error) if work::is_passing(&error) => tokio::time::sleep(GLANCE).await,
            Err(error) => return Ended::Lost(error.to_string()),
        }
    }
}

/// Whether another server has the room; `false` once the offer is over.
async fn went_back(services: &Services, core: &RoomCore, deadline: Instant) -> bool {
    loop {
        let stirred = core.stirred.notified();
        match services.adapter.room(&core.room_id, Consistency::Linearizable).await {
            Ok(Some(row)) if row.epoch == core.epoch() => {
                if row.migration.is_none() || deadline <= Instant::now() {
                    return false;
                }
            }
            Ok(_) | Err(AdapterError::Disconnected | AdapterError::Rejected(Rejection::RoomUnknown(_))) => return true,
            Err(_) => {}
        }
        tokio::select! {
            () = stirred => {}
            () = tokio::time::sleep(GLANCE) => {}
        }
    }
}
