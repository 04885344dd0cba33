//! Where a player's room may be: the router is asked, with chance and turn from here.

use std::{sync::atomic::Ordering, time::Duration};

use super::Inner;
use crate::{
    model::{RoomType, RoundTrips, RoutingRequest, ServerId, ServerRegistration, ServerStatus},
    routing::{Draw, Plan},
};

impl Inner {
    /// Where a player's room may be.
    pub(super) fn plan(&self, mut request: RoutingRequest, servers: &[ServerRegistration]) -> Plan {
        let (router, own) = (&self.options.router, &self.options.server_id);
        if request.round_trips.is_empty() && router.wants_round_trips() {
            request.round_trips = self.own_round_trips();
        }
        let draw = Draw { turn: self.turn.fetch_add(1, Ordering::Relaxed), entropy: rand::random() };
        router.plan(&request, servers, own, draw)
    }

    /// Of a player who told none it is taken that it is near its server.
    fn own_round_trips(&self) -> RoundTrips {
        let own = (self.options.server_id.as_str().to_owned(), Duration::ZERO);
        self.adapter.round_trips().into_iter().chain([own]).collect()
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
