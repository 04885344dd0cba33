//! The demo, as a newcomer runs it: every promise kept, and nothing left behind.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{ChildStdout, Command, Stdio},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    command::{ended, roomraft},
    support::{signals::send, wait::until},
};

/// The demo with its throwaway folder where the test can look.
fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = roomraft();
    command.arg("demo").args(arguments).env("TMPDIR", folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("the folder").count()
}

#[test]
fn it_shows_a_leaders_death_keeps_every_promise_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let told = ended(demo(folder.path(), &["--players", "12", "--seconds", "6"]).output().expect("it starts"));
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    for line in ["cluster formed", "leader killed", "election", "overfull rooms      0", "lost state          0"] {
        assert!(told.stdout.contains(line), "{line:?} is not in\n{}", told.stdout);
    }
    assert!(told.stdout.contains("Every promise was kept."), "{}", told.stdout);
    assert_eq!(entries(folder.path()), 0, "no folder is left");
}

#[tokio::test]
async fn a_signal_takes_the_kept_cluster_away() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let mut child = demo(folder.path(), &["--players", "4", "--seconds", "3", "--keep"]).spawn().expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let (told, rest) = read_until(lines, "operators http://").await;
    let nodes = processes_in(folder.path());
    assert!(nodes.len() >= 2, "the survivors still run: {nodes:?}\n{told}");
    send(&child, Signal::SIGINT);
    let status = until("the end of the demo", || {
        let ended = child.try_wait().expect("a process of ours");
        async move { ended.ok_or("it still runs") }
    })
    .await;
    assert_eq!(status.code(), Some(0), "the demo itself had succeeded");
    drop(rest);
    for node in nodes {
        assert_eq!(kill(node, None), Err(Errno::ESRCH), "the process {node} is gone");
    }
    assert_eq!(entries(folder.path()), 0, "no folder is left");
}

type Output = std::io::Lines<BufReader<ChildStdout>>;

/// Reads until a line holds `word`; gives what was read, and the rest.
async fn read_until(mut lines: Output, word: &'static str) -> (String, Output) {
    let read = tokio::task::spawn_blocking(move || {
        let mut told = String::new();
        for line in lines.by_ref() {
            let line = line.expect("UTF-8");
            told.push_str(&line);
            told.push('\n');
            if line.contains(word) {
                return (told, lines);
            }
        }
        panic!("{word:?} never came:\n{told}");
    });
    read.await.expect("the line comes")
}

/// The processes whose command line names this folder.
fn processes_in(folder: &Path) -> Vec<Pid> {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("a process table").flatten();
    let named = processes.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&command).contains(&folder).then_some(Pid::from_raw(id))
    });
    named.collect()
}
