//! One backend under test, with what its callers remember.

use std::{collections::BTreeMap, sync::Arc};

use roomraft::{
    adapter::{AdapterError, AdapterResult, DistributedAdapter},
    model::{
        Epoch, Metadata, NewRoom, NewServer, NodeId, OrphanClaim, PlayerId, RoomClaim, RoomEpoch, RoomId, RoomOffer,
        RoomRegistration, RoomSnapshot, RoomState, RoomType, RoomTypeSpec, RoomUpdate, SeatConfirmation, SeatGrant,
        SeatId, SeatRelease, SeatRequest, SeatTarget, ServerEpoch, ServerId, ServerStatus, ServerUpdate, TokenHash,
    },
};
use serde_json::json;

use crate::steps::{SEATS, SERVERS, Step, TYPES};

/// How long a seat is held, in milliseconds.
const HOLD_MS: u64 = 5000;

/// What a call gave, with the names of rooms replaced by their numbers and epochs by whether they are new.
pub type Seen = Result<String, String>;

/// The rooms and epochs that the callers of one backend know.
pub struct Side {
    pub handles: Vec<Arc<dyn DistributedAdapter>>,
    /// Where each server is registered, and all its epochs so far.
    servers: Vec<(usize, Vec<Epoch>)>,
    /// In order of their making, with all their epochs so far.
    pub rooms: Vec<(RoomId, Vec<Epoch>)>,
}

pub fn server_id(number: usize) -> ServerId {
    ServerId::new(["a", "b", "c"][number]).unwrap()
}

pub fn room_type(number: usize) -> RoomType {
    RoomType::new(["x", "y"][number]).unwrap()
}

fn seat_id(room_type: usize, seat: usize) -> SeatId {
    SeatId((room_type * SEATS + seat + 1) as u128)
}

fn metadata(desert: bool) -> Metadata {
    if desert {
        [("map", json!("desert/\u{e9}")), ("big", json!([1.5, {}]))].into_iter().collect()
    } else {
        Metadata::default()
    }
}

fn specs(mask: u8) -> BTreeMap<RoomType, RoomTypeSpec> {
    let spec = |number: usize| RoomTypeSpec {
        max_players: 2,
        reconnect_grace_ms: if number == 0 { 0 } else { 4000 },
        metadata: [("kind", json!(number))].into_iter().collect(),
    };
    (0..TYPES).filter(|number| mask & (1 << number) != 0).map(|number| (room_type(number), spec(number))).collect()
}

fn token(stranger: bool) -> TokenHash {
    TokenHash([if stranger { 9 } else { 7 }; 32])
}

impl Side {
    pub fn new(handles: Vec<Arc<dyn DistributedAdapter>>) -> Self {
        Self { handles, servers: vec![(0, Vec::new()); SERVERS], rooms: Vec::new() }
    }

    fn handle_of(&self, server: usize) -> &Arc<dyn DistributedAdapter> {
        &self.handles[self.servers[server].0]
    }

    pub fn server(&self, number: usize, stale: bool) -> ServerEpoch {
        ServerEpoch { server_id: server_id(number), epoch: pick(&self.servers[number].1, stale) }
    }

    fn room(&self, number: usize, stale: bool) -> RoomEpoch {
        match self.rooms.iter().rev().nth(number) {
            Some((room_id, epochs)) => RoomEpoch { room_id: room_id.clone(), epoch: pick(epochs, stale) },
            None => RoomEpoch { room_id: RoomId::new("nowhere").unwrap(), epoch: Epoch(1) },
        }
    }

    /// The number of a room's type, as its callers know it from the room. A repeated request has the same target, so
    /// each type has seats of its own, and so has the room that is not there.
    fn type_of(room_id: &RoomId) -> usize {
        ["x", "y"].iter().position(|kind| room_id.as_str().starts_with(kind)).unwrap_or(TYPES)
    }

    /// Notes what a reply says of a room, and writes it without names and epochs of the backend's own.
    pub fn note(&mut self, room: &RoomRegistration) -> String {
        let number = self.number(&room.room_id);
        let epochs = &mut self.rooms[number].1;
        let is_new = epochs.last() != Some(&room.epoch);
        if is_new {
            assert!(epochs.last() < Some(&room.epoch), "epochs only grow: {epochs:?} {}", room.epoch);
            epochs.push(room.epoch);
        }
        let mut plain = room.clone();
        plain.room_id = RoomId::new(format!("room {number}")).unwrap();
        plain.epoch = Epoch(epochs.len() as u64);
        format!("{plain:?}")
    }

    fn number(&mut self, room_id: &RoomId) -> usize {
        let known = self.rooms.iter().position(|(known, _)| known == room_id);
        known.unwrap_or_else(|| {
            self.rooms.push((room_id.clone(), Vec::new()));
            self.rooms.len() - 1
        })
    }

