//! Events on their way to a reader who may be slow.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::Event;

/// The sending end of [`super::Events`]: never blocks on a push, but says when its reader is behind.
#[derive(Debug)]
pub(crate) struct EventQueue {
    sender: mpsc::Sender<Event>,
    pending: VecDeque<Event>,
}

impl EventQueue {
    pub(crate) const fn new(sender: mpsc::Sender<Event>) -> Self {
        Self { sender, pending: VecDeque::new() }
    }

    /// Adds an event; dropped where nobody reads any more.
    pub(crate) fn push(&mut self, event: Event) {
        if self.is_clear() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.sender.try_send(event) {
                self.pending.push_back(event);
            }
        } else {
            self.pending.push_back(event);
        }
    }

    /// Whether the reader keeps up; while not, nothing more should be read from the socket.
    pub(crate) fn is_clear(&self) -> bool {
        self.pending.is_empty()
    }

    /// Waits until the reader has room for all. Safe to cancel.
    pub(crate) async fn flush(&mut self) {
        while !self.pending.is_empty() {
            let Ok(permit) = self.sender.reserve().await else { return self.pending.clear() };
            if let Some(event) = self.pending.pop_front() {
                permit.send(event);
            }
        }
    }
}
