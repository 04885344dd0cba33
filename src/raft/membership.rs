//! Who is a member, and who votes: carried out by the leader, one change at a time.
//!
//! What comes next is decided by [`super::membership_plan`]; nodes join, move and leave by asking
//! the leader, which lets nothing happen while another change is under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use openraft::{
    ChangeMembers, Instant as _,
    async_runtime::WatchReceiver,
    errors::{ClientWriteError, RaftError},
    raft::Precondition,
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::{
    RaftHandle,
    bootstrap::{JoinAnswer, JoinRequest},
    membership_plan::{Change, DEAD_AFTER, MemberView, Wishes, next_change},
    types::{LogId, Member, NodeNumber, TypeConfig},
};

/// Time between two looks at the membership.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long one change may take; after that the next look decides anew.
const CHANGE_MAX: Duration = Duration::from_secs(5);

/// The leader's work on the membership; on other nodes it names the leader. Cheap to clone.
#[derive(Clone)]
pub(super) struct Membership {
    raft: RaftHandle,
    wishes: Wishes,
    /// One change at a time.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// Since when this node leads; silence counts from there.
    leading_since: Arc<Mutex<Option<Instant>>>,
}

type Changes = ChangeMembers<NodeNumber, Member>;

impl Membership {
    pub(super) fn new(raft: RaftHandle, wishes: Wishes) -> Self {
        Self { raft, wishes, changing: Arc::default(), leading_since: Arc::default() }
    }

