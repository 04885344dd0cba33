//! What a node that is not yet part of a cluster does next. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Binding;
use crate::{
    quic::ClusterId,
    raft::types::{Member, NodeNumber},
};

/// This node, as far as the decision needs it.
#[derive(Debug, Clone)]
pub(in crate::raft) struct Own {
    /// Its number.
    pub(in crate::raft) node: NodeNumber,
    /// Its address and the name of its server.
    pub(in crate::raft) member: Member,
    /// How many fresh nodes it waits for, itself included.
    pub(in crate::raft) expect: usize,
}

/// What a node says of itself when it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::raft) struct Presence {
    /// Its number.
    pub(in crate::raft) node: NodeNumber,
    /// Its address and the name of its server.
    pub(in crate::raft) member: Member,
    /// How many fresh nodes it waits for.
    pub(in crate::raft) expect: usize,
    /// How it stands to clusters.
    pub(in crate::raft) standing: Standing,
    /// The last log index that it has applied; 0 = none.
    pub(in crate::raft) applied: u64,
    /// Whether it leads a cluster of which whoever asked is no member.
    pub(in crate::raft) disowns: bool,
}

/// How a node stands to clusters, as others may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::raft) enum Standing {
    Fresh,
    Collecting(ClusterId),
    Founding(ClusterId),
    Pledged(ClusterId, NodeNumber),
    Joining(ClusterId),
    Member(ClusterId),
    Left(ClusterId),
}

impl From<&Binding> for Standing {
    fn from(binding: &Binding) -> Self {
        match binding {
            Binding::Fresh => Self::Fresh,
            Binding::Collecting { cluster_id } => Self::Collecting(*cluster_id),
            Binding::Founding { cluster_id, .. } => Self::Founding(*cluster_id),
            Binding::Pledged { cluster_id, founder, .. } => Self::Pledged(*cluster_id, *founder),
            Binding::Joining { cluster_id } => Self::Joining(*cluster_id),
            Binding::Member { cluster_id } => Self::Member(*cluster_id),
            Binding::Left { cluster_id } => Self::Left(*cluster_id),
        }
    }
}

impl Standing {
    /// Whether the node founds this cluster, or has done so.
    fn founds(self, cluster: ClusterId) -> bool {
        matches!(self, Self::Collecting(id) | Self::Founding(id) | Self::Member(id) if id == cluster)
    }
}

/// What a node does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::raft) enum Step {
    /// Change the binding; then look again.
    Bind(Binding),
    /// Become the founder: bind to a cluster with a new random number.
    StartCollecting,
    /// Ask these for their pledges; with all of them, bind to founding this.
    Collect { cluster_id: ClusterId, members: Vec<(NodeNumber, Member)> },
    /// Initialise consensus with these; then be a member.
    Initialise { cluster_id: ClusterId, members: Vec<(NodeNumber, Member)> },
    /// Ask one of these for membership.
    Join { cluster_id: ClusterId, addresses: Vec<String> },
    /// Nothing can be done now, and why.
    Wait(String),
    /// It is a member.
    Done,
}

/// Decides by what others said after `binding` was read.
pub(in crate::raft) fn decide(own: &Own, binding: &Binding, present: &[Presence]) -> Step {
    let clusters = clusters_of(present);
    match binding {
        Binding::Member { .. } => Step::Done,
        Binding::Left { cluster_id } => Step::Wait(format!("this node has left cluster {cluster_id} for good")),
        Binding::Founding { cluster_id, members } => {
            Step::Initialise { cluster_id: *cluster_id, members: members.clone() }
        }
        Binding::Joining { cluster_id } => join(*cluster_id, present),
        Binding::Pledged { cluster_id, founder, .. } => pledged(*cluster_id, *founder, present),
        Binding::Fresh => match clusters[..] {
            [] => fresh(own, present),
            [cluster_id] => Step::Bind(Binding::Joining { cluster_id }),
            [one, other, ..] => Step::Wait(format!(
                "--peers names nodes of two clusters, {one} and {other}: list the nodes of the one to join"
            )),
        },
        Binding::Collecting { cluster_id } if clusters.is_empty() => collecting(own, *cluster_id, present),
        Binding::Collecting { .. } => Step::Bind(Binding::Fresh),
    }
}

fn clusters_of(present: &[Presence]) -> Vec<ClusterId> {
    let member = |presence: &Presence| match presence.standing {
        Standing::Member(id) => Some(id),
        _ => None,
    };
    let mut clusters: Vec<_> = present.iter().filter_map(member).collect();
    clusters.sort_unstable();
    clusters.dedup();
    clusters
}

