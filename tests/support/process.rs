//! Real `roomraft node` processes on free loopback ports, with throwaway data; killed when dropped.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{network::Network, ports::free_address, signals::send, wait::until};

/// Where a test that serves in the place of the binary finds its arguments.
pub const ARGUMENTS: &str = "ROOMRAFT_TEST_NODE";

/// One node: its addresses, its folder and, while it runs, its process.
pub struct Node {
    pub server_id: String,
    pub listen: String,
    pub gateway: String,
    pub ops: String,
    pub data_dir: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    /// What its points of failure do, in the words of the crate `fail`.
    pub failpoints: String,
    /// An ignored test of this very binary that serves instead of the crate's binary.
    stand_in: Option<&'static str>,
    log: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// A node of the raft adapter that has not been started.
    pub fn new(folder: &Path, server_id: &str) -> Self {
        let address = || free_address().to_string();
        Self {
            server_id: server_id.to_owned(),
            listen: address(),
            gateway: address(),
            ops: address(),
            data_dir: folder.join(server_id),
            arguments: Vec::new(),
            variables: Vec::new(),
            failpoints: String::new(),
            stand_in: None,
            log: folder.join(format!("{server_id}.log")),
            child: None,
        }
    }

    /// Further arguments for each start.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// A variable of the environment for each start.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has an ignored test of this very binary serve in the place of the crate's binary: it finds the same arguments
    /// in the variable [`ARGUMENTS`], a line each.
    pub fn serve_by(&mut self, test: &'static str) {
        self.stand_in = Some(test);
    }

    /// Starts its process; standard output and error go to its log.
    pub fn start(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let data_dir = self.data_dir.display().to_string();
        let own = ["--server-id", &self.server_id, "--listen", &self.listen, "--gateway", &self.gateway];
        let own = own.into_iter().chain(["--ops", &self.ops, "--data-dir", &data_dir]);
        let arguments: Vec<&str> = own.chain(self.arguments.iter().map(String::as_str)).collect();
        let mut command = match self.stand_in {
            None => Command::new(env!("CARGO_BIN_EXE_roomraft")),
            Some(_) => Command::new(std::env::current_exe().expect("this test's binary")),
        };
        match self.stand_in {
            None => command.arg("node").args(arguments),
            Some(test) => {
                command.args([test, "--exact", "--ignored", "--nocapture"]).env(ARGUMENTS, arguments.join("\n"))
            }
        };
        let child = command
            .env("FAILPOINTS", &self.failpoints)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the built binary starts");
        self.child = Some(child);
    }

    /// Waits until it serves players.
    pub async fn ready(&self) {
        until(&format!("readiness of {}", self.server_id), || async {
            self.http("/readyz").await.map_err(|error| format!("{error}; its log:\n{}", self.log_tail()))
        })
        .await;
    }

    /// One GET on its ops listener, as JSON; an error where the status is not 200.
    pub async fn http(&self, path: &str) -> Result<Value, String> {
        let url = format!("http://{}{path}", self.ops);
        tokio::task::spawn_blocking(move || {
            let mut response = ureq::get(&url).call().map_err(|error| error.to_string())?;
            let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
            Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        })
        .await
        .expect("the request does not panic")
    }

    /// `GET /status`.
    pub async fn status(&self) -> Result<Value, String> {
        self.http("/status").await
    }

    /// `GET /rooms`, the rooms themselves.
    pub async fn rooms(&self) -> Result<Vec<Value>, String> {
        let answer = self.http("/rooms?limit=1000000").await?;
        answer["rooms"].as_array().cloned().ok_or_else(|| format!("no rooms in {answer}"))
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// The number of its process.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Sends its process a signal; waits until it has stopped where it is SIGSTOP.
    pub fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            send(child, signal);
        }
    }

    /// kill -9, and its exit awaited.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill");
            child.wait().expect("exit");
        }
    }

    /// Waits for its process to end by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("a started node");
        let server_id = self.server_id.clone();
        let cell = std::cell::RefCell::new(child);
        let status = until(&format!("exit of {server_id}"), || {
            let status = cell.borrow_mut().try_wait().expect("a process of ours");
            async move { status.ok_or("it still runs") }
        })
        .await;
        self.child = None;
        status
    }

    /// All that it has printed so far, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} printed:\n{}", self.server_id, self.log_tail());
        }
        self.kill();
    }
}

