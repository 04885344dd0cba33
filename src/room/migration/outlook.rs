//! What the record of a room means for the server that has frozen it; pure.

use crate::model::{MigrationStage, RoomEpoch, RoomRegistration, RoomState, ServerId};

/// What the source knows of its room's migration.
#[derive(Debug)]
pub(crate) struct Outlook<'a> {
    /// The source itself.
    pub(crate) own: &'a ServerId,
    /// The ownership under which it offered the room.
    pub(crate) offered: &'a RoomEpoch,
    /// The snapshot that equals the frozen room.
    pub(crate) version: u64,
    /// Whether it has waited long enough.
    pub(crate) late: bool,
}

/// What the source does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is decided yet.
    Wait,
    /// It may have its room back: it claims it, under the ownership that the record shows.
    Reclaim(RoomEpoch),
    /// Another server has it.
    Moved,
    /// There is nothing left to go on with here.
    Gone(String),
}

impl Outlook<'_> {
    pub(crate) fn verdict(&self, row: Option<&RoomRegistration>) -> Verdict {
        let Some(row) = row else { return Verdict::Gone("the room was disposed of".to_owned()) };
        let stage = row.migration.as_ref().map(|migration| migration.stage);
        // The frozen room is worth nothing once another owner has got further.
        let is_current = row.snapshot_version == Some(self.version);
        let reclaim = || {
            if is_current {
                return Verdict::Reclaim(row.room_epoch());
            }
            Verdict::Gone("another server got further with the room".to_owned())
        };
        match &row.server_id {
            Some(owner) if owner == self.own => {
                let waits = row.epoch == self.offered.epoch && stage == Some(MigrationStage::Offered);
                if waits && !self.late { Verdict::Wait } else { reclaim() }
            }
            Some(_) => match (stage, &row.migration) {
                (Some(MigrationStage::Claimed), _) if !self.late => Verdict::Wait,
                (Some(MigrationStage::Returned), Some(back)) if back.to == *self.own => reclaim(),
                _ => Verdict::Moved,
            },
            None if !is_current => reclaim(),
            // Another server may be about to take it.
            None if row.state == RoomState::Orphaned && !self.late => Verdict::Wait,
            None => reclaim(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Metadata, RoomId, RoomMigration, RoomType};

    const VERSION: u64 = 7;

    fn row(owner: Option<&str>, epoch: u64, stage: Option<MigrationStage>) -> RoomRegistration {
        let server = |name: &str| ServerId::new(name).expect("a valid id");
        let (from, to) = match stage {
            Some(MigrationStage::Returned) => ("target", "source"),
            _ => ("source", "target"),
        };
        let migration =
            |stage| RoomMigration { from: server(from), to: server(to), stage, version: VERSION, deadline_ms: 9 };
        RoomRegistration {
            room_id: RoomId::new("arena-1").expect("a valid id"),
            room_type: RoomType::new("arena").expect("a valid type"),
            server_id: owner.map(server),
            server_address: String::new(),
            player_count: 0,
            max_players: 1,
            is_locked: false,
            metadata: Metadata::default(),
            created_at: 0,
            updated_at: 0,
            epoch: Epoch(epoch),
            state: if owner.is_some() { RoomState::Live } else { RoomState::Parked },
            seat_count: 0,
            snapshot_version: Some(VERSION),
            options: String::new(),
            migration: stage.map(migration),
        }
    }

    fn verdict(row: Option<&RoomRegistration>, late: bool) -> Verdict {
        let own = ServerId::new("source").expect("a valid id");
        let offered = RoomEpoch { room_id: RoomId::new("arena-1").expect("a valid id"), epoch: Epoch(3) };
        Outlook { own: &own, offered: &offered, version: VERSION, late }.verdict(row)
    }

    #[test]
    fn it_waits_while_the_offer_stands_and_while_the_target_restores() {
        let offered = row(Some("source"), 3, Some(MigrationStage::Offered));
        let claimed = row(Some("target"), 5, Some(MigrationStage::Claimed));
        for row in [&offered, &claimed] {
            assert_eq!(verdict(Some(row), false), Verdict::Wait);
        }
        assert_eq!(verdict(Some(&offered), true), Verdict::Reclaim(offered.room_epoch()));
        assert_eq!(verdict(Some(&claimed), true), Verdict::Moved, "a claim is never taken back by waiting");
    }

    #[test]
    fn it_claims_what_is_its_own_and_what_is_given_back() {
        let over = row(Some("source"), 3, None);
        let anew = row(Some("source"), 8, None);
        let back = row(Some("target"), 5, Some(MigrationStage::Returned));
        let parked = row(None, 5, None);
        for row in [over, anew, back, parked] {
            assert_eq!(verdict(Some(&row), false), Verdict::Reclaim(row.room_epoch()));
            let further = RoomRegistration { snapshot_version: Some(VERSION + 1), ..row };
            assert!(matches!(verdict(Some(&further), false), Verdict::Gone(_)), "{further:?}");
        }
    }

    #[test]
    fn an_orphan_is_left_to_the_others_for_a_while() {
        let orphan = RoomRegistration { state: RoomState::Orphaned, ..row(None, 5, None) };
        assert_eq!(verdict(Some(&orphan), false), Verdict::Wait);
        assert_eq!(verdict(Some(&orphan), true), Verdict::Reclaim(orphan.room_epoch()));
    }

    #[test]
    fn a_room_that_lives_elsewhere_has_moved_and_one_that_is_gone_is_gone() {
        assert_eq!(verdict(Some(&row(Some("target"), 5, None)), false), Verdict::Moved);
        assert_eq!(verdict(Some(&row(Some("third"), 9, Some(MigrationStage::Offered))), false), Verdict::Moved);
        assert!(matches!(verdict(None, false), Verdict::Gone(_)));
    }
}
