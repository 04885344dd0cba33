//! Nodes that look for a cluster under every schedule that chance can think of: messages are late,
//! lost and out of order, nodes crash between any two steps. However it goes, one cluster at most
//! is ever initialised.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    Binding, Own, PledgeAnswer, PledgeRequest, Presence, Standing, answer_pledge,
    decide::{Step, decide},
};
use crate::{quic::ClusterId, raft::types::Member};

/// What a node holds in memory alone: one look around, and the pledges that it has got.
#[derive(Default)]
struct Round {
    binding: Binding,
    seen: Vec<Presence>,
    granted: BTreeSet<u64>,
}

struct World {
    expects: Vec<usize>,
    /// What is on disk.
    bindings: Vec<Binding>,
    rounds: Vec<Round>,
    /// Pledge requests under way: to whom, and what.
    requests: Vec<(usize, PledgeRequest)>,
    /// Answers under way: to whom, from whom, and what.
    answers: Vec<(usize, usize, PledgeAnswer)>,
    /// Whom each node reaches, as bits.
    reaches: Vec<u8>,
    initialised: BTreeMap<ClusterId, usize>,
    next_cluster: u128,
}

#[derive(Debug, Clone)]
enum Move {
    /// From now on a node reaches only those whose bit is set.
    Reach(usize, u8),
    /// A whole look around and what follows, with nothing in between.
    Round(usize),
    Begin(usize),
    Look(usize, usize),
    Act(usize),
    Request(usize),
    LoseRequest(usize),
    Answer(usize),
    Crash(usize),
}

impl World {
    fn new(expects: Vec<usize>) -> Self {
        let count = expects.len();
        Self {
            expects,
            bindings: vec![Binding::Fresh; count],
            rounds: (0..count).map(|_| Round::default()).collect(),
            requests: Vec::new(),
            answers: Vec::new(),
            reaches: vec![u8::MAX; count],
            initialised: BTreeMap::new(),
            next_cluster: 1,
        }
    }

    fn own(&self, node: usize) -> Own {
        let member = Member { addr: format!("n{node}:1"), server_id: format!("s{node}") };
        Own { node: node as u64, member, expect: self.expects[node] }
    }

    fn presence(&self, node: usize) -> Presence {
        let Own { node: number, member, expect } = self.own(node);
        Presence {
            node: number,
            member,
            expect,
            standing: Standing::from(&self.bindings[node]),
            applied: 0,
            disowns: false,
        }
    }

    fn play(&mut self, step: &Move) {
        let count = self.expects.len();
        match *step {
            Move::Reach(node, whom) => self.reaches[node % count] = whom,
            Move::Round(node) => {
                self.play(&Move::Begin(node));
                for at in 0..count {
                    self.play(&Move::Look(node, at));
                }
                self.play(&Move::Act(node));
            }
            Move::Begin(node) => {
                let node = node % count;
                let granted = std::mem::take(&mut self.rounds[node].granted);
                self.rounds[node] = Round { binding: self.bindings[node].clone(), seen: Vec::new(), granted };
            }
            Move::Look(node, at) => {
                let (node, at) = (node % count, at % count);
                let presence = self.presence(at);
                let reached = self.reaches[node] & (1 << at) != 0;
                if reached && node != at && self.rounds[node].seen.iter().all(|seen| seen.node != at as u64) {
                    self.rounds[node].seen.push(presence);
                }
            }
            Move::Act(node) => self.act(node % count),
            Move::Request(at) if !self.requests.is_empty() => {
                // It stays under way, as if it had been sent twice.
                let (to, request) = self.requests[at % self.requests.len()].clone();
                let (binding, answer) = answer_pledge(&self.own(to), &self.bindings[to], &request);
                self.bindings[to] = binding.unwrap_or_else(|| self.bindings[to].clone());
                self.answers.push((usize::try_from(request.founder).expect("small"), to, answer));
            }
            Move::LoseRequest(at) if !self.requests.is_empty() => {
                self.requests.remove(at % self.requests.len());
            }
            Move::Answer(at) if !self.answers.is_empty() => {
                let (to, from, answer) = self.answers.swap_remove(at % self.answers.len());
                let collects = matches!(&self.bindings[to], Binding::Collecting { cluster_id } if answer == PledgeAnswer::Granted(*cluster_id));
                if collects {
                    self.rounds[to].granted.insert(from as u64);
                }
            }
            Move::Crash(node) => self.rounds[node % count] = Round::default(),
            Move::Request(_) | Move::LoseRequest(_) | Move::Answer(_) => {}
        }
    }

