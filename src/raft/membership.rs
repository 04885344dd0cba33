//! Who is a member, and who votes: decided purely, carried out by the leader, one change at a time.
//!
//! A node joins as a learner. Learners that have caught up become voters as long as that makes an
//! odd number of voters, up to the limit: an even number needs a larger quorum and survives no more
//! losses. A node with the server name of a dead one takes its place. A voter that stays dead
//! without a successor keeps its seat here.

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
    types::{LogId, Member, NodeNumber, TypeConfig},
};

/// A member that was silent for this long counts as dead when its server name comes back.
const DEAD_AFTER: Duration = Duration::from_secs(2);
/// How many entries a learner may lack to count as caught up.
const CAUGHT_UP_ENTRIES: u64 = 1000;
/// Time between two looks at the membership.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long one change may take; after that the next look decides anew.
const CHANGE_MAX: Duration = Duration::from_secs(5);

/// One member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MemberView {
    node: NodeNumber,
    server_id: String,
    voter: bool,
    /// Entries that it lacks; none where nothing is known.
    lag: Option<u64>,
    /// Since when it has not answered.
    silent: Duration,
}

impl MemberView {
    fn is_fit(&self) -> bool {
        self.silent < DEAD_AFTER && self.lag.is_some_and(|lag| lag <= CAUGHT_UP_ENTRIES)
    }
}

/// A change of the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// Finish what a dead leader began.
    FinishJoint(BTreeSet<NodeNumber>),
    /// Make voters of learners.
    Promote(BTreeSet<NodeNumber>),
    /// Give a dead voter's seat to a learner with its server name.
    Replace { dead: NodeNumber, by: NodeNumber },
    /// Forget a dead learner whose server name has a new node.
    Forget(NodeNumber),
}

/// What to do next, if anything.
fn next_change(joint: Option<BTreeSet<NodeNumber>>, members: &[MemberView], voters_max: usize) -> Option<Change> {
    if let Some(voters) = joint {
        return Some(Change::FinishJoint(voters));
    }
    for newer in members.iter().filter(|member| !member.voter && member.silent < DEAD_AFTER) {
        let older = |member: &&MemberView| member.node != newer.node && member.server_id == newer.server_id;
        match members.iter().find(older) {
            Some(older) if older.silent < DEAD_AFTER => {}
            Some(older) if !older.voter => return Some(Change::Forget(older.node)),
            Some(older) if newer.is_fit() => return Some(Change::Replace { dead: older.node, by: newer.node }),
            _ => {}
        }
    }
    let voters = members.iter().filter(|member| member.voter).count();
    let fit: Vec<_> = members.iter().filter(|member| !member.voter && member.is_fit()).collect();
    let wanted = voters_max.min(voters + fit.len());
    let wanted = if wanted.is_multiple_of(2) { wanted.saturating_sub(1) } else { wanted };
    let more = wanted.saturating_sub(voters);
    (more > 0).then(|| Change::Promote(fit.iter().take(more).map(|member| member.node).collect()))
}

/// The leader's work on the membership; on other nodes it names the leader. Cheap to clone.
#[derive(Clone)]
pub(super) struct Membership {
    raft: RaftHandle,
    voters_max: usize,
    /// One change at a time.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// Since when this node leads; silence counts from there.
    leading_since: Arc<Mutex<Option<Instant>>>,
}

type Changes = ChangeMembers<NodeNumber, Member>;

impl Membership {
    pub(super) fn new(raft: RaftHandle, voters_max: usize) -> Self {
        Self { raft, voters_max, changing: Arc::default(), leading_since: Arc::default() }
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
            if let Some(change) = next_change(joint, &members, self.voters_max) {
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
            Change::Replace { dead, by } => {
                let add = Changes::AddVoterIds(BTreeSet::from([by]));
                let remove = Changes::RemoveVoters(BTreeSet::from([dead]));
                self.change(Changes::Batch(vec![add, remove]), false, last).await
            }
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

#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error("no quorum took it in time")]
    Slow,
    #[error(transparent)]
    Raft(Box<RaftError<TypeConfig, ClientWriteError<TypeConfig>>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: NodeNumber, voter: bool, lag: u64, silent_secs: u64) -> MemberView {
        let silent = Duration::from_secs(silent_secs);
        MemberView { node, server_id: format!("s{node}"), voter, lag: Some(lag), silent }
    }

    fn named(server_id: &str, mut member: MemberView) -> MemberView {
        server_id.clone_into(&mut member.server_id);
        member
    }

    fn voters(count: u64) -> Vec<MemberView> {
        (1..=count).map(|node| member(node, true, 0, 0)).collect()
    }

    #[test]
    fn voters_stay_odd_and_below_the_limit() {
        let with = |count, learners: &[u64]| {
            let mut members = voters(count);
            members.extend(learners.iter().map(|node| member(*node, false, 3, 0)));
            next_change(None, &members, 5)
        };
        assert_eq!(with(1, &[2]), None);
        assert_eq!(with(1, &[2, 3]), Some(Change::Promote([2, 3].into())));
        assert_eq!(with(2, &[3]), Some(Change::Promote([3].into())));
        assert_eq!(with(3, &[4]), None);
        assert_eq!(with(3, &[4, 5, 6]), Some(Change::Promote([4, 5].into())));
        assert_eq!(with(5, &[6, 7]), None);
    }

    #[test]
    fn only_fit_learners_are_promoted() {
        let members = [voters(1), vec![member(2, false, 5_000_000, 0), member(3, false, 0, 9)]].concat();
        assert_eq!(next_change(None, &members, 5), None);
    }

    #[test]
    fn a_node_takes_the_seat_of_its_dead_self_once_it_has_caught_up() {
        let mut members = [voters(2), vec![member(3, true, 900, 60)]].concat();
        members.push(named("s3", member(4, false, 5_000, 0)));
        assert_eq!(next_change(None, &members, 5), None);
        members[3].lag = Some(1);
        assert_eq!(next_change(None, &members, 5), Some(Change::Replace { dead: 3, by: 4 }));
        members[2].silent = Duration::ZERO;
        assert_eq!(next_change(None, &members, 3), None);
    }

    #[test]
    fn what_a_dead_leader_began_is_finished_first() {
        assert_eq!(next_change(Some([1, 2].into()), &voters(3), 5), Some(Change::FinishJoint([1, 2].into())));
    }
}
