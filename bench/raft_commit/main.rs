//! How many commits a second, and how long does one take, beside etcd on the same disk?
//!
//! Three Raft nodes in processes of their own, callers spread evenly over them, each with one call
//! at a time. *Locks* are acquired and released by turns, under keys of 256 bytes; *registrations*
//! are rooms with 256 bytes of metadata, registered and removed by turns. Beside them three etcd
//! servers with as many callers that put 256 bytes each by etcd's native client, one node alone,
//! and a thread that does nothing but append 256 bytes and wait for fdatasync. All are measured in
//! turns; each alone at its time.
//!
//! ```sh
//! cargo bench --bench raft_commit
//! cargo bench --bench raft_commit -- --quick --json
//! cargo bench --bench raft_commit -- --callers 64        # 1, 16, 64 or 256 alone
//! TMPDIR=/dev/shm cargo bench --bench raft_commit        # the same without a disk
//! ```
//! etcd takes part where `etcd` and `protoc` are installed (Debian: `etcd-server`, `protobuf-compiler`).
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports by printing")]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "nobody links a benchmark")]

#[path = "../support/mod.rs"]
mod bench;
mod disk;
mod node;
mod nodes;

use std::process::ExitCode;

use bench::{
    Options, child,
    etcd::{self, Etcd},
    figures::{Figure, median},
};
use nodes::{Nodes, Work};
use serde::Deserialize;

/// The bytes of a payload.
const PAYLOAD_BYTES: usize = 256;

/// What one slice of a measurement came to.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Slice {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    /// Microseconds of processor time a commit, of all nodes and callers together; 0 where it is not known.
    #[serde(default)]
    processor_us: f64,
}

fn main() -> ExitCode {
    if let Some(role) = child::role() {
        node::serve(&role);
        return ExitCode::SUCCESS;
    }
    bench::run("raft_commit", &["--callers", "--turns", "--seconds"], measure)
}

fn measure(options: &Options) -> Vec<Figure> {
    let (turns, seconds) = (options.number("--turns", 3, 7), options.number("--seconds", 1, 3));
    let (mut three, mut one, etcd) = (Nodes::start(3), Nodes::start(1), Etcd::start());
    let mut figures = Vec::new();
    let only = options.number("--callers", 0, 0);
    for callers in [1, 16, 64, 256].into_iter().filter(|callers| only == 0 || only == *callers) {
        let (mut locks, mut rooms, mut alone, mut puts, mut appends) = (vec![], vec![], vec![], vec![], vec![]);
        // The first turn warms up and is not counted.
        for turn in 0..=turns {
            let slices = [
                (&mut locks, Some(three.run(Work::Locks, callers, seconds))),
                (&mut puts, etcd.as_ref().map(|etcd| put(etcd, callers, seconds))),
                (&mut rooms, Some(three.run(Work::Registrations, callers, seconds))),
                (&mut alone, Some(one.run(Work::Locks, callers, seconds))),
                (&mut appends, Some(disk::run(seconds))),
            ];
            for (all, slice) in slices {
                all.extend(slice.filter(|_| turn > 0));
            }
        }
        report(&mut figures, &format!("etcd/puts/{callers}"), &locks, &puts);
        report(&mut figures, &format!("registrations/{callers}"), &rooms, &[]);
        report(&mut figures, &format!("one node/locks/{callers}"), &alone, &[]);
        report(&mut figures, &format!("one append with fdatasync/locks/{callers}"), &locks, &appends);
    }
    let trip = disk::round_trip_ms();
    let (mut ours, mut bound) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        let (slice, flush) = disk::beside(|| three.run(Work::Locks, 1, seconds));
        ours.push(slice.p50_ms);
        bound.push(flush + 2.0 * trip);
    }
    figures.push(Figure {
        case: "p50 of one caller against fdatasync meanwhile and two round trips".to_owned(),
        ours: median(&ours),
        peer: Some(median(&bound)),
        unit: "ms",
    });
    figures
}

/// Has so many callers put to etcd for so long.
fn put(etcd: &Etcd, callers: usize, seconds: usize) -> Slice {
    let mut puts = etcd.driver("puts", &[callers, seconds, PAYLOAD_BYTES].map(|number| number.to_string()));
    let slice = etcd::answer(&mut puts).expect("etcd takes puts");
    serde_json::from_value(slice).expect("a slice")
}

/// Medians over the slices; a peer that was not there is none.
fn report(figures: &mut Vec<Figure>, case: &str, ours: &[Slice], peer: &[Slice]) {
    let of = |slices: &[Slice], value: fn(&Slice) -> f64| {
        (!slices.is_empty()).then(|| median(&slices.iter().map(value).collect::<Vec<_>>()))
    };
    let mut add = |case: String, value: fn(&Slice) -> f64, unit| {
        figures.push(Figure { case, ours: of(ours, value).unwrap_or_default(), peer: of(peer, value), unit });
    };
    add(case.to_owned(), |slice| slice.per_second, "commits/s");
    add(format!("{case}, p50"), |slice| slice.p50_ms, "ms");
    add(format!("{case}, p99"), |slice| slice.p99_ms, "ms");
    add(format!("{case}, p99.9"), |slice| slice.p999_ms, "ms");
    figures.extend(
        of(ours, |slice| slice.processor_us)
            .filter(|time| *time > 0.0)
            .map(|time| Figure::alone(format!("{case}, processor time"), time, "µs a commit")),
    );
}
