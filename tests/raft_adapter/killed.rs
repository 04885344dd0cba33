//! Three processes, all killed at once while they take locks: what was granted is still held.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use roomraft::{
    adapter::{Consistency, DistributedAdapter, RaftAdapter, RaftOptions},
    model::{LockToken, Metadata, NewServer, NodeId, ServerId},
    quic::{ClusterSecret, ClusterSecurity},
    raft::{RaftConfig, RaftRole},
};

use crate::ports::free_address;

const FOLDER: &str = "ROOMRAFT_TEST_NODE_FOLDER";
const ADDRESSES: &str = "ROOMRAFT_TEST_NODE_ADDRESSES";
const NUMBER: &str = "ROOMRAFT_TEST_NODE_NUMBER";
const HELD: Duration = Duration::from_mins(30);

/// Not a test of its own: the process that is killed. It does what the lines on its standard input say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_process() {
    let Ok(number) = std::env::var(NUMBER) else { return };
    let handle = RaftAdapter::new(options(number.parse().unwrap()));
    handle.connect().await.unwrap();
    handle.servers(Consistency::Linearizable).await.unwrap();
    let node = handle.node().unwrap();
    let applied = node.registry().view().last_index();
    println!("cluster {} {applied}", node.status().cluster_id.unwrap());
    let mut orders = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(tokio::io::stdin()));
    while let Some(order) = orders.next_line().await.unwrap() {
        match order.split(' ').collect::<Vec<_>>()[..] {
            ["take", prefix] => {
                for at in 0_u64.. {
                    // Long ones, so that the log soon outgrows its limit.
                    let key = format!("{prefix}-{at}-{:x<400}", "");
                    let token = handle.acquire_lock(&key, HELD).await.unwrap().expect("it was nobody's");
                    println!("granted {key} {}", token.0);
                }
            }
            ["check", key, token] => {
                let token = LockToken(token.parse().unwrap());
                let held = handle.extend_lock(key, token, HELD).await.unwrap();
                let free = handle.acquire_lock(key, HELD).await.unwrap().is_some();
                println!("checked {key} {held} {free}");
            }
            ["leads"] => println!("leads {}", node.status().role == RaftRole::Leader),
            ["register", name] => {
                let server = NewServer {
                    server_id: ServerId::new(name).unwrap(),
                    address: "127.0.0.1".to_owned(),
                    port: 4000,
                    capacity: 10,
                    metadata: Metadata::default(),
                    room_types: [].into(),
                    node_id: NodeId(0),
                };
                handle.register_server(server).await.unwrap();
                println!("registered {name}");
            }
            ["servers"] => {
                let servers = handle.servers(Consistency::Linearizable).await.unwrap();
                let names: Vec<_> = servers.iter().map(|server| server.server_id.as_str()).collect();
                println!("servers {}", names.join(" "));
            }
            _ => panic!("an unknown order: {order}"),
        }
    }
}

fn options(number: usize) -> RaftOptions {
    let folder = std::env::var(FOLDER).unwrap();
    let addresses = std::env::var(ADDRESSES).unwrap();
    let peers: Vec<String> = addresses.split(',').map(str::to_owned).collect();
    let name = format!("s{number}");
    let secret = ClusterSecret::parse("the secret of these processes' cluster").unwrap();
    let data_dir = Path::new(&folder).join(&name);
    let mut config = RaftConfig::new(ServerId::new(name).unwrap(), data_dir, ClusterSecurity::Secret(secret));
    config.listen = peers[number].parse::<SocketAddr>().unwrap();
    config.peers = peers;
    config.lease = Duration::from_mins(2);
    config.snapshots.log_bytes = 64 * 1024;
    config.snapshots.entries_kept = 50;
    RaftOptions { call_max: Duration::from_secs(20), ..RaftOptions::new(config) }
}

