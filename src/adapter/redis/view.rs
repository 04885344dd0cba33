//! The servers as readers see them: their rows, with the counts of all shards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::try_join_all;
use serde_json::json;

use super::{
    answer::{Answer, Fields},
    core::{Arguments, Core, arguments},
    keys::ShardName,
    pending::Pending,
    records, scripts,
};
use crate::{
    adapter::{AdapterResult, Consistency},
    clock::Clock,
    model::{ServerId, ServerRegistration},
};

/// How old a list of the servers may be for those who can do with an older one: it spares each join a read.
const LOCAL_AGE: Duration = Duration::from_millis(250);

/// A server with what only claims ask for.
#[derive(Debug, Clone)]
pub(super) struct ServerView {
    pub(super) registration: ServerRegistration,
    /// Rooms of others that are offered to it.
    pub(super) offered: u32,
}

impl ServerView {
    pub(super) fn rooms_left(&self) -> u32 {
        self.registration.capacity.saturating_sub(self.registration.room_count).saturating_sub(self.offered)
    }
}

/// All rows, and what is in the servers' slot beside them.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) rows: Vec<Row>,
    pub(super) pending: Vec<Pending>,
    pub(super) shards: Vec<ShardName>,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) server_id: ServerId,
    pub(super) fields: Fields,
    pub(super) shards: Vec<ShardName>,
}

impl Row {
    /// The name under which a shard counts what this registration has.
    pub(super) fn registration(&self) -> String {
        let epoch = self.fields.get("epoch").map_or("0", String::as_str);
        format!("{}@{epoch}", self.server_id)
    }
}

/// The last list of the servers.
#[derive(Debug, Default)]
pub(super) struct ServerCache {
    newest: tokio::sync::Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    /// When the reading began.
    read_at: Duration,
    outcome: AdapterResult<Arc<Vec<ServerView>>>,
}

/// Rooms, seats, players and offers of one registration in one shard, or in all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) rooms: u32,
    seats: u32,
    players: u32,
    pub(super) offered: u32,
}

impl Counts {
    fn read(answer: &mut Answer) -> AdapterResult<Self> {
        let mut part = answer.list()?;
        let (rooms, seats, players, offered) = (part.number()?, part.number()?, part.number()?, part.number()?);
        Ok(Self { rooms, seats, players, offered })
    }

    fn add(&mut self, other: Self) {
        self.rooms = self.rooms.saturating_add(other.rooms);
        self.seats = self.seats.saturating_add(other.seats);
        self.players = self.players.saturating_add(other.players);
        self.offered = self.offered.saturating_add(other.offered);
    }
}

impl Core {
    /// The rows of these servers, or of all.
    pub(super) async fn list(&self, servers: Option<&[&ServerId]>) -> AdapterResult<Listing> {
        let mut call: Arguments = arguments!({ "op": "list" });
        if let Some(servers) = servers {
            call.insert("servers".to_owned(), json!(servers));
        }
        let mut answer = self.servers_call(&call).await?;
        let rows = answer.list()?.each(|answer| {
            let mut row = answer.list()?;
            let (server_id, fields, shards) = (row.text()?, row.fields()?, row.texts()?);
            Ok(Row { server_id: server_id.parse()?, fields, shards: stored(&shards) })
        })?;
        let pending = answer.texts()?.iter().map(|text| Pending::parse(text)).collect::<AdapterResult<_>>()?;
        Ok(Listing { rows, pending, shards: stored(&answer.texts()?) })
    }

    /// Every server in whatever status, in order of their ids. A linearizable read finishes first what others have
    /// begun, so that no server looks offline while its rooms look owned.
    pub(super) async fn server_views(&self, consistency: Consistency) -> AdapterResult<Arc<Vec<ServerView>>> {
        let clock = Clock::system();
        let asked_at = clock.boot();
        let mut newest = self.cache.newest.lock().await;
        // One reading serves all who asked before it began, and so does its failure: nobody waits in line for Redis.
        let oldest = match consistency {
            Consistency::Local => asked_at.saturating_sub(LOCAL_AGE),
            Consistency::Linearizable => asked_at,
        };
        if let Some(cached) = newest.as_ref().filter(|cached| cached.read_at >= oldest)
            && (cached.outcome.is_ok() || cached.read_at >= asked_at)
        {
            return cached.outcome.clone();
        }
        let read_at = clock.boot();
        let outcome = self.read_server_views().await;
        *newest = Some(Cached { read_at, outcome: outcome.clone() });
        outcome
    }

    async fn read_server_views(&self) -> AdapterResult<Arc<Vec<ServerView>>> {
        let listing = self.settled_list(None).await?;
        Ok(Arc::new(self.with_counts(listing.rows).await?))
    }

    /// One server.
    pub(super) async fn server_view(&self, server_id: &ServerId) -> AdapterResult<Option<ServerView>> {
        let listing = self.settled_list(Some(&[server_id])).await?;
        Ok(self.with_counts(listing.rows).await?.pop())
    }

    /// Rows at a moment when nothing was pending. Where that cannot be had, since a part of Redis does not answer, the
    /// rows are given all the same.
    async fn settled_list(&self, servers: Option<&[&ServerId]>) -> AdapterResult<Listing> {
        let listing = self.list(servers).await?;
        if listing.pending.is_empty() {
            return Ok(listing);
        }
        if let Err(error) = self.finish(&listing.pending).await {
            tracing::debug!(%error, "what is pending could not be finished");
        }
        self.list(servers).await
    }

    async fn with_counts(&self, rows: Vec<Row>) -> AdapterResult<Vec<ServerView>> {
        let counts = self.counts(&rows, None).await?;
        let views = rows.into_iter().map(|row| {
            let counts = counts.get(&row.server_id).copied().unwrap_or_default();
            let mut registration = records::server(row.server_id.as_str(), &row.fields)?;
            registration.room_count = counts.rooms;
            registration.seat_count = counts.seats;
            registration.player_count = counts.players;
            Ok(ServerView { registration, offered: counts.offered })
        });
        views.collect()
    }

    /// What each server has in all shards but one.
    pub(super) async fn counts(
        &self,
        rows: &[Row],
        but: Option<&ShardName>,
    ) -> AdapterResult<BTreeMap<ServerId, Counts>> {
        let shards: BTreeSet<&ShardName> = rows.iter().flat_map(|row| &row.shards).collect();
        let reads = shards.into_iter().filter(|shard| Some(*shard) != but).map(|shard| async move {
            let there: Vec<&Row> = rows.iter().filter(|row| row.shards.contains(shard)).collect();
            let names: Vec<String> = there.iter().map(|row| row.registration()).collect();
            let call = arguments!({ "op": "counts", "registrations": names });
            let counts = self.shard_plain(&scripts::READS, shard, call).await?.list()?.each(Counts::read)?;
            let ids = there.into_iter().map(|row| row.server_id.clone());
            AdapterResult::Ok(ids.zip(counts).collect::<Vec<_>>())
        });
        let mut sums: BTreeMap<ServerId, Counts> = BTreeMap::new();
        for (server_id, counts) in try_join_all(reads).await?.into_iter().flatten() {
            sums.entry(server_id).or_default().add(counts);
        }
        Ok(sums)
    }
}

fn stored(names: &[String]) -> Vec<ShardName> {
    names.iter().map(|name| ShardName::stored(name)).collect()
}