fn join(cluster_id: ClusterId, present: &[Presence]) -> Step {
    let of_it = |presence: &&Presence| presence.standing == Standing::Member(cluster_id);
    let addresses: Vec<_> = present.iter().filter(of_it).map(|presence| presence.member.addr.clone()).collect();
    if addresses.is_empty() {
        return Step::Wait(format!("no member of cluster {cluster_id} answers, which this node is to join"));
    }
    Step::Join { cluster_id, addresses }
}

fn pledged(cluster_id: ClusterId, founder: NodeNumber, present: &[Presence]) -> Step {
    if present.iter().any(|presence| presence.standing == Standing::Member(cluster_id)) {
        return Step::Bind(Binding::Joining { cluster_id });
    }
    match present.iter().find(|presence| presence.node == founder) {
        Some(presence) if !presence.standing.founds(cluster_id) => Step::Bind(Binding::Fresh),
        Some(presence) => Step::Wait(format!("node {} founds cluster {cluster_id}", presence.member)),
        None => Step::Wait(format!(
            "this node is pledged to cluster {cluster_id}, and its founder, node {founder:016x}, does not answer: start \
             it again; if its disk is gone, empty this node's data folder"
        )),
    }
}

/// The nodes that could found a cluster together with this one, itself among them, lowest first; of those with one
/// server name the lowest alone.
fn candidates(own: &Own, present: &[Presence]) -> Vec<(NodeNumber, Member)> {
    let free = |presence: &&Presence| {
        let bound = match presence.standing {
            Standing::Fresh | Standing::Collecting(_) => false,
            Standing::Pledged(_, founder) => founder != own.node,
            Standing::Founding(_) | Standing::Joining(_) | Standing::Member(_) | Standing::Left(_) => true,
        };
        !bound && presence.expect == own.expect
    };
    let mut nodes: Vec<_> =
        present.iter().filter(free).map(|presence| (presence.node, presence.member.clone())).collect();
    nodes.push((own.node, own.member.clone()));
    nodes.sort_unstable_by_key(|(node, _)| *node);
    let mut names = BTreeSet::new();
    nodes.retain(|(_, member)| names.insert(member.server_id.clone()));
    nodes
}

fn fresh(own: &Own, present: &[Presence]) -> Step {
    let nodes = candidates(own, present);
    if nodes.len() < own.expect {
        return Step::Wait(lacking(own, nodes.len(), present));
    }
    match &nodes[0] {
        (node, _) if *node == own.node => Step::StartCollecting,
        (_, member) => Step::Wait(format!("node {member} has the lowest number and founds the cluster")),
    }
}

fn collecting(own: &Own, cluster_id: ClusterId, present: &[Presence]) -> Step {
    let mut nodes = candidates(own, present);
    if nodes[0].0 != own.node {
        return Step::Bind(Binding::Fresh);
    }
    if nodes.len() < own.expect {
        return Step::Wait(lacking(own, nodes.len(), present));
    }
    nodes.truncate(own.expect);
    Step::Collect { cluster_id, members: nodes }
}

fn lacking(own: &Own, there: usize, present: &[Presence]) -> String {
    let Own { expect, member, .. } = own;
    if let Some((one, other)) = named_alike(own, present) {
        return format!("two nodes have one name, {one} and {other}: give each its own --server-id");
    }
    match present.iter().find(|presence| presence.expect != *expect) {
        Some(other) => format!(
            "this node ({member}) expects {expect} nodes, node {} expects {}: start both with the same \
             --bootstrap-expect",
            other.member, other.expect
        ),
        None => format!("{there} of {expect} fresh nodes are there"),
    }
}

/// Two nodes with one server name, if there are any.
fn named_alike<'a>(own: &'a Own, present: &'a [Presence]) -> Option<(&'a Member, &'a Member)> {
    let others = present.iter().map(|presence| (presence.node, &presence.member));
    let mut known: BTreeMap<&str, (NodeNumber, &Member)> = BTreeMap::new();
    for (node, member) in others.chain([(own.node, &own.member)]) {
        match known.insert(&member.server_id, (node, member)) {
            Some((before, alike)) if before != node => return Some((alike, member)),
            _ => {}
        }
    }
    None
}

/// A would-be founder's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::raft) struct PledgeRequest {
    /// The cluster that it would found.
    pub(in crate::raft) cluster_id: ClusterId,
    /// Itself.
    pub(in crate::raft) founder: NodeNumber,
    /// Its address and the name of its server.
    pub(in crate::raft) member: Member,
    /// How many nodes it expects.
    pub(in crate::raft) expect: usize,
}

/// The answer to a [`PledgeRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::raft) enum PledgeAnswer {
    /// Pledged, on disk.
    Granted(ClusterId),
    /// Not pledged, and why.
    Refused(String),
}

