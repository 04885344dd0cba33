//! Which change of the membership comes next. Pure: what is known of the members is passed in.
//!
//! A node joins as a learner. Learners that have caught up become voters as long as that makes an
//! odd number of voters, up to the limit: an even number needs a larger quorum and survives no more
//! losses. A node with the server name of a dead one takes its place. A voter that stays dead for
//! long gives its seat to a learner that has caught up, and is a learner itself from then on.

use std::{collections::BTreeSet, time::Duration};

use super::types::NodeNumber;

/// A member that was silent for this long counts as dead when its server name comes back, and is not made a voter.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(2);
/// How many entries a learner may lack to count as caught up.
const CAUGHT_UP_ENTRIES: u64 = 1000;

/// One member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MemberView {
    pub(super) node: NodeNumber,
    pub(super) server_id: String,
    pub(super) voter: bool,
    /// Entries that it lacks; none where nothing is known.
    pub(super) lag: Option<u64>,
    /// Since when it has not answered.
    pub(super) silent: Duration,
}

impl MemberView {
    fn lives(&self) -> bool {
        self.silent < DEAD_AFTER
    }

    fn is_fit(&self) -> bool {
        self.lives() && self.lag.is_some_and(|lag| lag <= CAUGHT_UP_ENTRIES)
    }
}

/// What the operators wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wishes {
    /// The most voters.
    pub(super) voters_max: usize,
    /// How long a voter may be silent until a learner takes its seat.
    pub(super) voter_silence_max: Duration,
}

/// A change of the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Finish what a dead leader began.
    FinishJoint(BTreeSet<NodeNumber>),
    /// Make voters of learners.
    Promote(BTreeSet<NodeNumber>),
    /// Give a dead voter's seat to a learner with its server name, and forget the dead one.
    Replace { dead: NodeNumber, by: NodeNumber },
    /// Give a dead voter's seat to a learner; the dead one stays a member, without a vote.
    Relieve { dead: NodeNumber, by: NodeNumber },
    /// Forget a dead learner whose server name has a new node.
    Forget(NodeNumber),
}

/// What to do next, if anything.
pub(super) fn next_change(
    joint: Option<BTreeSet<NodeNumber>>,
    members: &[MemberView],
    wishes: Wishes,
) -> Option<Change> {
    if let Some(voters) = joint {
        return Some(Change::FinishJoint(voters));
    }
    successor(members).or_else(|| promotion(members, wishes.voters_max)).or_else(|| relief(members, wishes))
}

/// A newer node takes the place of its dead self.
fn successor(members: &[MemberView]) -> Option<Change> {
    for newer in members.iter().filter(|member| !member.voter && member.lives()) {
        let older = |member: &&MemberView| member.node != newer.node && member.server_id == newer.server_id;
        match members.iter().find(older) {
            Some(older) if older.lives() => {}
            Some(older) if !older.voter => return Some(Change::Forget(older.node)),
            Some(older) if newer.is_fit() => return Some(Change::Replace { dead: older.node, by: newer.node }),
            _ => {}
        }
    }
    None
}

fn promotion(members: &[MemberView], voters_max: usize) -> Option<Change> {
    let voters = members.iter().filter(|member| member.voter).count();
    let fit: Vec<_> = members.iter().filter(|member| !member.voter && member.is_fit()).collect();
    let wanted = voters_max.min(voters + fit.len());
    let wanted = if wanted.is_multiple_of(2) { wanted.saturating_sub(1) } else { wanted };
    let more = wanted.saturating_sub(voters);
    (more > 0).then(|| Change::Promote(fit.iter().take(more).map(|member| member.node).collect()))
}

