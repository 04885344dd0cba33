//! How fast are messages, in a room and between servers, and what does a connection take?
//!
//! - *In a room*: pairs of players in rooms of their own on three `roomraft node` processes, by
//!   `roomraft loadtest`: one says something, the other answers once it has heard it. Players are
//!   always connected to the server of their room, so this never crosses servers.
//! - *Between servers*: what does cross them is a message from one room to a room elsewhere
//!   (`send_to_remote_room`). A room on one server sends, the one on another server answers from its
//!   `on_remote_message`, and the time until that answer is in the first room counts. Each way finds
//!   the room's owner by a linearizable read.
//! - *Memory*: one node with default settings, before, with 1,000 connections, and with all of them
//!   in rooms of four.
//!
//! ```sh
//! cargo bench --bench messages
//! cargo bench --bench messages -- --quick --json
//! ```
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports by printing"
)]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "nobody links a benchmark")]

mod across;
#[path = "../support/mod.rs"]
mod bench;
mod memory;
mod rooms;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;

use bench::{
    Options, child,
    figures::{Figure, median},
};

/// One talks alone, and many at once.
const CALLERS: [usize; 2] = [1, 64];

/// What one run came to.
#[derive(Debug)]
pub struct Slice {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Processor time a second: of the servers, and of those who talk where they are a process of their own.
    pub servers_cores: f64,
    pub callers_cores: Option<f64>,
}

fn main() -> ExitCode {
    if let Some(role) = child::role() {
        across::serve(&role);
        return ExitCode::SUCCESS;
    }
    bench::run("messages", &["--turns", "--seconds", "--connections"], measure)
}

fn measure(options: &Options) -> Vec<Figure> {
    let (turns, seconds) = (options.number("--turns", 3, 7), options.number("--seconds", 2, 5));
    let connections = options.number("--connections", 1_000, 1_000);
    let runtime = bench::runtime();
    let mut figures = Vec::new();
    // One cluster after the other, so that each has the machine for itself.
    let mut local: [Vec<Slice>; 2] = Default::default();
    runtime.block_on(async {
        let cluster = rooms::start().await;
        for turn in 0..=turns {
            for (slices, callers) in local.iter_mut().zip(CALLERS) {
                let slice = rooms::run(&cluster, callers, seconds).await;
                // The first turn warms up and is not counted.
                if turn > 0 {
                    slices.push(slice);
                }
            }
        }
    });
    for (slices, callers) in local.iter().zip(CALLERS) {
        report(&mut figures, &format!("in a room/pairs={callers}"), slices, "messages/s");
    }
    let mut servers = across::Servers::start();
    let mut there_and_back: [Vec<Slice>; 2] = Default::default();
    for turn in 0..=turns {
        for (slices, callers) in there_and_back.iter_mut().zip(CALLERS) {
            let slice = servers.run(callers, seconds);
            if turn > 0 {
                slices.push(slice);
            }
        }
    }
    drop(servers);
    for (slices, callers) in there_and_back.iter().zip(CALLERS) {
        report(&mut figures, &format!("between servers, there and back/pairs={callers}"), slices, "messages/s");
    }
    figures.extend(runtime.block_on(memory::measure(connections)));
    figures
}

/// Medians over the slices.
fn report(figures: &mut Vec<Figure>, case: &str, slices: &[Slice], unit: &'static str) {
    let of = |value: fn(&Slice) -> f64| median(&slices.iter().map(value).collect::<Vec<_>>());
    figures.push(Figure::alone(case.to_owned(), of(|slice| slice.per_second), unit));
    figures.push(Figure::alone(format!("{case}, p50"), of(|slice| slice.p50_ms), "ms"));
    figures.push(Figure::alone(format!("{case}, p99"), of(|slice| slice.p99_ms), "ms"));
    let servers = of(|slice| slice.servers_cores);
    figures.push(Figure::alone(format!("{case}, the servers' share of the machine"), servers, "cores"));
    let callers: Vec<f64> = slices.iter().filter_map(|slice| slice.callers_cores).collect();
    if !callers.is_empty() {
        let share = format!("{case}, the players' share of the machine");
        figures.push(Figure::alone(share, median(&callers), "cores"));
    }
}
