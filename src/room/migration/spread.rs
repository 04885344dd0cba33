//! Which servers get the rooms of one that drains; pure.

use std::collections::BTreeSet;

use crate::model::{RoomType, ServerId, ServerRegistration, ServerStatus};

/// A room that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Load {
    /// Its kind.
    pub(crate) room_type: RoomType,
    /// Servers that did not take it.
    pub(crate) shunned: BTreeSet<ServerId>,
}

/// A target for each room, `None` where no server can take it. Rooms are put one after the other
/// on the server that has the fewest by then, so that all are filled to one level.
pub(crate) fn spread(rooms: &[Load], servers: &[ServerRegistration], own: &ServerId) -> Vec<Option<ServerId>> {
    let others = servers.iter().filter(|server| server.server_id != *own && server.status == ServerStatus::Online);
    let mut levels: Vec<(u32, &ServerRegistration)> = others.map(|server| (server.room_count, server)).collect();
    let mut target = |room: &Load| {
        let able = levels.iter_mut().filter(|(level, server)| {
            *level < server.capacity
                && server.room_types.contains_key(&room.room_type)
                && !room.shunned.contains(&server.server_id)
        });
        let (level, server) = able.min_by(|(a, left), (b, right)| (a, &left.server_id).cmp(&(b, &right.server_id)))?;
        *level += 1;
        Some(server.server_id.clone())
    };
    rooms.iter().map(&mut target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Metadata, NodeId, RoomTypeSpec};

    fn room_type(name: &str) -> RoomType {
        RoomType::new(name).expect("a valid type")
    }

    fn server(name: &str, rooms: u32, capacity: u32, types: &[&str]) -> ServerRegistration {
        let spec = RoomTypeSpec { max_players: 1, reconnect_grace_ms: 0, metadata: Metadata::default() };
        ServerRegistration {
            server_id: ServerId::new(name).expect("a valid id"),
            address: String::new(),
            port: 0,
            room_count: rooms,
            player_count: 0,
            capacity,
            status: ServerStatus::Online,
            last_heartbeat: 0,
            metadata: Metadata::default(),
            epoch: Epoch(1),
            seat_count: 0,
            room_types: types.iter().map(|name| (room_type(name), spec.clone())).collect(),
            node_id: NodeId(0),
        }
    }

    fn targets(rooms: &[Load], servers: &[ServerRegistration]) -> Vec<String> {
        let own = ServerId::new("own").expect("a valid id");
        let name = |target: Option<ServerId>| target.map_or_else(|| "-".to_owned(), |target| target.to_string());
        spread(rooms, servers, &own).into_iter().map(name).collect()
    }

    fn rooms(types: &[&str]) -> Vec<Load> {
        types.iter().map(|name| Load { room_type: room_type(name), shunned: BTreeSet::new() }).collect()
    }

    #[test]
    fn rooms_fill_the_servers_to_one_level() {
        let servers = [server("a", 3, 9, &["x"]), server("b", 1, 9, &["x"]), server("own", 0, 9, &["x"])];
        assert_eq!(targets(&rooms(&["x"; 6]), &servers), ["b", "b", "a", "b", "a", "b"]);
    }

    #[test]
    fn nobody_gets_more_than_it_can_run_or_what_it_does_not_serve() {
        let mut draining = server("d", 0, 9, &["x"]);
        draining.status = ServerStatus::Draining;
        let servers = [server("a", 0, 1, &["x"]), server("b", 0, 9, &["y"]), draining];
        assert_eq!(targets(&rooms(&["x", "x", "y"]), &servers), ["a", "-", "b"]);
    }

    #[test]
    fn a_server_that_did_not_take_a_room_is_not_asked_again() {
        let servers = [server("a", 0, 9, &["x"]), server("b", 5, 9, &["x"])];
        let mut shy = rooms(&["x"]);
        shy[0].shunned.insert(servers[0].server_id.clone());
        assert_eq!(targets(&shy, &servers), ["b"]);
    }
}
