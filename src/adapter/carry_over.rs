//! Rooms on their way from one backend to another, such as from raft to Redis.
//!
//! Not a migration: it copies what waits without an owner, and knows nothing of players. Their
//! session tokens are of the old backend; they join their rooms anew, by id.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{AdapterError, AdapterResult, Consistency, DistributedAdapter};
use crate::{
    model::{
        Metadata, NewRoom, NewServer, NodeId, RoomId, RoomQuery, RoomRegistration, RoomState, RoomType, RoomUpdate,
        ServerEpoch, ServerId,
    },
    registry::Rejection,
};

/// What [`carry_over`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CarriedOver {
    /// Rooms that were copied.
    pub carried: Vec<RoomId>,
    /// Rooms that had been copied before.
    pub present: Vec<RoomId>,
}

/// Copies every parked room with its last snapshot from one backend to another, where it is parked
/// again until a server of its type takes it up. Rooms keep their ids, metadata and number of seats.
/// The old backend is not changed.
///
/// Drain every server of the old backend first, and stop them for good afterwards: a room that is
/// taken up on both lives twice. A call that failed may be repeated.
///
/// # Errors
/// Those of the backends. What was copied until then stays copied.
pub async fn carry_over(from: &dyn DistributedAdapter, to: &dyn DistributedAdapter) -> AdapterResult<CarriedOver> {
    let rooms = from.rooms(&RoomQuery::default(), Consistency::Linearizable).await?;
    let parked: Vec<RoomRegistration> = rooms.into_iter().filter(|room| room.state == RoomState::Parked).collect();
    let carrier = Carrier::register(to, parked.len()).await?;
    let mut done = CarriedOver::default();
    let copying = async {
        for room in &parked {
            let is_new = carrier.carry(from, room).await?;
            if is_new { &mut done.carried } else { &mut done.present }.push(room.room_id.clone());
        }
        Ok(())
    };
    tokio::select! {
        copied = copying => copied,
        Err(error) = carrier.stay_alive() => Err(error),
    }?;
    to.unregister_server(&carrier.server).await?;
    Ok(done)
}

/// A server in name only, that owns each room until it has its snapshot.
struct Carrier<'a> {
    to: &'a dyn DistributedAdapter,
    server: ServerEpoch,
    /// How long a type's seats are kept for players that were cut off, in milliseconds, as its servers say.
    graces: BTreeMap<RoomType, u64>,
}

impl<'a> Carrier<'a> {
    async fn register(to: &'a dyn DistributedAdapter, rooms: usize) -> AdapterResult<Self> {
        let mut graces = BTreeMap::new();
        for server in to.servers(Consistency::Linearizable).await? {
            let of_server = server.room_types.into_iter();
            graces.extend(of_server.map(|(room_type, spec)| (room_type, spec.reconnect_grace_ms)));
        }
        let server_id = ServerId::new(format!("carrier-{:016x}", rand::random::<u64>()))?;
        let server = NewServer {
            server_id: server_id.clone(),
            address: "none".to_owned(),
            port: 1,
            capacity: u32::try_from(rooms).unwrap_or(u32::MAX).max(1),
            metadata: Metadata::default(),
            // It serves no type: nobody is to be sent to it.
            room_types: BTreeMap::new(),
            node_id: NodeId(0),
        };
        let epoch = to.register_server(server).await?;
        Ok(Self { to, server: ServerEpoch { server_id, epoch }, graces })
    }

    /// Renews its lease; ends only by an error.
    async fn stay_alive(&self) -> AdapterResult<()> {
        let mut turns = interval(self.to.lease().renewal.max(Duration::from_millis(1)));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            self.to.heartbeat(&self.server).await?;
        }
    }

    /// Whether the room was copied now; not where it had been before.
    async fn carry(&self, from: &dyn DistributedAdapter, room: &RoomRegistration) -> AdapterResult<bool> {
        let room_id = &room.room_id;
        let snapshot = from.load_snapshot(room_id).await?;
        let snapshot = snapshot.ok_or_else(|| Rejection::SnapshotMissing(room_id.clone()))?;
        let new = NewRoom {
            room_id: Some(room_id.clone()),
            room_type: room.room_type.clone(),
            max_players: room.max_players,
            reconnect_grace_ms: self.graces.get(&room.room_type).copied().unwrap_or_default(),
            metadata: room.metadata.clone(),
            state: RoomState::Live,
            options: String::new(),
        };
        let registered = match self.to.register_room(&self.server, new).await {
            Ok(registered) => registered,
            Err(AdapterError::Rejected(refusal @ Rejection::RoomExists(_))) => {
                let present = self.to.room(room_id, Consistency::Linearizable).await?;
                // One without a snapshot was left by a call that failed half-way: it ends with its carrier's lease.
                let is_whole = present.is_some_and(|present| present.snapshot_version.is_some());
                return if is_whole { Ok(false) } else { Err(refusal.into()) };
            }
            Err(error) => return Err(error),
        };
        self.to.save_snapshot(registered.epoch, &snapshot).await?;
        let update = RoomUpdate {
            is_locked: room.is_locked.then_some(true),
            state: Some(RoomState::Parked),
            ..RoomUpdate::default()
        };
        self.to.update_room(&registered.room_epoch(), update).await?;
        Ok(true)
    }
}
