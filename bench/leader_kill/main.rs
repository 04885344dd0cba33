//! How long until a write is accepted again after the leader was killed, beside etcd?
//!
//! Three Raft nodes in processes of their own, with default settings, and three etcd servers with
//! theirs. By turns the leader of the one and of the other is killed with `kill -9`; then a write
//! is begun every 10 ms at each survivor, whatever became of those before, until that survivor
//! has acknowledged one. Times count from the kill. A write is the acquisition of a lock, and a
//! `put` by etcd's native client. The killed one is started again, and both clusters are whole
//! and at rest for a second before the next kill.
//!
//! ```sh
//! cargo bench --bench leader_kill                       # 20 kills each
//! cargo bench --bench leader_kill -- --quick --json
//! cargo bench --bench leader_kill -- --kills 50
//! ```
//! etcd takes part where `etcd` and `protoc` are installed (Debian: `etcd-server`, `protobuf-compiler`).
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports by printing")]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "nobody links a benchmark")]

#[path = "../support/mod.rs"]
mod bench;
mod node;
mod nodes;
mod puts;

use std::{process::ExitCode, time::Duration};

use bench::{
    Options, child,
    etcd::Etcd,
    figures::{self, Figure, maximum, median},
};
use nodes::Nodes;

/// How long both clusters are left alone before a kill.
const REST: Duration = Duration::from_secs(1);

/// Times from a kill, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// Until the first survivor acknowledged a write.
    first: f64,
    /// Until every survivor had.
    all: f64,
}

impl Outage {
    /// Of survivors that began to write so long after the kill and took so many milliseconds each.
    pub fn new(begun: Duration, times: &[f64]) -> Self {
        let begun = begun.as_secs_f64() * 1000.0;
        Self { first: begun + times.iter().copied().fold(f64::INFINITY, f64::min), all: begun + maximum(times) }
    }
}

fn main() -> ExitCode {
    if let Some(role) = child::role() {
        node::serve(&role);
        return ExitCode::SUCCESS;
    }
    bench::run("leader_kill", &["--kills"], measure)
}

fn measure(options: &Options) -> Vec<Figure> {
    let (mut nodes, mut etcd) = (Nodes::start(), Etcd::start());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 1..=options.number("--kills", 5, 20) {
        let outage = nodes.lose_leader(REST);
        let beside = etcd.as_mut().map(|etcd| puts::lose_leader(etcd, REST));
        let peer = beside.map(|peer| format!(", etcd {:.0} ms", peer.first)).unwrap_or_default();
        eprintln!("kill {turn}: a write is accepted after {:.0} ms{peer}", outage.first);
        ours.push(outage);
        theirs.extend(beside);
    }
    report(&ours, &theirs)
}

fn report(ours: &[Outage], theirs: &[Outage]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |what: &str, moment: fn(&Outage) -> f64| {
        let times = |outages: &[Outage]| outages.iter().map(moment).collect::<Vec<_>>();
        let (ours, theirs) = (times(ours), times(theirs));
        for (name, value) in [("median", median as fn(&[f64]) -> f64), ("maximum", maximum)] {
            let peer = (!theirs.is_empty()).then(|| value(&theirs));
            figures.push(Figure { case: format!("{what}, {name}"), ours: value(&ours), peer, unit: "ms" });
        }
    };
    add("until a write is accepted", |outage| outage.first);
    add("until every survivor accepts writes", |outage| outage.all);
    figures.push(Figure::alone("kills of each".to_owned(), figures::count(ours.len()), "kills"));
    figures
}
