//! The players: each joins, writes the room's shared state again and again, and comes back when it is cut off.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use crate::{
    client::{Client, ClientConfig, ClientError, Event, Events, JoinOptions},
    model::{RoomId, RoomType},
};

/// Players that come together: the first finds a room, the others ask for that very room elsewhere.
const PARTY: usize = 4;
/// Time between two writes of one bot.
const WRITE_TIME: Duration = Duration::from_millis(100);
/// How long a bot waits for its friend's room, and a reader for a seat and for the room's state.
const WAIT_TIME: Duration = Duration::from_secs(5);
/// The pause after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(20);

/// A bot's seat and its connection.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    events: Events,
    room_id: RoomId,
}

/// Plays until `stop`; gives the seat that it has then.
pub(super) async fn play(
    bot: usize,
    room_type: RoomType,
    board: Arc<Board>,
    stop: CancellationToken,
) -> Option<Session> {
    let mut written = 0;
    for attempt in 0.. {
        let entered = tokio::select! {
            () = stop.cancelled() => return None,
            entered = enter(bot, attempt, &room_type, &board) => entered,
        };
        match entered {
            Ok(mut session) => {
                board.seated(bot, session.room_id.as_str());
                board.count_join();
                if session.stay(bot, &mut written, &board, &stop).await {
                    return Some(session);
                }
            }
            Err(error) => {
                board.failed(error.to_string());
                sleep(PAUSE).await;
            }
        }
    }
    None
}

/// A seat in the room of a bot's party at first, later or where that is full in any room of the type.
async fn enter(bot: usize, attempt: usize, room_type: &RoomType, board: &Board) -> Result<Session, ClientError> {
    // Friends come through different gateways, so that some are redirected to the room of the first.
    let gateways = board.gateways(bot + bot / PARTY + attempt);
    let friend = bot - bot % PARTY;
    if attempt == 0
        && friend != bot
        && let Some(room_id) = friends_room(friend, board).await
        && let Ok(session) = Session::join(gateways.clone(), JoinOptions::room_id(room_id)).await
    {
        return Ok(session);
    }
    Session::join(gateways, JoinOptions::room_type(room_type.clone())).await
}

async fn friends_room(friend: usize, board: &Board) -> Option<RoomId> {
    let deadline = Instant::now() + WAIT_TIME;
    loop {
        match board.room_of(friend) {
            Some(room_id) => return RoomId::new(room_id).ok(),
            None if Instant::now() > deadline => return None,
            None => sleep(PAUSE).await,
        }
    }
}

impl Session {
    /// A seat through the first of these gateways that answers, wherever the way leads.
    pub(super) async fn join(gateways: Vec<String>, options: JoinOptions) -> Result<Self, ClientError> {
        let config = ClientConfig {
            connect_timeout: Duration::from_secs(1),
            call_timeout: Duration::from_secs(2),
            join_deadline: WAIT_TIME,
            // As long as a cut-off seat is kept in the old room's grace is worth a try, and no longer.
            reconnect_deadline: Duration::from_secs(3),
            backoff_min: PAUSE,
            backoff_max: Duration::from_millis(200),
            ..ClientConfig::default()
        };
        let (client, events) = Client::connect(gateways, config).await?;
        let room_id = client.join(options).await?.room_id;
        Ok(Self { client, events, room_id })
    }

    /// The room.
    pub(super) fn room_id(&self) -> &RoomId {
        &self.room_id
    }

    /// Gives the seat up.
    pub(super) async fn leave(&self) -> Result<(), ClientError> {
        self.client.leave().await
    }

    /// The room's whole state, as whoever enters gets it.
    pub(super) async fn state(&mut self) -> Option<Value> {
        let state = async {
            while let Some(event) = self.events.next().await {
                if let Event::Message { message_type, data } = event
                    && message_type == "$state"
                {
                    return Some(data);
                }
            }
            None
        };
        timeout(WAIT_TIME, state).await.ok().flatten()
    }

    /// Writes and listens until `stop` (true), or until the seat is lost (false).
    async fn stay(&mut self, bot: usize, written: &mut u64, board: &Board, stop: &CancellationToken) -> bool {
        let (key, room_id) = (format!("bot-{bot}"), self.room_id.to_string());
        let mut connected = true;
        let mut beat = interval(WRITE_TIME);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return connected,
                _ = beat.tick(), if connected => {
                    *written += 1;
                    // A write that does not arrive is not acknowledged, and so no promise.
                    let _ = self.client.send("$set", json!({ "key": key, "value": *written })).await;
                }
                event = self.events.next() => match event {
                    Some(Event::Message { message_type, data }) if message_type == "$state" => {
                        if let Some(value) = data[&key].as_u64() {
                            board.acknowledged(&room_id, &key, value);
                        }
                    }
                    // Those on the way to a seat; the ways back to a dead server are not counted.
                    Some(Event::Redirected { .. }) if connected => board.count_redirect(),
                    Some(Event::Disconnected) => {
                        connected = false;
                        board.interrupted(bot);
                    }
                    Some(Event::Reconnected) => {
                        connected = true;
                        board.seated(bot, &room_id);
                    }
                    Some(Event::Closed { .. }) | None => {
                        if connected {
                            board.interrupted(bot);
                        }
                        return false;
                    }
                    Some(_) => {}
                },
            }
        }
    }
}
