//! Servers come, change and go; their rooms are orphaned or disposed of with them.

use std::sync::Arc;

use super::{
    Registry, Rejection, Reply,
    effects::{Effects, Outcome, Refusal},
    limits,
    records::Server,
};
use crate::model::{
    Epoch, EventKind, EventPayload, NewServer, ServerEpoch, ServerId, ServerRegistration, ServerStatus, ServerUpdate,
};

impl Registry {
    pub(super) fn register_server(&mut self, effects: &mut Effects, server: &NewServer) -> Outcome {
        limits::server(server)?;
        let server_id = &server.server_id;
        if let Some(present) = self.servers.get(server_id).map(|present| &present.registration) {
            let taken =
                present.status != ServerStatus::Offline && present.node_id.0 != 0 && present.node_id != server.node_id;
            if taken {
                return Err(Rejection::ServerIdTaken(server_id.clone()).into());
            }
        }
        self.take_offline(effects, server_id, "it registered anew");
        let epoch = Epoch(effects.index);
        self.put_server(effects, Server::new(registration(server, epoch, effects.now_ms), 0));
        effects.server_event(EventKind::ServerOnline, server_id, EventPayload::None);
        Ok(Reply::Epoch(epoch))
    }

    pub(super) fn unregister_server(&mut self, effects: &mut Effects, server: &ServerEpoch) -> Outcome {
        let server_id = &server.server_id;
        let Some(present) = self.servers.get(server_id) else { return Ok(Reply::Done) };
        if present.registration.epoch != server.epoch {
            return Err(Refusal::Fenced(present.registration.epoch));
        }
        let was_offline = present.registration.status == ServerStatus::Offline;
        let rooms = present.rooms.clone();
        self.withdraw_offers_to(effects, server_id, true);
        for number in &rooms {
            self.dispose_room(effects, *number, "its server was unregistered");
        }
        self.remove_server(effects, server_id);
        if !was_offline {
            let payload = EventPayload::Reason("unregistered".to_owned());
            effects.server_event(EventKind::ServerOffline, server_id, payload);
        }
        Ok(Reply::Done)
    }

    pub(super) fn update_server(
        &mut self,
        effects: &mut Effects,
        server: &ServerEpoch,
        update: &ServerUpdate,
    ) -> Outcome {
        limits::server_update(update)?;
        if update.status == Some(ServerStatus::Offline) {
            let problem = "a server cannot call itself offline: unregister it, or let its lease end";
            return Err(Rejection::Invalid(problem.to_owned()).into());
        }
        let before = self.present_server(server)?.registration.status;
        self.change_server(effects, &server.server_id, |server| {
            let registration = &mut server.registration;
            registration.status = update.status.unwrap_or(registration.status);
            registration.capacity = update.capacity.unwrap_or(registration.capacity);
            if let Some(metadata) = &update.metadata {
                registration.metadata = metadata.clone();
            }
            if let Some(room_types) = &update.room_types {
                registration.room_types.clone_from(room_types);
            }
        });
        if update.status == Some(ServerStatus::Draining) {
            self.withdraw_offers_to(effects, &server.server_id, false);
        }
        match update.status {
            Some(ServerStatus::Draining) if before != ServerStatus::Draining => {
                effects.server_event(EventKind::ServerDraining, &server.server_id, EventPayload::None);
            }
            Some(ServerStatus::Online) if before != ServerStatus::Online => {
                effects.server_event(EventKind::ServerOnline, &server.server_id, EventPayload::None);
            }
            _ => {}
        }
        Ok(Reply::Done)
    }

    pub(super) fn expire_server(&mut self, effects: &mut Effects, server: &ServerEpoch, reason: &str) {
        let present = self.servers.get(&server.server_id);
        if present.is_some_and(|present| present.registration.epoch == server.epoch) {
            self.take_offline(effects, &server.server_id, reason);
        }
    }

    /// A server that was not offline goes offline, and its rooms are orphaned.
    fn take_offline(&mut self, effects: &mut Effects, server_id: &ServerId, reason: &str) {
        let Some(server) = self.servers.get(server_id) else { return };
        if server.registration.status == ServerStatus::Offline {
            return;
        }
        let rooms = server.rooms.clone();
        self.withdraw_offers_to(effects, server_id, true);
        for number in &rooms {
            self.orphan_room(effects, *number);
        }
        let offline_at = effects.now_ms.max(1);
        self.change_server(effects, server_id, |server| {
            server.registration.status = ServerStatus::Offline;
            server.offline_at = offline_at;
        });
        let payload = EventPayload::Reason(limits::reason(reason));
        effects.server_event(EventKind::ServerOffline, server_id, payload);
    }

    /// The server under this very registration, online or draining.
    pub(super) fn present_server(&self, server: &ServerEpoch) -> Result<&Arc<Server>, Refusal> {
        let unknown = || Rejection::ServerUnknown(server.server_id.clone());
        let present = self.servers.get(&server.server_id).ok_or_else(unknown)?;
        if present.registration.epoch != server.epoch {
            return Err(Refusal::Fenced(present.registration.epoch));
        }
        if present.registration.status == ServerStatus::Offline {
            return Err(unknown().into());
        }
        Ok(present)
    }

    /// The same, where it may get one more room.
    pub(super) fn server_with_room_left(&self, server: &ServerEpoch) -> Result<&Arc<Server>, Refusal> {
        let present = self.present_server(server)?;
        if !present.is_online() {
            return Err(Rejection::ServerDraining(server.server_id.clone()).into());
        }
        if !present.has_room_left() {
            return Err(Rejection::ServerFull(server.server_id.clone()).into());
        }
        Ok(present)
    }
}

fn registration(server: &NewServer, epoch: Epoch, now_ms: u64) -> ServerRegistration {
    ServerRegistration {
        server_id: server.server_id.clone(),
        address: server.address.clone(),
        port: server.port,
        room_count: 0,
        player_count: 0,
        capacity: server.capacity,
        status: ServerStatus::Online,
        last_heartbeat: now_ms,
        metadata: server.metadata.clone(),
        epoch,
        seat_count: 0,
        room_types: server.room_types.clone(),
        node_id: server.node_id,
    }
}
