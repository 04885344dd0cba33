//! Rooms are offered by one living server to another.
//!
//! An offer changes no ownership: the claim does, and it is compare-and-set like any other. It
//! keeps a place on the target while it stands, and ends by the claim, by its time, when either
//! server goes offline, and when the target drains.

use serde_json::json;

use super::{
    Registry, Rejection, Reply,
    effects::{Effects, Outcome},
    limits,
    records::{Room, RoomNumber},
};
use crate::model::{
    EventKind, EventPayload, MigrationStage, RoomMigration, RoomOffer, RoomState, ServerId, ServerStatus,
};

/// How long the seats of a room's players are kept at least while the room moves: its players have
/// done nothing but be told to go elsewhere.
pub(crate) const MOVE_GRACE_MS: u64 = 15_000;

impl Registry {
    pub(super) fn offer_room(&mut self, effects: &mut Effects, offer: &RoomOffer) -> Outcome {
        limits::offer(offer.ttl_ms)?;
        let number = self.owned_room(&offer.room)?;
        let Some(room) = self.rooms.get(&number) else {
            return Err(Rejection::RoomUnknown(offer.room.room_id.clone()).into());
        };
        check_snapshot(room, offer)?;
        let stage = self.offer_stage(room, &offer.target)?;
        let Some(from) = room.registration.server_id.clone() else {
            return Err(Rejection::RoomUnknown(offer.room.room_id.clone()).into());
        };
        let deadline_ms = effects.now_ms.saturating_add(offer.ttl_ms);
        let migration =
            RoomMigration { from: from.clone(), to: offer.target.clone(), stage, version: offer.version, deadline_ms };
        self.change_room(effects, number, |room| room.registration.migration = Some(migration));
        let payload = EventPayload::Json(json!({ "offeredTo": offer.target }));
        effects.room_event(EventKind::RoomUpdated, Some(&from), &offer.room.room_id, payload);
        Ok(Reply::Done)
    }

    /// Whether the target may have the room, and as what.
    fn offer_stage(&self, room: &Room, target: &ServerId) -> Result<MigrationStage, Rejection> {
        let registration = &room.registration;
        if registration.server_id.as_ref() == Some(target) {
            return Err(Rejection::Invalid(format!("server {target} has the room already: offer it to another one")));
        }
        let server = self.servers.get(target).filter(|server| server.registration.status != ServerStatus::Offline);
        let server = server.ok_or_else(|| Rejection::ServerUnknown(target.clone()))?;
        let returns = registration.migration.as_ref().is_some_and(|migration| match migration.stage {
            MigrationStage::Claimed => migration.from == *target,
            MigrationStage::Returned => migration.to == *target,
            MigrationStage::Offered => false,
        });
        if returns {
            return Ok(MigrationStage::Returned);
        }
        if !server.is_online() {
            return Err(Rejection::ServerDraining(target.clone()));
        }
        let room_type = &registration.room_type;
        if !server.registration.room_types.contains_key(room_type) {
            return Err(Rejection::TypeNotServed { server_id: target.clone(), room_type: room_type.clone() });
        }
        // One that is offered to it already has its place.
        let offered = room.offer().is_some_and(|offer| offer.to == *target);
        if !offered && !server.has_room_left() {
            return Err(Rejection::ServerFull(target.clone()));
        }
        Ok(MigrationStage::Offered)
    }

    /// An offer is over: its owner goes on with the room.
    pub(super) fn withdraw_offer(&mut self, effects: &mut Effects, number: RoomNumber) {
        self.change_room(effects, number, |room| room.registration.migration = None);
        if let Some(room) = self.rooms.get(&number) {
            let registration = &room.registration;
            let (owner, room_id) = (registration.server_id.as_ref(), &registration.room_id);
            effects.room_event(EventKind::RoomUpdated, owner, room_id, EventPayload::None);
        }
    }

    /// A server can take nothing that it was offered, but for what it may take back.
    pub(super) fn withdraw_offers_to(&mut self, effects: &mut Effects, server_id: &ServerId, returns_too: bool) {
        let Some(server) = self.servers.get(server_id) else { return };
        for number in &server.offered.clone() {
            let stage = self.rooms.get(number).and_then(|room| room.offer()).map(|offer| offer.stage);
            if returns_too || stage == Some(MigrationStage::Offered) {
                self.withdraw_offer(effects, *number);
            }
        }
    }
}

fn check_snapshot(room: &Room, offer: &RoomOffer) -> Result<(), Rejection> {
    let room_id = || room.registration.room_id.clone();
    if room.registration.state != RoomState::Live {
        return Err(Rejection::Invalid(format!("room {} is not live yet: wait until it is", room_id())));
    }
    match &room.snapshot {
        None => Err(Rejection::SnapshotMissing(room_id())),
        Some(kept) if kept.version != offer.version => {
            Err(Rejection::SnapshotOutdated { room_id: room_id(), offered: offer.version, kept: kept.version })
        }
        Some(_) => Ok(()),
    }
}
