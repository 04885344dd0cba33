//! Rooms are found and read.

use futures_util::future::try_join_all;

use super::{
    core::{Core, arguments},
    keys::ShardName,
    records, scripts,
};
use crate::{
    adapter::{AdapterResult, Totals},
    model::{RoomId, RoomQuery, RoomRegistration, RoomType, ServerId},
};

/// How many rooms are read in one script.
const CHUNK: usize = 500;

/// A room with the number that rooms are ordered by.
type Numbered = (u64, RoomRegistration);

impl Core {
    pub(super) async fn room(&self, room_id: &RoomId) -> AdapterResult<Option<RoomRegistration>> {
        match self.shard_of(room_id).await? {
            Some(shard) => self.room_in(&shard, room_id).await,
            None => Ok(None),
        }
    }

    pub(super) async fn room_in(&self, shard: &ShardName, room_id: &RoomId) -> AdapterResult<Option<RoomRegistration>> {
        let call = arguments!({ "op": "room", "room": room_id });
        let fields = self.shard_plain(&scripts::READS, shard, call).await?.fields()?;
        if fields.is_empty() { Ok(None) } else { records::room(&fields).map(Some) }
    }

    /// The rooms that pass a filter. They are read in chunks, so a change in between may be seen or not.
    pub(super) async fn rooms(&self, query: &RoomQuery) -> AdapterResult<Vec<RoomRegistration>> {
        let shards = self.shards_to_search(query).await?;
        let skipped = query.offset.unwrap_or(0);
        let enough = query.limit.map_or(usize::MAX, |limit| limit.saturating_add(skipped));
        let reads = shards.iter().map(|shard| self.rooms_in(shard, query, enough));
        let mut all: Vec<Numbered> = try_join_all(reads).await?.into_iter().flatten().collect();
        all.sort_by_key(|(number, _)| *number);
        let picked = all.into_iter().skip(skipped).take(query.limit.unwrap_or(usize::MAX));
        Ok(picked.map(|(_, room)| room).collect())
    }

    async fn shards_to_search(&self, query: &RoomQuery) -> AdapterResult<Vec<ShardName>> {
        if let Some(room_type) = &query.room_type {
            return Ok(ShardName::of_type(room_type, self.options.shards).collect());
        }
        if let Some(server_id) = &query.server_id {
            return Ok(self.list(Some(&[server_id])).await?.rows.into_iter().flat_map(|row| row.shards).collect());
        }
        Ok(self.list(Some(&[])).await?.shards)
    }

    /// The first so many rooms of a shard that pass.
    async fn rooms_in(&self, shard: &ShardName, query: &RoomQuery, enough: usize) -> AdapterResult<Vec<Numbered>> {
        let mut found = Vec::new();
        let mut call = arguments!({ "op": "rooms", "limit": CHUNK });
        if let Some(server_id) = &query.server_id {
            call.insert("server".to_owned(), server_id.as_str().into());
        }
        while found.len() < enough {
            let mut answer = self.shard_plain(&scripts::READS, shard, call.clone()).await?;
            let chunk = answer.list()?.each(|answer| {
                let fields = answer.fields()?;
                Ok((records::room_number(&fields)?, records::room(&fields)?))
            })?;
            let last = chunk.last().map(|(number, _)| *number);
            let is_last = chunk.len() < CHUNK;
            found.extend(chunk.into_iter().filter(|(_, room)| query.matches(room)));
            let Some(last) = last.filter(|_| !is_last) else { break };
            call.insert("after".to_owned(), last.to_string().into());
        }
        Ok(found)
    }

    /// The rooms that wait for a server to claim them.
    pub(super) async fn offered_rooms(&self, server_id: &ServerId) -> AdapterResult<Vec<RoomRegistration>> {
        let rows = self.list(Some(&[server_id])).await?.rows;
        let shards: Vec<ShardName> = rows.into_iter().flat_map(|row| row.shards).collect();
        let reads = shards.iter().map(|shard| async move {
            let call = arguments!({ "op": "rooms", "limit": CHUNK, "server": server_id, "offered": true });
            let mut answer = self.shard_plain(&scripts::READS, shard, call).await?;
            answer.list()?.each(|answer| {
                let fields = answer.fields()?;
                Ok((records::room_number(&fields)?, records::room(&fields)?))
            })
        });
        let mut all: Vec<Numbered> = try_join_all(reads).await?.into_iter().flatten().collect();
        all.sort_by_key(|(number, _)| *number);
        Ok(all.into_iter().map(|(_, room)| room).collect())
    }

    /// The oldest room of a type that takes players.
    pub(super) async fn find_available_room(&self, room_type: &RoomType) -> AdapterResult<Option<RoomRegistration>> {
        let mut oldest: Option<Numbered> = None;
        for shard in ShardName::of_type(room_type, self.options.shards) {
            let call = arguments!({ "op": "find" });
            let fields = self.shard_plain(&scripts::READS, &shard, call).await?.fields()?;
            if fields.is_empty() {
                continue;
            }
            let number = records::room_number(&fields)?;
            if oldest.as_ref().is_none_or(|(oldest, _)| number < *oldest) {
                oldest = Some((number, records::room(&fields)?));
            }
        }
        Ok(oldest.map(|(_, room)| room))
    }

    pub(super) async fn totals(&self, server_id: &ServerId) -> AdapterResult<Totals> {
        let shards = self.list(Some(&[])).await?.shards;
        let reads = shards.iter().map(|shard| self.shard_plain(&scripts::READS, shard, arguments!({ "op": "totals" })));
        let mut totals = Totals::default();
        for mut answer in try_join_all(reads).await? {
            totals.rooms += answer.number::<u64>()?;
            totals.players += answer.number::<u64>()?;
        }
        if let Some(server) = self.server_view(server_id).await? {
            totals.own_rooms = server.registration.room_count.into();
            totals.own_players = server.registration.player_count.into();
        }
        Ok(totals)
    }
}
