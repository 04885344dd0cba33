//! Named places where tests let this process stand still, to end it just there.
//!
//! They are those of the crate `fail`. Without its feature `failpoints`, as in every release build,
//! nothing here does anything.

#[cfg(feature = "cli")]
use fail::FailScenario;

/// Reads which places are to do what, from the variable `FAILPOINTS`; they do it while the answer lives.
#[cfg(feature = "cli")]
pub(crate) fn arm() -> Option<FailScenario<'static>> {
    fail::has_failpoints().then(FailScenario::setup)
}

/// A step is done and the next is not begun.
pub(crate) async fn crash_point(name: &'static str) {
    if !fail::has_failpoints() {
        return;
    }
    if fail::list().iter().any(|(armed, _)| armed == name) {
        tracing::info!("crash point {name}");
    }
    // Whatever the point does must not hold up a worker of the runtime: all but this step goes on.
    let _ = tokio::task::spawn_blocking(move || fail::fail_point!(name)).await;
}
