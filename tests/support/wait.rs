//! Waiting for a condition, with a deadline and without guessing how long it takes.

use std::{fmt::Debug, time::Duration};

use tokio::time::Instant;

/// How long a condition may take before a test gives up; far above what is normal, for loaded machines.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks until the answer is `Ok`, and gives its content.
///
/// # Panics
/// After [`DEADLINE`], with the last answer that was not `Ok`.
pub async fn until<T, E: Debug>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match tokio::time::timeout_at(deadline, ask()).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(last)) if Instant::now() >= deadline => panic!("{what} did not come true; last seen: {last:?}"),
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(elapsed) => panic!("{what} did not come true: no answer in {DEADLINE:?} ({elapsed})"),
        }
    }
}
