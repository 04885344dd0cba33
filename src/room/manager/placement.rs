//! Which servers a new room may go to.

use crate::model::{RoomType, ServerId, ServerRegistration, ServerStatus};

/// So many candidates at most are named to the registry.
const CANDIDATES_MAX: usize = 8;
/// Below this share of its capacity a server keeps new rooms to itself.
const LOCAL_PREFERENCE: f64 = 0.8;

/// Servers for a new room, best first: the preferred one, this one while it is not too full, then those with the fewest rooms.
pub(super) fn candidates(
    servers: &[ServerRegistration],
    room_type: &RoomType,
    own: &ServerId,
    preferred: Option<&ServerId>,
) -> Vec<ServerId> {
    let mut eligible: Vec<&ServerRegistration> =
        servers.iter().filter(|server| is_eligible(server, room_type)).collect();
    eligible.sort_by_key(|server| {
        let stays =
            server.server_id == *own && f64::from(server.room_count) < LOCAL_PREFERENCE * f64::from(server.capacity);
        (Some(&server.server_id) != preferred, !stays, server.room_count, server.server_id.clone())
    });
    eligible.into_iter().take(CANDIDATES_MAX).map(|server| server.server_id.clone()).collect()
}

/// Whether a server would take a new room of this type.
pub(super) fn is_eligible(server: &ServerRegistration, room_type: &RoomType) -> bool {
    server.status == ServerStatus::Online
        && server.room_count < server.capacity
        && server.room_types.contains_key(room_type)
}
