//! What one node of the cluster is told at start, checked.
//!
//! Pure: it resolves no names and opens no files. Each error names the flag and the mend.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{model::ServerId, quic::ClusterSecurity};

/// The settings of one node of the cluster.
#[derive(Debug, Clone)]
pub struct RaftConfig {
    /// The unique name of the game server that runs in this node.
    pub server_id: ServerId,
    /// Where it listens for its peers' QUIC (UDP). Port 0 takes a free one. Default 127.0.0.1:7400.
    pub listen: SocketAddr,
    /// What peers dial, `host:port`; by default the listen address, which must then be a real one.
    pub advertise: Option<String>,
    /// Addresses of other nodes, `host:port`; its own may be among them. None: a one-node cluster.
    pub peers: Vec<String>,
    /// How many fresh nodes to wait for at the very first start: a majority of those listed at
    /// least. Default: the peers and itself, its own address not counted twice.
    pub bootstrap_expect: Option<usize>,
    /// The folder of this node's data.
    pub data_dir: PathBuf,
    /// How nodes know each other.
    pub security: ClusterSecurity,
    /// The times of consensus.
    pub timing: RaftTiming,
    /// The lease of a server: 500 ms to 5 minutes, at least four heartbeats and two elections long. Default 1,200 ms.
    pub lease: Duration,
    /// The most voters; an odd number from 1 to 9. Further nodes are learners. Default 5.
    pub voters_max: usize,
    /// How long a voter may be silent until a learner that has caught up takes its seat: 2 s to a day. Default 30 s.
    pub voter_silence_max: Duration,
    /// When and how large snapshots are.
    pub snapshots: SnapshotLimits,
}

/// The times of consensus, made for a local network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftTiming {
    /// Time between a leader's heartbeats: 10 ms to 5 s. Default 100 ms.
    pub heartbeat: Duration,
    /// The least wait before an election, longer than a heartbeat. Default 200 ms.
    pub election_min: Duration,
    /// The most, at least 20 ms longer; also the leader's lease. Default 250 ms.
    pub election_max: Duration,
    /// How long a snapshot may take to be sent and installed: 5 s to 1 h. Default 60 s.
    pub install_snapshot: Duration,
    /// How long a peer may take to answer a request: 100 ms to 60 s. Default 2 s.
    pub request: Duration,
}

impl RaftTiming {
    /// How long a leader may hear nothing of a quorum until it counts as cut off: several heartbeats and elections.
    pub(super) fn quorum_silence(&self) -> Duration {
        Duration::from_secs(1).max(self.heartbeat * 4).max(self.election_max * 2)
    }
}

impl Default for RaftTiming {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(200),
            election_max: Duration::from_millis(250),
            install_snapshot: Duration::from_mins(1),
            request: Duration::from_secs(2),
        }
    }
}

/// When the cluster's own snapshots are made, and how large a room's may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotLimits {
    /// The log since the last snapshot that starts a new one, in bytes, or the last snapshot's
    /// size if that is more: 64 KiB to 16 GiB. Default 128 MiB.
    pub log_bytes: u64,
    /// How many entries the log keeps behind a snapshot for peers that lag: 0 to 10 million. Default 100,000. Fewer
    /// where they are more than `log_bytes`.
    pub entries_kept: u64,
    /// The largest snapshot of a room in bytes: 1 KiB to 16 MiB. Default 1 MiB.
    pub room_bytes_max: usize,
}

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self { log_bytes: 128 * 1024 * 1024, entries_kept: 100_000, room_bytes_max: 1024 * 1024 }
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RaftConfigError {
    /// An address that is not `host:port`.
    #[error("{flag}: {address:?} is not HOST:PORT: give an address such as 10.0.0.1:7400")]
    Address {
        /// The flag.
        flag: &'static str,
        /// What it says.
        address: String,
    },
    /// Nobody could dial what this node would tell its peers.
    #[error("--advertise: peers cannot dial {listen}: give the HOST:PORT by which they reach this node")]
    Unreachable {
        /// The listen address.
        listen: SocketAddr,
    },
    /// A list that holds only the node itself.
    #[error(
        "--peers lists only this node's own address: add the other nodes', or give --bootstrap-expect 1 for a cluster of one"
    )]
    OnlyItself,
    /// Too few nodes to be sure that no second cluster comes about.
    #[error(
        "--bootstrap-expect {expect} is no majority of the {listed} nodes listed, this one included: give {majority} or more"
    )]
    NoMajority {
        /// What was asked for.
        expect: usize,
        /// The nodes listed, itself included.
        listed: usize,
        /// The least that will do.
        majority: usize,
    },
    /// More nodes than could ever show up.
    #[error("--bootstrap-expect {expect} can never be met: --peers names {listed} nodes, this one included")]
    TooMany {
        /// What was asked for.
        expect: usize,
        /// The nodes listed, itself included.
        listed: usize,
    },
    /// An even number of voters, or too many.
    #[error("--voters-max {0} must be an odd number from 1 to 9")]
    Voters(usize),
    /// A number or a time outside of its range.
    #[error("{flag} {value} must be {range}")]
    Range {
        /// The flag.
        flag: &'static str,
        /// What it says.
        value: String,
        /// What is allowed.
        range: String,
    },
}