    /// Looks after the membership whenever this node leads; never ends.
    pub(super) async fn look_after(self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if !self.leads() {
                continue;
            }
            let _changing = self.changing.lock().await;
            let (joint, members, last) = self.view();
            if let Some(change) = next_change(joint, &members, self.wishes) {
                info!(?change, "the membership changes");
                if let Err(error) = self.carry_out(change, last).await {
                    warn!(%error, "the membership did not change: it is tried again");
                }
            }
        }
    }

    /// Makes a node a member, or has its new address known.
    pub(super) async fn join(&self, request: JoinRequest) -> JoinAnswer {
        if !self.leads() {
            return self.not_leader();
        }
        let _changing = self.changing.lock().await;
        let (joint, members, last) = self.view();
        if joint.is_some() {
            return JoinAnswer::NotNow("the membership is changing".to_owned());
        }
        let JoinRequest { node, server_id, address } = request;
        let member = Member { addr: address, server_id: server_id.clone() };
        let known = self.nodes().get(&node).cloned();
        if known.as_ref() == Some(&member) {
            return JoinAnswer::Done;
        }
        let same_name = |other: &&MemberView| other.node != node && other.server_id == server_id;
        if let Some(other) = members.iter().find(same_name)
            && other.silent < DEAD_AFTER
        {
            let at = self.nodes().get(&other.node).map(|member| member.addr.clone()).unwrap_or_default();
            return JoinAnswer::Refused(format!(
                "the server id {server_id} is that of the node at {at}: give --server-id another name, or stop that one"
            ));
        }
        info!(server = %member.server_id, address = %member.addr, "a node joins, or has moved");
        let nodes = BTreeMap::from([(node, member)]);
        let changes = if known.is_some() { Changes::SetNodes(nodes) } else { Changes::AddNodes(nodes) };
        self.answer(self.change(changes, true, last).await)
    }

    /// Takes a node out of the membership.
    pub(super) async fn leave(&self, node: NodeNumber) -> JoinAnswer {
        if !self.leads() {
            return self.not_leader();
        }
        let _changing = self.changing.lock().await;
        let (joint, members, last) = self.view();
        let voters = members.iter().filter(|member| member.voter).count();
        let changes = match members.iter().find(|member| member.node == node) {
            _ if joint.is_some() => return JoinAnswer::NotNow("the membership is changing".to_owned()),
            None => return JoinAnswer::Done,
            Some(member) if !member.voter => Changes::RemoveNodes(BTreeSet::from([node])),
            Some(_) if voters == 1 => {
                return JoinAnswer::Refused(
                    "it is the only voter: let another node become one first, or delete its data folder".to_owned(),
                );
            }
            Some(_) => Changes::RemoveVoters(BTreeSet::from([node])),
        };
        self.answer(self.change(changes, false, last).await)
    }

    /// Whether this node leads; keeps the time of it.
    fn leads(&self) -> bool {
        let leads = self.raft.is_leader();
        let mut since = self.leading_since.lock();
        *since = if leads { since.or_else(|| Some(Instant::now())) } else { None };
        leads
    }

    fn not_leader(&self) -> JoinAnswer {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader.filter(|leader| *leader != metrics.id);
        let member = leader.and_then(|leader| metrics.membership_config.get_node(&leader));
        JoinAnswer::NotLeader(member.map(|member| member.addr.clone()))
    }

    fn nodes(&self) -> BTreeMap<NodeNumber, Member> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.nodes().map(|(node, member)| (*node, member.clone())).collect()
    }

    /// The voters to be, where a change is half done; the members; the place of the membership in the log.
    fn view(&self) -> (Option<BTreeSet<NodeNumber>>, Vec<MemberView>, Option<LogId>) {
        let leading = self.leading_since.lock().map_or(Duration::ZERO, |since| since.elapsed());
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = &metrics.membership_config;
        let sets = membership.get_joint_config();
        let joint = if sets.len() > 1 { sets.last().cloned() } else { None };
        let voters: BTreeSet<_> = membership.voter_ids().collect();
        let last_index = metrics.last_log_index.unwrap_or(0);
        let member = |(node, member): (&NodeNumber, &Member)| {
            let own = *node == metrics.id;
            let matching = metrics.replication.as_ref().and_then(|all| all.get(node).copied().flatten());
            let heard = metrics.heartbeat.as_ref().and_then(|all| all.get(node).copied().flatten());
            MemberView {
                node: *node,
                server_id: member.server_id.clone(),
                voter: voters.contains(node),
                lag: if own { Some(0) } else { matching.map(|id| last_index.saturating_sub(id.index)) },
                silent: if own { Duration::ZERO } else { heard.map_or(leading, |heard| heard.elapsed()) },
            }
        };
        (joint, membership.nodes().map(member).collect(), *membership.log_id())
    }

    async fn carry_out(&self, change: Change, last: Option<LogId>) -> Result<(), ChangeError> {
        match change {
            Change::FinishJoint(voters) => self.change(Changes::ReplaceAllVoters(voters), true, last).await,
            Change::Promote(learners) => self.change(Changes::AddVoterIds(learners), true, last).await,
            Change::Forget(node) => self.change(Changes::RemoveNodes(BTreeSet::from([node])), true, last).await,
            Change::Replace { dead, by } => self.change(seat_changes_hands(dead, by), false, last).await,
            Change::Relieve { dead, by } => self.change(seat_changes_hands(dead, by), true, last).await,
        }
    }

    /// Changes the membership if it is still that of `last`.
    async fn change(&self, changes: Changes, retain: bool, last: Option<LogId>) -> Result<(), ChangeError> {
        let unchanged = Precondition::LastMembershipLogId { last_membership_log_id: last };
        let outcome = timeout(CHANGE_MAX, self.raft.change_membership_if(changes, retain, [unchanged])).await;
        outcome.map_err(|_| ChangeError::Slow)?.map(|_| ()).map_err(|error| ChangeError::Raft(Box::new(error)))
    }

    fn answer(&self, changed: Result<(), ChangeError>) -> JoinAnswer {
        match changed {
            Ok(()) => JoinAnswer::Done,
            Err(ChangeError::Raft(error)) if error.forward_to_leader().is_some() => self.not_leader(),
            Err(error) => {
                debug!(%error, "a wish about the membership was not met");
                JoinAnswer::NotNow(error.to_string())
            }
        }
    }
}

fn seat_changes_hands(from: NodeNumber, to: NodeNumber) -> Changes {
    let add = Changes::AddVoterIds(BTreeSet::from([to]));
    let remove = Changes::RemoveVoters(BTreeSet::from([from]));
    Changes::Batch(vec![add, remove])
}

#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error("no quorum took it in time")]
    Slow,
    #[error(transparent)]
    Raft(Box<RaftError<TypeConfig, ClientWriteError<TypeConfig>>>),
}
