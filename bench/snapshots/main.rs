//! What do the snapshots of a thousand rooms cost?
//!
//! Three Raft nodes, each a process of its own, own a thousand rooms together, and save 16 KiB of each
//! in rounds, as fast as it goes; a snapshot counts once it is acknowledged, durable on a quorum. By
//! turns with that, and meanwhile, callers reserve seats and free them again, by the adapter. Then the
//! folders are looked at, and one node is started again: after an orderly stop, and after `kill -9`, when it makes its
//! store anew. It is back when it gives the last state of a room, read linearizably.
//!
//! ```sh
//! cargo bench --bench snapshots                        # 120 rounds: an hour's, one each 30 s
//! cargo bench --bench snapshots -- --quick --json      # 10 rounds
//! ```
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports by printing")]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "nobody links a benchmark")]

#[path = "../support/mod.rs"]
mod bench;
mod folder;
mod node;

use std::{process::ExitCode, time::Instant};

use bench::{
    Options,
    child::{self, Child},
    figures::{Figure, count, maximum, median},
    raft_node,
};
use folder::Sizes;
use serde_json::{Value, json};

/// Rooms, spread over the nodes.
const ROOMS: usize = 1000;
/// The state of a room, in bytes.
const STATE_BYTES: usize = 16 * 1024;
/// How long joins are timed while nothing is saved.
const QUIET_MS: u64 = 500;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

fn main() -> ExitCode {
    if let Some(role) = child::role() {
        node::serve(&role);
        return ExitCode::SUCCESS;
    }
    bench::run("snapshots", &["--rounds", "--callers", "--restarts"], measure)
}

/// The nodes, and where the data of the last of them are.
struct Cluster {
    roles: Vec<Value>,
    nodes: Vec<Child>,
    folder: tempfile::TempDir,
}

fn measure(options: &Options) -> Vec<Figure> {
    let (rounds, callers) = (options.number("--rounds", 10, 120), options.number("--callers", 16, 16));
    let mut cluster = Cluster::start();
    cluster.all(|number| json!({ "fill": bench::share(ROOMS, 3, number) }));
    let before = cluster.sizes();
    let mut figures = Vec::new();
    let (mut rates, mut quiet, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        quiet.push(cluster.nodes[0].ask(json!({ "join": callers, "ms": QUIET_MS })));
        let began = Instant::now();
        cluster.nodes[0].order(json!({ "save": round, "join": callers }));
        for node in &mut cluster.nodes[1..] {
            node.order(json!({ "save": round }));
        }
        let answers: Vec<Value> = cluster.nodes.iter_mut().map(Child::answer).collect();
        rates.push(count(ROOMS * STATE_BYTES) / MEBIBYTE / began.elapsed().as_secs_f64());
        busy.extend(answers.into_iter().take(1));
        if round == 1 {
            let after = cluster.sizes();
            figures.push(Figure::alone(
                "growth of the log, a byte of state".to_owned(),
                (after.log - before.log) / count(ROOMS * STATE_BYTES),
                "bytes",
            ));
        }
    }
    figures.push(Figure::alone("saved by three nodes together".to_owned(), median(&rates), "MiB/s"));
    for (name, part) in [("p50", "p50_ms"), ("p99", "p99_ms"), ("longest", "longest_ms")] {
        let of = |answers: &[Value]| {
            let times: Vec<f64> = answers.iter().filter_map(|answer| answer[part].as_f64()).collect();
            if name == "longest" { maximum(&times) } else { median(&times) }
        };
        let case = format!("a seat while all rooms are saved, beside none, {name}");
        figures.push(Figure { case, ours: of(&busy), peer: Some(of(&quiet)), unit: "ms" });
    }
    cluster.sizes().report(&mut figures, &format!("after {rounds} rounds"));
    restarts(&mut cluster, rounds, options.number("--restarts", 2, 5), &mut figures);
    cluster.sizes().report(&mut figures, "after the restarts");
    figures
}

/// Starts the last node again and again, by turns after an orderly stop and after a kill.
fn restarts(cluster: &mut Cluster, version: usize, times: usize, figures: &mut Vec<Figure>) {
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..times {
        cluster.nodes[2].ask(json!("stop"));
        clean.push(cluster.restart_last(version));
        killed.push(cluster.restart_last(version));
    }
    figures.push(Figure::alone(
        "from its start until a node is back, after an orderly stop".to_owned(),
        median(&clean),
        "s",
    ));
    figures.push(Figure::alone("from its start until a node is back, after kill -9".to_owned(), median(&killed), "s"));
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let roles = raft_node::roles(3, folder.path());
        let nodes = roles.iter().map(Child::start).collect();
        let mut cluster = Self { roles, nodes, folder };
        cluster.all(|_| json!("ready"));
        cluster
    }

    /// Gives each node an order of its own, and waits until all have done theirs.
    fn all(&mut self, order: impl Fn(usize) -> Value) {
        for (number, node) in self.nodes.iter_mut().enumerate() {
            node.order(order(number));
        }
        for node in &mut self.nodes {
            node.answer();
        }
    }

    /// What the folder of the last node holds.
    fn sizes(&self) -> Sizes {
        Sizes::of(&self.folder.path().join(raft_node::name("server", &self.roles[2])))
    }

    /// Ends the last node at once and starts it again; gives the seconds until it has the state of a version.
    fn restart_last(&mut self, version: usize) -> f64 {
        drop(self.nodes.pop());
        let began = Instant::now();
        let mut node = Child::start(&self.roles[2]);
        node.ask(json!({ "has": version }));
        self.nodes.push(node);
        began.elapsed().as_secs_f64()
    }
}