impl RaftConfig {
    /// The settings of a one-node cluster with all defaults.
    pub fn new(server_id: ServerId, data_dir: PathBuf, security: ClusterSecurity) -> Self {
        Self {
            server_id,
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            advertise: None,
            peers: Vec::new(),
            bootstrap_expect: None,
            data_dir,
            security,
            timing: RaftTiming::default(),
            lease: Duration::from_millis(1200),
            voters_max: 5,
            voter_silence_max: Duration::from_secs(30),
            snapshots: SnapshotLimits::default(),
        }
    }

    /// Checks everything that can be checked without looking around.
    ///
    /// # Errors
    /// The first [`RaftConfigError`] found.
    pub fn validate(&self) -> Result<(), RaftConfigError> {
        self.check_addresses()?;
        self.expected_nodes(&self.own_address())?;
        if self.voters_max.is_multiple_of(2) || self.voters_max > 9 {
            return Err(RaftConfigError::Voters(self.voters_max));
        }
        self.check_times()?;
        self.check_snapshots()
    }

    /// What peers dial, as far as the settings tell: with listen port 0 only the bound socket knows.
    pub fn own_address(&self) -> String {
        self.advertise.clone().unwrap_or_else(|| self.listen.to_string())
    }

    /// The listed nodes other than this one, each once, in the order given.
    pub fn other_peers(&self, own_address: &str) -> Vec<String> {
        let mut others: Vec<String> = Vec::new();
        for peer in &self.peers {
            let own = same_address(peer, own_address) || same_address(peer, &self.listen.to_string());
            if !own && !others.iter().any(|other| same_address(other, peer)) {
                others.push(peer.clone());
            }
        }
        others
    }

    /// How many fresh nodes found the cluster, this one included.
    ///
    /// # Errors
    /// Where the list or `--bootstrap-expect` cannot be.
    pub fn expected_nodes(&self, own_address: &str) -> Result<usize, RaftConfigError> {
        let listed = self.other_peers(own_address).len() + 1;
        let majority = listed / 2 + 1;
        match self.bootstrap_expect {
            None if listed == 1 && !self.peers.is_empty() => Err(RaftConfigError::OnlyItself),
            None => Ok(listed),
            Some(expect) if expect < majority => Err(RaftConfigError::NoMajority { expect, listed, majority }),
            Some(expect) if expect > listed => Err(RaftConfigError::TooMany { expect, listed }),
            Some(expect) => Ok(expect),
        }
    }

