//! Events on their way to subscribers.
//!
//! One ring of the newest events, read by any number of cursors: a slow subscriber costs nothing
//! and delays nobody. What has left the ring before it was read is reported as
//! [`EventItem::Lagged`], never silently skipped.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::model::{DistributedEvent, EventKind, EventPayload, Revision};

/// How many events are kept for those that read late.
pub const EVENTS_KEPT: usize = 65_536;

/// About how many bytes of memory the kept events take at most; beyond that fewer are kept. A single one may be larger.
pub const EVENT_BYTES_KEPT: usize = 64 * 1024 * 1024;

/// Which events a subscriber wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFilter {
    /// Every event; the reference's `*`.
    All,
    /// Those of one kind.
    Kind(EventKind),
}

impl EventFilter {
    /// Reads a pattern: `*`, or the name of a kind.
    pub fn from_pattern(pattern: &str) -> Self {
        if pattern == "*" { Self::All } else { Self::Kind(EventKind::from_name(pattern)) }
    }

    fn passes(&self, event: &DistributedEvent) -> bool {
        match self {
            Self::All => true,
            Self::Kind(kind) => *kind == event.kind,
        }
    }
}

/// What a subscriber reads.
#[derive(Debug, Clone, PartialEq)]
pub enum EventItem {
    /// Something happened.
    Event(Arc<DistributedEvent>),
    /// Some events were missed: read the present state and go on.
    Lagged,
}

#[derive(Debug)]
struct Ring {
    /// The sequence number of `entries[0]`.
    first: u64,
    entries: VecDeque<Entry>,
    /// The newest registry revision that is no longer kept.
    forgotten: Revision,
    capacity: usize,
    /// The memory that the entries take, about.
    bytes: usize,
}

#[derive(Debug, Clone)]
enum Entry {
    Event(Arc<DistributedEvent>),
    Gap,
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => size_of::<DistributedEvent>() + payload_bytes(&event.payload),
            Self::Gap => 0,
        }
    }
}

fn payload_bytes(payload: &EventPayload) -> usize {
    match payload {
        EventPayload::Message { message_type, data, .. } => message_type.len() + json_bytes(data),
        EventPayload::Json(data) => json_bytes(data),
        EventPayload::Reason(reason) => reason.len(),
        EventPayload::None | EventPayload::Migrated { .. } | EventPayload::Player(_) => 0,
    }
}