/// Answers a would-be founder: the binding that must be on disk before a grant is said.
pub(in crate::raft) fn answer_pledge(
    own: &Own,
    binding: &Binding,
    request: &PledgeRequest,
) -> (Option<Binding>, PledgeAnswer) {
    let PledgeRequest { cluster_id, founder, member, expect } = request;
    let refused = |why: String| (None, PledgeAnswer::Refused(why));
    if *expect != own.expect {
        return refused(format!(
            "node {} expects {} nodes, node {member} expects {expect}: start both with the same --bootstrap-expect",
            own.member, own.expect
        ));
    }
    if member.server_id == own.member.server_id {
        return refused(format!("both nodes are named {}: give each its own --server-id", member.server_id));
    }
    let pledged = Binding::Pledged { cluster_id: *cluster_id, founder: *founder, founder_address: member.addr.clone() };
    match binding {
        Binding::Fresh => (Some(pledged), PledgeAnswer::Granted(*cluster_id)),
        // It would have found out that a lower node is there, and given up.
        Binding::Collecting { .. } if own.node > *founder => (Some(pledged), PledgeAnswer::Granted(*cluster_id)),
        Binding::Pledged { cluster_id: given, founder: to, .. } if (given, to) == (cluster_id, founder) => {
            (None, PledgeAnswer::Granted(*cluster_id))
        }
        Binding::Pledged { founder, .. } => refused(format!("it is pledged to node {founder:016x}")),
        Binding::Collecting { .. } => refused("it founds a cluster itself".to_owned()),
        Binding::Left { cluster_id } => refused(format!("it has left cluster {cluster_id} for good")),
        Binding::Founding { cluster_id, .. } | Binding::Joining { cluster_id } | Binding::Member { cluster_id } => {
            refused(format!("it is of cluster {cluster_id}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(node: NodeNumber) -> Own {
        Own { node, member: member("own", 1), expect: 3 }
    }

    fn member(name: &str, port: u64) -> Member {
        Member { addr: format!("a:{port}"), server_id: name.to_owned() }
    }

    fn present(node: NodeNumber, name: &str, standing: Standing) -> Presence {
        Presence { node, member: member(name, node), expect: 3, standing, applied: 0, disowns: false }
    }

    #[test]
    fn nodes_with_one_name_found_nothing_and_are_told() {
        let seen = [present(2, "twin", Standing::Fresh), present(3, "twin", Standing::Fresh)];
        let Step::Wait(why) = decide(&own(1), &Binding::Fresh, &seen) else { panic!("it does not wait") };
        assert!(why.contains("twin at a:2") && why.contains("twin at a:3") && why.contains("--server-id"), "{why}");
        let seen = [present(2, "other", Standing::Fresh), present(3, "own", Standing::Fresh)];
        let Step::Wait(why) = decide(&own(5), &Binding::Fresh, &seen) else { panic!("it does not wait") };
        assert!(why.contains("own at a:3") && why.contains("own at a:1"), "{why}");
    }

    #[test]
    fn a_list_with_two_clusters_is_not_chosen_from() {
        let (one, other) = (Standing::Member(ClusterId(1)), Standing::Member(ClusterId(2)));
        let seen = [present(2, "a", one), present(3, "b", other)];
        assert!(matches!(decide(&own(1), &Binding::Fresh, &seen), Step::Wait(why) if why.contains("two clusters")));
        let joining = Step::Bind(Binding::Joining { cluster_id: ClusterId(1) });
        assert_eq!(decide(&own(1), &Binding::Fresh, &seen[..1]), joining);
    }

    #[test]
    fn a_pledge_ends_only_when_its_founder_says_so() {
        let pledged = Binding::Pledged { cluster_id: ClusterId(7), founder: 1, founder_address: "a:1".to_owned() };
        let with = |seen: &[Presence]| decide(&own(5), &pledged, seen);
        assert!(matches!(with(&[]), Step::Wait(_)), "silence is no answer");
        assert!(matches!(with(&[present(1, "f", Standing::Collecting(ClusterId(7)))]), Step::Wait(_)));
        assert!(matches!(with(&[present(1, "f", Standing::Founding(ClusterId(7)))]), Step::Wait(_)));
        assert_eq!(with(&[present(1, "f", Standing::Collecting(ClusterId(8)))]), Step::Bind(Binding::Fresh));
        assert_eq!(with(&[present(1, "f", Standing::Fresh)]), Step::Bind(Binding::Fresh));
        assert!(matches!(with(&[present(2, "f", Standing::Fresh)]), Step::Wait(_)), "that is another node");
    }
}
