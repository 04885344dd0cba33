//! Locks, each in a slot of its own.

use std::time::Duration;

use super::{
    answer::{Answer, Outcome},
    core::{Arguments, Core, arguments, call_name, number, time},
    keys::lock_base,
    scripts,
};
use crate::{
    adapter::{AdapterError, AdapterResult},
    clock::millis,
    model::LockToken,
    registry::{Rejection, limits},
};

impl Core {
    pub(super) async fn acquire_lock(&self, key: &str, ttl: Duration) -> AdapterResult<Option<LockToken>> {
        limits::lock_key(key)?;
        limits::lock_ttl(millis(ttl))?;
        let call = arguments!({ "op": "acquire", "by": call_name(), "ttl_ms": time(millis(ttl)) });
        match self.lock_call(key, &call).await {
            Ok(mut answer) => Ok(Some(LockToken(answer.number()?))),
            Err(AdapterError::Rejected(Rejection::LockHeld)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn release_lock(&self, key: &str, token: LockToken) -> AdapterResult<bool> {
        let call = arguments!({ "op": "release", "by": call_name(), "token": number(token.0) });
        still_held(self.lock_call(key, &call).await)
    }

    pub(super) async fn extend_lock(&self, key: &str, token: LockToken, ttl: Duration) -> AdapterResult<bool> {
        limits::lock_ttl(millis(ttl))?;
        let call = arguments!({ "op": "extend", "token": number(token.0), "ttl_ms": time(millis(ttl)) });
        still_held(self.lock_call(key, &call).await)
    }

    async fn lock_call(&self, key: &str, call: &Arguments) -> AdapterResult<Answer> {
        match self.call(&scripts::LOCKS, &lock_base(&self.options.prefix, key), call, &[]).await? {
            Outcome::Done(answer) => Ok(answer),
            other => Err(AdapterError::Damaged(format!("a lock's script asks for more: {other:?}"))),
        }
    }
}

fn still_held(outcome: AdapterResult<Answer>) -> AdapterResult<bool> {
    match outcome {
        Ok(_) => Ok(true),
        Err(AdapterError::Rejected(Rejection::LockNotHeld)) => Ok(false),
        Err(error) => Err(error),
    }
}
