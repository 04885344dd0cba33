//! The thread that writes the state machine's changes to the store, some time after they were applied.
//!
//! What is applied within one pause goes in one atomic batch, together with how far the state
//! machine has come: a batch per apply would compete with the log for the disk. A crash loses
//! nothing by it, since the store is then made anew from the log.

use std::{
    io,
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::RwLock;

use super::{
    shared_registry::{Core, Unwritten},
    store::StoreBatch,
};

/// How long changes wait for others to be written with.
const PAUSE: Duration = Duration::from_millis(250);

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Order {
    /// There is something to write.
    Changed,
    /// Write what is there, tell, and end.
    Stop(mpsc::Sender<()>),
}

/// Starts the writer; it ends on [`Order::Stop`], or when nobody can give orders any more.
pub(super) fn start(core: Arc<RwLock<Core>>) -> io::Result<mpsc::Sender<Order>> {
    let (orders, inbox) = mpsc::channel();
    std::thread::Builder::new().name("state-store".to_owned()).spawn(move || run(&core, &inbox))?;
    Ok(orders)
}

fn run(core: &RwLock<Core>, inbox: &mpsc::Receiver<Order>) {
    while let Ok(order) = inbox.recv() {
        let stop = match order {
            Order::Stop(done) => Some(done),
            Order::Changed => match inbox.recv_timeout(PAUSE) {
                Ok(Order::Stop(done)) => Some(done),
                Ok(Order::Changed) | Err(_) => None,
            },
        };
        // sled may panic on a full or broken disk; that must stop the node, not only this thread.
        let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| write_pending(core)));
        let written = written.unwrap_or_else(|_| Err(io::Error::other("sled panicked")));
        if let Err(error) = &written {
            tracing::error!(%error, "the state machine's store cannot be written: this node stops");
            core.write().failure = Some(error.to_string());
        }
        if let Some(done) = stop {
            let _ = done.send(());
            return;
        }
    }
}

fn write_pending(core: &RwLock<Core>) -> io::Result<()> {
    let Some(unwritten) = core.write().take_unwritten() else { return Ok(()) };
    write(&unwritten)?;
    core.write().pending.written();
    Ok(())
}

fn write(unwritten: &Unwritten) -> io::Result<()> {
    let Unwritten { batch: pending, registry, applied, store } = unwritten;
    let mut batch = StoreBatch::default();
    let header = registry.header();
    batch.put(header.kind, &header.key, &header.value);
    for change in &pending.dirty {
        match registry.record(change) {
            Some((kind, key, Some(value))) => batch.put(kind, &key, &value),
            Some((kind, key, None)) => batch.remove(kind, &key),
            None => {}
        }
    }
    for ((room_id, index), bytes) in &*pending.saved {
        batch.put_room_bytes(room_id, *index, bytes);
    }
    for (room_id, index) in &pending.dropped {
        batch.remove_room_bytes(room_id, *index);
    }
    batch.put_applied(applied)?;
    store.write(batch)
}
