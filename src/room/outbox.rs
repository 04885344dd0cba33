//! What a room sends, held back until its hook has returned.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Connection, ConnectionId, Outgoing, tenure::Tenure};

/// So many messages at most wait for a hook to return; a hook that sends more gets them flushed on the way.
const HELD_MAX: usize = 65_536;

/// The way out of one room. While it is corked messages wait, in order; they leave only while the
/// server's lease runs, so that a room that has been taken over elsewhere tells nobody anything.
#[derive(Debug)]
pub(crate) struct Outbox {
    tenure: Arc<Tenure>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    corked: bool,
    held: Vec<(Connection, Outgoing)>,
}

impl Outbox {
    pub(crate) fn new(tenure: Arc<Tenure>) -> Self {
        Self { tenure, queue: Mutex::default() }
    }

    /// Sends, or holds back while corked.
    pub(crate) fn send(&self, connection: &Connection, message: Outgoing) {
        let mut queue = self.queue.lock();
        let waits = queue.corked && queue.held.len() < HELD_MAX;
        queue.held.push((connection.clone(), message));
        if !waits && self.tenure.may_act() {
            queue.flush();
        }
    }

    /// Holds back what is sent from now on.
    pub(crate) fn cork(&self) {
        self.queue.lock().corked = true;
    }

    /// Lets out what was held back. The caller has just compared the lease.
    pub(crate) fn uncork(&self) {
        let mut queue = self.queue.lock();
        queue.corked = false;
        queue.flush();
    }

    /// Forgets what is held for one connection.
    pub(crate) fn discard(&self, connection: ConnectionId) {
        self.queue.lock().held.retain(|(to, _)| to.id() != connection);
    }

    /// Forgets everything that is held.
    pub(crate) fn clear(&self) {
        self.queue.lock().held.clear();
    }
}

impl Queue {
    fn flush(&mut self) {
        for (connection, message) in self.held.drain(..) {
            connection.send(message);
        }
    }
}
