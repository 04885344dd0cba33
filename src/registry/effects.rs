//! What one command brings about, while it is being applied.

use super::{Applied, Change, Rejection, Reply};
use crate::model::{DistributedEvent, Epoch, EventKind, EventPayload, Revision, RoomId, ServerId};

/// How an operation ends: with a reply, or refused with nothing changed.
pub(super) type Outcome = Result<Reply, Refusal>;

/// Why an operation changed nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// The epoch that it names is not the present one.
    Fenced(Epoch),
    /// The rules.
    Rejected(Rejection),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl Refusal {
    pub(super) fn into_reply(self) -> Reply {
        match self {
            Self::Fenced(present) => Reply::Fenced { present },
            Self::Rejected(rejection) => Reply::Rejected(rejection),
        }
    }
}

/// Changes and events as they pile up.
#[derive(Debug)]
pub(super) struct Effects {
    /// The index of the command: the epoch or token of whatever it grants.
    pub(super) index: u64,
    /// Cluster time of the command.
    pub(super) now_ms: u64,
    changes: Vec<Change>,
    events: Vec<DistributedEvent>,
}

impl Effects {
    pub(super) fn new(index: u64, now_ms: u64) -> Self {
        Self { index, now_ms, changes: Vec::new(), events: Vec::new() }
    }

    pub(super) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(super) fn server_event(&mut self, kind: EventKind, server_id: &ServerId, payload: EventPayload) {
        self.event(kind, Some(server_id.clone()), None, payload);
    }

    pub(super) fn room_event(
        &mut self,
        kind: EventKind,
        server_id: Option<&ServerId>,
        room_id: &RoomId,
        payload: EventPayload,
    ) {
        self.event(kind, server_id.cloned(), Some(room_id.clone()), payload);
    }

    fn event(&mut self, kind: EventKind, server_id: Option<ServerId>, room_id: Option<RoomId>, payload: EventPayload) {
        let ordinal = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        let revision = Some(Revision { index: self.index, ordinal });
        self.events.push(DistributedEvent { kind, server_id, room_id, payload, timestamp: self.now_ms, revision });
    }

    pub(super) fn finish(mut self, reply: Reply) -> Applied {
        if self.changes.len() > 1 {
            self.changes.sort_unstable();
            self.changes.dedup();
        }
        Applied { reply, changes: self.changes, events: self.events }
    }
}
