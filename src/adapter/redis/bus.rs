//! Pub/Sub: what Redis's channels carry goes to a handle's [`EventHub`].
//!
//! At most once. A subscription that was lost is made anew, on the next node of a cluster, and the
//! subscribers are told that they may have missed something. The bus does not publish.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::{
    RedisError,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    connection::{Access, silence},
    failure::Failure,
    link::Link,
    options::RedisOptions,
};
use crate::{
    adapter::{AdapterResult, EventHub},
    model::{DistributedEvent, Revision},
};

/// Time between two looks whether the subscription still answers.
const PING: Duration = Duration::from_secs(2);
/// Time until a lost subscription is tried again at first; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest time until it is tried again.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a message begins with that only says how far this handle has read.
const HERE: &str = "here:";
/// How long a new subscriber waits for what was published before it.
const CATCH_UP: Duration = Duration::from_secs(1);

/// A handle's subscription; dropping it ends it.
#[derive(Debug)]
pub(super) struct Bus {
    own_channel: String,
    waiting: Waiting,
    _stop: DropGuard,
}

/// Who waits until its own message has come back.
type Waiting = Arc<Mutex<BTreeMap<String, oneshot::Sender<()>>>>;

impl Bus {
    /// Subscribes; returns once the subscription stands.
    pub(super) async fn open(options: &RedisOptions, hub: EventHub) -> AdapterResult<Self> {
        let channels = [options.events_channel(), options.node_channel(options.node_id)];
        let (own_channel, waiting) = (channels[1].clone(), Waiting::default());
        let (turn, last) = (0, Revision::default());
        let access = Access::new(options)?;
        let mut listener = Listener { access, channels, hub, waiting: Arc::clone(&waiting), turn, last };
        let deadline = Instant::now() + options.call_max;
        let subscription = loop {
            match listener.subscribe().await {
                Ok(subscription) => break subscription,
                Err(error) => {
                    let failure = Failure::of_connecting(&error);
                    if failure.is_denied() || Instant::now() + PAUSE_MIN >= deadline {
                        return Err(failure.into_error(false));
                    }
                }
            }
            sleep(PAUSE_MIN).await;
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(listener.run(subscription)).await });
        Ok(Self { own_channel, waiting, _stop: stop.drop_guard() })
    }

    /// Waits until everything has come that was published before, so that a new subscriber does not get it. Where
    /// that takes too long, older events may come: they are no harm.
    pub(super) async fn catch_up(&self, link: &Link) {
        let name = format!("{HERE}{:032x}", rand::random::<u128>());
        let (came, coming) = oneshot::channel();
        self.waiting.lock().insert(name.clone(), came);
        if link.publish(&self.own_channel, &name).await.is_ok() {
            // Too late is no harm.
            let _ = timeout(CATCH_UP, coming).await;
        }
        self.waiting.lock().remove(&name);
    }
}

struct Listener {
    access: Access,
    channels: [String; 2],
    hub: EventHub,
    waiting: Waiting,
    /// How often a subscription was tried: the node that is next.
    turn: usize,
    /// The newest revision that was handed on.
    last: Revision,
}

type Subscription = (PubSubSink, PubSubStream);

impl Listener {
    async fn subscribe(&mut self) -> Result<Subscription, RedisError> {
        let turn = self.turn;
        self.turn += 1;
        let opening = async {
            let (mut sink, stream) = self.access.client(turn)?.get_async_pubsub().await?.split();
            sink.subscribe(&self.channels).await?;
            Ok((sink, stream))
        };
        timeout(self.access.attempt, opening).await.unwrap_or_else(|_| Err(silence()))
    }

    async fn run(mut self, mut subscription: Subscription) {
        loop {
            let error = self.follow(&mut subscription).await;
            tracing::warn!(%error, "the subscription to Redis's events was lost; events may be missed");
            let mut pause = PAUSE_MIN;
            subscription = loop {
                match self.subscribe().await {
                    Ok(subscription) => break subscription,
                    Err(error) => tracing::debug!(%error, "no subscription to Redis's events yet"),
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            };
            self.hub.lag(self.last);
            tracing::info!("subscribed to Redis's events again");
        }
    }

    /// Hands events on until the subscription is lost.
    async fn follow(&mut self, (sink, stream): &mut Subscription) -> RedisError {
        loop {
            match timeout(PING, stream.next()).await {
                Ok(Some(message)) => self.receive(message.get_payload_bytes()),
                Ok(None) => return std::io::Error::from(std::io::ErrorKind::BrokenPipe).into(),
                Err(_) => match timeout(self.access.attempt, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return error,
                    Err(_) => return silence(),
                },
            }
        }
    }

    fn receive(&mut self, payload: &[u8]) {
        if payload.starts_with(HERE.as_bytes()) {
            let waiting = std::str::from_utf8(payload).ok().and_then(|name| self.waiting.lock().remove(name));
            if let Some(waiting) = waiting {
                // Whoever waited may have given up.
                let _ = waiting.send(());
            }
            return;
        }
        let parsed = serde_json::from_slice(payload).ok();
        let Some(mut event) = parsed.and_then(|value| DistributedEvent::from_json(&value).ok()) else {
            tracing::warn!(bytes = payload.len(), "something that is no event came on a channel of events");
            return;
        };
        if let Some(revision) = event.revision {
            self.last = after(self.last, revision);
            event.revision = Some(self.last);
        }
        self.hub.publish([event]);
    }
}

/// The revision of an event that came after `last`: its own, or where shards' clocks or a failover disagree with the
/// order of arrival, the next one, since revisions only grow on a handle.
fn after(last: Revision, revision: Revision) -> Revision {
    if revision > last {
        return revision;
    }
    match last.ordinal.checked_add(1) {
        Some(ordinal) => Revision { ordinal, ..last },
        None => Revision { index: last.index + 1, ordinal: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_only_grow() {
        let at = |index, ordinal| Revision { index, ordinal };
        assert_eq!(after(at(5, 0), at(7, 2)), at(7, 2));
        assert_eq!(after(at(5, 0), at(5, 1)), at(5, 1));
        assert_eq!(after(at(5, 3), at(4, 9)), at(5, 4));
        assert_eq!(after(at(5, u32::MAX), at(5, 0)), at(6, 0));
    }
}
