//! What changes more than one slot is done in steps, each of them harmless twice.
//!
//! The first step writes the servers' row and notes what is to be done yet; then the shards follow; the last step
//! takes the note out and publishes the event. Whoever finds a note finishes it, so a process that dies between two
//! steps holds nothing up.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::json;

use super::{
    answer::{Fields, field},
    core::{Core, arguments},
    keys::ShardName,
    records, scripts,
};
use crate::{
    adapter::{AdapterError, AdapterResult},
    model::{Epoch, RoomType, RoomTypeSpec, ServerId},
};

/// A note of the servers' slot.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pending {
    pub(super) server: ServerId,
    epoch: String,
    version: String,
    /// Set where a registration is over and its rooms are to be orphaned or disposed of; else a row is to be copied.
    dispose: Option<bool>,
}

impl Pending {
    pub(super) fn parse(text: &str) -> AdapterResult<Self> {
        serde_json::from_str(text).map_err(|error| AdapterError::Damaged(format!("pending work in Redis: {error}")))
    }
}

impl Core {
    /// Finishes these, sweeps first: a server is announced as gone before it is announced anew.
    pub(super) async fn finish(&self, work: &[Pending]) -> AdapterResult<()> {
        for one in work.iter().filter(|one| one.dispose.is_some()) {
            self.sweep(one).await?;
        }
        try_join_all(work.iter().filter(|one| one.dispose.is_none()).map(|one| self.spread(one))).await?;
        Ok(())
    }

    /// Finishes what is pending of one server.
    pub(super) async fn finish_of(&self, server_id: &ServerId) -> AdapterResult<()> {
        let listing = self.list(Some(&[])).await?;
        let of_server: Vec<Pending> = listing.pending.into_iter().filter(|one| one.server == *server_id).collect();
        self.finish(&of_server).await
    }

    /// A server's row and the shards that have, or had, a copy of it.
    async fn row_of(&self, server_id: &ServerId) -> AdapterResult<(Fields, Vec<ShardName>)> {
        let mut answer = self.servers_call(&arguments!({ "op": "pending", "caller": server_id })).await?;
        let (row, shards) = (answer.fields()?, answer.texts()?);
        Ok((row, shards.iter().map(|name| ShardName::stored(name)).collect()))
    }

    async fn sweep(&self, work: &Pending) -> AdapterResult<()> {
        let (_, shards) = self.row_of(&work.server).await?;
        let call = || {
            arguments!({
                "op": "sweep", "caller": work.server, "epoch": work.epoch, "version": work.version,
                "dispose": work.dispose,
            })
        };
        let sweeps = shards.iter().map(|shard| async move {
            while !self.shard_plain(&scripts::COPIES, shard, call()).await?.text()?.is_empty() {}
            AdapterResult::Ok(())
        });
        try_join_all(sweeps).await?;
        let done = arguments!({ "op": "swept", "caller": work.server, "epoch": work.epoch });
        self.servers_call(&done).await.map(|_| ())
    }

    async fn spread(&self, work: &Pending) -> AdapterResult<()> {
        let (row, shards) = self.row_of(&work.server).await?;
        if row.is_empty() {
            return Ok(());
        }
        let types = records::room_types(&row)?;
        try_join_all(shards.iter().map(|shard| self.put_copy(shard, &work.server, &row, &types))).await?;
        let (epoch, version) = (field(&row, "epoch")?, field(&row, "version")?);
        let done = arguments!({ "op": "copied", "caller": work.server, "epoch": epoch, "version": version });
        self.servers_call(&done).await.map(|_| ())
    }

    async fn put_copy(
        &self,
        shard: &ShardName,
        server_id: &ServerId,
        row: &Fields,
        types: &BTreeMap<RoomType, RoomTypeSpec>,
    ) -> AdapterResult<()> {
        let mut copy = json!({
            "version": field(row, "version")?,
            "status": field(row, "status")?,
            "capacity": field(row, "capacity")?,
            "address": format!("{}:{}", field(row, "address")?, field(row, "port")?),
            "node": field(row, "node")?,
            "serves": "0",
        });
        if let Some((_, spec)) = types.iter().find(|(room_type, _)| shard.is_of_type(room_type)) {
            copy["serves"] = "1".into();
            copy["max"] = spec.max_players.to_string().into();
            copy["grace"] = super::core::number(super::core::time(spec.reconnect_grace_ms)).into();
            copy["meta"] = records::json_text(&records::metadata_text(&spec.metadata))?.into();
        }
        let epoch = field(row, "epoch")?;
        let mut from: u64 = 0;
        loop {
            let call = arguments!({ "op": "put", "caller": server_id, "epoch": epoch, "copy": copy, "from": from });
            let next = self.shard_plain(&scripts::COPIES, shard, call).await?.text()?;
            match next.parse() {
                Ok(next) => from = next,
                Err(_) => return Ok(()),
            }
        }
    }

    /// Copies a server's row into one shard; gives its epoch, or none where there is no such row.
    pub(super) async fn copy_into(&self, shard: &ShardName, server_id: &ServerId) -> AdapterResult<Option<Epoch>> {
        let call = arguments!({ "op": "locate", "caller": server_id, "shards": [shard.as_str()] });
        let row = self.servers_call(&call).await?.fields()?;
        if row.is_empty() {
            return Ok(None);
        }
        self.put_copy(shard, server_id, &row, &records::room_types(&row)?).await?;
        Ok(Some(Epoch(super::answer::parsed(&row, "epoch")?)))
    }
}
