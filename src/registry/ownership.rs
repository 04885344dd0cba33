//! Who owns a room: how ownership is lost, and how it is claimed.

use std::sync::Arc;

use super::{
    Registry, Rejection, Reply,
    effects::{Effects, Outcome},
    limits::{self, CLAIMED_ROOMS_MAX},
    offers::MOVE_GRACE_MS,
    records::{Room, RoomNumber, RoomsOfType, Server},
};
use crate::model::{
    Epoch, EventKind, EventPayload, MigrationStage, OrphanClaim, RoomClaim, RoomMigration, RoomRegistration, RoomState,
    RoomType, Seat, SeatState,
};

/// An ownerless room older than this is anybody's, in milliseconds: whoever could have taken its share had the time.
pub(crate) const SHARE_MS: u64 = 1000;

impl Registry {
    pub(super) fn claim_room(&mut self, effects: &mut Effects, claim: &RoomClaim) -> Outcome {
        let room_id = &claim.room.room_id;
        let Some(room) = self.room_record(room_id) else {
            return Err(Rejection::RoomUnknown(room_id.clone()).into());
        };
        let (number, registration) = (room.number, &room.registration);
        let claimant_id = &claim.claimant.server_id;
        let own = registration.server_id.as_ref() == Some(claimant_id);
        // An offered room has its place on the claimant already.
        let offered = room.offer().is_some_and(|offer| offer.to == *claimant_id);
        let claimant = if own || offered {
            self.present_server(&claim.claimant)?
        } else {
            self.server_with_room_left(&claim.claimant)?
        };
        if registration.epoch != claim.room.epoch || (registration.server_id.is_some() && !own && !offered) {
            return Err(Rejection::RoomOwned(room_id.clone()).into());
        }
        let claimant = Arc::clone(claimant);
        if offered {
            self.settle_seats(effects, number, MOVE_GRACE_MS);
        }
        self.take_over(effects, number, &claimant);
        self.room_reply(number)
    }

    pub(super) fn claim_orphans(&mut self, effects: &mut Effects, claim: &OrphanClaim) -> Outcome {
        limits::claimed_types(claim.room_types.len())?;
        let claimant = Arc::clone(self.present_server(&claim.claimant)?);
        for room_type in &claim.room_types {
            self.dispose_of_lost(effects, room_type);
        }
        if !claimant.is_online() {
            return Ok(Reply::Rooms(Vec::new()));
        }
        let limit =
            usize::try_from(claimant.rooms_left().min(claim.limit)).unwrap_or(usize::MAX).min(CLAIMED_ROOMS_MAX);
        let share = self.fair_share(&claimant, &claim.room_types);
        let mut taken = Vec::new();
        for oldest_of in [RoomsOfType::oldest_orphan as fn(&RoomsOfType) -> _, RoomsOfType::oldest_parked] {
            while taken.len() < limit {
                let oldest =
                    claim.room_types.iter().filter_map(|room_type| oldest_of(self.types.get(room_type)?)).min();
                let Some((since, number)) = oldest else { break };
                let anybodys = since.saturating_add(SHARE_MS) <= effects.now_ms;
                if taken.len() >= share && !anybodys {
                    break;
                }
                self.take_over(effects, number, &claimant);
                taken.push(number);
            }
        }
        let record = |number: RoomNumber| self.rooms.get(&number).map(|room| room.registration.clone());
        Ok(Reply::Rooms(taken.into_iter().filter_map(record).collect()))
    }

    /// How many ownerless rooms bring the claimant to the level that all of them would fill, spread over all who can
    /// take some.
    fn fair_share(&self, claimant: &Server, room_types: &[RoomType]) -> usize {
        let ownerless =
            |room_type| self.types.get(room_type).map_or(0, |of_type| of_type.orphaned.len() + of_type.parked.len());
        let ownerless: usize = room_types.iter().map(ownerless).sum();
        if ownerless == 0 {
            return 0;
        }
        let is_suited = |server: &&Arc<Server>| {
            server.registration.server_id == claimant.registration.server_id
                || room_types.iter().any(|room_type| server.registration.room_types.contains_key(room_type))
        };
        let eligible = self.servers.values().filter(|server| server.is_online() && server.has_room_left());
        let (mut servers, mut rooms) = (0_usize, ownerless);
        for server in eligible.filter(is_suited) {
            servers += 1;
            rooms += server.rooms.len();
        }
        rooms.div_ceil(servers.max(1)).saturating_sub(claimant.rooms.len())
    }

