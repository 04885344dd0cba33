//! Named places where tests let this process stand still, to end it just there.

/// A step that is done and another that is not begun: here a test's process can be held up, by the
/// variable `FAILPOINTS`. Without the `failpoints` feature of the `fail` crate, as in every release
/// build, nothing happens.
pub(crate) async fn crash_point(name: &'static str) {
    let _ = name;
    if fail::has_failpoints() {
        // Whatever the point does must not hold up a worker of the runtime: all but this room goes on.
        let _ = tokio::task::spawn_blocking(move || fail::fail_point!(name)).await;
    }
}
