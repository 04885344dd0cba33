//! `roomraft demo`: a real cluster on this machine, players in it, and the death of its leader.
//!
//! Everything is real: processes of this binary, QUIC, disks, WebSockets. What is shown was seen
//! from outside, by bots and through the ops listeners, and each promise is checked the same way.
//! Faults other than `kill -9` are not shown here.

mod board;
mod bot;
mod cluster;
mod play;
mod progress;
mod report;
mod watch;

use std::time::Duration;

use clap::Args;

use self::{cluster::Cluster, play::play, report::Report};
use super::{Failure, output};
use crate::node::stop_signal;

/// Starts a cluster on this machine, lets bots play, kills the leader, and checks every promise
#[derive(Debug, Clone, Args)]
pub(super) struct Arguments {
    /// Node processes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(3..=9), allow_negative_numbers = true)]
    nodes: u16,
    /// Bots that play
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=1000), allow_negative_numbers = true)]
    players: u16,
    /// How long they play
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u16).range(3..=3600), allow_negative_numbers = true)]
    seconds: u16,
    /// Let the cluster run until Ctrl-C, and say where it is
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Fault(format!("no threads to run on ({error})")))?;
    runtime.block_on(demo(arguments)).map_err(Failure::Fault)
}

/// Plays, and takes everything away again however that ended.
async fn demo(arguments: &Arguments) -> Result<(), String> {
    let mut cluster = Cluster::new().map_err(|error| format!("no throwaway folder can be made ({error})"))?;
    let play_time = Duration::from_secs(arguments.seconds.into());
    let played = tokio::select! {
        report = play(&mut cluster, arguments.nodes.into(), arguments.players.into(), play_time) => report,
        signal = stop_signal() => Err(format!("the demo was stopped by {signal}")),
    };
    let is_complete = played.is_ok();
    let outcome = played.and_then(|report| summed_up(&report));
    if arguments.keep && is_complete {
        keep(&cluster).await;
    }
    let stopped = cluster.stop().await.map_err(|error| format!("not everything could be taken away ({error})"));
    outcome.and(stopped)
}

/// Prints the summary and its verdict.
fn summed_up(report: &Report) -> Result<(), String> {
    output::line(&format!("\n{report}"));
    let failures = report.failures();
    for failure in &failures {
        output::line(&format!("BROKEN: {failure}"));
    }
    match failures.len() {
        0 => {
            output::line("Every promise was kept.");
            Ok(())
        }
        count => Err(format!("{count} promises were broken: see above")),
    }
}

/// Says where the cluster is, and waits for a signal.
async fn keep(cluster: &Cluster) {
    output::line(&format!("\nThe cluster runs until Ctrl-C. Data and logs: {}", cluster.folder.path().display()));
    for node in cluster.living() {
        output::line(&format!("{}: players {}, operators http://{}/", node.server_id, node.gateway, node.ops));
    }
    stop_signal().await;
}
