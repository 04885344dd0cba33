//! The configuration of a node: flags over variables over the TOML file over defaults, in one struct.
//!
//! What is wrong is a [`ConfigError`], one line that names the flag or key and the mend. Nothing is
//! opened or bound here except the configuration and secret files.

mod arguments;
mod error;
mod redis;
mod secret;
mod values;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
};

use self::values::{choice, number, rooms, socket, time};
pub(crate) use self::{
    arguments::NodeArguments,
    error::{ConfigError, clap_line, one_line},
    secret::{ops_token, secret},
    values::{RelaySpec, host_port},
};
use crate::{
    adapter::{MemoryOptions, RedisOptions},
    gateway::{GatewayConfig, GatewayTls},
    model::{Coordinates, Place, RoomType, ServerId},
    quic::ClusterSecurity,
    raft::{RaftConfig, RaftTiming},
    routing::{LoadBalancedRouter, Strategy},
};

const HOUR_MS: u64 = 3_600_000;

/// Everything that a node is told, checked.
#[derive(Debug, Clone)]
pub(crate) struct NodeConfig {
    pub(crate) server_id: ServerId,
    pub(crate) gateway: GatewayConfig,
    /// Where players are redirected to; `None` = the gateway's own address.
    pub(crate) public_address: Option<String>,
    pub(crate) public_port: Option<u16>,
    pub(crate) ops: SocketAddr,
    pub(crate) rooms: BTreeMap<RoomType, RelaySpec>,
    pub(crate) capacity: u32,
    pub(crate) place: Place,
    pub(crate) backend: Backend,
    pub(crate) router: LoadBalancedRouter,
    pub(crate) enable_failover: bool,
    pub(crate) heartbeat_interval: Duration,
    /// Zero = no periodic snapshots.
    pub(crate) snapshot_interval: Duration,
    pub(crate) migration_timeout: Duration,
    pub(crate) log_format: LogFormat,
    /// The text of the operators' token, where it is given rather than derived from the secret.
    pub(crate) ops_token: Option<String>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where the registry is kept.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Raft(Box<RaftConfig>),
    Memory(MemoryOptions),
    /// With the folder that keeps who the node is.
    Redis(Box<RedisOptions>, PathBuf),
}

/// The form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy)]
enum Kind {
    Raft,
    Memory,
    Redis,
}

impl NodeConfig {
    /// Reads the file that `flags` name, lays the flags over it, and checks everything.
    pub(crate) fn load(flags: NodeArguments) -> Result<Self, ConfigError> {
        let arguments = match flags.config.clone() {
            Some(path) => layered(&flags, &path)?,
            None => flags,
        };
        Self::checked(&arguments)
    }

