//! Redis servers of a test's own, on free ports; they end with the value that holds them.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::ports::free_port;

/// One `redis-server` process.
pub struct RedisServer {
    pub port: u16,
    process: Child,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one with further arguments and waits until it answers.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(|| arguments.iter().map(ToString::to_string).collect())
    }

    /// The same with arguments that are made anew where a port turns out to be taken.
    fn start_with(arguments: impl Fn() -> Vec<String>) -> Self {
        loop {
            let (port, folder, arguments) = (free_port(), tempfile::tempdir().unwrap(), arguments());
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut server = Self { port, process: spawn(port, folder.path(), &arguments), folder };
            if server.answers() {
                return server;
            }
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs one command by `redis-cli` and gives what it prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as a crash does, and starts it again on its port and its data.
    pub fn kill_and_restart(&mut self, arguments: &[&str]) {
        self.kill();
        self.process = spawn(self.port, self.folder.path(), arguments);
        assert!(self.answers(), "redis-server starts again on port {}", self.port);
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits until it answers; `false` where it has ended instead.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.cli(&["ping"]);
            let has_ended = self.process.try_wait().unwrap().is_some();
            if has_ended || answer.contains("PONG") || answer.contains("NOAUTH") {
                return !has_ended;
            }
            assert!(Instant::now() < deadline, "redis-server on port {} does not answer", self.port);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(port: u16, folder: &std::path::Path, arguments: &[&str]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(folder)
        .args(arguments)
        .stdout(Stdio::null())
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
        let arguments = || {
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

    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(RedisServer::url).collect()
    }
}
