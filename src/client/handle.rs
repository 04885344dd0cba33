//! The client as a game holds it.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    ClientConfig, ClientError, Events, JoinOptions,
    journey::{backoff, is_passing},
    measure,
    session::{Command, Session},
};
use crate::{
    model::{PlayerId, RoomId, RoundTrips},
    protocol::{
        AuthenticateInput, AuthenticateOutput, GetRoomInfoInput, LeaveRoomOutput, ListRoomsInput, ListRoomsOutput,
        Packet, RoomInfo, RoomMessage, call, message,
    },
};

/// How many commands wait for the session's task before callers wait.
const COMMANDS_WAITING_MAX: usize = 64;

/// A seat.
#[derive(Clone, PartialEq, Eq)]
pub struct Joined {
    /// The room.
    pub room_id: RoomId,
    /// The player; stays the same across reconnects.
    pub player_id: PlayerId,
    /// What the client reconnects with. Whoever has it has the seat.
    pub session_token: String,
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("room_id", &self.room_id)
            .field("player_id", &self.player_id)
            .finish_non_exhaustive()
    }
}

/// One player's client. Cheap to clone; the connection ends with the last clone.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    config: Arc<ClientConfig>,
    _alive: Arc<DropGuard>,
}

impl Client {
    /// Connects to the first of `addresses` that can be reached, each `host:port`, `ws://…` or `wss://…`.
    ///
    /// Addresses without a scheme, those of redirects too, are encrypted where the first given one is.
    /// The events must be read: with too many unread, the client reads nothing more from its server.
    /// Dropping them is fine where they are of no interest.
    ///
    /// # Errors
    /// [`ClientError::NoAddresses`], [`ClientError::InvalidAddress`]; [`ClientError::DeadlinePassed`]
    /// where none is reached within `join_deadline`.
    pub async fn connect(
        addresses: impl IntoIterator<Item = String>,
        config: ClientConfig,
    ) -> Result<(Self, Events), ClientError> {
        let config = Arc::new(config);
        let (commands, received) = mpsc::channel(COMMANDS_WAITING_MAX);
        let (sender, events) = mpsc::channel(config.event_capacity.max(1));
        let mut session = Session::new(addresses, config.clone(), received, sender)?;
        Box::pin(session.connect()).await?;
        let alive = CancellationToken::new();
        let ended = alive.clone();
        tokio::spawn(async move { ended.run_until_cancelled(Box::pin(session.work())).await });
        Ok((Self { commands, config, _alive: Arc::new(alive.drop_guard()) }, Events::new(events)))
    }

    /// Takes a seat, following redirects and trying other servers while one is unavailable.
    ///
    /// Dropping the future does not undo the join. Where a connection is lost while a join is
    /// under way, its seat stays taken until the room's grace is over.
    ///
    /// # Errors
    /// [`ClientError::AlreadyInRoom`]; [`ClientError::Refused`] where there is no such room or type,
    /// or it is full or locked; [`ClientError::TooManyRedirects`]; [`ClientError::DeadlinePassed`]
    /// after `join_deadline`.
    pub async fn join(&self, options: JoinOptions) -> Result<Joined, ClientError> {
        let patience = self.config.join_deadline.saturating_add(self.config.call_timeout);
        let mut input = Box::new(options.into_input());
        if let Some(limit) = self.config.measure_limit
            && input.room_id.is_none()
            && input.round_trips.is_empty()
        {
            input.round_trips = self.measure_round_trips(limit).await?;
        }
        let joined = self.command(|reply| Command::Join { input, reply });
        within(patience, call::JOIN_ROOM, joined).await
    }

