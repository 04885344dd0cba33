//! Three etcd servers and their callers.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{PAYLOAD_BYTES, Slice};

/// How long the servers may take to become a cluster.
const START_MAX: Duration = Duration::from_secs(30);

/// A running cluster; ended when it is dropped.
pub struct Etcd {
    servers: Vec<Child>,
    endpoints: String,
    driver: PathBuf,
    _folder: TempDir,
}

impl Etcd {
    /// Starts three servers; none where etcd or its driver is not to be had, which is said.
    pub fn start() -> Option<Self> {
        let driver = driver().inspect_err(|problem| eprintln!("etcd takes no part: {problem}")).ok()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listeners: Vec<TcpListener> =
            (0..6).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let urls: Vec<String> =
            listeners.iter().map(|listener| format!("http://{}", listener.local_addr().expect("an address"))).collect();
        drop(listeners);
        let (peers, clients) = urls.split_at(3);
        let members: Vec<String> =
            peers.iter().enumerate().map(|(number, peer)| format!("etcd-{number}={peer}")).collect();
        let server = |number: usize| {
            Command::new("etcd")
                .args(["--name", &format!("etcd-{number}"), "--data-dir"])
                .arg(folder.path().join(number.to_string()))
                .args(["--listen-peer-urls", &peers[number], "--initial-advertise-peer-urls", &peers[number]])
                .args(["--listen-client-urls", &clients[number], "--advertise-client-urls", &clients[number]])
                .args(["--initial-cluster", &members.join(","), "--initial-cluster-state", "new"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let servers: Result<Vec<Child>, _> = (0..3).map(server).collect();
        let servers =
            servers.inspect_err(|error| eprintln!("etcd takes no part: {error}: install etcd-server")).ok()?;
        let etcd = Self { servers, endpoints: clients.join(","), driver, _folder: folder };
        etcd.until_it_takes_puts();
        Some(etcd)
    }

    /// Has so many callers put for so long.
    pub fn run(&self, callers: usize, seconds: usize) -> Slice {
        self.drive(callers, &seconds.to_string()).expect("etcd takes puts")
    }

    fn drive(&self, callers: usize, seconds: &str) -> Result<Slice, String> {
        let output = Command::new(&self.driver)
            .args([&self.endpoints, &callers.to_string(), seconds, &PAYLOAD_BYTES.to_string()])
            .output()
            .map_err(|error| error.to_string())?;
        serde_json::from_slice(&output.stdout).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn until_it_takes_puts(&self) {
        let deadline = Instant::now() + START_MAX;
        while let Err(problem) = self.drive(1, "0.01") {
            assert!(Instant::now() < deadline, "etcd does not start: {problem}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Builds what puts, a package of its own.
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
