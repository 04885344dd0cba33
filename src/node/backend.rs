//! The backend of a node, as the configuration asks for it.

use std::{sync::Arc, time::Duration};

use crate::{
    adapter::{DistributedAdapter, MemoryAdapter, RaftAdapter, RaftOptions},
    config::Backend,
    ops::NodeView,
    raft::RaftConfig,
    room::DistributedRoomManager,
};

use super::view::{PlainView, RaftView};

/// Time between two looks whether the Raft node is there; it is, as soon as the adapter is connected.
const GLANCE: Duration = Duration::from_millis(50);

/// A backend that is not connected yet.
#[derive(Clone)]
pub(super) enum Backing {
    Memory(Arc<MemoryAdapter>),
    Raft(Arc<RaftAdapter>),
}

impl Backing {
    pub(super) fn new(backend: &Backend) -> Self {
        match backend {
            Backend::Memory(options) => Self::Memory(Arc::new(MemoryAdapter::new(options.clone()))),
            Backend::Raft(config) => {
                Self::Raft(Arc::new(RaftAdapter::new(RaftOptions::new(RaftConfig::clone(config)))))
            }
        }
    }

    pub(super) fn adapter(&self) -> Arc<dyn DistributedAdapter> {
        match self {
            Self::Memory(adapter) => Arc::clone(adapter) as Arc<dyn DistributedAdapter>,
            Self::Raft(adapter) => Arc::clone(adapter) as Arc<dyn DistributedAdapter>,
        }
    }

    pub(super) fn view(&self, manager: DistributedRoomManager) -> Arc<dyn NodeView> {
        match self {
            Self::Memory(_) => Arc::new(PlainView { adapter: self.adapter(), manager }),
            Self::Raft(adapter) => Arc::new(RaftView { adapter: Arc::clone(adapter), manager }),
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
