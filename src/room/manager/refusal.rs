//! What the registry's refusals mean for a player.

use crate::{adapter::AdapterError, model::RoomId, registry::Rejection, room::JoinError};

/// A failed call of the backend, as the player hears it.
pub(super) fn refusal(error: &AdapterError) -> JoinError {
    let text = error.to_string();
    match error {
        AdapterError::Rejected(rejection) => match rejection {
            Rejection::RoomUnknown(room_id) | Rejection::RoomFull(room_id) | Rejection::RoomLocked(room_id) => {
                room_not_open(room_id)
            }
            Rejection::SeatUnknown(_) | Rejection::TokenMismatch(_) => JoinError::NotFound(text),
            Rejection::RoomOrphaned(_)
            | Rejection::RoomParked(_)
            | Rejection::RoomOwned(_)
            | Rejection::NoCapacity(_)
            | Rejection::ServerFull(_)
            | Rejection::ServerDraining(_)
            | Rejection::ServerUnknown(_) => JoinError::Unavailable(text),
            Rejection::Invalid(_) => JoinError::Invalid(text),
            _ => JoinError::Internal(text),
        },
        AdapterError::TooLarge { .. } => JoinError::Invalid(text),
        AdapterError::Damaged(_) => JoinError::Internal(text),
        _ => JoinError::Unavailable(text),
    }
}

/// In the words of the reference.
pub(super) fn room_not_open(room_id: &RoomId) -> JoinError {
    JoinError::NotFound(format!("room {room_id} not found or is full/locked"))
}

/// Whether another room, or another try, may serve where this seat does not.
pub(super) fn is_seat_lost(error: &AdapterError) -> bool {
    matches!(
        error,
        AdapterError::Fenced { .. }
            | AdapterError::Rejected(
                Rejection::SeatUnknown(_)
                    | Rejection::TokenMismatch(_)
                    | Rejection::RoomUnknown(_)
                    | Rejection::RoomOwned(_)
            )
    )
}

/// Whether this room takes nobody, so that another one of its type may do.
pub(super) fn is_room_closed(error: &AdapterError) -> bool {
    matches!(
        error,
        AdapterError::Rejected(Rejection::RoomUnknown(_) | Rejection::RoomFull(_) | Rejection::RoomLocked(_))
    )
}
