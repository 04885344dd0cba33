//! A server's capacity counts for all its shards together, and a script sees one of them.
//!
//! Within a shard it is exact. What a server has in others is read and told to the script; since that can be old when
//! the script runs, a new room of a server with several shards is looked at once more afterwards: the newest that are
//! too many are given up again, so that no server ends up with more rooms than it wants.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use serde_json::Value;

use super::{
    answer::parsed,
    core::{Arguments, Core, arguments, number},
    keys::ShardName,
    scripts,
};
use crate::{
    adapter::{AdapterError, AdapterResult},
    model::{RoomRegistration, ServerId},
};

impl Core {
    /// Tells the next call what a server has elsewhere; where there are candidates, of all of them at once.
    pub(super) async fn tell_counts(
        &self,
        shard: &ShardName,
        call: &mut Arguments,
        server_id: &str,
    ) -> AdapterResult<()> {
        let mut told = call.get("elsewhere").and_then(Value::as_object).cloned().unwrap_or_default();
        if told.contains_key(server_id) {
            return Err(AdapterError::Damaged(format!("the rooms of server {server_id} are asked for twice")));
        }
        let mut asked = BTreeSet::from([ServerId::new(server_id)?]);
        let candidates = call.get("candidates").and_then(Value::as_array).into_iter().flatten();
        let tiers = call.get("tiers").and_then(Value::as_array).into_iter().flatten();
        let candidates = candidates.chain(tiers.filter_map(Value::as_array).flatten()).filter_map(Value::as_str);
        asked.extend(candidates.filter_map(|id| ServerId::new(id).ok()));
        let rows = self.list(Some(&asked.iter().collect::<Vec<_>>())).await?.rows;
        let counts = self.counts(&rows, Some(shard)).await?;
        let spread = rows.iter().any(|row| row.shards.iter().any(|other| other != shard));
        told.extend(asked.into_iter().map(|id| {
            let counts = counts.get(&id).copied().unwrap_or_default();
            (id.to_string(), counts.rooms.saturating_add(counts.offered).into())
        }));
        call.insert("elsewhere".to_owned(), Value::Object(told));
        call.insert("spread".to_owned(), spread.into());
        Ok(())
    }

    /// Gives a new room up again where its server has too many by now; `false` where it did. `call` is what made it.
    pub(super) async fn keeps_capacity(&self, call: &Arguments, room: &RoomRegistration) -> AdapterResult<bool> {
        let Some(owner) = room.server_id.as_ref().filter(|_| call.get("spread") == Some(&Value::Bool(true))) else {
            return Ok(true);
        };
        let Some(row) = self.list(Some(&[owner])).await?.rows.pop() else { return Ok(true) };
        let capacity: u64 = parsed(&row.fields, "capacity")?;
        let registration = row.registration();
        // The epoch of a new room is its number.
        let reads = row.shards.iter().map(|shard| {
            let call = arguments!({ "op": "older", "registration": registration, "number": number(room.epoch.0) });
            self.shard_plain(&scripts::READS, shard, call)
        });
        let mut older: u64 = 0;
        for mut answer in try_join_all(reads).await? {
            older += answer.number::<u64>()?;
        }
        if older <= capacity {
            return Ok(true);
        }
        self.unregister_room(&room.room_epoch(), "its server has no room left").await?;
        Ok(false)
    }
}