/// The voter that has been dead for longest gives its seat to the learner that lacks least. The living voters must be
/// a quorum, now and after: else nothing could be decided, and nobody would know who is really dead.
fn relief(members: &[MemberView], wishes: Wishes) -> Option<Change> {
    let voters = || members.iter().filter(|member| member.voter);
    if voters().filter(|voter| voter.lives()).count() <= voters().count() / 2 {
        return None;
    }
    let silence_max = wishes.voter_silence_max.max(DEAD_AFTER);
    let dead = voters().filter(|voter| voter.silent >= silence_max).max_by_key(|voter| voter.silent)?;
    let heirs = members.iter().filter(|member| !member.voter && member.is_fit());
    let heir = heirs.min_by_key(|heir| (heir.lag, heir.node))?;
    Some(Change::Relieve { dead: dead.node, by: heir.node })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wishes(voters_max: usize) -> Wishes {
        Wishes { voters_max, voter_silence_max: Duration::from_secs(30) }
    }

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
            next_change(None, &members, wishes(5))
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
        assert_eq!(next_change(None, &members, wishes(5)), None);
    }

    #[test]
    fn a_node_takes_the_seat_of_its_dead_self_once_it_has_caught_up() {
        let mut members = [voters(2), vec![member(3, true, 900, 60)]].concat();
        members.push(named("s3", member(4, false, 5_000, 0)));
        assert_eq!(next_change(None, &members, wishes(5)), None);
        members[3].lag = Some(1);
        assert_eq!(next_change(None, &members, wishes(5)), Some(Change::Replace { dead: 3, by: 4 }));
        members[2].silent = Duration::ZERO;
        assert_eq!(next_change(None, &members, wishes(3)), None);
    }

    #[test]
    fn a_voter_that_stays_dead_gives_its_seat_to_the_learner_that_lacks_least() {
        let mut members = [voters(2), vec![member(3, true, 900, 29)]].concat();
        members.extend([member(4, false, 800, 0), member(5, false, 7, 0), member(6, false, 0, 40)]);
        assert_eq!(next_change(None, &members, wishes(3)), None, "it may come back");
        members[2].silent = Duration::from_secs(30);
        assert_eq!(next_change(None, &members, wishes(3)), Some(Change::Relieve { dead: 3, by: 5 }));
        members[1].silent = DEAD_AFTER;
        assert_eq!(next_change(None, &members, wishes(3)), None, "one voter of three decides nothing");
    }

    #[test]
    fn what_a_dead_leader_began_is_finished_first() {
        let change = next_change(Some([1, 2].into()), &voters(3), wishes(5));
        assert_eq!(change, Some(Change::FinishJoint([1, 2].into())));
    }

    /// The members after a change, as consensus carries it out.
    fn changed(members: &[MemberView], change: &Change) -> Vec<MemberView> {
        let mut members = members.to_vec();
        let (up, down, out) = match change {
            Change::Promote(nodes) => (nodes.clone(), None, None),
            Change::Replace { dead, by } => ([*by].into(), None, Some(*dead)),
            Change::Relieve { dead, by } => ([*by].into(), Some(*dead), None),
            Change::Forget(node) => (BTreeSet::new(), None, Some(*node)),
            Change::FinishJoint(_) => (BTreeSet::new(), None, None),
        };
        members.retain(|member| Some(member.node) != out);
        for member in &mut members {
            member.voter = (member.voter || up.contains(&member.node)) && Some(member.node) != down;
        }
        members
    }

    fn living(members: &[MemberView]) -> (usize, usize) {
        let voters = || members.iter().filter(|member| member.voter);
        (voters().filter(|voter| voter.lives()).count(), voters().count())
    }

    prop_compose! {
        fn any_member()(voter: bool, name in 0_u64..7, lag in prop::option::of(0_u64..2_000), silent in 0_u64..60)
            -> MemberView {
            MemberView { node: 0, server_id: format!("s{name}"), voter, lag, silent: Duration::from_secs(silent) }
        }
    }

    proptest! {
        #[test]
        fn changes_end_and_never_cost_a_living_voter(
            members in prop::collection::vec(any_member(), 1..9),
            voters_max in prop::sample::select(vec![1_usize, 3, 5, 7, 9]),
        ) {
            let mut members = members;
            for (node, member) in (1..).zip(&mut members) {
                member.node = node;
            }
            for _ in 0..20 {
                let Some(change) = next_change(None, &members, wishes(voters_max)) else { return Ok(()) };
                let next = changed(&members, &change);
                let ((lived, voted), (live, vote)) = (living(&members), living(&next));
                prop_assert!(live >= lived, "{change:?} of {members:?}");
                prop_assert!(vote <= voted.max(voters_max), "{change:?} of {members:?}");
                prop_assert!(vote == voted || !vote.is_multiple_of(2), "{change:?} of {members:?}");
                prop_assert!(2 * lived <= voted || 2 * live > vote, "the quorum is lost by {change:?} of {members:?}");
                let kept = |member: &MemberView| next.iter().any(|other| other.node == member.node);
                prop_assert!(members.iter().all(|member| kept(member) || !member.lives()), "{change:?} of {members:?}");
                members = next;
            }
            prop_assert!(false, "the changes never end: {members:?}");
        }
    }
}
