//! Which player is in which room of this server.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{RoomHandle, core::RoomCore};
use crate::model::PlayerId;

/// The players of this server. A player has one place: a room, or a join that is under way.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    places: Mutex<HashMap<PlayerId, Place>>,
}

#[derive(Debug, Clone)]
enum Place {
    Joining,
    In(RoomHandle),
}

/// A join under way; when it is dropped without having led to a room, the player is free again.
#[derive(Debug)]
pub(crate) struct Joining {
    sessions: Arc<Sessions>,
    player_id: PlayerId,
}

impl Sessions {
    /// Begins a join; `None` where the player is in a room here, or about to be.
    pub(crate) fn begin(self: &Arc<Self>, player_id: &PlayerId) -> Option<Joining> {
        match self.places.lock().entry(player_id.clone()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(vacant) => {
                vacant.insert(Place::Joining);
                Some(Joining { sessions: Arc::clone(self), player_id: player_id.clone() })
            }
        }
    }

    /// The player is in this room now.
    pub(crate) fn settle(&self, player_id: &PlayerId, room: RoomHandle) {
        self.places.lock().insert(player_id.clone(), Place::In(room));
    }

    /// The player's room.
    pub(crate) fn room(&self, player_id: &PlayerId) -> Option<RoomHandle> {
        match self.places.lock().get(player_id) {
            Some(Place::In(room)) => Some(room.clone()),
            Some(Place::Joining) | None => None,
        }
    }

    /// The player is no longer in this room; another room that it has gone to meanwhile is left as it is.
    pub(crate) fn remove(&self, player_id: &PlayerId, core: &RoomCore) {
        let mut places = self.places.lock();
        if let Some(Place::In(room)) = places.get(player_id)
            && std::ptr::eq(room.core(), core)
        {
            places.remove(player_id);
        }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        let mut places = self.sessions.places.lock();
        if matches!(places.get(&self.player_id), Some(Place::Joining)) {
            places.remove(&self.player_id);
        }
    }
}
