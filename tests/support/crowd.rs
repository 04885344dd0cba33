//! Many players at once, that know nothing of each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::{sync::Semaphore, task::JoinSet};

use super::player::{CallError, Place, Player};

/// How many handshakes are under way at once, so that the test's own sockets are not what fails.
const HANDSHAKES: usize = 128;

/// A join that has ended.
pub type Joined = Result<(Player, Place), CallError>;

/// Sends players to the gateways in turn, all at once, to rooms of the type `arena`.
pub fn crowd(gateways: &[String], count: usize) -> JoinSet<(usize, Joined)> {
    let gate = Arc::new(Semaphore::new(HANDSHAKES));
    let mut joins = JoinSet::new();
    for n in 0..count {
        let (gate, gateway) = (Arc::clone(&gate), gateways[n % gateways.len()].clone());
        joins.spawn(async move {
            let _permit = gate.acquire().await;
            (n, Player::join(&gateway, "arena").await)
        });
    }
    joins
}

/// The players of each room.
///
/// # Panics
/// Where one sits in a room twice.
pub fn rooms_of(places: &[Place]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut rooms: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for place in places {
        let new = rooms.entry(&place.room_id).or_default().insert(&place.player_id);
        assert!(new, "player {} sits in room {} twice", place.player_id, place.room_id);
    }
    rooms
}