/// Some nodes that know each other's addresses and share a secret, in one throwaway folder.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Cluster {
    /// `count` nodes `s1`, `s2`, … that are not started; each gets `arguments` too.
    pub fn new(count: usize, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a throwaway folder");
        let nodes: Vec<Node> = (1..=count).map(|n| Node::new(folder.path(), &format!("s{n}"))).collect();
        let peers: Vec<String> = nodes.iter().map(|node| node.listen.clone()).collect();
        Self::of(nodes, folder, &peers, arguments)
    }

    /// `count` nodes that reach each other through a network that can be cut, not started.
    pub async fn on_a_network(count: usize, arguments: &[&str]) -> (Self, Network) {
        let folder = tempfile::tempdir().expect("a throwaway folder");
        let nodes: Vec<Node> = (1..=count).map(|n| Node::new(folder.path(), &format!("s{n}"))).collect();
        let listening: Vec<SocketAddr> = nodes.iter().map(|node| node.listen.parse().expect("an address")).collect();
        let (network, proxies) = Network::start(&listening).await;
        let peers: Vec<String> = proxies.iter().map(ToString::to_string).collect();
        let nodes = nodes.into_iter().zip(&peers).map(|(node, proxy)| node.with(&["--advertise", proxy])).collect();
        (Self::of(nodes, folder, &peers, arguments), network)
    }

    fn of(nodes: Vec<Node>, folder: tempfile::TempDir, peers: &[String], arguments: &[&str]) -> Self {
        std::fs::write(folder.path().join("secret"), "a secret of these tests alone\n").expect("a secret file");
        let secret = folder.path().join("secret").display().to_string();
        let mut common = vec!["--peers".to_owned(), peers.join(","), "--secret-file".to_owned(), secret];
        common.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let mut cluster = Self { nodes: Vec::new(), folder, arguments: common };
        for node in nodes {
            cluster.nodes.push(node.with(&cluster.common()));
        }
        cluster
    }

    /// A started cluster that serves players through every node.
    pub async fn started(count: usize, arguments: &[&str]) -> Self {
        let mut cluster = Self::new(count, arguments);
        cluster.start().await;
        cluster
    }

    /// Starts every node that does not run, and waits until all serve players.
    pub async fn start(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| !node.is_running()) {
            node.start();
        }
        for node in &self.nodes {
            node.ready().await;
        }
    }

    /// A further node with the same peers and secret, not started.
    pub fn another(&self, server_id: &str) -> Node {
        Node::new(self.folder.path(), server_id).with(&self.common())
    }

    fn common(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    /// The place of the leader among the nodes, as the running ones agree.
    pub async fn leader(&self) -> usize {
        until("one leader that all running nodes name", || async {
            let mut named = Vec::new();
            for node in self.nodes.iter().filter(|node| node.is_running()) {
                named.push(node.status().await?["leader"].clone());
            }
            let place = self.nodes.iter().position(|node| Some(node.server_id.as_str()) == named[0].as_str());
            match place {
                Some(place) if self.nodes[place].is_running() && named.iter().all(|name| *name == named[0]) => {
                    Ok(place)
                }
                _ => Err(format!("{named:?}")),
            }
        })
        .await
    }

    /// The place of a running node that does not lead.
    pub async fn follower(&self) -> usize {
        let leader = self.leader().await;
        (0..self.nodes.len()).find(|place| *place != leader && self.nodes[*place].is_running()).expect("a follower")
    }

    /// The gateways of the running nodes.
    pub fn gateways(&self) -> Vec<String> {
        self.nodes.iter().filter(|node| node.is_running()).map(|node| node.gateway.clone()).collect()
    }

    /// A running node.
    pub fn any(&self) -> &Node {
        self.nodes.iter().find(|node| node.is_running()).expect("a running node")
    }
}