    /// Text without the names of rooms.
    pub fn plain(&self, text: &str) -> String {
        let mut numbered: Vec<_> = self.rooms.iter().enumerate().collect();
        numbered.sort_by_key(|(_, (room_id, _))| std::cmp::Reverse(room_id.as_str().len()));
        let plain = |text: String, (number, (room_id, _)): &(usize, &(RoomId, _))| {
            text.replace(room_id.as_str(), &format!("room {number}"))
        };
        numbered.iter().fold(text.to_owned(), plain)
    }

    fn grant(&mut self, grant: &SeatGrant) -> String {
        format!("{:?} created {} in {}", grant.seat, grant.created, self.note(&grant.room))
    }

    fn said<T>(&mut self, outcome: AdapterResult<T>, show: impl FnOnce(&mut Self, T) -> String) -> Seen {
        match outcome {
            Ok(value) => Ok(show(self, value)),
            Err(AdapterError::Fenced { present }) => Err(format!("fenced, nobody owns it: {}", present == Epoch(0))),
            Err(error) => Err(self.plain(&format!("{error:?}"))),
        }
    }

    /// Carries out one step.
    pub async fn run(&mut self, step: &Step) -> Seen {
        match step {
            Step::Register { .. } | Step::Unregister { .. } | Step::UpdateServer { .. } | Step::Heartbeat { .. } => {
                self.run_on_server(step).await
            }
            Step::Join { .. } | Step::Confirm { .. } | Step::Release { .. } => self.run_on_seat(step).await,
            Step::Claim { .. } | Step::Offer { .. } | Step::ClaimOrphans { .. } => self.run_on_owner(step).await,
            Step::Wait { .. } => Ok(String::new()),
            _ => self.run_on_room(step).await,
        }
    }

    async fn run_on_server(&mut self, step: &Step) -> Seen {
        match *step {
            Step::Register { server, handle, capacity, types } => {
                let new = NewServer {
                    server_id: server_id(server),
                    address: "game.example".to_owned(),
                    port: 3000,
                    capacity,
                    metadata: metadata(true),
                    room_types: specs(types),
                    node_id: NodeId(0),
                };
                let outcome = self.handles[handle].register_server(new).await;
                if let Ok(epoch) = outcome {
                    let known = &mut self.servers[server];
                    assert!(known.1.last() < Some(&epoch), "epochs only grow");
                    known.0 = handle;
                    known.1.push(epoch);
                }
                self.said(outcome, |_, _| "registered".to_owned())
            }
            Step::Unregister { server, stale } => {
                let outcome = self.handle_of(server).unregister_server(&self.server(server, stale)).await;
                self.said(outcome, |_, ()| "done".to_owned())
            }
            Step::UpdateServer { server, stale, draining, capacity, types } => {
                let status = |draining| if draining { ServerStatus::Draining } else { ServerStatus::Online };
                let room_types = types.map(specs);
                let update = ServerUpdate { status: draining.map(status), capacity, metadata: None, room_types };
                let outcome = self.handle_of(server).update_server(&self.server(server, stale), update).await;
                self.said(outcome, |_, ()| "done".to_owned())
            }
            Step::Heartbeat { server, stale } => {
                let outcome = self.handle_of(server).heartbeat(&self.server(server, stale)).await;
                self.said(outcome, |_, ()| "done".to_owned())
            }
            _ => unreachable!("another kind of step"),
        }
    }

    async fn run_on_room(&mut self, step: &Step) -> Seen {
        let handle = Arc::clone(&self.handles[0]);
        match *step {
            Step::MakeRoom { server, stale, room_type: kind, max, grace, live, desert, name } => {
                let name = name.map(|name| RoomId::new(format!("{} chosen {name}", room_type(kind))).unwrap());
                let room = NewRoom {
                    room_id: name,
                    room_type: room_type(kind),
                    max_players: max,
                    reconnect_grace_ms: if grace { 4000 } else { 0 },
                    metadata: metadata(desert),
                    state: if live { RoomState::Live } else { RoomState::Creating },
                    options: r#"{"rounds":3}"#.to_owned(),
                };
                let outcome = self.handle_of(server).register_room(&self.server(server, stale), room).await;
                self.said(outcome, |side, room| side.note(&room))
            }
            Step::RemoveRoom { room, stale } => {
                let outcome = handle.unregister_room(&self.room(room, stale), "over").await;
                self.said(outcome, |_, ()| "done".to_owned())
            }
            Step::UpdateRoom { room, stale, locked, desert, max, state } => {
                let update = RoomUpdate {
                    is_locked: locked,
                    metadata: desert.map(metadata),
                    max_players: max,
                    state: state.map(|live| if live { RoomState::Live } else { RoomState::Parked }),
                };
                let outcome = handle.update_room(&self.room(room, stale), update).await;
                self.said(outcome, |_, ()| "done".to_owned())
            }
            Step::Save { room, stale, version } => {
                let room = self.room(room, stale);
                let outcome = handle.save_snapshot(room.epoch, &snapshot(&room.room_id, version)).await;
                self.said(outcome, |_, ()| "saved".to_owned())
            }
            Step::Forget { room, stale } => {
                let outcome = handle.delete_snapshot(&self.room(room, stale)).await;
                self.said(outcome, |_, ()| "done".to_owned())
            }
            _ => unreachable!("another kind of step"),
        }
    }

