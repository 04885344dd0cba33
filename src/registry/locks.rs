//! Locks: held for a time, proved by a token that only grows.

use super::{
    Registry, Rejection, Reply,
    effects::{Effects, Outcome},
    limits,
    records::LockRecord,
};
use crate::model::LockToken;

impl Registry {
    pub(super) fn acquire_lock(&mut self, effects: &mut Effects, key: &str, ttl_ms: u64) -> Outcome {
        limits::lock_key(key)?;
        limits::lock_ttl(ttl_ms)?;
        if self.locks.contains_key(key) {
            return Err(Rejection::LockHeld.into());
        }
        let token = LockToken(effects.index);
        let deadline_ms = effects.now_ms.saturating_add(ttl_ms);
        self.swap_lock(effects, key, Some(LockRecord { token, deadline_ms }));
        Ok(Reply::Lock(token))
    }

    pub(super) fn release_lock(&mut self, effects: &mut Effects, key: &str, token: LockToken) -> Outcome {
        self.held_with(key, token)?;
        self.swap_lock(effects, key, None);
        Ok(Reply::Done)
    }

    pub(super) fn extend_lock(&mut self, effects: &mut Effects, key: &str, token: LockToken, ttl_ms: u64) -> Outcome {
        limits::lock_ttl(ttl_ms)?;
        self.held_with(key, token)?;
        let deadline_ms = effects.now_ms.saturating_add(ttl_ms);
        self.swap_lock(effects, key, Some(LockRecord { token, deadline_ms }));
        Ok(Reply::Done)
    }

    fn held_with(&self, key: &str, token: LockToken) -> Result<(), Rejection> {
        match self.locks.get(key) {
            Some(lock) if lock.token == token => Ok(()),
            _ => Err(Rejection::LockNotHeld),
        }
    }
}