    /// Orphans that lived and have no snapshot cannot come back.
    fn dispose_of_lost(&mut self, effects: &mut Effects, room_type: &RoomType) {
        let Some(lost) = self.types.get(room_type).map(|of_type| of_type.lost.clone()) else { return };
        for (_, number) in &lost {
            self.dispose_room(effects, *number, "its server was lost and it has no snapshot");
        }
    }

    /// A room's server is lost: the room waits for whoever claims it.
    pub(super) fn orphan_room(&mut self, effects: &mut Effects, number: RoomNumber) {
        self.settle_seats(effects, number, 0);
        let now_ms = effects.now_ms;
        self.change_room(effects, number, |room| room.leave_owner(RoomState::Orphaned, now_ms));
    }

    /// An orphan with a snapshot that nobody took waits without end, or for its snapshot's time.
    pub(super) fn park_room(&mut self, effects: &mut Effects, number: RoomNumber) {
        let now_ms = effects.now_ms;
        self.change_room(effects, number, |room| room.leave_owner(RoomState::Parked, now_ms));
        if let Some(room) = self.rooms.get(&number) {
            let room_id = &room.registration.room_id;
            effects.room_event(EventKind::RoomUpdated, None, room_id, EventPayload::None);
        }
    }

    /// Players of a room that loses its owner are away, as long as the room's grace says, and at least so long.
    pub(super) fn settle_seats(&mut self, effects: &mut Effects, number: RoomNumber, at_least_ms: u64) {
        let Some(room) = self.rooms.get(&number) else { return };
        let grace_ms = room.grace_ms.max(at_least_ms);
        for seat in room.seats.clone().values().filter(|seat| seat.state == SeatState::Joined) {
            if grace_ms == 0 {
                self.free_seat(effects, number, seat.seat_id);
            } else {
                let deadline_ms = effects.now_ms.saturating_add(grace_ms);
                let away = Seat { state: SeatState::Away, deadline_ms, ..Seat::clone(seat) };
                self.put_seat(effects, number, away);
            }
        }
    }

    fn take_over(&mut self, effects: &mut Effects, number: RoomNumber, claimant: &Server) {
        let (index, now_ms) = (effects.index, effects.now_ms);
        let new_owner = &claimant.registration.server_id;
        let mut from_server = None;
        self.change_room(effects, number, |room| {
            let claimed = room.offer().filter(|offer| offer.to == *new_owner).and_then(claimed);
            let last_server = room.last_server.take();
            let registration = &mut room.registration;
            from_server = registration.server_id.replace(new_owner.clone()).or(last_server);
            registration.server_address = claimant.registration.player_address();
            registration.epoch = Epoch(index);
            registration.state = if room.lived { RoomState::Live } else { RoomState::Creating };
            registration.updated_at = now_ms;
            registration.migration = claimed;
            room.ownerless_since = 0;
        });
        if from_server.as_ref() != Some(new_owner)
            && let Some(RoomRegistration { room_id, .. }) = self.rooms.get(&number).map(|room| &room.registration)
        {
            let payload = EventPayload::Migrated { from_server, to_server: new_owner.clone() };
            effects.room_event(EventKind::RoomMigrated, Some(new_owner), room_id, payload);
        }
    }
}

/// What a claim makes of an offer. A room that is taken back goes on where it was: nobody waits for word of it.
fn claimed(offer: &RoomMigration) -> Option<RoomMigration> {
    let arriving = RoomMigration { stage: MigrationStage::Claimed, deadline_ms: 0, ..offer.clone() };
    (offer.stage == MigrationStage::Offered).then_some(arriving)
}

impl Room {
    /// The room becomes orphaned or parked. Its epoch stays, as what the next claim compares.
    pub(super) fn leave_owner(&mut self, state: RoomState, now_ms: u64) {
        let registration = &mut self.registration;
        if let Some(owner) = registration.server_id.take() {
            self.last_server = Some(owner);
        }
        registration.server_address = String::new();
        registration.migration = None;
        registration.state = state;
        registration.updated_at = now_ms;
        self.ownerless_since = now_ms;
    }
}

impl RoomsOfType {
    fn oldest_orphan(&self) -> Option<(u64, RoomNumber)> {
        self.orphaned.get_min().copied()
    }

    fn oldest_parked(&self) -> Option<(u64, RoomNumber)> {
        self.parked.get_min().copied()
    }
}
