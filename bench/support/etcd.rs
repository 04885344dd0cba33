//! Three etcd servers with default settings, and the program that calls them by etcd's native client.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How many servers there are.
const SERVERS: usize = 3;
/// How long the servers may take to become a cluster.
const START_MAX: Duration = Duration::from_secs(30);
/// Time between two looks at whether they are one.
const GLANCE: Duration = Duration::from_millis(100);

/// A cluster; its servers are ended when it is dropped.
#[derive(Debug)]
pub struct Etcd {
    servers: Vec<Option<Child>>,
    peers: Vec<String>,
    clients: Vec<String>,
    driver: PathBuf,
    folder: TempDir,
}

impl Etcd {
    /// Starts the servers and waits until they have a leader; none where etcd or its driver is not to be had, which is
    /// said.
    pub fn start() -> Option<Self> {
        let driver = driver().inspect_err(|problem| eprintln!("etcd takes no part: {problem}")).ok()?;
        let listeners: Vec<TcpListener> =
            (0..SERVERS * 2).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let mut peers: Vec<String> =
            listeners.iter().map(|listener| format!("http://{}", listener.local_addr().expect("an address"))).collect();
        drop(listeners);
        let clients = peers.split_off(SERVERS);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut etcd = Self { servers: Vec::new(), peers, clients, driver, folder };
        for number in 0..SERVERS {
            let server = etcd.spawn(number);
            let server = server.inspect_err(|error| eprintln!("etcd takes no part: {error}: install etcd-server"));
            etcd.servers.push(Some(server.ok()?));
        }
        etcd.leader();
        Some(etcd)
    }

    /// A call of the driver at all servers, with what it is to be told besides.
    pub fn driver(&self, mode: &str, further: &[String]) -> Command {
        let mut command = Command::new(&self.driver);
        command.args([mode, &self.clients.join(",")]).args(further);
        command
    }

    /// A call of the driver at all servers but one.
    pub fn driver_beside(&self, left_out: usize, mode: &str) -> Command {
        let mut endpoints = self.clients.clone();
        endpoints.remove(left_out);
        let mut command = Command::new(&self.driver);
        command.args([mode, &endpoints.join(",")]);
        command
    }

    /// The number of the leader, once all servers run and agree on it and on what they have applied.
    pub fn leader(&self) -> usize {
        let deadline = Instant::now() + START_MAX;
        loop {
            match answer(&mut self.driver("leader", &[])) {
                Ok(leader) => return serde_json::from_value(leader).expect("a number"),
                Err(problem) => assert!(Instant::now() < deadline, "etcd is no cluster: {problem}"),
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Ends a server by kill -9.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut server) = self.servers[number].take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Starts those again that were killed, with the data that they had.
    pub fn restart(&mut self) {
        for number in 0..SERVERS {
            if self.servers[number].is_none() {
                self.servers[number] = Some(self.spawn(number).expect("etcd starts again"));
            }
        }
    }

    /// The numbers of the running servers' processes.
    pub fn processes(&self) -> Vec<u32> {
        self.servers.iter().flatten().map(Child::id).collect()
    }

    fn spawn(&self, number: usize) -> std::io::Result<Child> {
        let (peer, client) = (&self.peers[number], &self.clients[number]);
        let members: Vec<String> =
            self.peers.iter().enumerate().map(|(number, peer)| format!("etcd-{number}={peer}")).collect();
        Command::new("etcd")
            .args(["--name", &format!("etcd-{number}"), "--data-dir"])
            .arg(self.folder.path().join(number.to_string()))
            .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
            .args(["--listen-client-urls", client, "--advertise-client-urls", client])
            .args(["--initial-cluster", &members.join(","), "--initial-cluster-state", "new"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for number in 0..self.servers.len() {
            self.kill(number);
        }
    }
}

/// What the driver printed, else what it complained of.
pub fn answer(command: &mut Command) -> Result<Value, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Builds the driver, a package of its own.
fn driver() -> Result<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/etcd_driver");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--locked", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !built.success() {
        return Err("its driver cannot be built: install protobuf-compiler".to_owned());
    }
    Ok(package.join("target/release/etcd_driver"))
}