    /// The host that players are redirected to, with its scheme where the gateway has TLS.
    pub(crate) fn public_address(&self) -> String {
        let host = self.public_address.clone().unwrap_or_else(|| match self.gateway.listen.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        let plain = self.gateway.tls.is_none() || host.contains("://");
        if plain { host } else { format!("wss://{host}") }
    }

    /// The text of the operators' token: that of the environment, else the one that the secret gives.
    pub(crate) fn operators_token(&self) -> Option<String> {
        let from_secret = || match &self.backend {
            Backend::Raft(config) => match &config.security {
                ClusterSecurity::Secret(secret) => Some(secret.ops_token()),
                ClusterSecurity::Pem { .. } => None,
            },
            Backend::Memory(_) | Backend::Redis(..) => None,
        };
        self.ops_token.clone().or_else(from_secret)
    }

    fn checked(given: &NodeArguments) -> Result<Self, ConfigError> {
        let server_id = server_id(given.server_id.as_deref())?;
        let rooms = rooms(&split(given.room.as_deref(), ';').unwrap_or_else(|| vec!["relay=relay".to_owned()]))?;
        let public_port = given.public_port.map(|port| number("public-port", Some(port), 0, 1..=u16::MAX));
        let interval =
            |name, given, default, least| time(name, given, Duration::from_secs(default), least..=24 * HOUR_MS);
        Ok(Self {
            gateway: gateway(given)?,
            public_address: given.public_address.as_deref().map(public_address).transpose()?,
            public_port: public_port.transpose()?,
            ops: socket("ops", given.ops.as_deref(), loopback(9400))?,
            rooms,
            capacity: number("capacity", given.capacity, 100, 1..=1_000_000)?,
            place: place(given)?,
            backend: backend(given, &server_id)?,
            router: router(given)?,
            enable_failover: given.enable_failover.unwrap_or(true),
            heartbeat_interval: interval("heartbeat-interval-ms", given.heartbeat_interval_ms, 5, 10)?,
            snapshot_interval: interval("snapshot-interval-ms", given.snapshot_interval_ms, 30, 0)?,
            migration_timeout: interval("migration-timeout-ms", given.migration_timeout_ms, 10, 100)?,
            log_format: choice(
                "log-format",
                given.log_format.as_deref(),
                LogFormat::Text,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
            ops_token: ops_token(),
            server_id,
        })
    }
}

/// The flags over the file.
fn layered(flags: &NodeArguments, path: &Path) -> Result<NodeArguments, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::flag("config", format!("{} cannot be read ({error})", path.display()), "name a TOML file")
    })?;
    let mend = "use the keys of `roomraft node --help`, without the dashes in front";
    let refuse = |error: figment::Error| {
        let key = error.path.join(".");
        let place = if key.is_empty() { String::new() } else { format!("key {key}: ") };
        let problem = match error.kind {
            figment::error::Kind::UnknownField(key, _) => format!("unknown key {key:?}"),
            kind => format!("{place}{kind}"),
        };
        ConfigError::file(path, problem, mend)
    };
    // A key that nobody knows is refused before the flags are laid over it.
    Figment::from(Toml::string(&text)).extract::<NodeArguments>().map_err(refuse)?;
    let given = serde_json::to_value(flags).unwrap_or_default();
    let given: BTreeMap<String, serde_json::Value> = match given {
        serde_json::Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => BTreeMap::new(),
    };
    Figment::from(Toml::string(&text)).merge(Serialized::defaults(given)).extract().map_err(refuse)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn server_id(given: Option<&str>) -> Result<ServerId, ConfigError> {
    let name = given.map_or_else(|| gethostname::gethostname().to_string_lossy().into_owned(), str::to_owned);
    ServerId::new(&name).map_err(|error| ConfigError::flag("server-id", error.to_string(), "give a name such as s1"))
}

fn public_address(given: &str) -> Result<String, ConfigError> {
    let host = given.strip_prefix("ws://").or_else(|| given.strip_prefix("wss://")).unwrap_or(given);
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
    let brackets = host.starts_with('[') && host.ends_with(']');
    if plain && (brackets || !host.contains(':')) {
        return Ok(given.to_owned());
    }
    let mend = "give a host, with ws:// or wss:// in front or not; its port goes to --public-port";
    Err(ConfigError::flag("public-address", format!("{given:?} is not a host"), mend))
}

fn gateway(given: &NodeArguments) -> Result<GatewayConfig, ConfigError> {
    let (cert, key) = (given.gateway_tls_cert.as_ref(), given.gateway_tls_key.as_ref());
    let tls = pair("gateway-tls-cert", cert, "gateway-tls-key", key)?;
    let policy = given.duplicate_join_policy.as_deref().map(str::parse).transpose();
    let mut config = GatewayConfig {
        tls: tls.map(|TlsFiles { cert, key }| GatewayTls { certificate: cert, key }),
        duplicate_join_policy: policy
            .map_err(|error: String| ConfigError::new(&format!("--duplicate-join-policy: {error}")))?
            .unwrap_or_default(),
        ..GatewayConfig::default()
    };
    config.listen = socket("gateway", given.gateway.as_deref(), config.listen)?;
    config.connections_max = number("connections-max", given.connections_max, config.connections_max, 1..=1_000_000)?;
    config.message_bytes_max =
        number("message-bytes-max", given.message_bytes_max, config.message_bytes_max, 1024..=64 << 20)?;
    let (rate, burst) = (given.packets_per_second, given.packets_burst);
    config.packets_per_second = number("packets-per-second", rate, config.packets_per_second, 1..=1_000_000)?;
    config.packets_burst = number("packets-burst", burst, config.packets_burst, 1..=1_000_000)?;
    config.send_queue = number("send-queue", given.send_queue, config.send_queue, 1..=1_000_000)?;
    config.ping_interval = time("ping-interval-ms", given.ping_interval_ms, config.ping_interval, 100..=HOUR_MS)?;
    Ok(config)
}