    /// Measures the round trips to all servers that the client knows: those that it was given and those that
    /// it was redirected to. All at once, each over a connection of its own that ends with this call; servers that
    /// do not answer within `limit` are left out.
    ///
    /// Servers are named by the addresses that the client has: they count where servers tell players the same.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn measure_round_trips(&self, limit: Duration) -> Result<RoundTrips, ClientError> {
        let known = self.command(|reply| Command::Addresses { reply });
        let Ok(urls) = timeout(limit, known).await else { return Ok(RoundTrips::default()) };
        Ok(measure::round_trips(urls?, &self.config, limit).await)
    }

    /// Gives the seat up; the connection stays. Without a seat it does nothing.
    ///
    /// # Errors
    /// [`ClientError::ConnectionLost`] or [`ClientError::TimedOut`]: the seat is not taken again, but
    /// others may see it taken until the room's grace is over.
    pub async fn leave(&self) -> Result<(), ClientError> {
        let left = self.ask(call::LEAVE_ROOM, json!({}), false);
        within(self.config.call_timeout, call::LEAVE_ROOM, left).await.map(|_: LeaveRoomOutput| ())
    }

    /// Sends a message to the player's room. That it was sent does not mean that it arrived.
    ///
    /// # Errors
    /// [`ClientError::NotInRoom`], [`ClientError::TooLarge`], [`ClientError::ConnectionLost`];
    /// [`ClientError::TimedOut`] while the client reconnects for longer than `call_timeout`.
    pub async fn send(&self, message_type: impl Into<String>, data: Value) -> Result<(), ClientError> {
        let data = json!(RoomMessage { message_type: message_type.into(), data });
        let text = Packet::Message { name: message::ROOM_MESSAGE.to_owned(), data }.encode();
        self.check_size(text.len())?;
        let sent = self.command(|reply| Command::Send { text, reply });
        within(self.config.call_timeout, message::ROOM_MESSAGE, sent).await
    }

    /// Rooms anywhere in the cluster, oldest first. Tried again within `call_timeout`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where the query is refused; [`ClientError::TimedOut`].
    pub async fn list_rooms(&self, query: ListRoomsInput) -> Result<Vec<RoomInfo>, ClientError> {
        let listed = self.ask(call::LIST_ROOMS, json!(query), true);
        within(self.config.call_timeout, call::LIST_ROOMS, listed).await.map(|output: ListRoomsOutput| output.rooms)
    }

    /// One room. Tried again within `call_timeout`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is no such room; [`ClientError::TimedOut`].
    pub async fn room_info(&self, room_id: RoomId) -> Result<RoomInfo, ClientError> {
        let input = json!(GetRoomInfoInput { room_id });
        within(self.config.call_timeout, call::GET_ROOM_INFO, self.ask(call::GET_ROOM_INFO, input, true)).await
    }

    /// Says who the player is. A token that was accepted is shown again to every server that the
    /// client connects to later.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::TimedOut`]. A token that is not accepted is an answer
    /// whose `success` is false.
    pub async fn authenticate(&self, token: impl Into<String>) -> Result<AuthenticateOutput, ClientError> {
        let input = json!(AuthenticateInput { token: token.into() });
        within(self.config.call_timeout, call::AUTHENTICATE, self.ask(call::AUTHENTICATE, input, true)).await
    }

    /// Calls, and where `again` says so, until there is an answer: the caller bounds the time.
    async fn ask<T: DeserializeOwned>(&self, name: &'static str, input: Value, again: bool) -> Result<T, ClientError> {
        self.check_size(input.to_string().len())?;
        for round in 1.. {
            let answer = self.command(|reply| Command::Call { name, input: input.clone(), reply }).await;
            let is_passing = match &answer {
                Err(ClientError::ConnectionLost) => true,
                Err(ClientError::Refused { code, .. }) => is_passing(code),
                _ => false,
            };
            if !(again && is_passing) {
                let read = |output| serde_json::from_value(output).map_err(|error| bad_answer(name, &error));
                return answer.and_then(read);
            }
            sleep(backoff(round, &Session::limits(&self.config, self.config.call_timeout))).await;
        }
        Err(ClientError::Closed)
    }

    async fn command<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, ClientError>>) -> Command,
    ) -> Result<T, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(make(reply)).await.map_err(|_| ClientError::Closed)?;
        answer.await.unwrap_or(Err(ClientError::Closed))
    }

    fn check_size(&self, bytes: usize) -> Result<(), ClientError> {
        let limit = self.config.message_bytes_max;
        if bytes > limit { Err(ClientError::TooLarge { bytes, limit }) } else { Ok(()) }
    }
}

async fn within<T>(
    after: Duration,
    call: &'static str,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    timeout(after, answer).await.unwrap_or(Err(ClientError::TimedOut { call, after }))
}

pub(crate) fn bad_answer(call: &'static str, error: &serde_json::Error) -> ClientError {
    ClientError::BadAnswer { call, problem: error.to_string() }
}