pub(crate) struct Process {
    pub(crate) child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(folder: &Path, addresses: &str, number: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::node_process", "--nocapture"])
            .env(FOLDER, folder)
            .env(ADDRESSES, addresses)
            .env(NUMBER, number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, orders, answers: BufReader::new(answers) }
    }

    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next line that says `what`, in words; ends with the process, which the test harness does not let live for
    /// ever.
    pub(crate) fn answer(&mut self, what: &str) -> Vec<String> {
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the process ended before it said {what}");
            if let Some((_, said)) = line.split_once(&format!("{what} ")) {
                return said.split_whitespace().map(str::to_owned).collect();
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn start_all(folder: &Path, addresses: &str) -> (Vec<Process>, String, u64) {
    let mut processes: Vec<_> = (0..3).map(|number| Process::start(folder, addresses, number)).collect();
    let said: Vec<_> = processes.iter_mut().map(|process| process.answer("cluster")).collect();
    assert!(said.iter().all(|words| words[0] == said[0][0]), "one cluster: {said:?}");
    let applied = said.iter().map(|words| words[1].parse::<u64>().unwrap()).max().unwrap();
    (processes, said[0][0].clone(), applied)
}

#[test]
fn locks_are_held_after_all_processes_were_killed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let addresses: Vec<_> = (0..3).map(|_| free_address().to_string()).collect();
    let addresses = addresses.join(",");
    let (mut granted, mut cluster, mut newest) = (Vec::new(), None, 0_u64);
    for (round, count) in [20, 55].into_iter().enumerate() {
        let (mut processes, name, _) = start_all(folder.path(), &addresses);
        assert_eq!(*cluster.get_or_insert(name.clone()), name, "it is the same cluster");
        for (number, process) in processes.iter_mut().enumerate() {
            process.order(&format!("take lock-{round}-{number}"));
        }
        for process in &mut processes {
            granted.extend((0..count).map(|_| process.answer("granted")));
        }
        // A token is the index of the command that granted it.
        newest = granted.iter().map(|lock| lock[1].parse().unwrap()).max().unwrap();
        for process in &mut processes {
            process.child.kill().unwrap();
        }
    }
    let (mut processes, _, applied) = start_all(folder.path(), &addresses);
    assert!(applied >= newest, "{applied} is applied, {newest} was acknowledged");
    assert_all_held(&mut processes, &granted);
}

fn assert_all_held(processes: &mut [Process], granted: &[Vec<String>]) {
    for (lock, number) in granted.iter().zip((0..3).cycle()) {
        let process = &mut processes[number];
        process.order(&format!("check {} {}", lock[0], lock[1]));
        assert_eq!(process.answer("checked"), [&lock[0], "true", "false"], "still held, and by nobody else");
    }
}

#[test]
fn locks_are_held_after_one_process_after_the_other_was_killed_amid_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let addresses: Vec<_> = (0..3).map(|_| free_address().to_string()).collect();
    let addresses = addresses.join(",");
    let (mut processes, ..) = start_all(folder.path(), &addresses);
    for (number, process) in processes.iter_mut().enumerate() {
        process.order(&format!("take first-{number}"));
    }
    let mut granted = Vec::new();
    for round in 0..6 {
        let victim = round % 3;
        let before = rand::random_range(20..100);
        granted.extend((0..before).map(|_| processes[victim].answer("granted")));
        processes[victim].child.kill().unwrap();
        for survivor in [(victim + 1) % 3, (victim + 2) % 3] {
            granted.extend((0..30).map(|_| processes[survivor].answer("granted")));
        }
        processes[victim] = Process::start(folder.path(), &addresses, victim);
        processes[victim].answer("cluster");
        processes[victim].order(&format!("take round-{round}"));
    }
    for process in &mut processes {
        process.child.kill().unwrap();
    }
    let snapshots = std::fs::read_dir(folder.path().join("s0/snapshots")).unwrap().count();
    assert!(snapshots > 0, "it never came to a snapshot");
    let (mut processes, ..) = start_all(folder.path(), &addresses);
    assert_all_held(&mut processes, &granted);
}
