//! A player's way to a seat: what is asked of the registry, and what its answers lead to.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    Inner,
    placement::least_loaded_other,
    refusal::{is_room_closed, is_seat_lost, refusal, room_not_open},
};
use crate::{
    adapter::{AdapterError, AdapterResult, Consistency},
    clock::millis,
    model::{
        Metadata, Place, PlayerId, RoomClaim, RoomEpoch, RoomId, RoomRegistration, RoomState, RoomType, RoundTrips,
        RoutingRequest, SeatConfirmation, SeatGrant, SeatId, SeatRelease, SeatRequest, SeatState, SeatTarget,
        ServerEpoch, ServerId,
    },
    registry::Rejection,
    room::{JoinError, JoinTarget, Redirect, token::SessionToken},
    routing::Plan,
};

/// How often a command whose outcome is unknown is sent again before the player is told.
const TRIES: usize = 3;
/// How long to wait between later attempts to learn what became of a seat.
const DOUBT_RETRY: Duration = Duration::from_secs(1);

/// A player that looks for a seat.
pub(super) struct Seeker {
    pub(super) server: ServerEpoch,
    pub(super) player_id: PlayerId,
    pub(super) origin: u64,
    pub(super) preferred: Option<ServerId>,
    pub(super) place: Place,
    pub(super) round_trips: RoundTrips,
    /// The seat that it asks for, and proof of it; kept for as long as it asks.
    pub(super) token: SessionToken,
}

/// Where a player's seat is.
pub(super) enum Found {
    /// In a room of this server's, joined.
    Here(Box<SeatGrant>, SessionToken),
    /// In a room of another server's.
    Elsewhere(Redirect),
}

/// What is asked of a room's present owner.
pub(super) enum Owner {
    Here(RoomRegistration),
    Elsewhere(RoomRegistration),
}

impl Inner {
    /// Finds the seat that a target leads to.
    pub(super) async fn find_seat(
        self: &Arc<Self>,
        seeker: &Seeker,
        target: &JoinTarget,
        reservation: Option<SeatId>,
    ) -> Result<Found, JoinError> {
        match (target, reservation) {
            (JoinTarget::Room(room_id), Some(seat_id)) => self.take_reserved(seeker, room_id, seat_id).await,
            (JoinTarget::Room(room_id), None) => self.reserve_in(seeker, room_id).await,
            (JoinTarget::Type { room_type, options, metadata }, _) => {
                self.reserve_any(seeker, room_type, options, metadata).await
            }
        }
    }

    /// A seat in any open room of a type, else in a new one.
    async fn reserve_any(
        self: &Arc<Self>,
        seeker: &Seeker,
        room_type: &RoomType,
        options: &Value,
        metadata: &Metadata,
    ) -> Result<Found, JoinError> {
        let servers = self.adapter.servers(Consistency::Local).await.map_err(|error| refusal(&error))?;
        let wish = RoutingRequest {
            player_id: seeker.player_id.clone(),
            room_type: Some(room_type.clone()),
            room_id: None,
            preferred_server_id: seeker.preferred.clone(),
            query: None,
            place: seeker.place.clone(),
            round_trips: seeker.round_trips.clone(),
        };
        let (room_type, metadata) = (room_type.clone(), metadata.clone());
        let options = if options.is_null() { String::new() } else { options.to_string() };
        let target = match self.plan(wish, &servers) {
            Plan::Anywhere(candidates) => SeatTarget::Type { room_type, metadata, candidates, options },
            Plan::Nearest(tiers) => SeatTarget::Nearest { room_type, metadata, tiers, options },
        };
        match self.reserve(seeker, target).await {
            Ok(found) => Ok(found),
            Err(AdapterError::Rejected(Rejection::NoCapacity(room_type)))
                if !servers.iter().any(|server| server.room_types.contains_key(&room_type)) =>
            {
                Err(JoinError::NotFound(format!("room type {room_type} is not served by any server")))
            }
            Err(error) => Err(refusal(&error)),
        }
    }

