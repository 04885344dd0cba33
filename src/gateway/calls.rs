//! The calls of one connection, carried out in the order in which they came.

use std::sync::Arc;

use metrics::counter;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    auth::User,
    config::DuplicateJoinPolicy,
    listener::Shared,
    session::{Admission, Call, admission, error},
};
use crate::{
    adapter::{AdapterError, Consistency},
    model::{PlayerId, RoomId, RoomQuery},
    protocol::{
        AuthenticateInput, AuthenticateOutput, ErrorCode, JoinRoomInput, JoinRoomOutput, LeaveRoomOutput,
        ListRoomsOutput, Packet, PlayerInfo, ReconnectRoomInput, RedirectMessage, RoomInfo, RoomMessage, message,
    },
    room::{Connection, JoinError, JoinOutcome, JoinRequest, JoinTarget, JoinedRoom, Outgoing, Redirect, Responder},
};

/// Rooms that one `ListRooms` gives at most: the rest is asked for with `offset`.
const LISTED_ROOMS_MAX: usize = 10_000;

/// The player's side of one connection.
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Connection,
    /// A hash of its address until it has been let in or sent on once: an old client that follows a
    /// redirect comes on a new connection.
    pub(super) origin: u64,
    pub(super) user: Option<User>,
    /// Who it is to the rooms: its user's id or one of chance, and after a join the seat's.
    pub(super) player_id: PlayerId,
}

impl Caller {
    pub(super) async fn carry_out(&mut self, call: Call) {
        let takes_a_seat = matches!(call, Call::Join { .. } | Call::Reconnect { .. });
        if takes_a_seat && self.connection.is_closed() {
            // Nobody would sit on it.
            return;
        }
        match call {
            Call::Join { id, input } => self.join(id, *input).await,
            Call::Reconnect { id, input } => self.reconnect(id, &input).await,
            Call::Leave { id } => {
                self.shared.manager.leave(&self.player_id, "left").await;
                self.respond(id, &LeaveRoomOutput { success: true });
            }
            Call::List { id, input } => {
                let limit = Some(input.limit.unwrap_or(LISTED_ROOMS_MAX).min(LISTED_ROOMS_MAX));
                let query = RoomQuery { limit, ..RoomQuery::from(input) };
                match self.shared.manager.query_distributed_rooms(&query).await {
                    Ok(rooms) => {
                        let rooms = rooms.into_iter().map(RoomInfo::from).collect();
                        self.respond(id, &ListRoomsOutput { rooms });
                    }
                    Err(failure) => self.fail_adapter(id, &failure),
                }
            }
            Call::Info { id, input } => self.info(id, &input.room_id).await,
            Call::Authenticate { id, input } => self.authenticate(id, &input).await,
            Call::Say(say) => self.say(say).await,
        }
    }

    /// The connection has ended.
    pub(super) fn gone(&self) {
        self.shared.manager.disconnected(&self.player_id, self.connection.id());
    }

    pub(super) fn send(&self, packet: &Packet) {
        if let Packet::Error { code, .. } = packet {
            counter!("roomraft_gateway_errors_total", "code" => code.name().to_owned()).increment(1);
        }
        self.connection.send(Outgoing::Text(packet.encode().into()));
    }

    async fn join(&mut self, id: Value, input: JoinRoomInput) {
        let in_room = self.shared.manager.player_room(&self.player_id).is_some();
        let login = self.shared.authenticator.is_required();
        match admission(in_room, self.shared.config.duplicate_join_policy, self.user.as_ref(), login) {
            Admission::Enter => {}
            Admission::LeaveFirst => self.shared.manager.leave(&self.player_id, "joined another room").await,
            Admission::InRoom => {
                return self.fail(id, ErrorCode::InvalidRequest, "you are in a room already: leave it first");
            }
            Admission::Stranger => {
                return self.fail(id, ErrorCode::Unauthorized, "say who you are with Authenticate first");
            }
        }
        if let Some(user) = &self.user {
            // It may have said who it is while it sat in a room under an id of chance.
            self.player_id = user.player_id.clone();
        }
        let keeps_reservations = input.reservations || input.reservation.is_some();
        let query = input.query.unwrap_or_default();
        let target = match (input.room_id, input.room_type) {
            (Some(room_id), _) => JoinTarget::Room(room_id),
            (None, Some(room_type)) => JoinTarget::Type { room_type, options: input.options, metadata: query.metadata },
            (None, None) => return self.fail(id, ErrorCode::InvalidRequest, "JoinRoom needs a roomType or a roomId"),
        };
        let request = JoinRequest {
            target,
            reservation: input.reservation,
            player_id: self.player_id.clone(),
            player_data: input.player_data,
            connection: self.connection.clone(),
            respond: responder(id.clone()),
            origin: if keeps_reservations { 0 } else { self.origin },
            preferred_server_id: input.preferred_server_id,
            place: input.place,
            round_trips: input.round_trips,
        };
        let outcome = self.shared.manager.join(request).await;
        if outcome.is_ok() {
            self.origin = 0;
        }
        self.after_join(id, outcome);
    }

