//! A backend whose time is moved by hand.

use std::{sync::Arc, time::Duration};

use roomraft::{
    adapter::{DistributedAdapter, MemoryAdapter, MemoryOptions},
    clock::Clock,
};

/// A backend whose time is moved by hand, and whose servers can be cut off from it. Its lease is 15 s.
pub(crate) struct Lab {
    clock: Clock,
    root: Arc<MemoryAdapter>,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        let clock = Clock::manual(1_000_000);
        let options = MemoryOptions { clock: clock.clone(), enable_ttl_check: false, ..MemoryOptions::default() };
        let root = Arc::new(MemoryAdapter::new(options));
        root.connect().await.expect("memory");
        Self { clock, root }
    }

    pub(crate) fn backend(&self) -> Arc<dyn DistributedAdapter> {
        Arc::clone(&self.root) as Arc<dyn DistributedAdapter>
    }

    /// A server's own way to the backend.
    pub(crate) fn handle(&self) -> Arc<dyn DistributedAdapter> {
        Arc::new(self.root.sibling())
    }

    /// Time passes, and what is over by then ends.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.root.expire();
    }

    /// A server loses its backend, and its lease ends.
    pub(crate) async fn crash(&self, handle: &Arc<dyn DistributedAdapter>) {
        handle.disconnect().await.expect("memory");
        self.pass(16);
    }
}