    /// A seat in one room; a parked one is brought back for it.
    async fn reserve_in(self: &Arc<Self>, seeker: &Seeker, room_id: &RoomId) -> Result<Found, JoinError> {
        match self.reserve(seeker, SeatTarget::Room(room_id.clone())).await {
            Err(AdapterError::Rejected(Rejection::RoomParked(_))) => match self.owner(&seeker.server, room_id).await? {
                Owner::Elsewhere(row) => Ok(Found::Elsewhere(redirect(&row, None))),
                Owner::Here(_) => {
                    let again = self.reserve(seeker, SeatTarget::Room(room_id.clone())).await;
                    again.map_err(|error| refusal(&error))
                }
            },
            outcome => outcome.map_err(|error| refusal(&error)),
        }
    }

    /// The seat that a redirect promised. Where it is over the player gets another one: in that
    /// room, else in any of its type.
    async fn take_reserved(
        self: &Arc<Self>,
        seeker: &Seeker,
        room_id: &RoomId,
        seat_id: SeatId,
    ) -> Result<Found, JoinError> {
        let token = SessionToken::random(seat_id);
        // A room that runs here need not be looked up: the confirmation itself says if it is another's by now.
        if let Some(room) = self.table.room(room_id)
            && let Some(grant) = self.confirm(room.core().room_epoch(), &token).await?
        {
            return Ok(Found::Here(Box::new(grant), token));
        }
        let room_type = match self.owner(&seeker.server, room_id).await {
            Ok(Owner::Elsewhere(row)) => return Ok(Found::Elsewhere(redirect(&row, Some(seat_id)))),
            Ok(Owner::Here(row)) => match self.confirm(row.room_epoch(), &token).await? {
                Some(grant) => return Ok(Found::Here(Box::new(grant), token)),
                None => row.room_type,
            },
            Err(JoinError::NotFound(_)) => match type_of(room_id) {
                Some(room_type) => {
                    return self.reserve_any(seeker, &room_type, &Value::Null, &Metadata::default()).await;
                }
                None => return Err(room_not_open(room_id)),
            },
            Err(error) => return Err(error),
        };
        match self.reserve(seeker, SeatTarget::Room(room_id.clone())).await {
            Err(error) if is_room_closed(&error) => {
                self.reserve_any(seeker, &room_type, &Value::Null, &Metadata::default()).await
            }
            outcome => outcome.map_err(|error| refusal(&error)),
        }
    }

    /// Takes a seat by one command of the registry.
    async fn reserve(self: &Arc<Self>, seeker: &Seeker, target: SeatTarget) -> AdapterResult<Found> {
        let token = seeker.token.clone();
        let request = SeatRequest {
            seat_id: token.seat_id(),
            player_id: seeker.player_id.clone(),
            target,
            caller: seeker.server.clone(),
            token: token.hash(),
            hold_ms: millis(self.options.seat_hold),
            origin: seeker.origin,
        };
        let answer = self.retried(|| self.adapter.reserve_seat(request.clone())).await;
        if let Err(AdapterError::Timeout(_)) = &answer {
            self.resolve_doubt(request);
        }
        let grant = answer?;
        let here = grant.room.server_id.as_ref() == Some(&seeker.server.server_id);
        if here && grant.seat.state == SeatState::Joined {
            // A seat that was held for a player of the same origin keeps its id.
            let token = token.on_seat(grant.seat.seat_id);
            return Ok(Found::Here(Box::new(grant), token));
        }
        Ok(Found::Elsewhere(redirect(&grant.room, Some(grant.seat.seat_id))))
    }

    /// Sends a command again while its outcome is unknown.
    async fn retried<T, F: Future<Output = AdapterResult<T>>>(&self, mut ask: impl FnMut() -> F) -> AdapterResult<T> {
        let mut answer = ask().await;
        for _ in 1..TRIES {
            match &answer {
                // A server whose lease is over would ask in vain: the player had better try another one.
                Err(AdapterError::Timeout(_)) if self.services.tenure.may_act() => answer = ask().await,
                _ => break,
            }
        }
        answer
    }

