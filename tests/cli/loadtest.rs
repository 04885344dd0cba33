//! The load test against real nodes: what it prints, what it leaves behind, and what it says when it cannot work.

use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::{accept_async, tungstenite::Message};

use crate::{
    command::{Ended, ended, roomraft, run},
    memory_node::node,
    support::{
        ports::free_port,
        process::{Cluster, Node},
        signals::send,
        wait::until,
    },
};

/// Runs a load test to its end while others work.
async fn loadtest(arguments: &[&str]) -> Ended {
    let arguments: Vec<String> = ["loadtest"].iter().chain(arguments).map(|part| (*part).to_owned()).collect();
    let run = move || run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.expect("it does not panic")
}

/// Waits until a node knows of no player and no room.
async fn until_deserted(node: &Node) {
    until("an empty cluster", || async {
        let status = node.status().await?;
        let empty = status["players"]["total"] == 0 && status["rooms"]["total"] == 0;
        if empty { Ok(()) } else { Err(format!("{} {}", status["players"], status["rooms"])) }
    })
    .await;
}

#[tokio::test]
async fn a_short_run_prints_a_table_and_leaves_nobody_behind() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &[]).await;
    let told = loadtest(&["--gateway", &node.gateway, "--callers", "3", "--seconds", "1"]).await;
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{}", told.stdout);
    let rows: Vec<Vec<&str>> = told.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for phase in ["connects", "joins", "messages"] {
        let row = rows.iter().find(|row| row.first() == Some(&phase)).expect(phase);
        assert!(row[1].parse::<u64>().is_ok_and(|count| count > 0), "{}", told.stdout);
        assert_eq!(row.last(), Some(&"0"), "no errors: {}", told.stdout);
    }
    until_deserted(&node).await;
}

#[tokio::test]
async fn through_any_node_it_finds_all_gateways_and_gives_rows_to_scripts() {
    let cluster = Cluster::started(3, &[]).await;
    let ops = &cluster.nodes[1].ops;
    let told = loadtest(&["--ops", ops, "--callers", "6", "--seconds", "1", "--message-bytes", "3000", "--json"]).await;
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{}", told.stdout);
    let rows: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    let phases: Vec<&str> = rows.iter().filter_map(|row| row["phase"].as_str()).collect();
    assert_eq!(phases, ["connects", "joins", "messages"]);
    for row in &rows {
        assert!(row["count"].as_u64() > Some(0), "{row}");
        assert!(row["p50_ms"].as_f64() <= row["p99_ms"].as_f64(), "{row}");
        assert!(row["p999_ms"].as_f64() <= row["max_ms"].as_f64(), "{row}");
        assert_eq!(row["errors"], json!({}), "{row}");
    }
    assert!(rows[1]["redirected"].as_f64() > Some(0.0), "players share rooms over three servers: {}", rows[1]);
    until_deserted(&cluster.nodes[0]).await;
}

#[tokio::test]
async fn only_one_phase_runs_where_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &["--room", "arena=relay,max_players=2"]).await;
    let short = ["--gateway", &node.gateway, "--room-type", "arena", "--callers", "2", "--seconds", "1", "--json"];
    for only in ["joins", "messages"] {
        let told = loadtest(&[&short[..], &["--only", only]].concat()).await;
        assert_eq!(told.code, Some(0), "{}", told.stderr);
        let rows: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
        let phases: Vec<&Value> = rows.iter().map(|row| &row["phase"]).collect();
        assert_eq!(phases, ["connects", only]);
    }
}

#[tokio::test]
async fn a_room_without_a_seat_for_a_second_player_is_counted_and_ends_in_exit_code_1() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &["--room", "cell=relay,max_players=1"]).await;
    let arguments = ["--room-type", "cell", "--callers", "1", "--seconds", "1", "--only", "messages", "--json"];
    let told = loadtest(&[&["--gateway", &node.gateway], &arguments[..]].concat()).await;
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    assert!(
        told.stderr.contains("none of the messages succeeded") && told.stderr.contains("NOT_FOUND"),
        "{}",
        told.stderr
    );
    let row: Value = serde_json::from_str(told.stdout.lines().last().expect("a row")).expect("JSON");
    assert!(row["errors"]["NOT_FOUND"]["count"].as_u64() > Some(0), "{row}");
    until_deserted(&node).await;
}

