//! How many reads a second does a node serve, and what would Redis on the same machine?
//!
//! Three Raft nodes, each a process of its own, with rooms registered. Callers within one of them,
//! a follower most likely, look for an open room, read a room by its id and list a page of ten, each with one
//! call at a time: *local* reads are of what this node has applied, *linearizable* ones first ask the leader how far
//! that has to be. Beside them, by turns, callers of a real `redis-server` on loopback read a value as
//! large as a room's record with GET and its fields with HGETALL, by the crate `redis` from a process that does
//! nothing else: one caller over a blocking connection, 64 over a shared one on which their commands travel together.
//!
//! ```sh
//! cargo bench --bench local_reads                       # 10,000 rooms; 1 and 64 callers
//! cargo bench --bench local_reads -- --quick --json
//! cargo bench --bench local_reads -- --rooms 100000
//! ```
//! Redis takes part where `redis-server` is installed.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports by printing"
)]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "nobody links a benchmark")]

#[path = "../support/mod.rs"]
mod bench;
mod callers;
mod node;
#[path = "../../tests/support/ports.rs"]
mod ports;
mod redis_reads;
#[path = "../../tests/support/redis.rs"]
mod redis_server;
#[path = "../../tests/support/signals.rs"]
mod signals;

use std::process::ExitCode;

use bench::{
    Options,
    child::{self, Child},
    figures::{Figure, median},
    raft_node,
};
use callers::Slice;
use redis_reads::RedisReads;
use serde_json::{Value, json};

/// What is read from a node, and what Redis reads instead.
const READS: [(&str, &str); 5] = [
    ("room, local", "GET"),
    ("room, linearizable", "GET"),
    ("open room, linearizable", "HGETALL"),
    ("ten rooms, local", "HGETALL"),
    ("ten rooms, linearizable", "HGETALL"),
];

fn main() -> ExitCode {
    if let Some(role) = child::role() {
        let serve = if role["redis"].is_string() { redis_reads::serve } else { node::serve };
        serve(&role);
        return ExitCode::SUCCESS;
    }
    bench::run("local_reads", &["--rooms", "--turns", "--seconds"], measure)
}

fn measure(options: &Options) -> Vec<Figure> {
    let (turns, seconds) = (options.number("--turns", 3, 7), options.number("--seconds", 1, 2));
    let rooms = options.number("--rooms", 10_000, 10_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut nodes: Vec<Child> = raft_node::roles(3, folder.path()).iter().map(Child::start).collect();
    for node in &mut nodes {
        node.ask("ready");
    }
    let record = nodes[0].ask(json!({ "fill": rooms }));
    nodes[2].ask(json!({ "until": rooms }));
    let mut redis = RedisReads::start(&record);
    let mut figures = Vec::new();
    for callers in [1, 64] {
        for (read, command) in READS {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            // The first turn warms up and is not counted.
            for turn in 0..=turns {
                let slices = (
                    nodes[2].ask(json!({ "read": read, "callers": callers, "seconds": seconds })),
                    redis.as_mut().map(|redis| redis.run(command, callers, seconds)),
                );
                if turn > 0 {
                    ours.push(slice(slices.0));
                    theirs.extend(slices.1.map(slice));
                }
            }
            report(&mut figures, &format!("{read}/{callers}, beside {command}"), &ours, &theirs);
        }
    }
    figures
}

fn slice(answer: Value) -> Slice {
    serde_json::from_value(answer).expect("a child gives figures")
}

/// Medians over the slices; a peer that was not there is none.
fn report(figures: &mut Vec<Figure>, case: &str, ours: &[Slice], peer: &[Slice]) {
    let of = |slices: &[Slice], value: fn(&Slice) -> f64| {
        (!slices.is_empty()).then(|| median(&slices.iter().map(value).collect::<Vec<_>>()))
    };
    let mut add = |case: String, value: fn(&Slice) -> f64, unit| {
        figures.push(Figure { case, ours: of(ours, value).unwrap_or_default(), peer: of(peer, value), unit });
    };
    add(case.to_owned(), |slice| slice.per_second, "reads/s");
    add(format!("{case}, p50"), |slice| slice.p50_us, "µs");
    add(format!("{case}, p99"), |slice| slice.p99_us, "µs");
}
