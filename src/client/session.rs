//! The task of one client: it owns the socket, performs what a [`Journey`] decides, and reports events.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    ClientConfig, ClientError, Event, Joined, address,
    event_queue::EventQueue,
    handle::bad_answer,
    journey::{Ask, Journey, Limits, Step},
    socket::{Incoming, Socket},
};
use crate::protocol::{
    ErrorCode, JoinRoomInput, JoinRoomOutput, Packet, ReconnectRoomInput, RedirectMessage, RoomMessage, call, message,
};

/// So many addresses are remembered, those learned from redirects included.
const ADDRESSES_MAX: usize = 64;

type Reply<T> = oneshot::Sender<Result<T, ClientError>>;

/// What the handle wants.
#[derive(Debug)]
pub(crate) enum Command {
    Join { input: Box<JoinRoomInput>, reply: Reply<Joined> },
    Call { name: &'static str, input: Value, reply: Reply<Value> },
    Send { text: String, reply: Reply<()> },
    Addresses { reply: Reply<Vec<String>> },
}

#[derive(Debug)]
struct OpenCall {
    /// The input of `Authenticate`, to be shown to later servers.
    credentials: Option<Value>,
    reply: Reply<Value>,
}

/// A call on the way to a seat: the connection may end before the answer.
enum Exchange {
    Answered(Value),
    Refused(ErrorCode, String),
    Lost(String),
}

#[derive(Debug)]
pub(crate) struct Session {
    config: Arc<ClientConfig>,
    started: Instant,
    secure: bool,
    /// URLs; the one in use, or last used, comes first.
    addresses: Vec<String>,
    socket: Option<Socket>,
    connected_at: Duration,
    /// How many connections in a row ended soon after they began.
    short_connections: u32,
    seat_token: Option<String>,
    credentials: Option<Value>,
    open_calls: BTreeMap<u64, OpenCall>,
    next_id: u64,
    commands: mpsc::Receiver<Command>,
    events: EventQueue,
}

impl Session {
    pub(crate) fn new(
        addresses: impl IntoIterator<Item = String>,
        config: Arc<ClientConfig>,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, ClientError> {
        let mut secure = None;
        let mut urls: Vec<String> = Vec::new();
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            let url = address::url(&address, secure.unwrap_or(false))?;
            secure.get_or_insert(address::is_secure(&url));
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        let secure = secure.ok_or(ClientError::NoAddresses)?;
        Ok(Self {
            config,
            started: Instant::now(),
            secure,
            addresses: urls,
            socket: None,
            connected_at: Duration::ZERO,
            short_connections: 0,
            seat_token: None,
            credentials: None,
            open_calls: BTreeMap::new(),
            next_id: 1,
            commands,
            events: EventQueue::new(events),
        })
    }

    pub(crate) fn limits(config: &ClientConfig, deadline: Duration) -> Limits {
        Limits {
            hops_max: config.hops_max,
            deadline,
            backoff_min: config.backoff_min,
            backoff_max: config.backoff_max,
            jitter_permille: rand::random_range(0..=1000),
        }
    }

    /// The first connection.
    pub(crate) async fn connect(&mut self) -> Result<(), ClientError> {
        let mut journey = self.journey(Ask::Nothing, self.config.join_deadline);
        let step = journey.dial();
        self.travel(journey, step).await.map(|_| ())
    }

    /// Runs until the connection is lost for good.
    pub(crate) async fn work(mut self) {
        let reason = loop {
            let Some(socket) = self.socket.as_mut() else {
                match self.recover().await {
                    Ok(()) => continue,
                    Err(reason) => break reason,
                }
            };
            let is_clear = self.events.is_clear();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.perform(command).await,
                    None => return,
                },
                incoming = socket.next(), if is_clear => match incoming.map(|incoming| self.hear(incoming)) {
                    Ok(Some(redirect)) => if let Err(reason) = self.follow(redirect).await { break reason },
                    Ok(None) => {}
                    Err(problem) => self.disconnect(&problem),
                },
                () = self.events.flush(), if !is_clear => {}
            }
        };
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
        self.disconnect("closed");
        self.events.push(Event::Closed { reason });
        self.events.flush().await;
    }

    async fn perform(&mut self, command: Command) {
        match command {
            Command::Join { input, reply } => {
                let joined = self.join(*input).await;
                // A caller who no longer waits still has the seat.
                let _ = reply.send(joined);
            }
            Command::Call { name, input, reply } => self.call(name, input, reply).await,
            Command::Addresses { reply } => {
                let _ = reply.send(Ok(self.addresses.clone()));
            }
            Command::Send { text, reply } => {
                let sent = match (&mut self.socket, &self.seat_token) {
                    (_, None) => Err(ClientError::NotInRoom),
                    (None, _) => Err(ClientError::ConnectionLost),
                    (Some(socket), Some(_)) => socket.send(text).await.map_err(|problem| {
                        self.disconnect(&problem);
                        ClientError::ConnectionLost
                    }),
                };
                let _ = reply.send(sent);
            }
        }
    }

