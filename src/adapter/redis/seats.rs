//! Seats are reserved, confirmed and freed.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use serde_json::json;

use super::{
    core::{Arguments, Core, arguments, call_name, number, time},
    keys::ShardName,
    records, scripts,
};
use crate::{
    adapter::AdapterResult,
    model::{
        Metadata, RoomType, SeatConfirmation, SeatGrant, SeatId, SeatRelease, SeatRequest, SeatTarget, ServerEpoch,
        ServerId,
    },
    registry::{Rejection, limits},
};

/// How often a join that made a room too many for its server looks again.
const PLACINGS_MAX: usize = 3;

impl Core {
    /// One script where a type has one shard. With more, the caller's own shard is asked first, then the others for
    /// an open room, and a new room is made in the own one.
    pub(super) async fn reserve_seat(&self, request: &SeatRequest) -> AdapterResult<SeatGrant> {
        limits::hold(request.hold_ms)?;
        let mut call = arguments!({
            "seat": request.seat_id,
            "player": request.player_id,
            "token": records::token_text(&request.token),
            "hold_ms": request.hold_ms,
            "origin": number(request.origin),
            "caller": request.caller.server_id,
            "epoch": number(request.caller.epoch.0),
        });
        match &request.target {
            SeatTarget::Room(room_id) => {
                let Some(shard) = self.shard_of(room_id).await? else {
                    self.check_present(&request.caller).await?;
                    return Err(Rejection::RoomUnknown(room_id.clone()).into());
                };
                call.insert("room".to_owned(), room_id.as_str().into());
                let mut answer = self.shard_call(&scripts::JOIN, &shard, call, &[]).await?;
                records::grant(&mut answer)
            }
            SeatTarget::Type { room_type, metadata, candidates, options } => {
                describe(&mut call, room_type, metadata, options, candidates.len())?;
                call.insert("candidates".to_owned(), json!(candidates));
                self.reserve_by_type(request, room_type, call).await
            }
            SeatTarget::Nearest { room_type, metadata, tiers, options } => {
                describe(&mut call, room_type, metadata, options, tiers.iter().map(Vec::len).sum())?;
                self.reserve_nearest(request, room_type, tiers, call).await
            }
        }
    }

    async fn reserve_by_type(
        &self,
        request: &SeatRequest,
        room_type: &RoomType,
        mut call: Arguments,
    ) -> AdapterResult<SeatGrant> {
        let own = ShardName::of_server(room_type, &request.caller.server_id, self.options.shards);
        if self.options.shards > 1 {
            let shards = self.search_order(room_type, &own, request.seat_id).await?;
            call.insert("create".to_owned(), false.into());
            if let Some(grant) = self.reserve_in_first(&shards, &call).await? {
                return Ok(grant);
            }
        }
        call.insert("create".to_owned(), true.into());
        let made = self.reserve_in_first(&[own], &call).await?;
        made.ok_or_else(|| Rejection::NoCapacity(room_type.clone()).into())
    }

    /// One script where there is one shard. Where there are several: each tier in all of them before the next tier.
    async fn reserve_nearest(
        &self,
        request: &SeatRequest,
        room_type: &RoomType,
        tiers: &[Vec<ServerId>],
        mut call: Arguments,
    ) -> AdapterResult<SeatGrant> {
        let own = ShardName::of_server(room_type, &request.caller.server_id, self.options.shards);
        let mut plan = |create: bool, anywhere: bool, tiers: &[Vec<ServerId>]| {
            call.insert("create".to_owned(), create.into());
            call.insert("anywhere".to_owned(), anywhere.into());
            call.insert("tiers".to_owned(), json!(tiers));
            call.clone()
        };
        if self.options.shards > 1 {
            let shards = self.search_order(room_type, &own, request.seat_id).await?;
            for tier in tiers {
                let tier = std::slice::from_ref(tier);
                let open = self.reserve_in_first(&shards, &plan(false, false, tier)).await?;
                let made = match open {
                    Some(grant) => Some(grant),
                    None => self.reserve_in_first(std::slice::from_ref(&own), &plan(true, false, tier)).await?,
                };
                if let Some(grant) = made {
                    return Ok(grant);
                }
            }
            let anywhere = self.reserve_in_first(&shards, &plan(false, true, &[])).await?;
            return anywhere.ok_or_else(|| Rejection::NoCapacity(room_type.clone()).into());
        }
        let taken = self.reserve_in_first(&[own], &plan(true, true, tiers)).await?;
        taken.ok_or_else(|| Rejection::NoCapacity(room_type.clone()).into())
    }

