//! What the demo saw, and which of its promises it broke. Pure: the summary is made of this alone.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

/// A room as some node listed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoomSeen {
    pub(super) server_id: Option<String>,
    pub(super) players: u64,
    pub(super) seats_taken: u64,
    pub(super) seats: u64,
}

/// What became of the rooms of the killed server, as a survivor's registry shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// Rooms that it had when it was killed.
    pub(super) before: usize,
    /// Rooms that another server owns now.
    pub(super) taken_over: usize,
    /// Rooms that wait for an owner: orphaned or parked.
    pub(super) waiting: usize,
    /// Rooms that were disposed of.
    pub(super) disposed: usize,
    /// Rooms still registered to the dead server.
    pub(super) stuck: usize,
}

impl Fate {
    /// Compares the rooms before the death of `server_id` with those some time after it.
    pub(super) fn new(
        server_id: &str,
        before: &BTreeMap<String, RoomSeen>,
        after: &BTreeMap<String, RoomSeen>,
    ) -> Self {
        let mut fate = Self::default();
        for (room_id, _) in before.iter().filter(|(_, room)| room.server_id.as_deref() == Some(server_id)) {
            fate.before += 1;
            match after.get(room_id).map(|room| room.server_id.as_deref()) {
                None => fate.disposed += 1,
                Some(None) => fate.waiting += 1,
                Some(Some(owner)) if owner == server_id => fate.stuck += 1,
                Some(Some(_)) => fate.taken_over += 1,
            }
        }
        fate
    }
}

/// The rooms with more players or seats than they have room for.
pub(super) fn overfull(rooms: &BTreeMap<String, RoomSeen>) -> impl Iterator<Item = &String> {
    rooms.iter().filter(|(_, room)| room.players.max(room.seats_taken) > room.seats).map(|(room_id, _)| room_id)
}

/// Everything that the summary says.
#[derive(Debug, Clone, Default)]
pub(super) struct Report {
    pub(super) nodes: usize,
    pub(super) formed: Duration,
    pub(super) players: usize,
    pub(super) joins: u64,
    pub(super) redirects: u64,
    pub(super) acknowledged: u64,
    pub(super) killed: String,
    /// From the kill until a join through every survivor worked again.
    pub(super) joins_again: Option<Duration>,
    pub(super) leader_after: Option<String>,
    pub(super) fate: Fate,
    /// Players whose room's server was killed.
    pub(super) displaced: usize,
    /// Those of them that play again.
    pub(super) back: usize,
    /// From the kill until the last of them played again.
    pub(super) back_after: Option<Duration>,
    /// Players in rooms of the surviving servers at the kill.
    pub(super) undisturbed: usize,
    /// What was broken, one line each.
    pub(super) broken: Vec<String>,
    /// Rooms that were found overfull at any time.
    pub(super) overfull: Vec<String>,
    /// Writes that were acknowledged and are gone, though their room's server lives.
    pub(super) lost: Vec<String>,
    pub(super) rooms_checked: usize,
}

impl Report {
    /// The promises that were not kept; none is what a run should end with.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = self.broken.clone();
        failures.extend(self.overfull.iter().map(|room| format!("the room {room} was overfull")));
        failures.extend(self.lost.iter().cloned());
        if self.joins_again.is_none() {
            failures.push("joins did not work again after the leader's death".to_owned());
        }
        if self.back < self.displaced {
            failures.push(format!("{} displaced players never played again", self.displaced - self.back));
        }
        if self.fate.stuck > 0 {
            failures.push(format!("{} rooms are still registered to the dead server", self.fate.stuck));
        }
        failures
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let after = |time: Option<Duration>| time.map_or("never".to_owned(), seconds);
        let Fate { before, taken_over, waiting, disposed, stuck } = self.fate;
        writeln!(f, "cluster formed      {} nodes in {}", self.nodes, seconds(self.formed))?;
        writeln!(f, "players             {}, {} joins, {} redirects", self.players, self.joins, self.redirects)?;
        writeln!(f, "shared state        {} writes acknowledged", self.acknowledged)?;
        writeln!(f, "leader killed       {} (kill -9)", self.killed)?;
        let leader = self.leader_after.as_deref().unwrap_or("nobody");
        writeln!(f, "election            {leader} leads, joins work again after {}", after(self.joins_again))?;
        write!(f, "rooms of the dead   {before}: {taken_over} taken over, {waiting} waiting, {disposed} disposed")?;
        writeln!(f, ", {stuck} stuck")?;
        let back = if self.displaced == 0 { "none were".to_owned() } else { after(self.back_after) };
        writeln!(f, "players displaced   {}, {} play again, the last after {back}", self.displaced, self.back)?;
        writeln!(f, "players undisturbed {} in rooms of the other servers", self.undisturbed)?;
        writeln!(f, "overfull rooms      {}", self.overfull.len())?;
        write!(f, "lost state          {} ({} rooms read back)", self.lost.len(), self.rooms_checked)
    }
}

/// A time as people read it.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(server_id: Option<&str>) -> RoomSeen {
        let server_id = server_id.map(str::to_owned);
        RoomSeen { server_id, players: 4, seats_taken: 4, seats: 4 }
    }

    fn rooms(rooms: &[(&str, Option<&str>)]) -> BTreeMap<String, RoomSeen> {
        rooms.iter().map(|(room_id, server_id)| ((*room_id).to_owned(), room(*server_id))).collect()
    }

    #[test]
    fn the_fate_of_each_room_of_the_dead_is_told() {
        let before =
            rooms(&[("a", Some("s1")), ("b", Some("s1")), ("c", Some("s1")), ("d", Some("s1")), ("e", Some("s2"))]);
        let after = rooms(&[("a", Some("s2")), ("b", None), ("c", Some("s1")), ("e", Some("s2"))]);
        let expected = Fate { before: 4, taken_over: 1, waiting: 1, disposed: 1, stuck: 1 };
        assert_eq!(Fate::new("s1", &before, &after), expected);
    }

    #[test]
    fn a_room_with_one_player_too_many_is_found() {
        let mut rooms = rooms(&[("a", Some("s1")), ("b", Some("s1"))]);
        assert_eq!(overfull(&rooms).count(), 0);
        rooms.get_mut("b").unwrap().seats_taken = 5;
        assert_eq!(overfull(&rooms).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_run_fails_by_each_promise_that_it_broke() {
        let good = Report { joins_again: Some(Duration::from_millis(700)), displaced: 8, back: 8, ..Report::default() };
        assert_eq!(good.failures(), Vec::<String>::new());
        let broken = Report {
            joins_again: None,
            displaced: 8,
            back: 6,
            fate: Fate { stuck: 2, ..Fate::default() },
            overfull: vec!["a".to_owned()],
            lost: vec!["a write is gone".to_owned()],
            broken: vec!["a node fell".to_owned()],
            ..good
        };
        assert_eq!(broken.failures().len(), 6);
    }
}