fn place(given: &NodeArguments) -> Result<Place, ConfigError> {
    let coordinates = given.coordinates.as_deref().map(|text| {
        let mend = "write degrees north and east, such as 50.11,8.68";
        let numbers = text.split_once(',').map(|(north, east)| (north.trim().parse(), east.trim().parse()));
        let Some((Ok(latitude), Ok(longitude))) = numbers else {
            return Err(ConfigError::flag("coordinates", format!("{text:?} is no place"), mend));
        };
        Coordinates::new(latitude, longitude).map_err(|error| ConfigError::new(&format!("--coordinates: {error}")))
    });
    let place = Place::new(given.region.clone(), coordinates.transpose()?);
    place.map_err(|error| ConfigError::new(&format!("--region: {error}")))
}

fn router(given: &NodeArguments) -> Result<LoadBalancedRouter, ConfigError> {
    let strategy = given.strategy.as_deref().unwrap_or("least-rooms").parse::<Strategy>();
    let strategy = strategy.map_err(|error| ConfigError::new(&format!("--strategy: {error}")))?;
    let percent = number("local-preference-percent", given.local_preference_percent, 80_u8, 0..=100)?;
    let router = LoadBalancedRouter::new(strategy).prefer_local(given.prefer_local.unwrap_or(true));
    Ok(router.local_preference_threshold(f64::from(percent) / 100.0))
}

/// Two files that only make sense together.
fn pair(
    cert_name: &str,
    cert: Option<&PathBuf>,
    key_name: &str,
    key: Option<&PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert: cert.clone(), key: key.clone() })),
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(ConfigError::flag(key_name, "missing", format!("give it too, or leave out --{cert_name}")))
        }
        (None, Some(_)) => {
            Err(ConfigError::flag(cert_name, "missing", format!("give it too, or leave out --{key_name}")))
        }
    }
}

