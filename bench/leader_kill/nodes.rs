//! Three Raft nodes, each a process of its own.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    Outage,
    bench::{child::Child, raft_node},
};

/// How long the nodes may take to become a cluster.
const START_MAX: Duration = Duration::from_mins(1);
/// Time between two looks at whether they are one.
const GLANCE: Duration = Duration::from_millis(50);

/// A cluster.
pub struct Nodes {
    roles: Vec<Value>,
    running: Vec<Child>,
    _folder: TempDir,
}

impl Nodes {
    /// Starts three nodes.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let roles = raft_node::roles(3, Path::new(folder.path()));
        let running = roles.iter().map(Child::start).collect();
        Self { roles, running, _folder: folder }
    }

    /// Kills the leader after a rest, has the others write, and starts it again.
    pub fn lose_leader(&mut self, rest: Duration) -> Outage {
        self.leader();
        sleep(rest);
        let leader = self.leader();
        let killed = Instant::now();
        self.running[leader].kill();
        let mut survivors: Vec<&mut Child> =
            self.running.iter_mut().enumerate().filter(|(number, _)| *number != leader).map(|(_, node)| node).collect();
        for node in &mut survivors {
            node.order("write");
        }
        let begun = killed.elapsed();
        let times: Vec<f64> = survivors.iter_mut().map(|node| node.answer().as_f64().expect("milliseconds")).collect();
        self.running[leader] = Child::start(&self.roles[leader]);
        Outage::new(begun, &times)
    }

    /// The number of the leader, once all nodes agree on it and on what they have applied.
    fn leader(&mut self) -> usize {
        let deadline = Instant::now() + START_MAX;
        loop {
            for node in &mut self.running {
                node.order("status");
            }
            let seen: Vec<Value> = self.running.iter_mut().map(Child::answer).collect();
            let agreed = seen.iter().all(|status| *status == seen[0]) && seen[0]["quorum"] == true;
            let leads = |role: &&Value| seen[0]["leader"] == raft_node::name("server", role);
            if let Some(leader) = self.roles.iter().find(leads).filter(|_| agreed) {
                return usize::try_from(leader["number"].as_u64().expect("a number")).expect("a small one");
            }
            assert!(Instant::now() < deadline, "the nodes are no cluster: {seen:?}");
            sleep(GLANCE);
        }
    }
}
