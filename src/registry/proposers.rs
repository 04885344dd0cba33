//! Exactly once: the outcome of each numbered command is kept until its proposer has seen it.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::{Change, Operation, Origin, ProposerId, Registry, Rejection, Reply, effects::Effects};

/// What is kept of one node's present process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Proposer {
    /// Its process.
    pub(super) incarnation: u64,
    /// It has the outcome of every command below this number.
    pub(super) settled_below: u64,
    /// What the others gave.
    pub(super) outcomes: OrdMap<u64, Arc<Reply>>,
}

impl Registry {
    /// Runs a command unless it ran before: then it answers the same and does nothing.
    pub(super) fn run_once(&mut self, effects: &mut Effects, origin: Origin, operation: &Operation) -> Reply {
        let Origin { proposer: id, serial, settled_below } = origin;
        if let Some(proposer) = self.proposers.get(&id.node) {
            if id.incarnation < proposer.incarnation {
                return Reply::Rejected(Rejection::Superseded);
            }
            if id.incarnation == proposer.incarnation {
                if let Some(outcome) = proposer.outcomes.get(&serial) {
                    return Reply::clone(outcome);
                }
                if serial < proposer.settled_below {
                    return Reply::Rejected(Rejection::Superseded);
                }
            } else {
                effects.change(Change::Proposer(ProposerId { incarnation: proposer.incarnation, ..id }));
                self.proposers.remove(&id.node);
            }
        }
        let reply = self.run(effects, operation);
        let proposer = Arc::make_mut(self.proposers.entry(id.node).or_default());
        proposer.incarnation = id.incarnation;
        proposer.outcomes.insert(serial, Arc::new(reply.clone()));
        proposer.settle(settled_below);
        effects.change(Change::Proposer(id));
        reply
    }
}

impl Proposer {
    fn settle(&mut self, below: u64) {
        self.settled_below = self.settled_below.max(below);
        while let Some((serial, _)) = self.outcomes.get_min().filter(|(serial, _)| *serial < self.settled_below) {
            let serial = *serial;
            self.outcomes.remove(&serial);
        }
    }
}
