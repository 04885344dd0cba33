//! Redis servers of a test's own, on free ports; they end with the value that holds them.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{ports::free_port, signals::send};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a port may turn out to be taken.
const STARTS_MAX: usize = 10;

/// Whether there is a `redis-server` to start.
pub fn is_installed() -> bool {
    Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// One `redis-server` process with a folder of its own.
pub struct RedisServer {
    pub port: u16,
    process: Child,
    folder: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one with further arguments and waits until it answers.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(|_, _| arguments.iter().map(ToString::to_string).collect())
    }

    /// The same with arguments that depend on its folder and its port, made anew where a port turns out to be taken.
    pub fn start_with(arguments: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        for _ in 0..STARTS_MAX {
            let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
            let arguments = arguments(folder.path(), port);
            let process = spawn(port, folder.path(), &arguments);
            let mut server = Self { port, process, folder, arguments };
            if server.answers() {
                return server;
            }
        }
        panic!("redis-server ends at once, on whichever port: its arguments may be wrong")
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs one command by `redis-cli` and gives what it prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]);
        if let Some(place) = self.arguments.iter().position(|argument| argument == "--requirepass") {
            command.env("REDISCLI_AUTH", &self.arguments[place + 1]);
        }
        if self.arguments.iter().any(|argument| argument == "--tls-port") {
            command.args(["--tls", "--insecure"]);
        }
        command.args(arguments);
        let output = command.output().unwrap();
        // Errors of the connection come on the other one.
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
    }

    /// Sends its process a signal; waits until it has stopped where it is SIGSTOP.
    pub fn signal(&self, signal: Signal) {
        send(&self.process, signal);
    }

    /// Starts it again on its port and its data, after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        self.process = spawn(self.port, self.folder.path(), &self.arguments);
        assert!(self.answers(), "redis-server starts again on port {}", self.port);
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits until it answers; `false` where it has ended instead.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.cli(&["ping"]);
            let has_ended = self.process.try_wait().unwrap().is_some();
            if has_ended || answer.contains("PONG") || answer.contains("NOAUTH") {
                return !has_ended;
            }
            let log = || std::fs::read_to_string(self.folder().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "redis-server does not answer, but {answer:?}: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(folder)
        .args(arguments)
        .stdout(std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server starts: install it, as tests/run does")
}

/// A Redis Cluster of three masters with a replica each.
pub struct RedisCluster {
    pub servers: Vec<RedisServer>,
}

impl RedisCluster {
    pub fn start() -> Self {
        let arguments = |_: &Path, _| {
            // By default its bus has the port plus 10,000, which may be somebody's.
            let bus = free_port().to_string();
            let fixed = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port"];
            fixed.map(str::to_owned).into_iter().chain([bus]).collect()
        };
        let servers: Vec<RedisServer> = (0..6).map(|_| RedisServer::start_with(arguments)).collect();
        let addresses = servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        let deadline = Instant::now() + Duration::from_mins(1);
        for server in &servers {
            while !server.cli(&["cluster", "info"]).contains("cluster_state:ok") {
                assert!(Instant::now() < deadline, "the Redis Cluster does not form");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Self { servers }
    }

    /// The place of the node that owns a key.
    pub fn owner(&self, key: &str) -> usize {
        let slot: u32 = self.servers[0].cli(&["cluster", "keyslot", key]).trim().parse().unwrap();
        let owns = |server: &&RedisServer| {
            let nodes = server.cli(&["cluster", "nodes"]);
            let own = nodes.lines().find(|line| line.contains("myself") && line.contains("master"));
            own.is_some_and(|line| {
                line.split(' ')
                    .skip(8)
                    .filter_map(|range| range.split_once('-'))
                    .any(|(first, last)| (first.parse::<u32>().unwrap()..=last.parse().unwrap()).contains(&slot))
            })
        };
        self.servers.iter().position(|server| owns(&server)).expect("the slot has an owner")
    }

    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(RedisServer::url).collect()
    }
}
