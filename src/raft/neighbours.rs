//! Who of the other members answers, where they are, and how far they have applied the log.
//!
//! A node that comes back under another address is found by those that list it, or finds them; its
//! number proves that it is the same. The membership learns of it as soon as there is a leader.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use openraft::async_runtime::WatchReceiver;
use parking_lot::Mutex;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{
    RaftHandle,
    bootstrap::{Binding, JoinAnswer, JoinRequest, Own, Presence, RecordFile, Standing, ask_to_join},
    links::Links,
    membership::Membership,
    messages::{PeerRequest, PeerResponse},
    types::{Member, NodeNumber},
};

/// Time between two rounds of questions while every member answers.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Time between two rounds while one is missing, or none is known.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How long a member may take to answer.
const ANSWER_MAX: Duration = Duration::from_millis(900);

/// Asks the other members now and then. Cheap to clone.
#[derive(Clone)]
pub(super) struct Neighbours {
    pub(super) own: Own,
    /// The other nodes that were listed: where members may be found that have moved.
    pub(super) addresses: Vec<String>,
    pub(super) links: Links,
    pub(super) record: Arc<RecordFile>,
    pub(super) raft: RaftHandle,
    pub(super) membership: Membership,
    /// Whether this node is about to leave its cluster.
    pub(super) leaving: Arc<AtomicBool>,
    /// The members that answered in the last round, with the last log index that they applied.
    pub(super) applied: Arc<Mutex<BTreeMap<NodeNumber, u64>>>,
}

impl Neighbours {
    /// Never ends.
    pub(super) async fn watch(self) {
        let mut refused = BTreeSet::new();
        loop {
            let (members, leader) = self.members();
            self.links.list(&members);
            let disowned_by = self.round(&members, leader.is_none(), &mut refused).await;
            match disowned_by {
                Some(address) => self.join_again(&address, &mut refused).await,
                None => self.publish_address(&members, leader).await,
            }
            let all_answered = leader.is_some() && self.applied.lock().len() + 1 >= members.len();
            sleep(if all_answered { ASK_EVERY } else { ASK_AGAIN }).await;
        }
    }

    fn members(&self) -> (BTreeMap<NodeNumber, Member>, Option<NodeNumber>) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let members = metrics.membership_config.nodes().map(|(node, member)| (*node, member.clone()));
        (members.collect(), metrics.current_leader)
    }

    /// `refused` has the addresses whose refusal was logged: a member says it once and goes on. Gives the address of a
    /// leader of this cluster to which this node is no member.
    async fn round(
        &self,
        members: &BTreeMap<NodeNumber, Member>,
        leaderless: bool,
        refused: &mut BTreeSet<String>,
    ) -> Option<String> {
        let others = members.iter().filter(|(node, _)| **node != self.own.node);
        let mut addresses: Vec<_> = others.map(|(node, member)| self.links.address_of(*node, &member.addr)).collect();
        if leaderless {
            addresses.extend(self.addresses.iter().cloned());
        }
        addresses.sort_unstable();
        addresses.dedup();
        self.links.keep(|address| addresses.iter().any(|wanted| wanted == address));
        let asked = addresses.iter().map(|address| self.links.ask(address, None, PeerRequest::Status, ANSWER_MAX));
        let answers = join_all(asked).await;
        let (mut applied, mut disowned_by) = (BTreeMap::new(), None);
        for (address, answer) in addresses.iter().zip(answers) {
            if let Err(error) = &answer
                && error.is_refusal()
                && refused.insert(address.clone())
            {
                warn!(%error, "another node and this one refuse each other");
            }
            if let Ok(PeerResponse::Status(presence)) = answer
                && self.is_of_this_cluster(&presence)
            {
                if presence.disowns {
                    disowned_by = Some(address.clone());
                }
                let Some(known) = members.get(&presence.node) else { continue };
                applied.insert(presence.node, presence.applied);
                if known.addr != presence.member.addr {
                    self.links.found(presence.node, &known.addr, presence.member.addr);
                }
            }
        }
        *self.applied.lock() = applied;
        disowned_by
    }

    /// A member that was forgotten while it was away asks to be one again, unless it wanted to go.
    async fn join_again(&self, leader: &str, refused: &mut BTreeSet<String>) {
        let is_member = matches!(self.record.binding(), Binding::Member { .. });
        if !is_member || self.leaving.load(Ordering::SeqCst) {
            return;
        }
        let Member { addr: address, server_id } = self.own.member.clone();
        let request = JoinRequest { node: self.own.node, server_id, address };
        match ask_to_join(&self.links, leader, &request).await {
            Ok(()) => info!("this node was a member no more, and is one again"),
            Err(why) if refused.insert(why.clone()) => {
                warn!(why, "this node is a member of its cluster no more, and is not let in again");
            }
            Err(_) => {}
        }
    }

    fn is_of_this_cluster(&self, presence: &Presence) -> bool {
        let theirs = match presence.standing {
            Standing::Member(id) | Standing::Joining(id) | Standing::Pledged(id, _) | Standing::Founding(id) => id,
            Standing::Fresh | Standing::Collecting(_) | Standing::Left(_) => return false,
        };
        self.record.binding().cluster_id() == Some(theirs)
    }

    /// Has the leader know where this node is now.
    async fn publish_address(&self, members: &BTreeMap<NodeNumber, Member>, leader: Option<NodeNumber>) {
        let Some(leader) = leader else { return };
        let known = members.get(&self.own.node);
        if known.is_none_or(|known| *known == self.own.member) {
            return;
        }
        let Member { addr: address, server_id } = self.own.member.clone();
        info!(address, "this node has moved: the cluster is told");
        let request = JoinRequest { node: self.own.node, server_id, address };
        let told = match members.get(&leader).filter(|_| leader != self.own.node) {
            Some(member) => ask_to_join(&self.links, &self.links.address_of(leader, &member.addr), &request).await,
            None => match self.membership.join(request).await {
                JoinAnswer::Done => Ok(()),
                other => Err(format!("{other:?}")),
            },
        };
        if let Err(why) = told {
            debug!(why, "the leader does not know yet where this node is");
        }
    }
}
