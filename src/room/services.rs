//! What every room of a server uses.

use std::{sync::Arc, time::Duration};

use super::{releases::Releases, sessions::Sessions, tenure::Tenure};
use crate::{adapter::DistributedAdapter, clock::Clock};

/// The server's parts that its rooms work with.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) adapter: Arc<dyn DistributedAdapter>,
    pub(crate) clock: Clock,
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) releases: Releases,
    /// Time between periodic snapshots; zero = none.
    pub(crate) snapshot_interval: Duration,
}