    fn check_addresses(&self) -> Result<(), RaftConfigError> {
        let advertise = self.advertise.iter().map(|address| ("--advertise", address));
        for (flag, address) in advertise.chain(self.peers.iter().map(|address| ("--peers", address))) {
            if !is_host_and_port(address) {
                return Err(RaftConfigError::Address { flag, address: address.clone() });
            }
        }
        if self.advertise.is_none() && self.listen.ip().is_unspecified() {
            return Err(RaftConfigError::Unreachable { listen: self.listen });
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), RaftConfigError> {
        let RaftTiming { heartbeat, election_min, election_max, install_snapshot, request } = self.timing;
        let ms = Duration::from_millis;
        check_time("--raft-heartbeat-ms", heartbeat, ms(10), ms(5_000))?;
        check_time("--election-min-ms", election_min, heartbeat + ms(1), ms(60_000))?;
        check_time("--election-max-ms", election_max, election_min + ms(20), ms(120_000))?;
        check_time("--install-snapshot-timeout-ms", install_snapshot, ms(5_000), ms(3_600_000))?;
        check_time("--peer-timeout-ms", request, ms(100), ms(60_000))?;
        let least = ms(500).max(heartbeat * 4).max(election_max * 2);
        check_time("--voter-silence-max-ms", self.voter_silence_max, ms(2_000), ms(86_400_000))?;
        check_time("--lease-ms", self.lease, least, ms(300_000))
    }

    fn check_snapshots(&self) -> Result<(), RaftConfigError> {
        const KIB: u64 = 1024;
        let SnapshotLimits { log_bytes, entries_kept, room_bytes_max } = self.snapshots;
        check_number("--snapshot-log-bytes", log_bytes, 64 * KIB, 16 * KIB * KIB * KIB)?;
        check_number("--log-entries-kept", entries_kept, 0, 10_000_000)?;
        check_number("--room-snapshot-bytes-max", room_bytes_max as u64, KIB, 16 * KIB * KIB)
    }
}

fn check_time(flag: &'static str, time: Duration, least: Duration, most: Duration) -> Result<(), RaftConfigError> {
    if (least..=most).contains(&time) {
        return Ok(());
    }
    let range = format!("from {} to {}", least.as_millis(), most.as_millis());
    Err(RaftConfigError::Range { flag, value: time.as_millis().to_string(), range })
}

fn check_number(flag: &'static str, number: u64, least: u64, most: u64) -> Result<(), RaftConfigError> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(RaftConfigError::Range { flag, value: number.to_string(), range: format!("from {least} to {most}") })
}

fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let host_is_fine = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    host_is_fine && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether two spellings name one address, without looking names up: `localhost` is 127.0.0.1.
fn same_address(one: &str, other: &str) -> bool {
    fn plain(address: &str) -> String {
        let local = address.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let address = local.unwrap_or_else(|| address.to_ascii_lowercase());
        address.parse::<SocketAddr>().map_or(address, |parsed| parsed.to_string())
    }
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::ClusterSecret;

    fn config(peers: &[&str]) -> RaftConfig {
        let secret = ClusterSecret::parse("a secret of a test's own").expect("long enough");
        let server_id = ServerId::new("s1").expect("a name");
        let mut config = RaftConfig::new(server_id, "data".into(), ClusterSecurity::Secret(secret));
        config.peers = peers.iter().map(|peer| (*peer).to_owned()).collect();
        config
    }

    #[test]
    fn its_own_address_among_the_peers_is_not_counted_twice() {
        let config = config(&["localhost:7400", "127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7402"]);
        assert_eq!(config.expected_nodes(&config.own_address()), Ok(3));
    }

    #[test]
    fn no_peers_make_a_cluster_of_one_and_only_itself_is_an_error() {
        assert_eq!(config(&[]).validate(), Ok(()));
        let mut alone = config(&["127.0.0.1:7400"]);
        assert_eq!(alone.validate(), Err(RaftConfigError::OnlyItself));
        alone.bootstrap_expect = Some(1);
        assert_eq!(alone.validate(), Ok(()));
    }

    #[test]
    fn fewer_than_a_majority_cannot_found_a_cluster() {
        let mut config = config(&["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"]);
        config.bootstrap_expect = Some(2);
        assert_eq!(config.validate(), Err(RaftConfigError::NoMajority { expect: 2, listed: 4, majority: 3 }));
        config.bootstrap_expect = Some(3);
        assert_eq!(config.validate(), Ok(()));
        config.bootstrap_expect = Some(5);
        assert_eq!(config.validate(), Err(RaftConfigError::TooMany { expect: 5, listed: 4 }));
    }

    #[test]
    fn what_is_no_address_is_named_with_its_flag() {
        for bad in ["", "host", "host:", ":7400", "host:0", "host:70000", "ho st:1", "[::1:7400"] {
            let error = config(&[bad]).validate().expect_err(bad);
            assert!(error.to_string().starts_with("--peers"), "{error}");
        }
        assert!(is_host_and_port("[::1]:7400") && is_host_and_port("node-1.example.org:7400"));
        let mut everywhere = config(&[]);
        everywhere.listen = SocketAddr::from(([0, 0, 0, 0], 7400));
        assert!(matches!(everywhere.validate(), Err(RaftConfigError::Unreachable { .. })));
    }

    #[test]
    fn times_out_of_their_range_are_refused() {
        let mut config = config(&[]);
        config.lease = Duration::from_millis(100);
        assert!(config.validate().is_err_and(|error| error.to_string().contains("--lease-ms 100 must be from 500")));
        config.lease = Duration::from_millis(1200);
        config.timing.election_min = Duration::from_millis(50);
        assert!(config.validate().is_err_and(|error| error.to_string().contains("--election-min-ms")));
    }
}
