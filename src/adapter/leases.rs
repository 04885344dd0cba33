//! Which servers are alive.
//!
//! Pure: the present time is passed in. It says whose lease has ended; to say so in the registry
//! is its shell's work.

use std::{collections::BTreeMap, time::Duration};

use crate::model::ServerEpoch;

/// The leases of the servers, in the memory of whoever watches over them.
#[derive(Debug, Clone)]
pub(crate) struct LeaseTable {
    length: Duration,
    leases: BTreeMap<ServerEpoch, Held>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    until: Duration,
    /// When the last heartbeat came, in milliseconds since 1970, for people.
    seen_ms: u64,
}

impl LeaseTable {
    /// An empty table whose leases last for `length`.
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, leases: BTreeMap::new() }
    }

    /// Grants or renews a lease. One never becomes shorter.
    pub(crate) fn renew(&mut self, server: &ServerEpoch, now: Duration, seen_ms: u64) {
        let until = now + self.length;
        let held = self.leases.entry(server.clone()).or_insert(Held { until, seen_ms });
        held.until = held.until.max(until);
        held.seen_ms = seen_ms;
    }

    /// Brings the table in step with the registered servers: those that it does not know, such as all of them
    /// after a change of leader, get one full lease; those that are registered no more are forgotten.
    pub(crate) fn watch(&mut self, registered: impl IntoIterator<Item = ServerEpoch>, now: Duration) {
        let until = now + self.length;
        let mut before = std::mem::take(&mut self.leases);
        for server in registered {
            let held = before.remove(&server).unwrap_or(Held { until, seen_ms: 0 });
            self.leases.insert(server, held);
        }
    }

    /// The servers whose leases have ended.
    pub(crate) fn ended(&self, now: Duration) -> Vec<ServerEpoch> {
        self.leases.iter().filter(|(_, held)| held.until <= now).map(|(server, _)| server.clone()).collect()
    }

    /// When the next lease ends.
    pub(crate) fn next_end(&self) -> Option<Duration> {
        self.leases.values().map(|held| held.until).min()
    }

    /// When the server's last heartbeat came, in milliseconds since 1970.
    pub(crate) fn seen_ms(&self, server: &ServerEpoch) -> Option<u64> {
        self.leases.get(server).map(|held| held.seen_ms).filter(|seen| *seen > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, ServerId};

    const LENGTH: Duration = Duration::from_millis(1200);

    fn server(name: &str, epoch: u64) -> ServerEpoch {
        ServerEpoch { server_id: ServerId::new(name).expect("a name"), epoch: Epoch(epoch) }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_lease_ends_one_length_after_the_last_heartbeat() {
        let mut table = LeaseTable::new(LENGTH);
        table.renew(&server("a", 1), at(0), 7);
        table.renew(&server("a", 1), at(1000), 8);
        assert!(table.ended(at(2199)).is_empty());
        assert_eq!(table.ended(at(2200)), [server("a", 1)]);
        assert_eq!(table.next_end(), Some(at(2200)));
        assert_eq!(table.seen_ms(&server("a", 1)), Some(8));
    }

    #[test]
    fn a_new_watcher_gives_every_server_one_full_lease() {
        let mut table = LeaseTable::new(LENGTH);
        table.watch([server("a", 1), server("b", 2)], at(5000));
        assert!(table.ended(at(6199)).is_empty());
        assert_eq!(table.ended(at(6200)).len(), 2);
    }

    #[test]
    fn watching_again_neither_renews_nor_keeps_what_is_gone() {
        let mut table = LeaseTable::new(LENGTH);
        table.watch([server("a", 1), server("b", 2)], at(0));
        table.watch([server("b", 2), server("a", 3)], at(600));
        assert_eq!(table.ended(at(1200)), [server("b", 2)], "the older registration of a is forgotten");
        assert_eq!(table.ended(at(1800)), [server("a", 3), server("b", 2)]);
    }
}