    async fn call(&mut self, name: &'static str, input: Value, reply: Reply<Value>) {
        if name == call::LEAVE_ROOM {
            self.seat_token = None;
        }
        self.open_calls.retain(|_, call| !call.reply.is_closed());
        let credentials = (name == call::AUTHENTICATE).then(|| input.clone());
        let (id, text) = self.request(name, input);
        let Some(socket) = self.socket.as_mut() else {
            let _ = reply.send(Err(ClientError::ConnectionLost));
            return;
        };
        self.open_calls.insert(id, OpenCall { credentials, reply });
        if let Err(problem) = socket.send(text).await {
            self.disconnect(&problem);
        }
    }

    async fn join(&mut self, input: JoinRoomInput) -> Result<Joined, ClientError> {
        if self.seat_token.is_some() {
            return Err(ClientError::AlreadyInRoom);
        }
        let mut journey = self.journey(Ask::Join(input), self.config.join_deadline);
        let step = if self.socket.is_some() {
            journey.skip_first();
            journey.on_connected()
        } else {
            journey.dial()
        };
        match self.travel(journey, step).await? {
            Some(joined) => Ok(joined),
            None => Err(ClientError::ConnectionLost),
        }
    }

    /// Takes the connection, and the seat where there is one, again.
    async fn recover(&mut self) -> Result<(), ClientError> {
        self.events.push(Event::Disconnected);
        let goal = self.seat_token.clone().map_or(Ask::Nothing, Ask::reconnect);
        let mut journey = self.journey(goal, self.config.reconnect_deadline);
        let now = self.started.elapsed();
        let was_short = now.saturating_sub(self.connected_at) < self.config.backoff_max;
        self.short_connections = if was_short { self.short_connections.saturating_add(1) } else { 0 };
        let step = journey.dial_after(self.short_connections, now);
        self.travel(journey, step).await?;
        self.events.push(Event::Reconnected);
        Ok(())
    }

    /// Goes where the server says that the player's room is now.
    async fn follow(&mut self, redirect: RedirectMessage) -> Result<(), ClientError> {
        let (Some(_), Some(token)) = (&self.seat_token, redirect.session_token) else { return Ok(()) };
        let mut journey = self.journey(Ask::reconnect(token), self.config.reconnect_deadline);
        let step = journey.follow(redirect.address.clone(), self.started.elapsed());
        self.events.push(Event::Redirected { address: redirect.address });
        self.travel(journey, step).await?;
        self.events.push(Event::Reconnected);
        Ok(())
    }

    fn journey(&self, goal: Ask, deadline: Duration) -> Journey {
        Journey::new(self.addresses.clone(), goal, Self::limits(&self.config, deadline), self.started.elapsed())
    }

    async fn travel(&mut self, mut journey: Journey, mut step: Step) -> Result<Option<Joined>, ClientError> {
        loop {
            step = match step {
                Step::Dial(address) => self.dial(&mut journey, &address).await,
                Step::Ask(ask) => self.ask(&mut journey, ask).await,
                Step::Pause(until) => {
                    sleep_until(self.started + until).await;
                    journey.on_paused(self.started.elapsed())
                }
                Step::Arrived(Some(JoinRoomOutput::Joined { room_id, player_id, session_token })) => {
                    self.seat_token = Some(session_token.clone());
                    return Ok(Some(Joined { room_id, player_id, session_token }));
                }
                Step::Arrived(_) => return Ok(None),
                Step::GiveUp(error) => return Err(error),
            }
        }
    }

    async fn dial(&mut self, journey: &mut Journey, address: &str) -> Step {
        self.disconnect("going elsewhere");
        let problem = match self.open(address, journey.end()).await {
            Ok(()) => match self.credentials.clone() {
                None => return journey.on_connected(),
                Some(credentials) => match self.exchange(call::AUTHENTICATE, credentials, journey.end()).await {
                    Exchange::Answered(_) => return journey.on_connected(),
                    Exchange::Refused(code, message) => {
                        return journey.on_refused(code, message, self.started.elapsed());
                    }
                    Exchange::Lost(problem) => problem,
                },
            },
            Err(problem) => problem,
        };
        self.disconnect(&problem);
        journey.on_lost(&problem, self.started.elapsed())
    }

