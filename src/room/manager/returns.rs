//! Players that come back: from a session token to the room, wherever it is by now.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::{
    DistributedRoomManager, Inner,
    joins::{ATTEMPTS, outcome, to_the_end, way},
    seats::{Owner, redirect},
};
use crate::{
    model::{RoomId, ServerEpoch},
    room::{
        Connection, JoinError, JoinOutcome, Redirect, Responder, RoomHandle,
        actor::{Return, RoomCommand},
        token::SessionToken,
    },
};

/// How long a room whose server cannot be reached is waited for: longer than a lease and an election.
const TAKEOVER_WAIT: Duration = Duration::from_secs(3);
/// Time between two looks at its record; word of a change brings one at once.
const GLANCE: Duration = Duration::from_millis(250);

/// What a player is told whose server may not serve it any more.
const LOST_TOUCH: &str = "this server has lost touch with its cluster: try again, or connect to another one";

/// Where a session's room is.
enum Whereabouts {
    /// On this server; none where its ownership has ended here.
    Here(Option<RoomHandle>),
    /// On another one.
    Elsewhere(Redirect),
}

impl DistributedRoomManager {
    /// Gives a player its seat back, here or by a redirect. The last connection that uses a token has the seat.
    ///
    /// # Errors
    /// [`JoinError::NotFound`] where the session is unknown or over, else as [`join`](Self::join).
    pub async fn reconnect(
        &self,
        token: &str,
        connection: Connection,
        respond: Responder,
    ) -> Result<JoinOutcome, JoinError> {
        self.reconnect_past(token, None, connection, respond).await
    }

    /// The same for a player that was redirected to `unreachable` and found nobody there: a room
    /// that is still there is waited for, for three seconds at most, to be taken over elsewhere.
    ///
    /// # Errors
    /// As [`reconnect`](Self::reconnect).
    pub async fn reconnect_past(
        &self,
        token: &str,
        unreachable: Option<&str>,
        connection: Connection,
        respond: Responder,
    ) -> Result<JoinOutcome, JoinError> {
        let (inner, token, unreachable) =
            (Arc::clone(&self.inner), token.to_owned(), unreachable.map(ToOwned::to_owned));
        let returning = async move { inner.reconnect(&token, unreachable.as_deref(), connection, respond).await };
        to_the_end(self.inner.tasks.spawn(returning)).await
    }
}

impl Inner {
    async fn reconnect(
        self: Arc<Self>,
        text: &str,
        unreachable: Option<&str>,
        connection: Connection,
        respond: Responder,
    ) -> Result<JoinOutcome, JoinError> {
        let server = self.session_gate()?;
        let (room_id, token) = SessionToken::parse(text).ok_or_else(unknown)?;
        let respond = Arc::new(Mutex::new(Some(respond)));
        let deadline = Instant::now() + TAKEOVER_WAIT;
        for _ in 0..ATTEMPTS {
            let found = tokio::select! {
                found = self.find_past(&server, &room_id, unreachable, deadline) => found?,
                () = connection.closed() => return Err(JoinError::Unavailable("the connection has ended".to_owned())),
                () = self.services.tenure.over_for(Duration::ZERO) => return Err(JoinError::Unavailable(LOST_TOUCH.to_owned())),
            };
            let room = match found {
                Whereabouts::Elsewhere(redirect) => {
                    let session_token = Some(text.to_owned());
                    return Ok(JoinOutcome::Redirect(Redirect { session_token, ..redirect }));
                }
                Whereabouts::Here(None) => return Err(unknown()),
                Whereabouts::Here(Some(room)) => room,
            };
            let (way, answer) = way(token.clone(), &connection, &respond);
            let back = Box::new(Return { way });
            if let Some(outcome) = outcome(&room, RoomCommand::Reconnect(back), answer).await? {
                return Ok(JoinOutcome::Joined(outcome));
            }
        }
        Err(JoinError::Unavailable("the room is moving: try again".to_owned()))
    }

    /// Finds a session's room; one that nobody serves just now is waited for.
    async fn find_past(
        self: &Arc<Self>,
        server: &ServerEpoch,
        room_id: &RoomId,
        unreachable: Option<&str>,
        deadline: Instant,
    ) -> Result<Whereabouts, JoinError> {
        let mut handovers = self.handovers.subscribe();
        loop {
            handovers.mark_unchanged();
            let found = self.find(server, room_id).await;
            let waits = match &found {
                Ok(Whereabouts::Elsewhere(redirect)) => Some(redirect.address.as_str()) == unreachable,
                Err(JoinError::Unavailable(_)) => true,
                _ => false,
            };
            if !waits || Instant::now() >= deadline {
                return found;
            }
            // Whether word came or time passed, the record is looked at again.
            let _ = timeout_at(deadline.min(Instant::now() + GLANCE), handovers.changed()).await;
        }
    }

    async fn find(self: &Arc<Self>, server: &ServerEpoch, room_id: &RoomId) -> Result<Whereabouts, JoinError> {
        if let Some(room) = self.table.room(room_id) {
            return Ok(Whereabouts::Here(Some(room)));
        }
        match self.owner(server, room_id).await {
            Ok(Owner::Here(row)) => self.ensure(&row).map(Whereabouts::Here),
            Ok(Owner::Elsewhere(row)) => Ok(Whereabouts::Elsewhere(redirect(&row, None))),
            Err(JoinError::NotFound(_)) => Err(unknown()),
            Err(error) => Err(error),
        }
    }
}

fn unknown() -> JoinError {
    JoinError::NotFound("the session is unknown or over: join again".to_owned())
}
