//! The first words on a connection: who is there, of which cluster, in which version.

use std::{fmt, str::FromStr, sync::Arc};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::model::{NodeId, ServerId};

/// The newest version of the frames that this program speaks.
const VERSION_MAX: u32 = 1;
/// The oldest version of the frames that this program speaks.
const VERSION_MIN: u32 = 1;

/// The random number that names a cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u128);

impl ClusterId {
    /// A new one.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClusterId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// What a node says of itself first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster that it belongs to; none while it is fresh.
    pub cluster_id: Option<ClusterId>,
    /// Its number.
    pub node_id: NodeId,
    /// The name of its server.
    pub server_id: ServerId,
    /// The oldest version of the frames that it speaks.
    pub version_min: u32,
    /// The newest version of the frames that it speaks.
    pub version_max: u32,
}

/// Why two nodes do not talk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// They are of two clusters.
    #[error(
        "node {server_id} is of cluster {theirs}, the other of cluster {ours}: check --peers, or give a new node an empty --data-dir"
    )]
    ForeignCluster {
        /// The cluster of the node that refuses.
        ours: ClusterId,
        /// The cluster of the node that is refused.
        theirs: ClusterId,
        /// The node that is refused.
        server_id: ServerId,
    },
    /// They have no version of the frames in common.
    #[error(
        "node {server_id} speaks versions {their_min} to {their_max}, the other {VERSION_MIN} to {VERSION_MAX}: upgrade the older one"
    )]
    Version {
        /// The node that is refused.
        server_id: ServerId,
        /// Its oldest version.
        their_min: u32,
        /// Its newest version.
        their_max: u32,
    },
    /// The certificate is another node's.
    #[error("node {server_id} showed a certificate that does not name it: give every node its own certificate")]
    Impostor {
        /// The node that is refused.
        server_id: ServerId,
    },
}

/// Who this node is; the cluster may become known while it runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity {
    node_id: NodeId,
    server_id: ServerId,
    cluster: Arc<RwLock<Option<ClusterId>>>,
}

impl Identity {
    /// A node of a cluster, or a fresh one.
    pub fn new(node_id: NodeId, server_id: ServerId, cluster_id: Option<ClusterId>) -> Self {
        Self { node_id, server_id, cluster: Arc::new(RwLock::new(cluster_id)) }
    }

    /// Its number.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// The name of its server.
    pub fn server_id(&self) -> &ServerId {
        &self.server_id
    }

    /// Its cluster, if it has one yet.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        *self.cluster.read()
    }

    /// From now on it belongs to this cluster.
    pub fn joined(&self, cluster_id: ClusterId) {
        *self.cluster.write() = Some(cluster_id);
    }

    /// What it says first on a connection.
    pub fn hello(&self) -> Hello {
        Hello {
            cluster_id: self.cluster_id(),
            node_id: self.node_id,
            server_id: self.server_id.clone(),
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
        }
    }

    /// Whether to talk with a node that says this, and whose certificate has these names.
    ///
    /// # Errors
    /// [`Refusal`] where it is of another cluster, another version, or not who it says it is.
    pub fn check(&self, other: &Hello, certificate_names: &[String]) -> Result<(), Refusal> {
        let server_id = other.server_id.clone();
        if other.version_min > VERSION_MAX || other.version_max < VERSION_MIN {
            let (their_min, their_max) = (other.version_min, other.version_max);
            return Err(Refusal::Version { server_id, their_min, their_max });
        }
        let expected = [node_name(other.node_id), server_id.to_string()];
        if !certificate_names.iter().any(|name| expected.contains(name)) {
            return Err(Refusal::Impostor { server_id });
        }
        match (self.cluster_id(), other.cluster_id) {
            (Some(ours), Some(theirs)) if ours != theirs => Err(Refusal::ForeignCluster { ours, theirs, server_id }),
            _ => Ok(()),
        }
    }
}

/// The name of a node in its certificate.
pub(super) fn node_name(node_id: NodeId) -> String {
    format!("node-{:016x}", node_id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cluster_id: Option<u128>) -> Identity {
        let server_id = ServerId::new("s1").expect("a name");
        Identity::new(NodeId(7), server_id, cluster_id.map(ClusterId))
    }

    fn check(own: Option<u128>, other: Option<u128>) -> Result<(), Refusal> {
        identity(own).check(&identity(other).hello(), &[node_name(NodeId(7))])
    }

    #[test]
    fn two_clusters_do_not_talk_but_a_fresh_node_talks_with_both() {
        assert_eq!(check(Some(1), Some(1)), Ok(()));
        assert_eq!(check(None, Some(1)), Ok(()));
        assert_eq!(check(Some(1), None), Ok(()));
        let refusal = check(Some(1), Some(2)).expect_err("another cluster");
        let words = refusal.to_string();
        assert!(words.contains(&ClusterId(1).to_string()) && words.contains(&ClusterId(2).to_string()), "{words}");
    }

    #[test]
    fn a_certificate_must_name_its_node() {
        let hello = identity(None).hello();
        assert!(matches!(identity(None).check(&hello, &[node_name(NodeId(8))]), Err(Refusal::Impostor { .. })));
        assert_eq!(identity(None).check(&hello, &["roomraft".to_owned(), "s1".to_owned()]), Ok(()));
    }

    #[test]
    fn versions_must_overlap() {
        let newer = Hello { version_min: 9, version_max: 12, ..identity(None).hello() };
        assert!(matches!(identity(None).check(&newer, &[node_name(NodeId(7))]), Err(Refusal::Version { .. })));
    }
}
