//! Servers come, change and go.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    core::{Arguments, Core, arguments, call_name, number, time},
    keys::ShardName,
    records,
};
use crate::{
    adapter::AdapterResult,
    clock::millis,
    model::{Epoch, Metadata, NewServer, RoomType, RoomTypeSpec, ServerEpoch, ServerStatus, ServerUpdate},
    registry::{Rejection, limits},
};

impl Core {
    pub(super) async fn register_server(&self, server: &NewServer) -> AdapterResult<Epoch> {
        limits::server(server)?;
        let mut row = arguments!({
            "address": server.address,
            "port": server.port.to_string(),
            "capacity": server.capacity.to_string(),
            "node": number(self.options.node_id.0),
        });
        put_metadata(&mut row, &server.metadata)?;
        put_types(&mut row, &server.room_types)?;
        let call = arguments!({
            "op": "register",
            "caller": server.server_id,
            "by": call_name(),
            "ttl_ms": time(millis(self.options.server_ttl)),
            "shards": self.shards_of(server.room_types.keys()),
            "row": row,
        });
        let epoch = Epoch(self.servers_call(&call).await?.number()?);
        self.own_servers.lock().insert(server.server_id.clone(), epoch);
        self.finish_of(&server.server_id).await?;
        Ok(epoch)
    }

    pub(super) async fn unregister_server(&self, server: &ServerEpoch) -> AdapterResult<()> {
        self.servers_call(&self.server_arguments("unregister", server)).await?;
        self.finish_of(&server.server_id).await?;
        self.own_servers.lock().retain(|id, epoch| *id != server.server_id || *epoch != server.epoch);
        Ok(())
    }

    pub(super) async fn update_server(&self, server: &ServerEpoch, update: &ServerUpdate) -> AdapterResult<()> {
        limits::server_update(update)?;
        if update.status == Some(ServerStatus::Offline) {
            let problem = "a server cannot call itself offline: unregister it, or let its lease end";
            return Err(Rejection::Invalid(problem.to_owned()).into());
        }
        let mut row = Arguments::new();
        if let Some(status) = update.status {
            row.insert("status".to_owned(), if status == ServerStatus::Online { "online" } else { "draining" }.into());
        }
        if let Some(capacity) = update.capacity {
            row.insert("capacity".to_owned(), capacity.to_string().into());
        }
        if let Some(metadata) = &update.metadata {
            put_metadata(&mut row, metadata)?;
        }
        if let Some(room_types) = &update.room_types {
            put_types(&mut row, room_types)?;
        }
        let mut call = self.server_arguments("update", server);
        call.insert("row".to_owned(), Value::Object(row));
        call.insert("shards".to_owned(), self.shards_of(update.room_types.iter().flat_map(BTreeMap::keys)));
        self.servers_call(&call).await?;
        self.finish_of(&server.server_id).await
    }

    pub(super) async fn heartbeat(&self, server: &ServerEpoch) -> AdapterResult<()> {
        self.servers_call(&self.server_arguments("heartbeat", server)).await.map(|_| ())
    }

    /// Sees to what is due: servers whose leases have ended, what they left to be done, and the deadlines in the
    /// shards of this handle's own servers.
    pub(super) async fn tick(&self) -> AdapterResult<()> {
        let own: Vec<_> = self.own_servers.lock().keys().cloned().collect();
        let listing = self.list(Some(&own.iter().collect::<Vec<_>>())).await?;
        self.finish(&listing.pending).await?;
        let shards: std::collections::BTreeSet<_> = listing.rows.iter().flat_map(|row| &row.shards).collect();
        for shard in shards {
            self.shard_plain(&super::scripts::READS, shard, arguments!({ "op": "tick" })).await?;
        }
        Ok(())
    }

    fn server_arguments(&self, operation: &str, server: &ServerEpoch) -> Arguments {
        arguments!({
            "op": operation,
            "caller": server.server_id,
            "epoch": number(server.epoch.0),
            "ttl_ms": time(millis(self.options.server_ttl)),
        })
    }

    fn shards_of<'a>(&self, room_types: impl Iterator<Item = &'a RoomType>) -> Value {
        let shards = room_types.flat_map(|room_type| ShardName::of_type(room_type, self.options.shards));
        shards.map(|shard| Value::from(shard.as_str())).collect()
    }
}

fn put_metadata(row: &mut Arguments, metadata: &Metadata) -> AdapterResult<()> {
    row.insert("metadata".to_owned(), records::json_text(&records::metadata_text(metadata))?.into());
    Ok(())
}

fn put_types(row: &mut Arguments, room_types: &BTreeMap<RoomType, RoomTypeSpec>) -> AdapterResult<()> {
    row.insert("types".to_owned(), records::json_text(room_types)?.into());
    Ok(())
}
