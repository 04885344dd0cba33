//! Raft nodes, each a process of its own, and the callers in them.

use std::{fmt, time::Duration};

use tempfile::TempDir;

use super::{
    Slice,
    bench::{child::Child, figures, raft_node, share},
};

/// What the callers do.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Acquire a lock, release it, acquire it again.
    Locks,
    /// Register a room, remove it, register another.
    Registrations,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locks => "locks",
            Self::Registrations => "registrations",
        })
    }
}

/// A cluster.
pub struct Nodes {
    nodes: Vec<Child>,
    _folder: TempDir,
}

impl Nodes {
    /// Starts so many nodes and waits until they are a cluster.
    pub fn start(count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut nodes: Vec<Child> = raft_node::roles(count, folder.path()).iter().map(Child::start).collect();
        for node in &mut nodes {
            node.ask("ready");
        }
        Self { nodes, _folder: folder }
    }

    /// Has so many callers, spread over the nodes, work for so long.
    pub fn run(&mut self, work: Work, callers: usize, seconds: usize) -> Slice {
        let count = self.nodes.len();
        let processor_time = |nodes: &[Child]| nodes.iter().map(Child::processor_time).sum::<f64>();
        let before = processor_time(&self.nodes);
        for (number, node) in self.nodes.iter_mut().enumerate() {
            node.order(format!("{work} {} {seconds}", share(callers, count, number)));
        }
        let mut times: Vec<u64> = Vec::new();
        for node in &mut self.nodes {
            times.extend(serde_json::from_value::<Vec<u64>>(node.answer()).expect("times in microseconds"));
        }
        let processor_us = (processor_time(&self.nodes) - before) * 1e6 / figures::count(times.len().max(1));
        Slice { processor_us, ..slice(times, seconds) }
    }
}

/// Rates and percentiles of times in microseconds.
fn slice(mut times: Vec<u64>, seconds: usize) -> Slice {
    times.sort_unstable();
    let at = |thousandth| {
        let time = figures::percentile(&times, thousandth);
        time.map_or(0.0, |time| Duration::from_micros(time).as_secs_f64() * 1000.0)
    };
    let per_second = figures::count(times.len()) / figures::count(seconds);
    Slice { per_second, p50_ms: at(500), p99_ms: at(990), p999_ms: at(999), processor_us: 0.0 }
}
