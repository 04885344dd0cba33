//! Which servers a new room may go to: the router is asked, with chance and turn from here.

use std::sync::atomic::Ordering;

use super::Inner;
use crate::{
    model::{RoomType, RoutingRequest, ServerId, ServerRegistration, ServerStatus},
    routing::Draw,
};

impl Inner {
    /// Servers for a new room, best first.
    pub(super) fn candidates(&self, request: &RoutingRequest, servers: &[ServerRegistration]) -> Vec<ServerId> {
        let draw = Draw { turn: self.turn.fetch_add(1, Ordering::Relaxed), entropy: rand::random() };
        self.options.router.candidates(request, servers, &self.options.server_id, draw)
    }
}

/// The server with the fewest rooms, this one aside, that could take a room of this type.
pub(super) fn least_loaded_other<'s>(
    servers: &'s [ServerRegistration],
    own: &ServerId,
    room_type: &RoomType,
) -> Option<&'s ServerRegistration> {
    let able = servers.iter().filter(|server| {
        server.server_id != *own
            && server.status == ServerStatus::Online
            && server.room_count < server.capacity
            && server.room_types.contains_key(room_type)
    });
    able.min_by_key(|server| server.room_count)
}