    fn act(&mut self, node: usize) {
        let (own, round) = (self.own(node), &self.rounds[node]);
        if round.binding != self.bindings[node] {
            return;
        }
        match decide(&own, &round.binding, &round.seen) {
            Step::Bind(binding) => self.bind(node, binding),
            Step::StartCollecting => {
                let cluster_id = ClusterId(self.next_cluster);
                self.next_cluster += 1;
                self.bind(node, Binding::Collecting { cluster_id });
            }
            Step::Collect { cluster_id, members } => {
                let others = members.iter().filter(|(number, _)| *number != own.node);
                if others.clone().all(|(number, _)| self.rounds[node].granted.contains(number)) {
                    return self.bind(node, Binding::Founding { cluster_id, members });
                }
                let Own { node: founder, member, expect } = own.clone();
                let request = PledgeRequest { cluster_id, founder, member, expect };
                self.requests
                    .extend(others.map(|(number, _)| (usize::try_from(*number).expect("small"), request.clone())));
            }
            Step::Initialise { cluster_id, members } => {
                assert_eq!(members.len(), own.expect, "the first membership holds all that were expected");
                self.initialised.insert(cluster_id, node);
                self.bind(node, Binding::Member { cluster_id });
            }
            Step::Join { cluster_id, .. } => self.bind(node, Binding::Member { cluster_id }),
            Step::Wait(_) | Step::Done => {}
        }
    }

    /// A new binding makes what was gathered under the old one worthless.
    fn bind(&mut self, node: usize, binding: Binding) {
        self.bindings[node] = binding;
        self.rounds[node] = Round::default();
    }

    fn settle(&mut self) {
        self.reaches.fill(u8::MAX);
        for _ in 0..20 {
            for node in 0..self.expects.len() {
                self.play(&Move::Round(node));
                for (to, request) in std::mem::take(&mut self.requests) {
                    self.requests = vec![(to, request)];
                    self.play(&Move::Request(0));
                    self.requests.clear();
                    self.play(&Move::Answer(self.answers.len().saturating_sub(1)));
                }
            }
        }
    }
}

/// Each at least a majority of its list, as the settings demand.
fn expects() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        5 => Just(vec![3; 5]),
        1 => Just(vec![3, 3, 4, 4, 5]),
        1 => Just(vec![2; 3]),
        1 => Just(vec![3; 4]),
        1 => Just(vec![3, 3, 4, 4]),
    ]
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        1 => (0..5_usize, any::<u8>()).prop_map(|(node, whom)| Move::Reach(node, whom)),
        10 => (0..5_usize).prop_map(Move::Round),
        1 => (0..5_usize).prop_map(Move::Begin),
        4 => (0..5_usize, 0..5_usize).prop_map(|(node, at)| Move::Look(node, at)),
        2 => (0..5_usize).prop_map(Move::Act),
        10 => any::<usize>().prop_map(Move::Request),
        1 => any::<usize>().prop_map(Move::LoseRequest),
        10 => any::<usize>().prop_map(Move::Answer),
        1 => (0..5_usize).prop_map(Move::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn one_cluster_at_most_is_ever_initialised(
        expects in expects(),
        reaches in prop::collection::vec(any::<u8>(), 5),
        moves in prop::collection::vec(moves(), 0..300),
    ) {
        let mut world = World::new(expects);
        world.reaches.copy_from_slice(&reaches[..world.expects.len()]);
        for step in &moves {
            world.play(step);
            prop_assert!(world.initialised.len() <= 1, "two clusters: {:?}", world.initialised);
        }
    }

    #[test]
    fn whatever_happened_nodes_that_agree_end_in_one_cluster(
        expect in 2..=4_usize,
        moves in prop::collection::vec(moves(), 0..200),
    ) {
        let mut world = World::new(vec![expect.max(3); 4]);
        for step in &moves {
            world.play(step);
        }
        world.settle();
        prop_assert_eq!(world.initialised.len(), 1);
        let members = world.bindings.iter().filter(|binding| matches!(binding, Binding::Member { .. })).count();
        prop_assert_eq!(members, 4, "{:?}", world.bindings);
    }
}

#[test]
fn half_sets_that_expect_differently_wait_and_say_so() {
    let mut world = World::new(vec![3, 3, 4, 4]);
    world.settle();
    assert!(world.initialised.is_empty());
    let seen: Vec<_> = (1..4).map(|node| world.presence(node)).collect();
    let Step::Wait(why) = decide(&world.own(0), &world.bindings[0], &seen) else { panic!("it does not wait") };
    assert!(why.contains("s0") && why.contains("s2") && why.contains("--bootstrap-expect"), "{why}");
}
