//! What a client is told unasked.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use serde_json::Value;
use tokio::sync::mpsc;

use super::ClientError;

/// Something that came without a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A message of the room.
    Message {
        /// Its type.
        message_type: String,
        /// Its content.
        data: Value,
    },
    /// Raw bytes of the room.
    Binary(Bytes),
    /// The client follows a redirect.
    Redirected {
        /// Where to.
        address: String,
    },
    /// The connection was lost; the client tries to reconnect.
    Disconnected,
    /// The connection, and the seat where there was one, is back.
    Reconnected,
    /// The client has ended; no event follows.
    Closed {
        /// Why.
        reason: ClientError,
    },
}

/// The events of one client, in order; a [`Stream`] that ends with the client.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
}

impl Events {
    pub(crate) const fn new(receiver: mpsc::Receiver<Event>) -> Self {
        Self { receiver }
    }

    /// The next event; none once the client has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }
}

impl Stream for Events {
    type Item = Event;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.receiver.poll_recv(context)
    }
}
