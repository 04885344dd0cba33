//! What does a node take that has nothing to do, beside etcd?
//!
//! Three `roomraft node` processes with default settings, their servers online, no players and no
//! rooms; and three etcd servers with theirs, empty. Both stand side by side for as long as is
//! measured; before that they have a few seconds to come to rest. Processor time is that which
//! the kernel has counted for each process, memory what is resident at the end, the pages of the
//! executable included.
//!
//! ```sh
//! cargo bench --bench idle                       # 30 s
//! cargo bench --bench idle -- --quick --json     # 10 s
//! cargo bench --bench idle -- --seconds 300
//! ```
//! etcd takes part where `etcd` and `protoc` are installed (Debian: `etcd-server`, `protobuf-compiler`).
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports by printing")]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "nobody links a benchmark")]

#[path = "../support/mod.rs"]
mod bench;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::{process::ExitCode, thread::sleep, time::Duration};

use bench::{
    Options,
    child::{anonymous, processor_time, resident},
    etcd::Etcd,
    figures::{Figure, count, maximum},
};
use support::process::Cluster;

/// How long both clusters have to come to rest.
const SETTLE: Duration = Duration::from_secs(5);
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What one process took.
struct Idle {
    /// In hundredths of a core.
    processor: f64,
    /// In MiB.
    resident: f64,
    /// The part of it that is the process's own and not a page of a file, in MiB.
    anonymous: f64,
}

fn main() -> ExitCode {
    bench::run("idle", &["--seconds"], measure)
}

fn measure(options: &Options) -> Vec<Figure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (cluster, etcd) = (runtime.block_on(Cluster::started(3, &[])), Etcd::start());
    let ours: Vec<u32> = cluster.nodes.iter().filter_map(support::process::Node::process).collect();
    let theirs = etcd.as_ref().map(Etcd::processes).unwrap_or_default();
    sleep(SETTLE);
    let seconds = options.number("--seconds", 10, 30);
    let (ours, theirs) = watch(&ours, &theirs, seconds);
    report(&ours, &theirs)
}

/// Looks at all processes at the same two moments.
fn watch(ours: &[u32], theirs: &[u32], seconds: usize) -> (Vec<Idle>, Vec<Idle>) {
    let all: Vec<String> = ours.iter().chain(theirs).map(u32::to_string).collect();
    let before: Vec<f64> = all.iter().map(|process| processor_time(process)).collect();
    sleep(Duration::from_secs(seconds as u64));
    let took = |(process, before): (&String, f64)| Idle {
        processor: (processor_time(process) - before) / count(seconds) * 100.0,
        resident: mebibytes(resident(process)),
        anonymous: mebibytes(anonymous(process)),
    };
    let mut ours_idle: Vec<Idle> = all.iter().zip(before).map(took).collect();
    let theirs_idle = ours_idle.split_off(ours.len());
    (ours_idle, theirs_idle)
}

fn report(ours: &[Idle], theirs: &[Idle]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |case: &str, value: fn(&[f64]) -> f64, part: fn(&Idle) -> f64, unit| {
        let of = |idle: &[Idle]| value(&idle.iter().map(part).collect::<Vec<_>>());
        let peer = (!theirs.is_empty()).then(|| of(theirs));
        figures.push(Figure { case: case.to_owned(), ours: of(ours), peer, unit });
    };
    add("processor time a node", mean, |idle| idle.processor, "% of a core");
    add("processor time of the busiest node", maximum, |idle| idle.processor, "% of a core");
    add("resident memory a node", mean, |idle| idle.resident, "MiB");
    add("of it no pages of files", mean, |idle| idle.anonymous, "MiB");
    figures
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len().max(1))
}

fn mebibytes(bytes: u64) -> f64 {
    count(usize::try_from(bytes / 1024).unwrap_or(usize::MAX)) * 1024.0 / MEBIBYTE
}