    /// The player was told that it did not get in, but its seat may have been granted: finds out, and frees it.
    fn resolve_doubt(self: &Arc<Self>, request: SeatRequest) {
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            while !inner.cancel.is_cancelled() {
                tokio::time::sleep(DOUBT_RETRY).await;
                match inner.adapter.reserve_seat(request.clone()).await {
                    Err(AdapterError::Timeout(_) | AdapterError::Unavailable(_)) => {}
                    Err(_) => return,
                    Ok(grant) => {
                        let (room_id, seat_id) = (grant.room.room_id, grant.seat.seat_id);
                        return inner.services.releases.release(SeatRelease { room_id, seat_id, away_ms: 0 });
                    }
                }
            }
        });
    }

    /// A held seat becomes the player's; `None` where it is over, or the room not under this ownership any more.
    async fn confirm(&self, room: RoomEpoch, token: &SessionToken) -> Result<Option<SeatGrant>, JoinError> {
        let confirmation = SeatConfirmation { room, seat_id: token.seat_id(), token: token.hash() };
        match self.retried(|| self.adapter.confirm_seat(confirmation.clone())).await {
            Ok(grant) => Ok(Some(grant)),
            Err(error) if is_seat_lost(&error) => Ok(None),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Who owns a room; a parked one is claimed, or its player sent to a server that can.
    pub(super) async fn owner(self: &Arc<Self>, server: &ServerEpoch, room_id: &RoomId) -> Result<Owner, JoinError> {
        for _ in 0..TRIES {
            let row = self.adapter.room(room_id, Consistency::Linearizable).await.map_err(|error| refusal(&error))?;
            let row = row.ok_or_else(|| room_not_open(room_id))?;
            match row.state {
                RoomState::Orphaned => break,
                RoomState::Parked => {
                    if let Some(owner) = self.claim_parked(server, row).await? {
                        return Ok(owner);
                    }
                }
                RoomState::Creating | RoomState::Live if row.server_id.as_ref() == Some(&server.server_id) => {
                    return Ok(Owner::Here(row));
                }
                RoomState::Creating | RoomState::Live => return Ok(Owner::Elsewhere(row)),
            }
        }
        Err(refusal(&AdapterError::Rejected(Rejection::RoomOrphaned(room_id.clone()))))
    }

    /// `None` where another server was faster: the room has an owner then.
    async fn claim_parked(
        self: &Arc<Self>,
        server: &ServerEpoch,
        row: RoomRegistration,
    ) -> Result<Option<Owner>, JoinError> {
        if self.definition(&row.room_type).is_some() {
            match self.claim(server, row.room_epoch()).await {
                Ok(claimed) => return Ok(Some(Owner::Here(claimed))),
                Err(AdapterError::Rejected(Rejection::RoomOwned(_))) => return Ok(None),
                Err(AdapterError::Rejected(Rejection::ServerFull(_) | Rejection::ServerDraining(_))) => {}
                Err(error) => return Err(refusal(&error)),
            }
        }
        let servers = self.adapter.servers(Consistency::Local).await.map_err(|error| refusal(&error))?;
        let Some(other) = least_loaded_other(&servers, &server.server_id, &row.room_type) else {
            let nowhere = format!("no server has room left to bring back room {}: try again", row.room_id);
            return Err(JoinError::Unavailable(nowhere));
        };
        let server_address = other.player_address();
        Ok(Some(Owner::Elsewhere(RoomRegistration { server_address, ..row })))
    }

    /// Takes a room without an owner over and starts it from its snapshot.
    pub(super) async fn claim(
        self: &Arc<Self>,
        server: &ServerEpoch,
        room: RoomEpoch,
    ) -> AdapterResult<RoomRegistration> {
        let claim = RoomClaim { claimant: server.clone(), room };
        let row = self.retried(|| self.adapter.claim_room(claim.clone())).await?;
        if let Err(error) = self.ensure(&row) {
            tracing::error!(room = %row.room_id, %error, "a claimed room cannot be started here");
        }
        Ok(row)
    }
}

pub(super) fn redirect(row: &RoomRegistration, reservation: Option<SeatId>) -> Redirect {
    Redirect {
        address: row.server_address.clone(),
        room_type: row.room_type.clone(),
        room_id: row.room_id.clone(),
        reservation,
        session_token: None,
    }
}

/// The type in a room id that the registry made; a room that is gone has no record to read it from.
fn type_of(room_id: &RoomId) -> Option<RoomType> {
    let (room_type, _number) = room_id.as_str().rsplit_once('-')?;
    RoomType::new(room_type).ok()
}
