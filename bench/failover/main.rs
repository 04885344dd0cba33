//! How long does a dead server cost its players?
//!
//! Three `roomraft node` processes with default raft settings serve rooms of two players each; one
//! is killed with `kill -9`, by turns the leader and another, and started again once all is well.
//! Times count from the kill. Every room's state is written and seen in a snapshot before the kill
//! and compared after it. Players are the crate's own client as it is by default.
//!
//! ```sh
//! cargo bench --bench failover                       # 20 kills of leader and non-leader each
//! cargo bench --bench failover -- --quick --json
//! cargo bench --bench failover -- --kills 5 --rooms 90
//! ```
//! It fails if a room was lost, came back with another state, or a player did not come back.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports by printing")]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "nobody links a benchmark")]

#[path = "../support/mod.rs"]
mod bench;
mod guest;
mod round;
#[path = "../../tests/support/mod.rs"]
mod support;
mod watch;

use std::{process::ExitCode, time::Duration};

use bench::{
    Options,
    figures::{Figure, count, maximum, median},
};
use round::{Round, Victim};
use support::process::Cluster;

/// Snapshots are taken often, so that a round need not wait for them; nothing else differs from the defaults.
const ARGUMENTS: [&str; 6] = [
    "--snapshot-interval-ms",
    "100",
    "--room",
    "arena=relay,max_players=2,reconnect_grace_ms=60000",
    "--room",
    "lobby=relay,max_players=1000,reconnect_grace_ms=0",
];

fn main() -> ExitCode {
    let mut broken = Vec::new();
    let done = bench::run("failover", &["--kills", "--rooms"], |options| {
        let rounds = bench::runtime().block_on(rounds(options));
        broken.extend(rounds.iter().flat_map(|round| round.broken.clone()));
        summary(&rounds)
    });
    for fault in &broken {
        eprintln!("BROKEN: {fault}");
    }
    if broken.is_empty() { done } else { ExitCode::FAILURE }
}

async fn rounds(options: &Options) -> Vec<Round> {
    let (kills, rooms) = (options.number("--kills", 4, 20), options.number("--rooms", 30, 30));
    let mut cluster = Cluster::started(3, &ARGUMENTS).await;
    let mut rounds = Vec::new();
    for turn in 0..kills * 2 {
        let victim = if turn % 2 == 0 { Victim::Leader } else { Victim::Follower };
        let round = Round::run(&mut cluster, victim, turn, rooms).await;
        eprintln!("{round}");
        rounds.push(round);
    }
    rounds
}

/// One of the moments that are timed.
type Moment = (&'static str, fn(&Round) -> Duration);

fn summary(rounds: &[Round]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for victim in [Victim::Leader, Victim::Follower] {
        let of: Vec<&Round> = rounds.iter().filter(|round| round.victim == victim).collect();
        let moments: [Moment; 6] = [
            ("until it is known to be offline", |round| round.offline),
            ("until joins are accepted by every survivor", |round| round.joins),
            ("until the first room is restored", |round| round.first_room),
            ("until the last room is restored", |round| round.last_room),
            ("until the last player is back", |round| round.last_player),
            ("restarted, until the cluster is whole", |round| round.whole),
        ];
        for (what, moment) in moments {
            let times: Vec<f64> = of.iter().map(|round| moment(round).as_secs_f64() * 1000.0).collect();
            for (name, value) in [("median", median(&times)), ("maximum", maximum(&times))] {
                figures.push(Figure::alone(format!("{victim} killed: {what}, {name}"), value, "ms"));
            }
        }
        let moved = of.iter().map(|round| round.moved).sum();
        figures.push(Figure::alone(format!("{victim} killed: kills"), count(of.len()), "kills"));
        figures.push(Figure::alone(format!("{victim} killed: rooms restored with their state"), count(moved), "rooms"));
        let uneven: Vec<f64> = of.iter().map(|round| count(round.uneven)).collect();
        figures.push(Figure::alone(
            format!("{victim} killed: rooms that one survivor has more"),
            maximum(&uneven),
            "rooms",
        ));
    }
    figures
}
