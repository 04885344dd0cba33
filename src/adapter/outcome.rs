//! From a registry's reply to what an adapter's caller gets.

use super::{AdapterError, AdapterResult};
use crate::{
    model::{Epoch, LockToken, RoomRegistration, SeatGrant},
    registry::{Rejection, Reply},
};

/// Fencing and refusals become errors; every other reply stays as it is.
fn granted(reply: Reply) -> AdapterResult<Reply> {
    match reply {
        Reply::Fenced { present } => Err(AdapterError::Fenced { present }),
        Reply::Rejected(rejection) => Err(AdapterError::Rejected(rejection)),
        granted => Ok(granted),
    }
}

fn unexpected<T>(reply: &Reply) -> AdapterResult<T> {
    Err(AdapterError::Damaged(format!("the registry answered another question: {reply:?}")))
}

pub(super) fn done(reply: Reply) -> AdapterResult<()> {
    granted(reply).map(|_| ())
}

pub(super) fn epoch(reply: Reply) -> AdapterResult<Epoch> {
    match granted(reply)? {
        Reply::Epoch(epoch) => Ok(epoch),
        other => unexpected(&other),
    }
}

pub(super) fn room(reply: Reply) -> AdapterResult<RoomRegistration> {
    match granted(reply)? {
        Reply::Room(room) => Ok(*room),
        other => unexpected(&other),
    }
}

pub(super) fn rooms(reply: Reply) -> AdapterResult<Vec<RoomRegistration>> {
    match granted(reply)? {
        Reply::Rooms(rooms) => Ok(rooms),
        other => unexpected(&other),
    }
}

pub(super) fn seat(reply: Reply) -> AdapterResult<SeatGrant> {
    match granted(reply)? {
        Reply::Seat(grant) => Ok(*grant),
        other => unexpected(&other),
    }
}

/// `None` where somebody else holds the lock.
pub(super) fn lock(reply: Reply) -> AdapterResult<Option<LockToken>> {
    match reply {
        Reply::Rejected(Rejection::LockHeld) => Ok(None),
        reply => match granted(reply)? {
            Reply::Lock(token) => Ok(Some(token)),
            other => unexpected(&other),
        },
    }
}

/// `false` where the lock was not held with the token any more.
pub(super) fn still_held(reply: Reply) -> AdapterResult<bool> {
    match reply {
        Reply::Rejected(Rejection::LockNotHeld) => Ok(false),
        reply => granted(reply).map(|_| true),
    }
}
