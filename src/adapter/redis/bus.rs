//! Pub/Sub: events on their way to this handle's subscribers.
//!
//! At most once. A subscription that was lost is made anew, and the subscribers are told that they may have missed
//! something. Revisions come from several slots, so they are made to grow here: each handle has an order of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::{
    Client,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{failure::Failure, link::Link, options::RedisOptions};
use crate::{
    adapter::{AdapterResult, EventHub},
    model::{DistributedEvent, Revision},
};

/// Time between two looks whether the subscription still answers.
const PING: Duration = Duration::from_secs(2);
/// Time until a lost subscription is tried again.
const BACKOFF: Duration = Duration::from_millis(100);
/// What a message begins with that only says how far this handle has read.
const HERE: &str = "here:";
/// How long a new subscriber waits for what was published before it.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The subscription of one handle; it ends when it is dropped.
pub(super) struct Bus {
    shared: Arc<Shared>,
    listening: tokio::task::JoinHandle<()>,
}

struct Shared {
    options: RedisOptions,
    hub: EventHub,
    last: Mutex<Revision>,
    /// Who waits until its own message has come back.
    waiting: Mutex<BTreeMap<String, oneshot::Sender<()>>>,
}

type Subscription = (PubSubSink, PubSubStream);

impl Drop for Bus {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Bus {
    /// Subscribes, and returns once that stands.
    pub(super) async fn open(options: &RedisOptions, hub: EventHub) -> AdapterResult<Self> {
        let shared = Arc::new(Shared {
            options: options.clone(),
            hub,
            last: Mutex::new(Revision::default()),
            waiting: Mutex::new(BTreeMap::new()),
        });
        let mut opened = Err(Failure::silence());
        for url in &options.urls {
            opened = shared.subscribe(url).await;
            if opened.is_ok() {
                break;
            }
        }
        let subscription = opened.map_err(|failure| failure.before_sending().into_error(false))?;
        let listening = tokio::spawn(listen(Arc::clone(&shared), subscription));
        Ok(Self { shared, listening })
    }

    /// Waits until everything has come that was published before, so that a new subscriber does not get it. Where
    /// that takes too long, older events may come: they are no harm.
    pub(super) async fn catch_up(&self, link: &Link) {
        let name = format!("{HERE}{:032x}", rand::random::<u128>());
        let (came, coming) = oneshot::channel();
        self.shared.waiting.lock().insert(name.clone(), came);
        let options = &self.shared.options;
        if link.publish(&options.node_channel(options.node_id), &name).await.is_ok() {
            let _ = timeout(CATCH_UP, coming).await;
        }
        self.shared.waiting.lock().remove(&name);
    }
}

/// Hands on what comes, and subscribes again whenever it must.
async fn listen(shared: Arc<Shared>, subscription: Subscription) {
    shared.follow(subscription).await;
    let mut turn = 0;
    loop {
        sleep(BACKOFF).await;
        let url = &shared.options.urls[turn % shared.options.urls.len()];
        turn += 1;
        match shared.subscribe(url).await {
            Ok(subscription) => {
                let last = *shared.last.lock();
                shared.hub.lag(last);
                shared.follow(subscription).await;
            }
            Err(failure) => tracing::debug!(?failure, "no subscription to Redis"),
        }
    }
}

impl Shared {
    async fn subscribe(&self, url: &str) -> Result<Subscription, Failure> {
        let channels = [self.options.events_channel(), self.options.node_channel(self.options.node_id)];
        let opening = async {
            let (mut sink, stream) = Client::open(url)?.get_async_pubsub().await?.split();
            sink.subscribe(&channels).await?;
            Ok((sink, stream))
        };
        match timeout(self.options.call_max / 2, opening).await {
            Ok(opened) => opened.map_err(|error: redis::RedisError| Failure::new(&error)),
            Err(_) => Err(Failure::silence()),
        }
    }

    /// Returns when the subscription is lost.
    async fn follow(&self, (mut sink, mut stream): Subscription) {
        loop {
            match timeout(PING, stream.next()).await {
                Ok(Some(message)) => self.receive(message.get_payload_bytes()),
                Ok(None) => return,
                Err(_) => match timeout(self.options.call_max / 2, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => {}
                    _ => return,
                },
            }
        }
    }

    fn receive(&self, payload: &[u8]) {
        if payload.starts_with(HERE.as_bytes()) {
            let waiting = std::str::from_utf8(payload).ok().and_then(|name| self.waiting.lock().remove(name));
            if let Some(waiting) = waiting {
                // Whoever waited may have given up.
                let _ = waiting.send(());
            }
            return;
        }
        let json = serde_json::from_slice(payload).ok();
        let Some(event) = json.and_then(|json| DistributedEvent::from_json(&json).ok()) else {
            tracing::warn!(bytes = payload.len(), "something that is no event came on the channel of events");
            return;
        };
        self.hub.publish([self.in_order(event)]);
    }

    /// The event with a revision above those before it.
    fn in_order(&self, mut event: DistributedEvent) -> DistributedEvent {
        if let Some(revision) = &mut event.revision {
            let mut last = self.last.lock();
            if *revision <= *last {
                *revision = Revision { index: last.index, ordinal: last.ordinal.saturating_add(1) };
            }
            *last = *revision;
        }
        event
    }
}
