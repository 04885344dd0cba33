//! Looks around, decides, acts, until the node is a member.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use openraft::errors::{InitializeError, RaftError};
use tokio::time::{Instant, sleep};
use tracing::info;

use super::{
    Binding, JoinAnswer, JoinRequest, Own, PledgeAnswer, PledgeRequest, Presence, RecordFile,
    decide::{Step, decide},
};
use crate::{
    quic::{ClusterId, Identity},
    raft::{
        RaftHandle,
        links::Links,
        messages::{PeerRequest, PeerResponse},
        types::{Member, NodeNumber},
    },
};

/// Time between two looks around, before chance is added.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a peer may take to say who it is.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// How long a peer may take to write a pledge, or to have a quorum take a join.
const WRITE_MAX: Duration = Duration::from_secs(6);
/// How long every reachable peer must refuse this node before it gives up: others may still be starting.
const REFUSED_MAX: Duration = Duration::from_secs(3);
/// Time between two lines in the log that say the same.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// Why a node can never become a member as it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BootstrapError {
    /// Nobody wants it.
    #[error("every reachable peer refuses this node: {0}")]
    Refused(String),
    /// Its disk does not take what must be kept.
    #[error("cannot keep this node's binding to a cluster in its data folder: {0}")]
    Disk(String),
    /// Consensus stopped.
    #[error("consensus stopped: {0}")]
    Raft(String),
}

/// What one look around found.
#[derive(Default)]
struct Found {
    present: Vec<Presence>,
    refusals: Vec<String>,
}

/// Makes a node a member of a cluster.
pub(in crate::raft) struct Bootstrapper {
    pub(in crate::raft) own: Own,
    /// The other nodes that were listed.
    pub(in crate::raft) addresses: Vec<String>,
    /// The most voters of the first membership; further founders join.
    pub(in crate::raft) voters_max: usize,
    pub(in crate::raft) links: Links,
    pub(in crate::raft) record: Arc<RecordFile>,
    pub(in crate::raft) identity: Identity,
    pub(in crate::raft) raft: RaftHandle,
}

impl Bootstrapper {
    /// Returns once the node is a member.
    ///
    /// # Errors
    /// [`BootstrapError`] where it can never be one as it is.
    pub(in crate::raft) async fn run(&self) -> Result<ClusterId, BootstrapError> {
        let mut refused_since: Option<Instant> = None;
        let mut said = (String::new(), Instant::now());
        loop {
            let binding = self.settle(self.record.binding()).await?;
            if let Binding::Member { cluster_id } = binding {
                return Ok(cluster_id);
            }
            let found = self.look(&binding).await;
            if !found.present.is_empty() || found.refusals.is_empty() {
                refused_since = None;
            } else if refused_since.get_or_insert_with(Instant::now).elapsed() > REFUSED_MAX {
                return Err(BootstrapError::Refused(found.refusals.join("; ")));
            }
            if let Some(why) = self.act(binding, &found).await? {
                if why != said.0 || said.1.elapsed() > REPEAT_AFTER {
                    info!(why, "waiting for a cluster");
                    said = (why, Instant::now());
                }
                sleep(PAUSE.mul_f64(1.0 + rand::random::<f64>())).await;
            }
        }
    }

    /// A node that has got a log of the cluster that it is bound to is a member of it.
    async fn settle(&self, binding: Binding) -> Result<Binding, BootstrapError> {
        let bound = match &binding {
            Binding::Fresh | Binding::Collecting { .. } | Binding::Member { .. } => None,
            other => other.cluster_id(),
        };
        let begun = self.raft.is_initialized().await.map_err(|error| BootstrapError::Raft(error.to_string()))?;
        match bound.filter(|_| begun) {
            Some(cluster_id) => self.bind(binding, Binding::Member { cluster_id }).await,
            None => Ok(binding),
        }
    }

    /// Asks everybody listed, and the founder that this node is pledged to, who they are.
    async fn look(&self, binding: &Binding) -> Found {
        let mut addresses: BTreeSet<&str> = self.addresses.iter().map(String::as_str).collect();
        if let Binding::Pledged { founder_address, .. } = binding {
            addresses.insert(founder_address);
        }
        let asked = addresses.into_iter().map(|address| self.links.ask(address, None, PeerRequest::Status, LOOK_MAX));
        let mut found = Found::default();
        for answer in join_all(asked).await {
            match answer {
                // Its own address may be listed under another name.
                Ok(PeerResponse::Status(presence)) if presence.node == self.own.node => {}
                Ok(PeerResponse::Status(presence)) => found.present.push(presence),
                Err(error) if error.is_refusal() => found.refusals.push(error.to_string()),
                Ok(_) | Err(_) => {}
            }
        }
        found
    }

