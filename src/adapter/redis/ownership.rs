//! Rooms are offered, claimed, and shared out where they have lost their owners.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use super::{
    answer::Answer,
    core::{Core, arguments, call_name, number},
    keys::ShardName,
    records, scripts,
    view::ServerView,
};
use crate::{
    adapter::{AdapterResult, Consistency},
    model::{
        OrphanClaim, RoomClaim, RoomId, RoomOffer, RoomRegistration, RoomType, ServerEpoch, ServerId, ServerStatus,
    },
    registry::{CLAIMED_ROOMS_MAX, Rejection, SHARE_MS, limits},
};

/// A room without an owner, in the order in which rooms are taken: orphans first, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    is_parked: bool,
    since: u64,
    /// The room's number in 16 digits, then its id.
    member: String,
    shard: ShardName,
}

/// The rooms without owners in some shards.
#[derive(Debug, Default)]
struct Ownerless {
    now_ms: u64,
    count: usize,
    waiting: BTreeSet<Waiting>,
}

impl Ownerless {
    fn read(&mut self, shard: &ShardName, answer: &mut Answer) -> AdapterResult<()> {
        self.now_ms = self.now_ms.max(answer.number()?);
        for is_parked in [false, true] {
            let waiting = answer.list()?.each(|pair| {
                let (member, since) = (pair.text()?, pair.number()?);
                Ok(Waiting { is_parked, since, member, shard: shard.clone() })
            })?;
            self.waiting.extend(waiting);
        }
        self.count += answer.number::<usize>()?;
        Ok(())
    }
}

impl Waiting {
    fn room_id(&self) -> AdapterResult<RoomId> {
        Ok(RoomId::new(self.member.get(16..).unwrap_or_default())?)
    }
}

impl Core {
    pub(super) async fn claim_room(&self, claim: &RoomClaim) -> AdapterResult<RoomRegistration> {
        let call = arguments!({
            "op": "claim",
            "once": call_name(),
            "caller": claim.claimant.server_id,
            "epoch": number(claim.claimant.epoch.0),
            "room": claim.room.room_id,
            "room_epoch": number(claim.room.epoch.0),
        });
        let shard = self.known_shard_of(&claim.room.room_id).await?;
        let mut answer = self.shard_call(&scripts::CLAIMS, &shard, call, &[]).await?;
        records::room(&answer.fields()?)
    }

    pub(super) async fn offer_room(&self, offer: &RoomOffer) -> AdapterResult<()> {
        limits::offer(offer.ttl_ms)?;
        let call = arguments!({
            "op": "offer",
            "room": offer.room.room_id,
            "epoch": number(offer.room.epoch.0),
            "target": offer.target,
            "version": number(offer.version),
            "ttl_ms": offer.ttl_ms,
        });
        let shard = self.known_shard_of(&offer.room.room_id).await?;
        self.shard_call(&scripts::CLAIMS, &shard, call, &[]).await.map(|_| ())
    }

    /// Looks in all shards, decides by the registry's rule what the claimant may have, and takes that from each.
    pub(super) async fn claim_orphans(&self, claim: &OrphanClaim) -> AdapterResult<Vec<RoomRegistration>> {
        limits::claimed_types(claim.room_types.len())?;
        let ownerless = self.ownerless(claim).await?;
        if ownerless.count == 0 {
            return Ok(Vec::new());
        }
        let servers = self.server_views(Consistency::Linearizable).await?;
        let Some(claimant) = servers.iter().find(|server| is(server, &claim.claimant)) else {
            return Err(Rejection::ServerUnknown(claim.claimant.server_id.clone()).into());
        };
        let limit = usize::try_from(claimant.rooms_left().min(claim.limit)).unwrap_or(usize::MAX);
        let limit = limit.min(CLAIMED_ROOMS_MAX);
        let share = fair_share(&servers, claimant, &claim.room_types, ownerless.count);
        let chosen = choose(&ownerless, limit, share);
        let mut taken = Vec::new();
        for (shard, rooms) in by_shard(&chosen)? {
            let call = arguments!({
                "op": "claim_these",
                "once": call_name(),
                "caller": claim.claimant.server_id,
                "epoch": number(claim.claimant.epoch.0),
                "rooms": rooms,
            });
            let mut answer = self.shard_call(&scripts::CLAIMS, &shard, call, &[]).await?;
            taken.extend(answer.list()?.each(|answer| records::room(&answer.fields()?))?);
        }
        let order: BTreeMap<RoomId, usize> =
            chosen.iter().enumerate().filter_map(|(place, one)| Some((one.room_id().ok()?, place))).collect();
        taken.sort_by_key(|room| order.get(&room.room_id).copied());
        Ok(taken)
    }

