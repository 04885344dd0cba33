//! How many commands a second does the pure core take, and does it matter how many rooms there are?
//!
//! One thread, no disk, no network: commands in, outcomes out. Registries with 0 and with ever more
//! rooms, all of which are full, are measured in turns. Joins are `reserve_seat` in rooms of four:
//! one in four makes a room. What the joins added is removed between the turns and not timed.
//!
//! ```sh
//! cargo bench --bench registry_apply
//! cargo bench --bench registry_apply -- --quick --json   # up to 100,000 rooms
//! ```
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports by printing")]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "nobody links a benchmark")]

#[path = "../support/mod.rs"]
mod bench;
mod world;

use std::{process::ExitCode, time::Instant};

use bench::{
    Options, child,
    figures::{self, Figure, median},
};
use world::World;

/// What is timed: how it is done so many times, and how often a second it was.
type Work = (&'static str, fn(&mut World, usize) -> f64);

const WORKS: [Work; 4] = [
    ("reserve_seat", World::joins),
    ("find an open room", World::finds),
    ("a room by its id", World::rooms_by_id),
    ("a page of ten rooms of a type", World::pages),
];

fn main() -> ExitCode {
    bench::run("registry_apply", &["--turns"], measure)
}

fn measure(options: &Options) -> Vec<Figure> {
    let turns = options.number("--turns", 5, 15);
    let steps: &[usize] = if options.quick { &[10_000, 100_000] } else { &[10_000, 100_000, 1_000_000] };
    let mut figures = Vec::new();
    let mut empty = World::with_rooms(0);
    for rooms in steps {
        let (before, began) = (child::resident("self"), Instant::now());
        let mut full = World::with_rooms(*rooms);
        let kilobytes = usize::try_from(child::resident("self").saturating_sub(before) / 1024).unwrap_or(usize::MAX);
        eprintln!("{rooms} rooms registered in {:.1} s", began.elapsed().as_secs_f64());
        for (name, work) in WORKS {
            let (mut ours, mut peer) = (Vec::new(), Vec::new());
            for _ in 0..turns {
                ours.push(work(&mut full, world::AT_ONCE));
                peer.push(work(&mut empty, world::AT_ONCE));
            }
            let case = format!("{name}, rooms={rooms}");
            figures.push(Figure { case, ours: median(&ours), peer: Some(median(&peer)), unit: "/s" });
        }
        let each = figures::count(kilobytes) * 1024.0 / figures::count(*rooms);
        figures.push(Figure::alone(format!("memory of a room with one seat, rooms={rooms}"), each, "bytes"));
    }
    figures
}