    async fn run_on_seat(&mut self, step: &Step) -> Seen {
        match step {
            Step::Join { server, stale, room_type: kind, room, seat, stranger, origin, desert, candidates, near } => {
                let room = room.map(|room| self.room(room, false).room_id);
                let kind = room.as_ref().map_or(*kind, Self::type_of);
                let target = match room {
                    Some(room_id) => SeatTarget::Room(room_id),
                    None if *near => SeatTarget::Nearest {
                        room_type: room_type(kind),
                        metadata: metadata(*desert),
                        tiers: candidates.iter().map(|number| vec![server_id(*number)]).collect(),
                        options: "{}".to_owned(),
                    },
                    None => SeatTarget::Type {
                        room_type: room_type(kind),
                        metadata: metadata(*desert),
                        candidates: candidates.iter().map(|number| server_id(*number)).collect(),
                        options: "{}".to_owned(),
                    },
                };
                let request = SeatRequest {
                    seat_id: seat_id(kind, *seat),
                    player_id: PlayerId::new(if *stranger { "stranger" } else { "a|b" }).unwrap(),
                    target,
                    caller: self.server(*server, *stale),
                    token: token(false),
                    hold_ms: HOLD_MS,
                    origin: *origin * (u64::MAX / 3),
                };
                let outcome = self.handle_of(*server).reserve_seat(request).await;
                self.said(outcome, |side, grant| side.grant(&grant))
            }
            Step::Confirm { room, stale, seat, stranger } => {
                let room = self.room(*room, *stale);
                let seat_id = seat_id(Self::type_of(&room.room_id), *seat);
                let confirmation = SeatConfirmation { room, seat_id, token: token(*stranger) };
                let outcome = self.handles[1].confirm_seat(confirmation).await;
                self.said(outcome, |side, grant| side.grant(&grant))
            }
            Step::Release { server, stale, room, seats, away } => {
                let room_id = self.room(*room, false).room_id;
                let release = |seat: &usize| SeatRelease {
                    room_id: room_id.clone(),
                    seat_id: seat_id(Self::type_of(&room_id), *seat),
                    away_ms: if *away { 3000 } else { 0 },
                };
                let releases = seats.iter().map(release).collect();
                let outcome = self.handle_of(*server).release_seats(&self.server(*server, *stale), releases).await;
                self.said(outcome, |_, ()| "done".to_owned())
            }
            _ => unreachable!("another kind of step"),
        }
    }

    async fn run_on_owner(&mut self, step: &Step) -> Seen {
        match *step {
            Step::Claim { server, stale, room, old } => {
                let claim = RoomClaim { claimant: self.server(server, stale), room: self.room(room, old) };
                let outcome = self.handle_of(server).claim_room(claim).await;
                self.said(outcome, |side, room| side.note(&room))
            }
            Step::Offer { room, stale, target, version } => {
                let offer =
                    RoomOffer { room: self.room(room, stale), target: server_id(target), version, ttl_ms: 20_000 };
                let outcome = self.handles[0].offer_room(offer).await;
                self.said(outcome, |_, ()| "done".to_owned())
            }
            Step::ClaimOrphans { server, stale, types, limit } => {
                let room_types = specs(types).into_keys().collect();
                let claim = OrphanClaim { claimant: self.server(server, stale), room_types, limit };
                let outcome = self.handle_of(server).claim_orphans(claim).await;
                self.said(outcome, |side, rooms| {
                    rooms.iter().map(|room| side.note(room)).collect::<Vec<_>>().join("\n")
                })
            }
            _ => unreachable!("another kind of step"),
        }
    }
}

fn snapshot(room_id: &RoomId, version: u64) -> RoomSnapshot {
    RoomSnapshot {
        room_id: room_id.clone(),
        room_type: room_type(0),
        state: json!({ "version": version }),
        players: Vec::new(),
        version,
        timestamp: 0,
    }
}

/// The newest epoch, or the one before it.
fn pick(epochs: &[Epoch], stale: bool) -> Epoch {
    epochs.iter().rev().nth(usize::from(stale)).or(epochs.last()).copied().unwrap_or(Epoch(1))
}
