//! How many joins a second, and does it matter how many rooms there are?
//!
//! A join is `JoinRoom` over an open WebSocket until its final answer, redirects followed; the
//! connect does not count. Each caller brings in one player at a time and has it stay until three
//! more have joined; its leave does not count either, but it and the rooms that come and go take
//! their share of the machine. Three server processes, callers spread evenly over their gateways,
//! rooms of four. Two clusters stand side by side and are
//! measured in turns: one has no rooms but those of the callers, the other so many besides, all full.
//!
//! ```sh
//! cargo bench --bench join_room                      # 64 callers; Redis where redis-server is installed
//! cargo bench --bench join_room -- --quick --json
//! cargo bench --bench join_room -- redis --callers 256   # one backend alone: raft, redis, memory
//! TMPDIR=/dev/shm cargo bench --bench join_room      # the same without a disk
//! ```
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
mod fleet;
#[path = "../../tests/support/ports.rs"]
mod ports;
#[path = "../../tests/support/redis.rs"]
mod redis_server;
mod server;
#[path = "../../tests/support/signals.rs"]
mod signals;

use std::{process::ExitCode, time::Duration};

use bench::{
    Options, child,
    figures::{Figure, median},
};
use callers::{Callers, Slice};
use fleet::{Backend, Fleet};

fn main() -> ExitCode {
    if let Some(role) = child::role() {
        server::serve(&role);
        return ExitCode::SUCCESS;
    }
    bench::run("join_room", &["--callers", "--turns", "--seconds"], measure_all)
}

fn measure_all(options: &Options) -> Vec<Figure> {
    let mut figures = Vec::new();
    for backend in Backend::ALL.into_iter().filter(|backend| options.wants(&backend.to_string())) {
        if backend == Backend::Redis && !redis_server::is_installed() {
            eprintln!("redis takes no part: install redis-server");
            continue;
        }
        figures.extend(measure(backend, options));
    }
    figures
}

/// One backend, with ever more rooms registered.
fn measure(backend: Backend, options: &Options) -> Vec<Figure> {
    let callers = options.number("--callers", 64, 64);
    let turns = options.number("--turns", 3, 7);
    let seconds = Duration::from_secs(options.number("--seconds", 1, 3) as u64);
    let steps: &[usize] = if options.quick { &[10_000, 100_000] } else { &[1_000, 10_000, 100_000] };
    let (mut empty, mut full) = (Fleet::start(backend), Fleet::start(backend));
    let mut figures = Vec::new();
    let mut all_empty = Vec::new();
    for rooms in steps {
        let filled = full.fill(*rooms);
        eprintln!("{backend}: {rooms} rooms registered, after {:.1} s more", filled.as_secs_f64());
        let (mut of_empty, mut of_full) = (Callers::connect(&empty, callers), Callers::connect(&full, callers));
        let (mut peer, mut ours) = (Vec::new(), Vec::new());
        // The first turn warms up and is not counted.
        for turn in 0..=turns {
            let slices = (of_empty.run(&mut empty, seconds), of_full.run(&mut full, seconds));
            if turn > 0 {
                peer.push(slices.0);
                ours.push(slices.1);
            }
        }
        report(&mut figures, &format!("{backend}/rooms={rooms}"), &ours, Some(&peer));
        all_empty.extend(peer);
    }
    report(&mut figures, &format!("{backend}/rooms=0"), &all_empty, None);
    figures
}

/// Medians over the slices.
fn report(figures: &mut Vec<Figure>, case: &str, ours: &[Slice], peer: Option<&[Slice]>) {
    let of = |slices: &[Slice], value: fn(&Slice) -> f64| median(&slices.iter().map(value).collect::<Vec<_>>());
    let mut add = |case: String, value: fn(&Slice) -> f64, unit| {
        let peer = peer.map(|peer| of(peer, value));
        figures.push(Figure { case, ours: of(ours, value), peer, unit });
    };
    add(case.to_owned(), |slice| slice.joins_per_second, "joins/s");
    add(format!("{case}, p50"), |slice| slice.p50_ms, "ms");
    add(format!("{case}, p99"), |slice| slice.p99_ms, "ms");
    add(format!("{case}, redirected"), |slice| slice.redirected, "of all");
    add(format!("{case}, refused for a moment"), |slice| slice.refused, "calls");
    add(format!("{case}, commands"), |slice| slice.commands, "a join");
    add(format!("{case}, the servers' share of the machine"), |slice| slice.servers_cores, "cores");
    add(format!("{case}, the callers' share of the machine"), |slice| slice.callers_cores, "cores");
}
