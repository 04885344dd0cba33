//! Joins from request to outcome.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    DistributedRoomManager, Inner,
    seats::{Found, Seeker},
};
use crate::{
    model::{Metadata, Place, PlayerId, RoomId, RoomType, RoundTrips, SeatId, SeatRelease},
    room::{
        Connection, JoinError, JoinOutcome, JoinRequest, JoinTarget, JoinedRoom, Responder, RoomHandle,
        actor::{Arrival, RoomCommand, Way},
        core::Ended,
        token::SessionToken,
    },
};

/// How often a player is sent on when the room that it was given ends just then.
pub(super) const ATTEMPTS: usize = 4;

/// How long a room's end is waited for.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A response that may be taken to a second room where the first one ended before it was given.
pub(super) type SharedResponder = Arc<Mutex<Option<Responder>>>;

impl DistributedRoomManager {
    /// Brings a player into a room, here or by a redirect.
    ///
    /// The join goes on to its end when this future is dropped: a player whose connection is
    /// closed by then is gone at once.
    ///
    /// # Errors
    /// [`JoinError`]; nothing is left behind.
    pub async fn join(&self, request: JoinRequest) -> Result<JoinOutcome, JoinError> {
        let inner = Arc::clone(&self.inner);
        to_the_end(self.inner.tasks.spawn(async move { inner.join(request).await })).await
    }

    /// Brings a player into an open room of a type, or into a new one made with `options`.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_or_create(
        &self,
        room_type: &RoomType,
        player_id: PlayerId,
        connection: Connection,
        options: Value,
    ) -> Result<JoinOutcome, JoinError> {
        let metadata = Metadata::default();
        let target = JoinTarget::Type { room_type: room_type.clone(), options, metadata };
        self.join(plain(target, player_id, connection)).await
    }

    /// The same as [`join_or_create`](Self::join_or_create), under the reference's name: every join
    /// looks at the whole cluster.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_or_create_distributed(
        &self,
        room_type: &RoomType,
        player_id: PlayerId,
        connection: Connection,
        options: Value,
    ) -> Result<JoinOutcome, JoinError> {
        self.join_or_create(room_type, player_id, connection, options).await
    }

    /// Brings a player into one room.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_by_id(
        &self,
        room_id: &RoomId,
        player_id: PlayerId,
        connection: Connection,
    ) -> Result<JoinOutcome, JoinError> {
        self.join(plain(JoinTarget::Room(room_id.clone()), player_id, connection)).await
    }
}

impl Inner {
    async fn join(self: Arc<Self>, request: JoinRequest) -> Result<JoinOutcome, JoinError> {
        let server = self.gate()?;
        let JoinRequest { target, mut reservation, player_id, player_data, connection, respond, origin, .. } = request;
        let (preferred, place, round_trips) = (request.preferred_server_id, request.place, request.round_trips);
        let token = SessionToken::random(SeatId::random());
        let mut seeker = Seeker { server, player_id, origin, preferred, place, round_trips, token };
        let _joining = self.services.sessions.begin(&seeker.player_id).ok_or_else(|| in_a_room(&seeker.player_id))?;
        let respond = Arc::new(Mutex::new(Some(respond)));
        for _ in 0..ATTEMPTS {
            let (grant, token) = match self.find_seat(&seeker, &target, reservation.take()).await? {
                Found::Elsewhere(redirect) => return Ok(JoinOutcome::Redirect(redirect)),
                Found::Here(grant, token) => (grant, token),
            };
            let player_id = grant.seat.player_id.clone();
            if player_id != seeker.player_id && self.services.sessions.room(&player_id).is_some() {
                let (room_id, seat_id) = (grant.room.room_id, grant.seat.seat_id);
                self.services.releases.release(SeatRelease { room_id, seat_id, away_ms: 0 });
                return Err(in_a_room(&player_id));
            }
            // Where the room moves before it lets the player in, this seat is found again.
            seeker.token = token.clone();
            let Some(room) = self.ensure(&grant.room)? else { continue };
            let (way, answer) = way(token, &connection, &respond);
            let arrival = Box::new(Arrival { player_id, data: player_data.clone(), way });
            if let Some(outcome) = outcome(&room, RoomCommand::Join(arrival), answer).await? {
                return Ok(JoinOutcome::Joined(outcome));
            }
        }
        Err(JoinError::Unavailable("every room that was found ended just then: try again".to_owned()))
    }
}

/// Hands a player to a room and waits for what comes of it; `None` where the room ended before it answered.
pub(super) async fn outcome(
    room: &RoomHandle,
    command: RoomCommand,
    answer: oneshot::Receiver<Result<JoinedRoom, JoinError>>,
) -> Result<Option<JoinedRoom>, JoinError> {
    if room.command(command).await.is_ok()
        && let Ok(outcome) = answer.await
    {
        return outcome.map(Some);
    }
    // The record may still name the room until its task has told the registry.
    if tokio::time::timeout(END_LIMIT, room.over()).await.is_err() {
        return Err(JoinError::Unavailable("the room is ending: try again".to_owned()));
    }
    match room.core().ended.get() {
        Some(Ended::Failed(reason)) => Err(JoinError::Internal(format!("the room could not be made: {reason}"))),
        _ => Ok(None),
    }
}

pub(super) fn way(
    token: SessionToken,
    connection: &Connection,
    respond: &SharedResponder,
) -> (Way, oneshot::Receiver<Result<JoinedRoom, JoinError>>) {
    let (reply, answer) = oneshot::channel();
    let respond = Arc::clone(respond);
    let respond: Responder = Box::new(move |joined| {
        let respond = respond.lock().take()?;
        respond(joined)
    });
    (Way { seat_id: token.seat_id(), token, connection: connection.clone(), respond, reply }, answer)
}

fn plain(target: JoinTarget, player_id: PlayerId, connection: Connection) -> JoinRequest {
    JoinRequest {
        target,
        reservation: None,
        player_id,
        player_data: Value::Null,
        connection,
        respond: Box::new(|_| None),
        origin: 0,
        preferred_server_id: None,
        place: Place::default(),
        round_trips: RoundTrips::default(),
    }
}

fn in_a_room(player_id: &PlayerId) -> JoinError {
    JoinError::Invalid(format!("player {player_id} is in a room already: leave it first"))
}

pub(super) async fn to_the_end(
    task: tokio::task::JoinHandle<Result<JoinOutcome, JoinError>>,
) -> Result<JoinOutcome, JoinError> {
    task.await.unwrap_or_else(|error| Err(JoinError::Internal(format!("the join was broken off: {error}"))))
}
