//! The demo's node processes: real ones, of this binary, on free loopback ports with throwaway data.

use std::{
    fs::File,
    io::{Error, Result},
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{Instant, timeout},
};

use crate::quic::ClusterSecret;

/// The most time for the nodes to form a cluster and serve players.
const READY_TIME: Duration = Duration::from_mins(1);

/// One node process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) server_id: String,
    pub(super) gateway: String,
    pub(super) ops: String,
    log: PathBuf,
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

/// All of them, and the folder with their data, which goes with this value.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    pub(super) folder: TempDir,
}

impl Cluster {
    /// An empty folder, and no process yet.
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("roomraft-demo-").tempdir()?;
        Ok(Self { nodes: Vec::new(), folder })
    }

    /// Starts `count` nodes and waits until each serves players; gives the time since the last one's start.
    pub(super) async fn start(&mut self, count: usize, room: &str) -> Result<Duration> {
        let folder = self.folder.path();
        std::fs::write(folder.join("secret"), ClusterSecret::generate())?;
        let ports = free_ports(count)?;
        let peers: Vec<String> = ports.iter().map(|[listen, ..]| address(*listen)).collect();
        for (number, ports) in ports.iter().enumerate() {
            let node = Node::start(folder, &format!("s{}", number + 1), *ports, &peers.join(","), room)?;
            self.nodes.push(node);
        }
        let started = Instant::now();
        for node in &mut self.nodes {
            node.ready(started + READY_TIME).await?;
        }
        Ok(started.elapsed())
    }

    /// The nodes that have not been killed.
    pub(super) fn living(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.child.id().is_some())
    }

    /// Kills a node with no chance to say goodbye, and waits for its end.
    pub(super) async fn kill(&mut self, server_id: &str) -> Result<()> {
        match self.nodes.iter_mut().find(|node| node.server_id == server_id) {
            Some(node) => node.child.kill().await,
            None => Err(Error::other(format!("there is no node {server_id}"))),
        }
    }

    /// Kills every node and waits for their ends, then removes the folder.
    pub(super) async fn stop(mut self) -> Result<()> {
        for node in &mut self.nodes {
            if node.child.id().is_some() {
                node.child.kill().await?;
            }
        }
        self.folder.close()
    }

    /// A node that ended though nobody killed it, with the last that it said.
    pub(super) fn fallen(&mut self, killed: Option<&str>) -> Option<String> {
        let others = self.nodes.iter_mut().filter(|node| Some(node.server_id.as_str()) != killed);
        others.into_iter().find_map(|node| {
            let status = node.child.try_wait().ok()??;
            Some(format!("{} ended by itself ({status}): {}", node.server_id, node.last_words()))
        })
    }
}

impl Node {
    fn start(folder: &Path, server_id: &str, ports: [u16; 3], peers: &str, room: &str) -> Result<Self> {
        let [listen, gateway, ops] = ports.map(address);
        let log = folder.join(format!("{server_id}.log"));
        let mut command = Command::new(std::env::current_exe()?);
        // What the caller's environment says of other nodes is not meant for these.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROOMRAFT_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["node", "--adapter", "raft", "--server-id", server_id, "--listen", &listen, "--peers", peers])
            .args(["--gateway", &gateway, "--ops", &ops, "--room", room, "--snapshot-interval-ms", "1000"])
            .arg("--secret-file")
            .arg(folder.join("secret"))
            .arg("--data-dir")
            .arg(folder.join(server_id))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            // A Ctrl-C in the terminal is for the demo alone, which then stops its nodes itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or_else(|| Error::other("a node without standard output"))?;
        let output = BufReader::new(output).lines();
        Ok(Self { server_id: server_id.to_owned(), gateway, ops, log, child, output })
    }

    /// Waits for the line that says that it serves players.
    async fn ready(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        let problem = match timeout(left, self.output.next_line()).await {
            Ok(Ok(Some(line))) if line.starts_with("ready ") => return Ok(()),
            Ok(Ok(Some(line))) => format!("said {line:?} instead of being ready"),
            Ok(Ok(None)) => "ended before it was ready".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("was not ready within {} s", READY_TIME.as_secs()),
        };
        Err(Error::other(format!("{} {problem}: {}", self.server_id, self.last_words())))
    }

    /// The last line of its log.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().next_back().unwrap_or("it said nothing").to_owned()
    }
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Three ports for each node that nobody uses: for peers (UDP), players and operators (TCP).
fn free_ports(count: usize) -> Result<Vec<[u16; 3]>> {
    // All are held at once, so that they differ; the nodes take them a moment later.
    let mut held = Vec::new();
    for _ in 0..count {
        let peers = UdpSocket::bind("127.0.0.1:0")?;
        held.push((peers, TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?));
    }
    let ports = held.iter().map(|(peers, players, operators)| {
        Ok([peers.local_addr()?.port(), players.local_addr()?.port(), operators.local_addr()?.port()])
    });
    ports.collect()
}