/// About what a value takes in memory.
fn json_bytes(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(json_bytes).sum(),
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + 64 + json_bytes(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

impl Ring {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        let full = |ring: &Self| ring.entries.len() > ring.capacity || ring.bytes > EVENT_BYTES_KEPT;
        while full(self) && self.entries.len() > 1 {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        self.first += 1;
        self.bytes -= entry.bytes();
        if let Entry::Event(event) = entry
            && let Some(revision) = event.revision
        {
            self.forgotten = self.forgotten.max(revision);
        }
    }
}

/// Where a backend puts events and subscribers take them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventHub {
    ring: Arc<Mutex<Ring>>,
    /// The ring's end; `None` once closed.
    end: watch::Sender<Option<u64>>,
}

impl Default for EventHub {
    fn default() -> Self {
        Self::with_capacity(EVENTS_KEPT)
    }
}

impl EventHub {
    /// A hub that keeps the newest `capacity` events.
    pub fn with_capacity(capacity: usize) -> Self {
        let (entries, forgotten, capacity) = (VecDeque::new(), Revision::default(), capacity.max(1));
        let ring = Ring { first: 0, entries, forgotten, capacity, bytes: 0 };
        Self { ring: Arc::new(Mutex::new(ring)), end: watch::Sender::new(Some(0)) }
    }

    /// Hands events to the subscribers, in this order.
    pub fn publish(&self, events: impl IntoIterator<Item = DistributedEvent>) {
        let mut ring = self.ring.lock();
        let before = ring.end();
        for event in events {
            ring.push(Entry::Event(Arc::new(event)));
        }
        if ring.end() != before {
            self.announce(&ring);
        }
    }

    /// Tells every subscriber that events were missed, as when a node has installed a snapshot at `revision`.
    pub fn lag(&self, revision: Revision) {
        let mut ring = self.ring.lock();
        ring.forgotten = ring.forgotten.max(revision);
        ring.push(Entry::Gap);
        self.announce(&ring);
    }

    fn announce(&self, ring: &Ring) {
        self.end.send_if_modified(|end| match end {
            Some(end) => {
                *end = ring.end();
                true
            }
            None => false,
        });
    }

    /// Ends every subscription once it has read what is there; later ones end at once.
    pub fn close(&self) {
        self.end.send_replace(None);
    }

    /// Takes up work again after [`close`](Self::close).
    pub fn reopen(&self) {
        let ring = self.ring.lock();
        self.end.send_replace(Some(ring.end()));
    }

    /// Events from now on, or from after `since`.
    pub fn subscribe(&self, filter: EventFilter, since: Option<Revision>) -> EventStream {
        let ring = self.ring.lock();
        let mut lagged = false;
        let next = match since {
            None => ring.end(),
            Some(since) => {
                lagged = since < ring.forgotten;
                let later = |entry: &Entry| match entry {
                    Entry::Event(event) => event.revision.is_some_and(|revision| revision > since),
                    Entry::Gap => false,
                };
                let skipped = ring.entries.iter().position(later).unwrap_or(ring.entries.len());
                ring.first + skipped as u64
            }
        };
        EventStream { ring: Arc::clone(&self.ring), end: self.end.subscribe(), next, filter, lagged }
    }
}

/// One subscription; dropping it unsubscribes.
#[derive(Debug)]
pub struct EventStream {
    ring: Arc<Mutex<Ring>>,
    end: watch::Receiver<Option<u64>>,
    next: u64,
    filter: EventFilter,
    lagged: bool,
}

impl EventStream {
    /// The next event, or word that some were missed; `None` once the backend is disconnected. Cancel-safe.
    pub async fn next(&mut self) -> Option<EventItem> {
        loop {
            if let Some(item) = self.take() {
                return Some(item);
            }
            self.end.borrow_and_update().as_ref()?;
            if let Some(item) = self.take() {
                return Some(item);
            }
            self.end.changed().await.ok()?;
        }
    }

    /// The next item that is there already.
    fn take(&mut self) -> Option<EventItem> {
        if std::mem::take(&mut self.lagged) {
            return Some(EventItem::Lagged);
        }
        let ring = self.ring.lock();
        if self.next < ring.first {
            self.next = ring.first;
            return Some(EventItem::Lagged);
        }
        while self.next < ring.end() {
            let entry = ring.entries.get(usize::try_from(self.next - ring.first).ok()?)?;
            self.next += 1;
            match entry {
                Entry::Gap => return Some(EventItem::Lagged),
                Entry::Event(event) if self.filter.passes(event) => return Some(EventItem::Event(Arc::clone(event))),
                Entry::Event(_) => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(index: u64) -> DistributedEvent {
        DistributedEvent {
            kind: EventKind::RoomUpdated,
            server_id: None,
            room_id: None,
            payload: EventPayload::None,
            timestamp: 0,
            revision: Some(Revision { index, ordinal: 0 }),
        }
    }

    async fn index(stream: &mut EventStream) -> Option<u64> {
        match stream.next().await {
            Some(EventItem::Event(event)) => event.revision.map(|revision| revision.index),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_subscription_goes_on_after_a_revision() {
        let hub = EventHub::default();
        hub.publish([event(1), event(2), event(3)]);
        let mut stream = hub.subscribe(EventFilter::All, Some(Revision { index: 1, ordinal: 0 }));
        assert_eq!(index(&mut stream).await, Some(2));
        assert_eq!(index(&mut stream).await, Some(3));
        hub.publish([event(4)]);
        assert_eq!(index(&mut stream).await, Some(4));
        hub.close();
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn what_was_forgotten_is_said() {
        let hub = EventHub::with_capacity(2);
        let mut slow = hub.subscribe(EventFilter::All, None);
        hub.publish((1..=4).map(event));
        assert_eq!(slow.next().await, Some(EventItem::Lagged));
        assert_eq!(index(&mut slow).await, Some(3));
        let mut late = hub.subscribe(EventFilter::All, Some(Revision { index: 1, ordinal: 0 }));
        assert_eq!(late.next().await, Some(EventItem::Lagged));
        assert_eq!(index(&mut late).await, Some(3));
    }

    #[tokio::test]
    async fn large_events_are_kept_by_their_size() {
        let hub = EventHub::default();
        let mut slow = hub.subscribe(EventFilter::All, None);
        for index in 0..200 {
            let payload = EventPayload::Json(Value::String("x".repeat(1024 * 1024)));
            hub.publish([DistributedEvent { payload, ..event(index) }]);
        }
        assert!(hub.ring.lock().bytes <= EVENT_BYTES_KEPT);
        assert_eq!(slow.next().await, Some(EventItem::Lagged));
        let first = index(&mut slow).await.expect("an event");
        assert!((130..160).contains(&first), "{first} is the oldest that is kept");
        hub.publish((200..400).map(event));
        assert!(hub.ring.lock().bytes <= EVENT_BYTES_KEPT);
    }
}