#[tokio::test]
async fn ctrl_c_ends_it_with_the_figures_so_far() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &[]).await;
    let mut command = roomraft();
    command.args(["loadtest", "--gateway", &node.gateway, "--callers", "2", "--seconds", "3600", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    until("players", || async {
        let status = node.status().await?;
        if status["players"]["total"].as_u64() >= Some(6) { Ok(()) } else { Err(status["players"].to_string()) }
    })
    .await;
    send(&child, Signal::SIGINT);
    let _ = until("its end", || {
        let ended = child.try_wait().expect("a process of ours");
        async move { ended.ok_or("it still runs") }
    })
    .await;
    let told = ended(child.wait_with_output().expect("its output"));
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{}", told.stdout);
    let rows: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(rows.len(), 2, "messages had not begun: {}", told.stdout);
    assert!(rows[1]["count"].as_u64() > Some(0), "{}", rows[1]);
    until_deserted(&node).await;
}

#[test]
fn where_nobody_answers_it_says_so_in_one_line() {
    let nobody = format!("127.0.0.1:{}", free_port());
    for flag in ["--gateway", "--ops"] {
        let told = run(&["loadtest", flag, &nobody, "--seconds", "1"]);
        assert_eq!((told.code, told.stdout.as_str()), (Some(1), ""), "{flag}: {}", told.stderr);
        assert_eq!(told.stderr.lines().count(), 1, "{flag}: {}", told.stderr);
        assert!(told.stderr.contains(&nobody) && told.stderr.contains(flag), "{flag}: {}", told.stderr);
    }
}

#[test]
fn what_cannot_be_used_is_exit_code_2_with_one_line_that_names_the_flag() {
    let wrong = [
        ["--gateway", "http://127.0.0.1:3000"],
        ["--gateway", "a b:3000"],
        ["--callers", "0"],
        ["--callers", "-1"],
        ["--seconds", "0"],
        ["--message-bytes", "2000000"],
        ["--packets-per-second", "-5"],
        ["--only", "everything"],
        ["--room-type", ""],
        ["--ops", "nowhere"],
    ];
    for [flag, value] in wrong {
        let told = run(&["loadtest", flag, value]);
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{flag} {value}: {}", told.stderr);
        assert_eq!(told.stderr.lines().count(), 1, "{flag} {value}: {}", told.stderr);
        assert!(told.stderr.contains(flag), "{flag} {value}: {}", told.stderr);
    }
}

#[tokio::test]
async fn a_room_type_that_does_not_exist_is_said_at_once() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let node = node(&folder, &[]).await;
    let told = loadtest(&["--gateway", &node.gateway, "--room-type", "nowhere", "--seconds", "3600"]).await;
    assert_eq!((told.code, told.stdout.as_str()), (Some(1), ""), "{}", told.stderr);
    for named in ["NOT_FOUND", "--room-type", &node.gateway] {
        assert!(told.stderr.contains(named), "{}", told.stderr);
    }
}

#[tokio::test]
async fn whatever_a_server_answers_it_ends_with_a_clear_line() {
    let answers: [(Answer, &str); 4] = [
        (|id, _| json!([1, id, { "what": 5 }]).to_string(), "something else"),
        (|id, _| json!([2, id, "A\u{1b}[2JCODE", "x".repeat(100_000)]).to_string(), "refused JoinRoom"),
        (|id, own| json!([1, id, { "redirect": own, "roomId": "r" }]).to_string(), "redirected more than"),
        (|id, _| json!([1, id, { "redirect": "http://b a", "roomId": "r" }]).to_string(), "no server address"),
    ];
    for (answer, word) in answers {
        let own = impostor(answer).await;
        let told = loadtest(&["--gateway", &own, "--callers", "2", "--seconds", "1"]).await;
        assert_eq!((told.code, told.stdout.as_str()), (Some(1), ""), "{word}: {}", told.stderr);
        assert_eq!(told.stderr.lines().count(), 1, "{word}: {}", told.stderr);
        assert!(told.stderr.contains(word), "{word}: {}", told.stderr);
        assert!(told.stderr.len() < 1000, "{word}: {}", told.stderr);
        assert!(!told.stderr.contains('\u{1b}') && !told.stderr.contains("panicked"), "{word}: {}", told.stderr);
    }
}

/// What an impostor makes of a call's id and its own address.
type Answer = fn(&Value, &str) -> String;

/// A server that answers every call like this.
async fn impostor(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("a bound socket").to_string();
    let address = own.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let own = own.clone();
            tokio::spawn(async move {
                let mut socket = accept_async(stream).await.expect("a WebSocket");
                while let Some(Ok(Message::Text(text))) = socket.next().await {
                    let request: Value = serde_json::from_str(&text).expect("a packet");
                    if socket.send(Message::text(answer(&request[1], &own))).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
