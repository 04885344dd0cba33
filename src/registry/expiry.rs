//! What falls due by the passing of cluster time.

use super::{
    Registry,
    effects::Effects,
    records::{Due, RoomNumber},
};
use crate::model::RoomState;

impl Registry {
    /// Carries out everything whose deadline has come. Every command begins with this, so no rule
    /// has to ask whether what it sees is over already.
    pub(super) fn expire_due(&mut self, effects: &mut Effects) {
        while let Some(first) = self.deadlines.get_min().filter(|(deadline_ms, _)| *deadline_ms <= effects.now_ms) {
            let first = first.clone();
            self.deadlines.remove(&first);
            match first.1 {
                Due::Seat(number, seat_id) => self.free_seat(effects, number, seat_id),
                Due::Lock(key) => self.swap_lock(effects, &key, None),
                Due::Server(server_id) => self.remove_server(effects, &server_id),
                Due::Room(number) => self.expire_room(effects, number),
            }
        }
    }

    fn expire_room(&mut self, effects: &mut Effects, number: RoomNumber) {
        let Some(room) = self.rooms.get(&number) else { return };
        if room.offer().is_some() {
            return self.withdraw_offer(effects, number);
        }
        let orphaned = room.registration.state == RoomState::Orphaned;
        match (orphaned, room.snapshot.is_some()) {
            (true, true) => self.park_room(effects, number),
            (true, false) => self.dispose_room(effects, number, "no server took it over in time"),
            (false, _) => self.dispose_room(effects, number, "the time of its snapshot is over"),
        }
    }
}