    /// A session token is proof enough of who the player is. It may be another player's than the one whose seat this
    /// connection has: that seat is then treated as a second join treats it.
    async fn reconnect(&mut self, id: Value, input: &ReconnectRoomInput) {
        let before = self.shared.manager.player_room(&self.player_id).map(|_| self.player_id.clone());
        if before.is_some() && self.shared.config.duplicate_join_policy == DuplicateJoinPolicy::Reject {
            return self.fail(id, ErrorCode::InvalidRequest, "you are in a room already: leave it first");
        }
        let outcome = {
            let (token, unreachable) = (&input.session_token, input.unreachable.as_deref());
            let (connection, respond) = (self.connection.clone(), responder(id.clone()));
            self.shared.manager.reconnect_past(token, unreachable, connection, respond).await
        };
        self.after_join(id, outcome);
        if let Some(before) = before.filter(|before| *before != self.player_id) {
            self.shared.manager.leave(&before, "took another seat").await;
        }
    }

    /// A join's response is sent by its room, everything else here.
    fn after_join(&mut self, id: Value, outcome: Result<JoinOutcome, JoinError>) {
        match outcome {
            Ok(JoinOutcome::Joined(joined)) => {
                counter!("roomraft_gateway_joins_total").increment(1);
                self.player_id = joined.player_id;
            }
            Ok(JoinOutcome::Redirect(redirect)) => {
                counter!("roomraft_gateway_redirects_total").increment(1);
                let Redirect { address, room_type, room_id, reservation, session_token } = redirect;
                let output =
                    JoinRoomOutput::Redirect { redirect: address.clone(), room_id: room_id.clone(), reservation };
                let word = RedirectMessage { address, room_type, room_id, reservation, session_token };
                self.send(&Packet::Message { name: message::REDIRECT.to_owned(), data: json!(word) });
                self.respond(id, &output);
            }
            Err(failure) => {
                let code = match &failure {
                    JoinError::NotFound(_) => ErrorCode::NotFound,
                    JoinError::Unavailable(_) => ErrorCode::Unavailable,
                    JoinError::Invalid(_) => ErrorCode::InvalidRequest,
                    JoinError::Internal(_) => ErrorCode::InternalError,
                };
                self.fail(id, code, &failure.to_string());
            }
        }
    }

    async fn info(&self, id: Value, room_id: &RoomId) {
        let adapter = self.shared.manager.adapter();
        let found = match adapter.room(room_id, Consistency::Local).await {
            // A room that was made a moment ago may not have got here yet.
            Ok(None) => adapter.room(room_id, Consistency::Linearizable).await,
            found => found,
        };
        match found {
            Ok(Some(room)) => {
                let local = self.shared.manager.room(room_id);
                let players = local
                    .map(|room| room.players().iter().map(|player| PlayerInfo { id: player.id().clone() }).collect());
                self.respond(id, &RoomInfo { players, ..RoomInfo::from(room) });
            }
            Ok(None) => self.fail(id, ErrorCode::NotFound, &format!("room {room_id} does not exist")),
            Err(failure) => self.fail_adapter(id, &failure),
        }
    }

    async fn authenticate(&mut self, id: Value, input: &AuthenticateInput) {
        let output = match self.shared.authenticator.authenticate(&input.token).await {
            Ok(user) => {
                if self.shared.manager.player_room(&self.player_id).is_none() {
                    self.player_id = user.player_id.clone();
                }
                let profile = user.profile.clone();
                self.user = Some(user);
                AuthenticateOutput { success: true, user: Some(profile), error: None }
            }
            Err(refusal) => AuthenticateOutput { success: false, user: None, error: Some(refusal.to_string()) },
        };
        self.respond(id, &output);
    }

    async fn say(&self, RoomMessage { message_type, data }: RoomMessage) {
        if self.shared.manager.handle_message(&self.player_id, &message_type, data).await.is_err() {
            counter!("roomraft_gateway_packets_dropped_total", "reason" => "no room").increment(1);
        }
    }

    fn respond(&self, id: Value, output: &impl Serialize) {
        match serde_json::to_value(output) {
            Ok(output) => self.send(&Packet::Response { id, output }),
            Err(failure) => self.fail(id, ErrorCode::InternalError, &failure.to_string()),
        }
    }

    fn fail(&self, id: Value, code: ErrorCode, message: &str) {
        self.send(&error(id, code, message));
    }

    fn fail_adapter(&self, id: Value, failure: &AdapterError) {
        let code = match failure {
            AdapterError::Rejected(_) => ErrorCode::InvalidRequest,
            AdapterError::Timeout(_) => ErrorCode::Timeout,
            AdapterError::Damaged(_) => ErrorCode::InternalError,
            _ => ErrorCode::Unavailable,
        };
        self.fail(id, code, &failure.to_string());
    }
}

fn responder(id: Value) -> Responder {
    Box::new(move |joined| {
        let JoinedRoom { room_id, player_id, session_token } = joined.clone();
        let output = json!(JoinRoomOutput::Joined { room_id, player_id, session_token });
        Some(Outgoing::Text(Packet::Response { id, output }.encode().into()))
    })
}