    async fn ownerless(&self, claim: &OrphanClaim) -> AdapterResult<Ownerless> {
        let shards: BTreeSet<ShardName> =
            claim.room_types.iter().flat_map(|room_type| ShardName::of_type(room_type, self.options.shards)).collect();
        if shards.is_empty() {
            self.check_present(&claim.claimant).await?;
        }
        let reads = shards.iter().map(|shard| {
            let call = arguments!({
                "op": "ownerless",
                "caller": claim.claimant.server_id,
                "epoch": number(claim.claimant.epoch.0),
                "limit": CLAIMED_ROOMS_MAX,
            });
            self.shard_call(&scripts::CLAIMS, shard, call, &[])
        });
        let mut ownerless = Ownerless::default();
        for (shard, mut answer) in shards.iter().zip(try_join_all(reads).await?) {
            ownerless.read(shard, &mut answer)?;
        }
        Ok(ownerless)
    }
}

fn is(server: &ServerView, named: &ServerEpoch) -> bool {
    server.registration.server_id == named.server_id && server.registration.epoch == named.epoch
}

/// How many ownerless rooms bring the claimant to the level that all of them would fill, spread over all who can take
/// some.
fn fair_share(servers: &[ServerView], claimant: &ServerView, room_types: &[RoomType], ownerless: usize) -> usize {
    let claimant_id: &ServerId = &claimant.registration.server_id;
    let is_suited = |server: &&ServerView| {
        let registration = &server.registration;
        registration.server_id == *claimant_id
            || room_types.iter().any(|room_type| registration.room_types.contains_key(room_type))
    };
    let can_take = |server: &&ServerView| server.registration.status == ServerStatus::Online && server.rooms_left() > 0;
    let (mut count, mut rooms) = (0_usize, ownerless);
    for server in servers.iter().filter(can_take).filter(is_suited) {
        count += 1;
        rooms += server.registration.room_count as usize;
    }
    rooms.div_ceil(count.max(1)).saturating_sub(claimant.registration.room_count as usize)
}

/// The claimant's share, and beyond it what nobody took in time.
fn choose(ownerless: &Ownerless, limit: usize, share: usize) -> Vec<&Waiting> {
    let mut chosen: Vec<&Waiting> = Vec::new();
    for is_parked in [false, true] {
        for waiting in ownerless.waiting.iter().filter(|one| one.is_parked == is_parked) {
            let anybodys = waiting.since.saturating_add(SHARE_MS) <= ownerless.now_ms;
            if chosen.len() >= limit || (chosen.len() >= share && !anybodys) {
                break;
            }
            chosen.push(waiting);
        }
    }
    chosen
}

fn by_shard(chosen: &[&Waiting]) -> AdapterResult<BTreeMap<ShardName, Vec<RoomId>>> {
    let mut by_shard: BTreeMap<ShardName, Vec<RoomId>> = BTreeMap::new();
    for waiting in chosen {
        by_shard.entry(waiting.shard.clone()).or_default().push(waiting.room_id()?);
    }
    Ok(by_shard)
}