    async fn open(&mut self, address: &str, end: Duration) -> Result<(), String> {
        let url = address::url(address, self.secure).map_err(|error| error.to_string())?;
        let patience = self.config.connect_timeout.min(end.saturating_sub(self.started.elapsed()));
        let socket = timeout(patience, Socket::connect(&url, &self.config))
            .await
            .unwrap_or_else(|_| Err(format!("{url} did not take the connection within {patience:?}")))?;
        self.socket = Some(socket);
        self.connected_at = self.started.elapsed();
        self.addresses.retain(|known| *known != url);
        self.addresses.insert(0, url);
        self.addresses.truncate(ADDRESSES_MAX);
        Ok(())
    }

    async fn ask(&mut self, journey: &mut Journey, ask: Ask) -> Step {
        let (name, input) = match ask {
            Ask::Nothing => return Step::Arrived(None),
            Ask::Join(input) => (call::JOIN_ROOM, json!(input)),
            Ask::Reconnect { token: session_token, unreachable } => {
                (call::RECONNECT_ROOM, json!(ReconnectRoomInput { session_token, unreachable }))
            }
        };
        let exchange = self.exchange(name, input, journey.end()).await;
        let now = self.started.elapsed();
        match exchange {
            Exchange::Answered(output) => match serde_json::from_value::<JoinRoomOutput>(output) {
                Ok(output) => {
                    if let JoinRoomOutput::Redirect { redirect, .. } = &output {
                        self.events.push(Event::Redirected { address: redirect.clone() });
                    }
                    journey.on_answered(output, now)
                }
                Err(error) => Step::GiveUp(bad_answer(name, &error)),
            },
            Exchange::Refused(code, message) => journey.on_refused(code, message, now),
            Exchange::Lost(problem) => {
                self.disconnect(&problem);
                journey.on_lost(&problem, now)
            }
        }
    }

    /// Calls and waits; what else is heard meanwhile goes its usual way.
    async fn exchange(&mut self, name: &'static str, input: Value, end: Duration) -> Exchange {
        let patience = self.config.call_timeout.min(end.saturating_sub(self.started.elapsed()));
        let (own, text) = self.request(name, input);
        let answered = timeout(patience, async {
            let Some(socket) = self.socket.as_mut() else { return Exchange::Lost("not connected".to_owned()) };
            if let Err(problem) = socket.send(text).await {
                return Exchange::Lost(problem);
            }
            loop {
                self.events.flush().await;
                let Some(socket) = self.socket.as_mut() else { return Exchange::Lost("not connected".to_owned()) };
                match socket.next().await {
                    Ok(Incoming::Packet(Packet::Response { id, output })) if id == own => {
                        return Exchange::Answered(output);
                    }
                    Ok(Incoming::Packet(Packet::Error { id, code, message })) if id == own => {
                        return Exchange::Refused(code, message);
                    }
                    Ok(incoming) => drop(self.hear(incoming)),
                    Err(problem) => return Exchange::Lost(problem),
                }
            }
        });
        answered.await.unwrap_or_else(|_| Exchange::Lost(format!("`{name}` got no answer within {patience:?}")))
    }

    /// Takes in what the server said; gives back a redirect, which only a player with a seat follows.
    fn hear(&mut self, incoming: Incoming) -> Option<RedirectMessage> {
        match incoming {
            Incoming::Binary(data) => self.events.push(Event::Binary(data)),
            Incoming::Packet(Packet::Response { id, output }) => {
                if let Some(call) = id.as_u64().and_then(|id| self.open_calls.remove(&id)) {
                    if call.credentials.is_some() && output["success"] == true {
                        self.credentials = call.credentials;
                    }
                    let _ = call.reply.send(Ok(output));
                }
            }
            Incoming::Packet(Packet::Error { id, code, message }) => {
                if let Some(call) = id.as_u64().and_then(|id| self.open_calls.remove(&id)) {
                    let _ = call.reply.send(Err(ClientError::Refused { code, message }));
                }
            }
            Incoming::Packet(Packet::Message { name, data }) if name == message::ROOM_MESSAGE => {
                match serde_json::from_value(data) {
                    Ok(RoomMessage { message_type, data }) => self.events.push(Event::Message { message_type, data }),
                    Err(error) => tracing::debug!(%error, "left out a room message"),
                }
            }
            Incoming::Packet(Packet::Message { name, data }) if name == message::REDIRECT => {
                return serde_json::from_value(data).ok();
            }
            Incoming::Packet(_) => {}
        }
        None
    }

    fn request(&mut self, name: &str, input: Value) -> (u64, String) {
        let id = self.next_id;
        self.next_id += 1;
        (id, Packet::Request { id: id.into(), name: name.to_owned(), input }.encode())
    }

    fn disconnect(&mut self, problem: &str) {
        if self.socket.take().is_some() {
            tracing::debug!(problem, "left the connection");
        }
        for (_, call) in mem::take(&mut self.open_calls) {
            let _ = call.reply.send(Err(ClientError::ConnectionLost));
        }
    }
}