    /// A seat in the first of these shards that has one to give. Where that made a room too many for its server, the
    /// shard is asked again.
    async fn reserve_in_first(&self, shards: &[ShardName], call: &Arguments) -> AdapterResult<Option<SeatGrant>> {
        for shard in shards {
            for _ in 0..PLACINGS_MAX {
                let mut call = call.clone();
                call.insert("by".to_owned(), call_name().into());
                let answer = self.shard_call_maybe(&scripts::JOIN, shard, &mut call, &[]).await?;
                let Some(grant) = answer.map(|mut answer| records::grant(&mut answer)).transpose()? else { break };
                if !grant.created || self.keeps_capacity(&call, &grant.room).await? {
                    return Ok(Some(grant));
                }
            }
        }
        Ok(None)
    }

    /// The shards of a type, first the one in which this very seat is already, then the caller's own.
    async fn search_order(
        &self,
        room_type: &RoomType,
        own: &ShardName,
        seat_id: SeatId,
    ) -> AdapterResult<Vec<ShardName>> {
        let shards: Vec<ShardName> = ShardName::of_type(room_type, self.options.shards).collect();
        let reads = shards.iter().map(|shard| {
            let call = arguments!({ "op": "find_seat", "seat": seat_id });
            self.shard_plain(&scripts::SEATS, shard, call)
        });
        let mut ranked = Vec::new();
        for (shard, mut answer) in shards.iter().zip(try_join_all(reads).await?) {
            let has_seat = !answer.text()?.is_empty();
            ranked.push((!has_seat, shard != own, shard.clone()));
        }
        ranked.sort();
        Ok(ranked.into_iter().map(|(_, _, shard)| shard).collect())
    }

    pub(super) async fn confirm_seat(&self, confirmation: &SeatConfirmation) -> AdapterResult<SeatGrant> {
        let shard = self.known_shard_of(&confirmation.room.room_id).await?;
        let call = arguments!({
            "op": "confirm",
            "room": confirmation.room.room_id,
            "epoch": number(confirmation.room.epoch.0),
            "seat": confirmation.seat_id,
            "token": records::token_text(&confirmation.token),
        });
        let mut answer = self.shard_call(&scripts::SEATS, &shard, call, &[]).await?;
        records::grant(&mut answer)
    }

    /// Each shard's seats in one script.
    pub(super) async fn release_seats(&self, server: &ServerEpoch, releases: &[SeatRelease]) -> AdapterResult<()> {
        limits::releases(releases.len())?;
        let mut by_shard: BTreeMap<ShardName, Vec<_>> = BTreeMap::new();
        for release in releases {
            let Some(shard) = self.shard_of(&release.room_id).await? else { continue };
            by_shard.entry(shard).or_default().push(json!({
                "room": release.room_id,
                "seat": release.seat_id,
                "away": number(time(release.away_ms)),
            }));
        }
        if by_shard.is_empty() {
            return self.check_present(server).await;
        }
        let calls = by_shard.iter().map(|(shard, releases)| {
            let call = arguments!({
                "op": "release",
                "caller": server.server_id,
                "epoch": number(server.epoch.0),
                "releases": releases,
            });
            self.shard_call(&scripts::SEATS, shard, call, &[])
        });
        try_join_all(calls).await.map(|_| ())
    }

    /// Refuses a server that is not registered under this epoch, or is offline.
    pub(super) async fn check_present(&self, server: &ServerEpoch) -> AdapterResult<()> {
        let call = arguments!({ "op": "present", "caller": server.server_id, "epoch": number(server.epoch.0) });
        self.servers_call(&call).await.map(|_| ())
    }
}

/// Which kind of room is wanted, within the limits.
fn describe(
    call: &mut Arguments,
    room_type: &RoomType,
    metadata: &Metadata,
    options: &str,
    candidates: usize,
) -> AdapterResult<()> {
    limits::candidates(candidates)?;
    limits::metadata("the wanted metadata", metadata)?;
    limits::options(options)?;
    call.insert("type".to_owned(), room_type.as_str().into());
    call.insert("wanted".to_owned(), json!(records::metadata_text(metadata)));
    call.insert("options".to_owned(), options.into());
    Ok(())
}
