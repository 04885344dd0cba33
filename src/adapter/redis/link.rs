//! Calls to Redis: each within a deadline, on a connection that comes back by itself.
//!
//! An attempt that was lost is repeated inside the call's time, since every script and query here
//! may be: a script by the ids that its caller gave. What is published is never sent twice.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{Cmd, Script, Value};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    connection::{Access, Reach, Request, Slot, silence},
    failure::{Failure, Sort},
    options::RedisOptions,
};
use crate::adapter::AdapterResult;

/// The pause after a first failed attempt; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// After this silence a connection is tried by a ping before something is published on it.
const TRUSTED: Duration = Duration::from_secs(1);

/// Redis, as the adapter sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    call_max: Duration,
    calls: Slot,
    /// One node's, so that what one handle publishes keeps its order in a cluster too.
    publishing: Slot,
    /// When something was last published with success.
    published: Mutex<Option<Instant>>,
}

/// Whether an attempt may be repeated that may have been carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Always,
    Never,
}

impl Link {
    /// A link that reaches Redis at this moment.
    pub(super) async fn open(options: &RedisOptions) -> AdapterResult<Self> {
        let access = Arc::new(Access::new(options)?);
        let inner = Inner {
            call_max: options.call_max,
            calls: Slot::new(Arc::clone(&access), Reach::All),
            publishing: Slot::new(access, Reach::OneNode),
            published: Mutex::default(),
        };
        let link = Self { inner: Arc::new(inner) };
        link.query(&redis::cmd("PING")).await?;
        Ok(link)
    }

    /// Runs a script on the node that has `key`, its only key.
    pub(super) async fn script(&self, script: &Script, key: &str, args: &[Vec<u8>]) -> AdapterResult<Value> {
        self.call(&self.inner.calls, Repeat::Always, Request::Script { script, key, args }).await
    }

    /// Runs a command that may be repeated without harm.
    pub(super) async fn query(&self, command: &Cmd) -> AdapterResult<Value> {
        self.call(&self.inner.calls, Repeat::Always, Request::Command(command)).await
    }

    /// Publishes on a channel, at most once; in order where the caller awaits one before the next.
    pub(super) async fn publish(&self, channel: &str, payload: &str) -> AdapterResult<()> {
        let slot = &self.inner.publishing;
        let trusted = self.inner.published.lock().is_some_and(|last| last.elapsed() < TRUSTED);
        if !trusted {
            self.call(slot, Repeat::Always, Request::Command(&redis::cmd("PING"))).await?;
        }
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(payload);
        let outcome = self.call(slot, Repeat::Never, Request::Command(&command)).await;
        *self.inner.published.lock() = outcome.is_ok().then(Instant::now);
        outcome.map(|_| ())
    }

    async fn call(&self, slot: &Slot, repeat: Repeat, request: Request<'_>) -> AdapterResult<Value> {
        let deadline = Instant::now() + self.inner.call_max;
        let mut pause = PAUSE_MIN;
        let mut unknown = false;
        loop {
            let failure = match self.attempt(slot, request, deadline).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            unknown |= failure.sort == Sort::Lost;
            let hopeless = matches!(failure.sort, Sort::Denied | Sort::Refused | Sort::Broken);
            let forbidden = unknown && repeat == Repeat::Never;
            if hopeless || forbidden || Instant::now() + pause >= deadline {
                return Err(failure.into_error(unknown));
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, slot: &Slot, request: Request<'_>, deadline: Instant) -> Result<Value, Failure> {
        let present =
            timeout_at(deadline, slot.connection()).await.unwrap_or_else(|_| Err(Failure::no_connection()))?;
        let end = deadline.min(Instant::now() + self.inner.call_max / 2);
        let answer = timeout_at(end, present.connection.clone().send(request)).await;
        answer.unwrap_or_else(|_| Err(silence())).map_err(|error| {
            let failure = Failure::of(&error);
            if matches!(failure.sort, Sort::Lost | Sort::Passing | Sort::Denied) {
                slot.discard(&present);
            }
            failure
        })
    }
}
