//! Starting a room's task.

use std::{panic::AssertUnwindSafe, sync::Arc};

use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    Definition, Inner,
    table::{Admission, Exit},
};
use crate::{
    model::{MigrationStage, RoomRegistration, RoomState},
    room::{
        JoinError, RoomContext, RoomHandle,
        actor::{Inlets, MAILBOX_CAPACITY, Origin, RoomActor, Start, give_back},
        core::{Ended, RoomCore},
        outbox::Outbox,
        saver::Saver,
    },
};

impl Inner {
    /// The running room of a record of this server's; started where it does not run yet. `None`
    /// where that ownership has ended here.
    pub(super) fn ensure(self: &Arc<Self>, row: &RoomRegistration) -> Result<Option<RoomHandle>, JoinError> {
        let Some(definition) = self.definition(&row.room_type) else {
            let unknown = format!("room type {} is not served by this server", row.room_type);
            return Err(JoinError::Unavailable(unknown));
        };
        Ok(match self.table.admit(&row.room_epoch(), || self.prepare(row, definition)) {
            Admission::Running(room) => Some(room),
            Admission::New(room, spawn) => {
                self.table.spawned(&room, spawn());
                Some(room)
            }
            Admission::Over => None,
        })
    }

    /// Makes everything of a room but its task, which the second part spawns.
    fn prepare(
        self: &Arc<Self>,
        row: &RoomRegistration,
        definition: Definition,
    ) -> (RoomHandle, impl FnOnce() -> AbortHandle + use<>) {
        let services = Arc::clone(&self.services);
        let (mailbox_sender, mailbox) = mpsc::channel(MAILBOX_CAPACITY);
        let (effects_sender, effects) = mpsc::unbounded_channel();
        let (stop_sender, stop) = watch::channel(None);
        let outbox = Arc::new(Outbox::new(Arc::clone(&services.tenure)));
        let core = RoomCore::new(row, definition.config, services.clock.clone(), outbox, effects_sender);
        let core = Arc::new(core);
        let handle = RoomHandle::new(Arc::clone(&core), mailbox_sender, Arc::new(stop_sender));
        let saver = Saver::new(Arc::clone(&services.adapter), row.snapshot_version);
        let context = RoomContext::new(Arc::clone(&core), saver);
        let inlets = Inlets { mailbox, effects, stop };
        let (start, origin) = (how_to_start(row), origin(row));
        let exit = Exit { table: Arc::clone(&self.table), core };
        let task_handle = handle.clone();
        let factory = definition.factory;
        let tasks = self.tasks.clone();
        let task = async move {
            let exit = exit;
            let Ok(room) = std::panic::catch_unwind(AssertUnwindSafe(|| factory())) else {
                let reason = "its factory panicked".to_owned();
                if let Some(origin) = origin {
                    let _ = exit.core.ended.set(give_back(&services, &exit.core, &origin, &reason).await);
                    return;
                }
                let _ = exit.core.ended.set(Ended::Failed(reason.clone()));
                if let Err(error) = services.adapter.unregister_room(&exit.core.room_epoch(), &reason).await {
                    tracing::error!(room = %exit.core.room_id, %error, "a room that failed was not taken out");
                }
                return;
            };
            RoomActor::new(room, context, task_handle, services, inlets).run(start).await;
        };
        (handle, move || tasks.spawn(task).abort_handle())
    }
}

/// A room that never lived is created, any other one restored.
fn how_to_start(row: &RoomRegistration) -> Start {
    if row.state != RoomState::Creating {
        return Start::Restore { origin: origin(row) };
    }
    let options = serde_json::from_str(&row.options).unwrap_or(Value::Null);
    Start::Create { options, keeps_empty: row.seat_count == 0 }
}

/// Where a room comes from that another server is giving up.
fn origin(row: &RoomRegistration) -> Option<Origin> {
    let migration = row.migration.as_ref().filter(|migration| migration.stage == MigrationStage::Claimed)?;
    Some(Origin { from: migration.from.clone(), version: migration.version })
}
