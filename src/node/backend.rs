//! The backend of a node, as the configuration asks for it.

use std::{sync::Arc, time::Duration};

use crate::{
    adapter::{AdapterError, DistributedAdapter, MemoryAdapter, RaftAdapter, RaftOptions, RedisAdapter, RedisOptions},
    config::Backend,
    ops::NodeView,
    raft::RaftConfig,
    room::DistributedRoomManager,
};

use super::{
    NodeFault,
    identity::Identity,
    view::{PlainView, RaftView},
};

/// Time between two looks whether the Raft node is there; it is, as soon as the adapter is connected.
const GLANCE: Duration = Duration::from_millis(50);

/// Time between two tries to reach a backend that runs elsewhere.
const REACH_PAUSE: Duration = Duration::from_secs(1);

/// A backend that is not connected yet.
#[derive(Clone)]
pub(super) enum Backing {
    Memory(Arc<MemoryAdapter>),
    Raft(Arc<RaftAdapter>),
    /// With what keeps the node's name its own.
    Redis(Arc<RedisAdapter>, Arc<Identity>),
}

impl Backing {
    /// Reads the data folder where the backend has one at this moment. Blocks shortly.
    pub(super) fn new(backend: &Backend) -> Result<Self, NodeFault> {
        Ok(match backend {
            Backend::Memory(options) => Self::Memory(Arc::new(MemoryAdapter::new(options.clone()))),
            Backend::Raft(config) => {
                Self::Raft(Arc::new(RaftAdapter::new(RaftOptions::new(RaftConfig::clone(config)))))
            }
            Backend::Redis(options, folder) => {
                let identity = Identity::open(folder)?;
                let options = RedisOptions { node_id: identity.node_id, ..RedisOptions::clone(options) };
                Self::Redis(Arc::new(RedisAdapter::new(options)), Arc::new(identity))
            }
        })
    }

    pub(super) fn adapter(&self) -> Arc<dyn DistributedAdapter> {
        match self {
            Self::Memory(adapter) => Arc::clone(adapter) as Arc<dyn DistributedAdapter>,
            Self::Raft(adapter) => Arc::clone(adapter) as Arc<dyn DistributedAdapter>,
            Self::Redis(adapter, _) => Arc::clone(adapter) as Arc<dyn DistributedAdapter>,
        }
    }

    pub(super) fn view(&self, manager: DistributedRoomManager) -> Arc<dyn NodeView> {
        match self {
            Self::Memory(_) => Arc::new(PlainView { adapter: self.adapter(), manager, node_id: None }),
            Self::Redis(adapter, identity) => {
                let adapter = Arc::clone(adapter) as Arc<dyn DistributedAdapter>;
                Arc::new(PlainView { adapter, manager, node_id: Some(identity.node_id) })
            }
            Self::Raft(adapter) => Arc::new(RaftView { adapter: Arc::clone(adapter), manager }),
        }
    }

    /// Waits for a backend that runs elsewhere, however long it takes.
    ///
    /// # Errors
    /// Where waiting is of no use.
    pub(super) async fn reach(&self) -> Result<(), AdapterError> {
        let Self::Redis(adapter, _) = self else { return Ok(()) };
        loop {
            match adapter.connect().await {
                Err(error @ (AdapterError::Unavailable(_) | AdapterError::Timeout(_))) => {
                    tracing::warn!(%error, "waiting for Redis");
                    tokio::time::sleep(REACH_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Returns once the backend cannot go on, with the reason.
    pub(super) async fn fault(&self) -> String {
        let Self::Raft(adapter) = self else { return std::future::pending().await };
        loop {
            match adapter.node() {
                Some(node) => return node.fatal().await,
                None => tokio::time::sleep(GLANCE).await,
            }
        }
    }
}
