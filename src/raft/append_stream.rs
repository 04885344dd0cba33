//! Replication to one follower: frames of entries go out in order on one stream, answers come back.
//!
//! One frame with entries is under way at a time; what is appended to the log meanwhile goes into
//! the next one together. A follower that is kept supplied with small frames costs more processor
//! time than it saves in waiting, since its answer waits for its disk anyway. A frame that only says
//! what is committed waits for no disk, and nothing waits for it. The stream breaks off where nothing
//! was answered for a while though something was sent, since a partition would wedge it for good
//! otherwise; and whoever drops the answers ends the writer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use openraft::{
    base::BoxStream,
    errors::{NetworkError, RPCError},
    raft::{AppendEntriesRequest, StreamAppendResult},
};
use quinn::{RecvStream, SendStream};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

use super::{
    links::{read_message, write_message},
    messages::Answer,
    types::TypeConfig,
    wire::{AppendAnswer, AppendFrame},
};

type Item = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// How far the writer has come.
#[derive(Debug, Default)]
struct Written {
    frames: AtomicU64,
    all: AtomicBool,
    answered: AtomicU64,
    /// Told at each answer.
    answer: Notify,
}

impl Written {
    /// Waits until so many frames are answered.
    async fn are_answered(&self, frames: u64) {
        while self.answered.load(Ordering::SeqCst) < frames {
            self.answer.notified().await;
        }
    }
}

/// The reading end; the writer dies with it.
struct Answers {
    receive: RecvStream,
    writer: JoinHandle<()>,
    written: Arc<Written>,
    patience: Duration,
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// Sends all of `input` and gives the answers; ends after the last one. `patience` is how long an
/// answer may take.
pub(super) fn replicate<S>(
    send: SendStream,
    receive: RecvStream,
    input: S,
    patience: Duration,
) -> BoxStream<'static, Item>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
{
    let written = Arc::new(Written::default());
    let writer = tokio::spawn(write_all(send, input, Arc::clone(&written)));
    let answers = Answers { receive, writer, written, patience };
    Box::pin(stream::unfold(Some(answers), |answers| async move {
        let mut answers = answers?;
        let item = answers.next().await?;
        let goes_on = matches!(item, Ok(Ok(_)));
        Some((item, goes_on.then_some(answers)))
    }))
}

async fn write_all<S>(mut send: SendStream, mut input: S, written: Arc<Written>)
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin,
{
    while let Some(request) = input.next().await {
        // Counted first: an answer must never be ahead of the count.
        let frames = written.frames.fetch_add(1, Ordering::SeqCst) + 1;
        let carries_entries = !request.entries.is_empty();
        if write_message(&mut send, &AppendFrame::from(request)).await.is_err() {
            // The reader finds the connection lost as well, and says so.
            return;
        }
        if carries_entries {
            written.are_answered(frames).await;
        }
    }
    written.all.store(true, Ordering::SeqCst);
    // Where the stream is already gone there is nobody to tell.
    let _ = send.finish();
}

impl Answers {
    fn outstanding(&self) -> bool {
        self.written.frames.load(Ordering::SeqCst) > self.written.answered.load(Ordering::SeqCst)
    }

    async fn next(&mut self) -> Option<Item> {
        if self.written.all.load(Ordering::SeqCst) && !self.outstanding() {
            return None;
        }
        let read = self.read_in_time().await;
        self.written.answered.fetch_add(1, Ordering::SeqCst);
        self.written.answer.notify_one();
        match read {
            Ok(Some(Ok(answer))) => Some(Ok(answer.into())),
            Ok(Some(Err(refusal))) => Some(Err(network_error(&refusal))),
            Ok(None) => None,
            Err(reason) => Some(Err(network_error(&reason))),
        }
    }

    async fn read_in_time(&mut self) -> Result<Option<Answer<AppendAnswer>>, String> {
        let written = Arc::clone(&self.written);
        let (answered, patience) = (written.answered.load(Ordering::SeqCst), self.patience);
        let mut read = std::pin::pin!(read_message(&mut self.receive));
        let mut was_due = false;
        loop {
            match timeout(patience, &mut read).await {
                Ok(read) => return read.map_err(|error| error.to_string()),
                Err(_) if was_due => return Err(format!("no answer within {} ms", patience.as_millis())),
                // A frame may have been sent just now: it gets a whole turn.
                Err(_) => was_due = written.frames.load(Ordering::SeqCst) > answered,
            }
        }
    }
}

fn network_error(reason: &impl ToString) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::from_string(reason.to_string()))
}
