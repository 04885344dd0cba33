//! The rooms that run on this server.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::{
    model::{Epoch, RoomEpoch, RoomId},
    room::{
        RoomHandle,
        actor::Stop,
        core::{Ended, RoomCore},
    },
};

/// So many ended rooms are remembered.
const OVER_KEPT: usize = 4_096;

/// The local rooms by id, one per id, and which ownerships have ended here. Whoever reads an old
/// record of a room that is over does not start it a second time.
#[derive(Debug, Default)]
pub(crate) struct RoomTable {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rooms: HashMap<RoomId, Entry>,
    over: HashSet<RoomEpoch>,
    over_in_order: VecDeque<RoomEpoch>,
}

#[derive(Debug)]
struct Entry {
    handle: RoomHandle,
    /// None until its task has been spawned.
    task: Option<AbortHandle>,
}

/// What is made of a record of a room.
pub(crate) enum Admission<T> {
    /// It runs.
    Running(RoomHandle),
    /// It is in the table from now on; its task is to be spawned from what was prepared.
    New(RoomHandle, T),
    /// It has ended here.
    Over,
}

impl RoomTable {
    /// The running room of this ownership, or a new one that `prepare` makes. The task is not
    /// spawned under the table's lock: a runtime that is shutting down drops it at once, and a
    /// room that is dropped takes itself out of the table.
    pub(crate) fn admit<T>(&self, room: &RoomEpoch, prepare: impl FnOnce() -> (RoomHandle, T)) -> Admission<T> {
        let mut inner = self.inner.lock();
        if let Some(entry) = inner.rooms.get(&room.room_id)
            && (entry.handle.epoch() >= room.epoch || entry.handle.core().is_moving())
        {
            return Admission::Running(entry.handle.clone());
        }
        if inner.over.contains(room) {
            return Admission::Over;
        }
        let (handle, prepared) = prepare();
        let entry = Entry { handle: handle.clone(), task: None };
        if let Some(older) = inner.rooms.insert(room.room_id.clone(), entry) {
            older.handle.stop(Stop::Abandon("the room was taken over anew".to_owned()));
        }
        Admission::New(handle, prepared)
    }

    /// A new room's task has been spawned.
    pub(crate) fn spawned(&self, handle: &RoomHandle, task: AbortHandle) {
        let mut inner = self.inner.lock();
        let entry = inner.rooms.get_mut(handle.id());
        if let Some(entry) = entry.filter(|entry| std::ptr::eq(entry.handle.core(), handle.core())) {
            entry.task = Some(task);
        }
    }

    pub(crate) fn room(&self, room_id: &RoomId) -> Option<RoomHandle> {
        self.inner.lock().rooms.get(room_id).map(|entry| entry.handle.clone())
    }

    /// All rooms, in order of their ids.
    pub(crate) fn rooms(&self) -> Vec<RoomHandle> {
        let mut rooms: Vec<RoomHandle> = self.inner.lock().rooms.values().map(|entry| entry.handle.clone()).collect();
        rooms.sort_by(|a, b| a.id().cmp(b.id()));
        rooms
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.lock().rooms.len()
    }

    /// Whether this ownership has ended here.
    pub(crate) fn is_over(&self, room_id: &RoomId, epoch: Epoch) -> bool {
        self.inner.lock().over.contains(&RoomEpoch { room_id: room_id.clone(), epoch })
    }

    /// Ends the tasks of all rooms without waiting for them.
    pub(crate) fn abort_all(&self) {
        let tasks: Vec<AbortHandle> = self.inner.lock().rooms.values().filter_map(|entry| entry.task.clone()).collect();
        for task in tasks {
            task.abort();
        }
    }

    fn remove(&self, core: &RoomCore) {
        let mut inner = self.inner.lock();
        if inner.rooms.get(&core.room_id).is_some_and(|entry| std::ptr::eq(entry.handle.core(), core)) {
            inner.rooms.remove(&core.room_id);
        }
        // A room that was lost may come back under the same ownership, as when its snapshot could not be read.
        if matches!(core.ended.get(), Some(Ended::Disposed(_) | Ended::Failed(_) | Ended::Parked | Ended::Moved(_))) {
            inner.remember(core.room_epoch());
        }
    }
}

impl Inner {
    fn remember(&mut self, room: RoomEpoch) {
        if self.over.insert(room.clone()) {
            self.over_in_order.push_back(room);
        }
        if self.over_in_order.len() > OVER_KEPT
            && let Some(oldest) = self.over_in_order.pop_front()
        {
            self.over.remove(&oldest);
        }
    }
}

/// Takes a room out of the table when its task ends, however it ends.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) table: Arc<RoomTable>,
    pub(crate) core: Arc<RoomCore>,
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.table.remove(&self.core);
        self.core.gone.cancel();
    }
}
