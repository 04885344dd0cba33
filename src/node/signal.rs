//! The signals that stop a process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Returns at the next SIGTERM or SIGINT (Ctrl-C), with its name.
///
/// Each call counts from when it is first polled; what came before is not seen. Where the system
/// gives no signals it never returns, and the process ends by them as it would without us.
pub(crate) async fn stop_signal() -> &'static str {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    tokio::select! {
        () = next(terminate) => "SIGTERM",
        () = next(interrupt) => "Ctrl-C",
    }
}

async fn next(signal: std::io::Result<Signal>) {
    let Ok(mut signal) = signal else { return std::future::pending().await };
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
