//! Many callers, one round: whoever asks while a round runs shares the next one.
//!
//! What a round finds out holds for each caller that asked before it began, never for one that
//! asked later: that one waits for the next.

use std::{fmt, future::Future};

use tokio::sync::{mpsc, oneshot};

type Outcome<T> = Result<T, String>;

/// Rounds of one kind. Cheap to clone; they end when the last clone is dropped.
pub(super) struct Rounds<T> {
    callers: mpsc::UnboundedSender<oneshot::Sender<Outcome<T>>>,
}

impl<T> Clone for Rounds<T> {
    fn clone(&self) -> Self {
        Self { callers: self.callers.clone() }
    }
}

impl<T> fmt::Debug for Rounds<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rounds")
    }
}

impl<T: Clone + Send + 'static> Rounds<T> {
    /// Starts a task on the present runtime that runs `round` whenever somebody waits.
    pub(super) fn start<F>(round: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let (callers, inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(round, inbox));
        Self { callers }
    }

    /// The outcome of a round that begins after this call.
    pub(super) async fn join(&self) -> Outcome<T> {
        let (sender, outcome) = oneshot::channel();
        let stopped = || "the node is stopping".to_owned();
        self.callers.send(sender).map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }
}

async fn run<T: Clone, F: Future<Output = Outcome<T>>>(
    round: impl Fn() -> F,
    mut inbox: mpsc::UnboundedReceiver<oneshot::Sender<Outcome<T>>>,
) {
    let mut callers = Vec::new();
    while inbox.recv_many(&mut callers, usize::MAX).await > 0 {
        let outcome = round().await;
        for caller in callers.drain(..) {
            // A caller that has given up wants no answer.
            let _ = caller.send(outcome.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn callers_that_wait_together_share_a_round_and_later_ones_get_the_next() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&begun);
        let rounds = Rounds::start(move || {
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            async move { Ok(number) }
        });
        let together = join_all((0..50).map(|_| rounds.join())).await;
        assert!(together.iter().all(|outcome| *outcome == Ok(1)), "{together:?}");
        assert_eq!(rounds.join().await, Ok(2));
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }
}
