//! Players who talk in rooms: real nodes, and the binary's own load test.

use std::process::Command;

use serde_json::Value;

use super::{Slice, bench::child::processor_time, support::process::Cluster};

/// The gateways' limit on packets is not what is asked about.
const ARGUMENTS: [&str; 6] =
    ["--packets-per-second", "1000000", "--packets-burst", "1000000", "--room", "relay=relay,max_players=2"];

/// Three nodes on raft that serve players.
pub async fn start() -> Cluster {
    Cluster::started(3, &ARGUMENTS).await
}

/// So many pairs talk for so long.
pub async fn run(cluster: &Cluster, pairs: usize, seconds: usize) -> Slice {
    let before = servers_time(cluster);
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomraft"));
    command.args(["loadtest", "--json", "--only", "messages", "--packets-per-second", "0"]);
    command.args(["--callers", &pairs.to_string(), "--seconds", &seconds.to_string(), "--ops", &cluster.nodes[0].ops]);
    let run = tokio::task::spawn_blocking(move || command.output().expect("the built binary starts"));
    let output = run.await.expect("the run does not panic");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the load test failed: {words}");
    let rows = String::from_utf8(output.stdout).expect("UTF-8");
    let row: Value = serde_json::from_str(rows.lines().last().expect("a row")).expect("JSON");
    let figure = |key: &str| row[key].as_f64().expect("a number");
    Slice {
        per_second: figure("per_second"),
        p50_ms: figure("p50_ms"),
        p99_ms: figure("p99_ms"),
        // The way into the rooms and out of them is in it.
        servers_cores: (servers_time(cluster) - before) / figure("seconds"),
        callers_cores: Some(figure("own_cores")),
    }
}

fn servers_time(cluster: &Cluster) -> f64 {
    let processes = cluster.nodes.iter().filter_map(super::support::process::Node::process);
    processes.map(|process| processor_time(&process.to_string())).sum()
}