    /// Takes one step; where there is nothing to do but wait, says why.
    async fn act(&self, binding: Binding, found: &Found) -> Result<Option<String>, BootstrapError> {
        let bound = match decide(&self.own, &binding, &found.present) {
            Step::Bind(next) => self.bind(binding, next).await.map(|_| None),
            Step::StartCollecting => {
                self.bind(binding, Binding::Collecting { cluster_id: ClusterId::random() }).await.map(|_| None)
            }
            Step::Collect { cluster_id, members } => self.collect(binding, cluster_id, members).await,
            Step::Initialise { cluster_id, members } => {
                self.initialise(&members).await?;
                self.bind(binding, Binding::Member { cluster_id }).await.map(|_| None)
            }
            Step::Join { addresses, .. } => Ok(Some(self.join(addresses).await)),
            Step::Wait(why) => Ok(Some(why)),
            Step::Done => Ok(None),
        };
        bound.map(|why| why.map(|why| [vec![why], found.refusals.clone()].concat().join("; ")))
    }

    /// Binds to `next` if the binding is still `from`; what is known to others follows.
    async fn bind(&self, from: Binding, next: Binding) -> Result<Binding, BootstrapError> {
        let record = Arc::clone(&self.record);
        let update = move || record.update(|present| (*present == from).then_some(next));
        let written = tokio::task::spawn_blocking(update).await.map_err(|error| disk(&error))?;
        let binding = written.map_err(|error| disk(&error))?;
        if let Some(cluster_id) = binding.firm_cluster_id() {
            self.identity.joined(cluster_id);
        }
        Ok(binding)
    }

    /// Asks for every pledge; with all of them the cluster is as good as founded.
    async fn collect(
        &self,
        binding: Binding,
        cluster_id: ClusterId,
        members: Vec<(NodeNumber, Member)>,
    ) -> Result<Option<String>, BootstrapError> {
        let Own { node: founder, member, expect } = self.own.clone();
        let request = PledgeRequest { cluster_id, founder, member, expect };
        let others = members.iter().filter(|(node, _)| *node != founder);
        let asked = others.map(|(node, member)| {
            self.links.ask(&member.addr, Some(*node), PeerRequest::Pledge(request.clone()), WRITE_MAX)
        });
        for answer in join_all(asked).await {
            match answer {
                Ok(PeerResponse::Pledge(PledgeAnswer::Granted(granted))) if granted == cluster_id => {}
                Ok(PeerResponse::Pledge(PledgeAnswer::Refused(why))) => return Ok(Some(why)),
                Ok(_) => return Ok(Some("a peer answered another question".to_owned())),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        self.bind(binding, Binding::Founding { cluster_id, members }).await.map(|_| None)
    }

    async fn initialise(&self, members: &[(NodeNumber, Member)]) -> Result<(), BootstrapError> {
        let voters: BTreeMap<_, _> = members.iter().take(self.voters_max).cloned().collect();
        info!(nodes = members.len(), voters = voters.len(), "founding the cluster");
        match self.raft.initialize(voters).await {
            // It was done before a crash.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(BootstrapError::Raft(error.to_string())),
        }
    }

    /// Asks members until one of them knows the leader; says what came of it.
    async fn join(&self, addresses: Vec<String>) -> String {
        let request = JoinRequest {
            node: self.own.node,
            server_id: self.own.member.server_id.clone(),
            address: self.own.member.addr.clone(),
        };
        let mut why = "no member could be asked to join".to_owned();
        for address in addresses {
            match ask_to_join(&self.links, &address, &request).await {
                Ok(()) => return "joined: the leader sends its log".to_owned(),
                Err(reason) => why = reason,
            }
        }
        why
    }
}

fn disk(error: &impl ToString) -> BootstrapError {
    BootstrapError::Disk(error.to_string())
}

/// Has the leader make a node a member or know its new address; `address` is that of any member.
pub(in crate::raft) async fn ask_to_join(links: &Links, address: &str, request: &JoinRequest) -> Result<(), String> {
    let mut address = address.to_owned();
    for _ in 0..2 {
        let asked = links.ask(&address, None, PeerRequest::Join(request.clone()), WRITE_MAX).await;
        match asked {
            Ok(PeerResponse::Membership(JoinAnswer::Done)) => return Ok(()),
            Ok(PeerResponse::Membership(JoinAnswer::NotLeader(Some(leader)))) => address = leader,
            Ok(PeerResponse::Membership(JoinAnswer::NotLeader(None))) => return Err("there is no leader".to_owned()),
            Ok(PeerResponse::Membership(JoinAnswer::NotNow(why) | JoinAnswer::Refused(why))) => return Err(why),
            Ok(_) => return Err(format!("{address} answered another question")),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the leader changes".to_owned())
}
