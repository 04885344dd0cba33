//! The backend in memory, as three handles.

use std::{sync::Arc, time::Duration};

use roomraft::adapter::{DistributedAdapter, MemoryAdapter, MemoryOptions};

use crate::cluster::{Backend, Cluster};

/// Three handles of one registry, with leases short enough to wait for.
pub async fn start() -> Cluster {
    let options = MemoryOptions { server_ttl: Duration::from_secs(2), ..MemoryOptions::default() };
    let first = MemoryAdapter::new(options);
    let others = [first.sibling(), first.sibling()];
    let spare = first.sibling();
    let handles: Vec<Arc<dyn DistributedAdapter>> =
        std::iter::once(first).chain(others).map(|handle| Arc::new(handle) as _).collect();
    for handle in &handles {
        handle.connect().await.unwrap();
    }
    Cluster::new(Backend { handles, spare: Arc::new(spare), parts: 1, keep: Box::new(()) })
}