fn split(given: Option<&[String]>, separator: char) -> Option<Vec<String>> {
    let parts = given?.iter().flat_map(|text| text.split(separator));
    Some(parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

fn backend(given: &NodeArguments, server_id: &ServerId) -> Result<Backend, ConfigError> {
    let kinds = [("raft", Kind::Raft), ("memory", Kind::Memory), ("redis", Kind::Redis)];
    match choice("adapter", given.adapter.as_deref(), Kind::Raft, &kinds)? {
        Kind::Raft => raft(given, server_id).map(|config| Backend::Raft(Box::new(config))),
        Kind::Memory => {
            let mut options = MemoryOptions::default();
            options.server_ttl = time("server-ttl-ms", given.server_ttl_ms, options.server_ttl, 100..=HOUR_MS)?;
            let check = given.ttl_check_interval_ms;
            options.ttl_check_interval =
                time("ttl-check-interval-ms", check, options.ttl_check_interval, 10..=HOUR_MS)?;
            Ok(Backend::Memory(options))
        }
        Kind::Redis => Ok(Backend::Redis(Box::new(redis::redis(given)?), data_dir(given, server_id)?)),
    }
}

fn raft(given: &NodeArguments, server_id: &ServerId) -> Result<RaftConfig, ConfigError> {
    let security = security(given)?;
    let mut config = RaftConfig::new(server_id.clone(), data_dir(given, server_id)?, security);
    config.listen = socket("listen", given.listen.as_deref(), config.listen)?;
    config.advertise = given.advertise.as_deref().map(|address| host_port("advertise", address)).transpose()?;
    let peers = split(given.peers.as_deref(), ',').unwrap_or_default();
    config.peers = peers.iter().map(|peer| host_port("peers", peer)).collect::<Result<_, _>>()?;
    let expect = given.bootstrap_expect.map(|count| number("bootstrap-expect", Some(count), 0, 1..=99));
    config.bootstrap_expect = expect.transpose()?;
    config.voters_max = number("voters-max", given.voters_max, config.voters_max, 1..=9)?;
    let silence = given.voter_silence_max_ms;
    config.voter_silence_max = time("voter-silence-max-ms", silence, config.voter_silence_max, 1..=24 * HOUR_MS)?;
    config.lease = time("lease-ms", given.lease_ms, config.lease, 1..=HOUR_MS)?;
    raft_timing(given, &mut config.timing)?;
    let limits = &mut config.snapshots;
    limits.log_bytes = number("snapshot-log-bytes", given.snapshot_log_bytes, limits.log_bytes, 1..=1 << 40)?;
    limits.entries_kept = number("log-entries-kept", given.log_entries_kept, limits.entries_kept, 0..=1 << 40)?;
    limits.room_bytes_max =
        number("room-snapshot-bytes-max", given.room_snapshot_bytes_max, limits.room_bytes_max, 1..=1 << 30)?;
    // The narrower ranges, which depend on each other, are the cluster's own to know.
    config.validate().map_err(|error| ConfigError::new(&error))?;
    Ok(config)
}

fn raft_timing(given: &NodeArguments, timing: &mut RaftTiming) -> Result<(), ConfigError> {
    timing.heartbeat = time("raft-heartbeat-ms", given.raft_heartbeat_ms, timing.heartbeat, 1..=HOUR_MS)?;
    timing.election_min = time("election-min-ms", given.election_min_ms, timing.election_min, 1..=HOUR_MS)?;
    timing.election_max = time("election-max-ms", given.election_max_ms, timing.election_max, 1..=HOUR_MS)?;
    timing.request = time("peer-timeout-ms", given.peer_timeout_ms, timing.request, 1..=HOUR_MS)?;
    let install = given.install_snapshot_timeout_ms;
    timing.install_snapshot = time("install-snapshot-timeout-ms", install, timing.install_snapshot, 1..=HOUR_MS)?;
    Ok(())
}

fn data_dir(given: &NodeArguments, server_id: &ServerId) -> Result<PathBuf, ConfigError> {
    if let Some(folder) = &given.data_dir {
        return Ok(folder.clone());
    }
    let name = server_id.as_str();
    if name.starts_with('.') || name.contains(['/', '\\']) {
        let problem = format!("the server id {name:?} cannot be a folder's name");
        return Err(ConfigError::flag("data-dir", problem, "name a folder"));
    }
    Ok(Path::new("roomraft-data").join(name))
}

fn security(given: &NodeArguments) -> Result<ClusterSecurity, ConfigError> {
    let own = pair("cert", given.cert.as_ref(), "key", given.key.as_ref())?;
    match (given.ca.clone(), own) {
        (Some(ca), Some(TlsFiles { cert, key })) if given.secret_file.is_none() => {
            return Ok(ClusterSecurity::Pem { ca, cert, key });
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::flag("secret-file", "given beside --ca", "use either a secret or PEM files"));
        }
        (Some(_), None) => return Err(ConfigError::flag("ca", "given without --cert and --key", "give all three")),
        (None, Some(_)) => return Err(ConfigError::flag("ca", "missing", "give it beside --cert and --key")),
        (None, None) => {}
    }
    secret(given.secret_file.as_deref())?.map(ClusterSecurity::Secret).ok_or_else(|| {
        let mend =
            "make a secret with `roomraft cert secret > FILE`, or give --ca --cert --key, or --adapter memory or redis";
        ConfigError::flag("secret-file", "missing on the raft adapter", mend)
    })
}
