//! Calls of a game's hooks, so that what goes wrong in them stays in them.

use std::{any::Any, panic::AssertUnwindSafe, pin::Pin, time::Duration};

use futures_util::FutureExt;

use crate::room::RoomError;

/// Awaits a hook; a panic becomes [`RoomError::Panicked`].
pub(super) async fn guard<T>(
    hook: Pin<Box<dyn Future<Output = Result<T, RoomError>> + Send + '_>>,
) -> Result<T, RoomError> {
    AssertUnwindSafe(hook).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// Awaits a hook for so long at most.
pub(super) async fn guard_for<T>(
    name: &'static str,
    limit: Duration,
    hook: Pin<Box<dyn Future<Output = Result<T, RoomError>> + Send + '_>>,
) -> Result<T, RoomError> {
    let late = |_| RoomError::TimedOut { hook: name, seconds: limit.as_secs() };
    tokio::time::timeout(limit, guard(hook)).await.map_err(late)?
}

/// Calls plain code of a game.
pub(super) fn guard_call<T>(call: impl FnOnce() -> T) -> Result<T, RoomError> {
    std::panic::catch_unwind(AssertUnwindSafe(call)).map_err(|panic| panicked(&*panic))
}

fn panicked(panic: &(dyn Any + Send)) -> RoomError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    RoomError::Panicked(text.unwrap_or_else(|| "without a message".to_owned()))
}
