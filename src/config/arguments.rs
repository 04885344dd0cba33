//! The flags of `node`, which are also its variables and the keys of its TOML file.
//!
//! Everything is optional here: what is not given is decided in [`super::NodeConfig`], so that the
//! three sources can be laid over each other first. Ranges are checked there too.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    redis::RedisUrl,
    values::{one_or_many, whole_number},
};

/// Runs one game server in the foreground.
///
/// Each flag can also be given as a variable (`ROOMRAFT_` and its name in upper case, `_` for `-`) or as a key of the
/// TOML file; flags go over variables, variables over the file.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct NodeArguments {
    /// Unique name of this game server [default: the host name]
    #[arg(long, env = "ROOMRAFT_SERVER_ID", value_name = "NAME")]
    pub(crate) server_id: Option<String>,
    /// Where this node listens for its peers (QUIC, UDP) [default: 127.0.0.1:7400]
    #[arg(long, env = "ROOMRAFT_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// What peers dial [default: the listen address]
    #[arg(long, env = "ROOMRAFT_ADVERTISE", value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// Addresses of other nodes, separated by commas; its own may be among them [default: a one-node cluster]
    #[arg(long, env = "ROOMRAFT_PEERS", value_name = "A,B,…", value_delimiter = ',')]
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) peers: Option<Vec<String>>,
    /// Fresh nodes to wait for at the first start [default: peers + 1, its own address not counted twice]
    #[arg(long, env = "ROOMRAFT_BOOTSTRAP_EXPECT", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) bootstrap_expect: Option<i64>,
    /// Players' WebSocket address [default: 127.0.0.1:3000]
    #[arg(long, env = "ROOMRAFT_GATEWAY", value_name = "IP:PORT")]
    pub(crate) gateway: Option<String>,
    /// Host that players are redirected to; a ws:// or wss:// prefix is kept [default: the gateway's]
    #[arg(long, env = "ROOMRAFT_PUBLIC_ADDRESS", value_name = "HOST")]
    pub(crate) public_address: Option<String>,
    /// Port that players are redirected to [default: the gateway's]
    #[arg(long, env = "ROOMRAFT_PUBLIC_PORT", value_name = "PORT", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) public_port: Option<i64>,
    /// Health, status and metrics address [default: 127.0.0.1:9400]
    #[arg(long, env = "ROOMRAFT_OPS", value_name = "IP:PORT")]
    pub(crate) ops: Option<String>,
    /// This node's data; on redis its name for Redis alone [default: ./roomraft-data/NAME]
    #[arg(long, env = "ROOMRAFT_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// File with the cluster secret, 16 bytes or more; `ROOMRAFT_SECRET` may hold the secret itself instead
    #[arg(long, env = "ROOMRAFT_SECRET_FILE", value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// PEM file of the certificate authority, instead of a secret
    #[arg(long, env = "ROOMRAFT_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// PEM file of this node's certificate, with --ca
    #[arg(long, env = "ROOMRAFT_CERT", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// PEM file of this node's private key, with --ca
    #[arg(long, env = "ROOMRAFT_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// A room type to serve: `NAME=relay[,max_players=4,tick_rate=0,reconnect_grace_ms=10000,auto_dispose=true]`; repeatable, or separated by `;` [default: relay=relay]
    #[arg(long, env = "ROOMRAFT_ROOM", value_name = "NAME=KIND", value_delimiter = ';')]
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) room: Option<Vec<String>>,
    /// The region that this server is in; shown in its metadata, and counts with --strategy geo
    #[arg(long, env = "ROOMRAFT_REGION", value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// Where on Earth this server is, in degrees north and east, such as 50.11,8.68; counts with --strategy geo
    #[arg(long, env = "ROOMRAFT_COORDINATES", value_name = "LAT,LON", allow_hyphen_values = true)]
    pub(crate) coordinates: Option<String>,
    /// Rooms on this server [default: 100]
    #[arg(long, env = "ROOMRAFT_CAPACITY", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) capacity: Option<i64>,
    /// The backend: raft, memory or redis [default: raft]
    #[arg(long, env = "ROOMRAFT_ADAPTER", value_name = "KIND")]
    pub(crate) adapter: Option<String>,
    /// One Redis server (redis:// or rediss://, user and password in it or apart), or nodes of one Redis Cluster,
    /// separated by commas; better as a variable where it holds a password
    #[arg(long, env = "ROOMRAFT_REDIS_URL", value_name = "URL,…", value_delimiter = ',', hide_env_values = true)]
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) redis_url: Option<Vec<RedisUrl>>,
    /// Redis's user, over that of the URL
    #[arg(long, env = "ROOMRAFT_REDIS_USER", value_name = "NAME")]
    pub(crate) redis_user: Option<String>,
    /// File with Redis's password, over that of the URL; `ROOMRAFT_REDIS_PASSWORD` may hold the password itself instead
    #[arg(long, env = "ROOMRAFT_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) redis_password_file: Option<PathBuf>,
    /// PEM file of the authority that Redis's certificate comes from, with rediss:// [default: the system's]
    #[arg(long, env = "ROOMRAFT_REDIS_CA", value_name = "FILE")]
    pub(crate) redis_ca: Option<PathBuf>,
    /// PEM file of a certificate to show to Redis
    #[arg(long, env = "ROOMRAFT_REDIS_CERT", value_name = "FILE")]
    pub(crate) redis_cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, env = "ROOMRAFT_REDIS_KEY", value_name = "FILE")]
    pub(crate) redis_key: Option<PathBuf>,
    /// What the names of all keys and channels in Redis begin with [default: dist:]
    #[arg(long, env = "ROOMRAFT_REDIS_PREFIX", value_name = "TEXT")]
    pub(crate) redis_prefix: Option<String>,
    /// The Pub/Sub channel of events, after the prefix [default: distributed:events]
    #[arg(long, env = "ROOMRAFT_REDIS_CHANNEL", value_name = "NAME")]
    pub(crate) redis_channel: Option<String>,
    /// Over how many slots of a Redis Cluster a room type is spread; the same on every server [default: 1]
    #[arg(long, env = "ROOMRAFT_REDIS_SHARDS", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) redis_shards: Option<i64>,
    /// How long a call to Redis is tried [default: 5000]
    #[arg(long, env = "ROOMRAFT_REDIS_CALL_MAX_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) redis_call_max_ms: Option<i64>,
    /// How long Redis keeps a room that has an owner and is neither changed nor saved; 0 = for ever [default: 0]
    #[arg(long, env = "ROOMRAFT_ROOM_TTL_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) room_ttl_ms: Option<i64>,
    /// How long Redis keeps the snapshot of a room that nobody runs; 0 = for ever [default: 86400000]
    #[arg(long, env = "ROOMRAFT_SNAPSHOT_TTL_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) snapshot_ttl_ms: Option<i64>,
    /// PEM file of the gateway's certificate: players connect over wss://
    #[arg(long, env = "ROOMRAFT_GATEWAY_TLS_CERT", value_name = "FILE")]
    pub(crate) gateway_tls_cert: Option<PathBuf>,
    /// PEM file of the gateway's private key
    #[arg(long, env = "ROOMRAFT_GATEWAY_TLS_KEY", value_name = "FILE")]
    pub(crate) gateway_tls_key: Option<PathBuf>,
    /// Players connected at a time; a further one is answered 503 [default: 10000]
    #[arg(long, env = "ROOMRAFT_CONNECTIONS_MAX", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) connections_max: Option<i64>,
    /// The largest message of a player [default: 1048576]
    #[arg(long, env = "ROOMRAFT_MESSAGE_BYTES_MAX", value_name = "BYTES", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) message_bytes_max: Option<i64>,
    /// Packets per second of one player in the long run [default: 200]
    #[arg(long, env = "ROOMRAFT_PACKETS_PER_SECOND", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) packets_per_second: Option<i64>,
    /// Packets of one player at once before that [default: 400]
    #[arg(long, env = "ROOMRAFT_PACKETS_BURST", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) packets_burst: Option<i64>,
    /// Messages that wait for a slow player before it is dropped [default: 1024]
    #[arg(long, env = "ROOMRAFT_SEND_QUEUE", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) send_queue: Option<i64>,
    /// Time between pings of a player; one that is silent for two and a half of them is dropped [default: 10000]
    #[arg(long, env = "ROOMRAFT_PING_INTERVAL_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) ping_interval_ms: Option<i64>,
    /// A server's lease on the raft backend, renewed six times in it [default: 1200]
    #[arg(long, env = "ROOMRAFT_LEASE_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) lease_ms: Option<i64>,
    /// The most voters of the cluster, an odd number; further nodes are learners [default: 5]
    #[arg(long, env = "ROOMRAFT_VOTERS_MAX", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) voters_max: Option<i64>,
    /// How long a voter may be silent until a learner takes its seat [default: 30000]
    #[arg(long, env = "ROOMRAFT_VOTER_SILENCE_MAX_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) voter_silence_max_ms: Option<i64>,
    /// Time between the heartbeats of the Raft leader [default: 100]
    #[arg(long, env = "ROOMRAFT_RAFT_HEARTBEAT_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) raft_heartbeat_ms: Option<i64>,
    /// The least wait before an election [default: 200]
    #[arg(long, env = "ROOMRAFT_ELECTION_MIN_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) election_min_ms: Option<i64>,
    /// The most wait before an election [default: 250]
    #[arg(long, env = "ROOMRAFT_ELECTION_MAX_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) election_max_ms: Option<i64>,
    /// How long a peer may take to answer [default: 2000]
    #[arg(long, env = "ROOMRAFT_PEER_TIMEOUT_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) peer_timeout_ms: Option<i64>,
    /// How long a snapshot of the registry may take to be sent and installed [default: 60000]
    #[arg(long, env = "ROOMRAFT_INSTALL_SNAPSHOT_TIMEOUT_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) install_snapshot_timeout_ms: Option<i64>,
    /// The log that starts a new snapshot of the registry [default: 134217728]
    #[arg(long, env = "ROOMRAFT_SNAPSHOT_LOG_BYTES", value_name = "BYTES", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) snapshot_log_bytes: Option<i64>,
    /// Log entries kept behind a snapshot for peers that lag; no more bytes than --snapshot-log-bytes [default: 100000]
    #[arg(long, env = "ROOMRAFT_LOG_ENTRIES_KEPT", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) log_entries_kept: Option<i64>,
    /// The largest snapshot of a room [default: 1048576]
    #[arg(long, env = "ROOMRAFT_ROOM_SNAPSHOT_BYTES_MAX", value_name = "BYTES", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) room_snapshot_bytes_max: Option<i64>,
    /// The manager's heartbeat [default: 5000; on raft the lease sets it]
    #[arg(long, env = "ROOMRAFT_HEARTBEAT_INTERVAL_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) heartbeat_interval_ms: Option<i64>,
    /// Time between a room's snapshots; 0 = none [default: 30000]
    #[arg(long, env = "ROOMRAFT_SNAPSHOT_INTERVAL_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) snapshot_interval_ms: Option<i64>,
    /// The longest time for moving one room [default: 10000]
    #[arg(long, env = "ROOMRAFT_MIGRATION_TIMEOUT_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) migration_timeout_ms: Option<i64>,
    /// A server's lease on the memory and redis backends [default: 15000 on memory, 30000 on redis]
    #[arg(long, env = "ROOMRAFT_SERVER_TTL_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) server_ttl_ms: Option<i64>,
    /// How often the memory backend looks for servers whose lease has ended [default: 5000]
    #[arg(long, env = "ROOMRAFT_TTL_CHECK_INTERVAL_MS", value_name = "MS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) ttl_check_interval_ms: Option<i64>,
    /// Which server gets a new room: least-rooms, least-players, round-robin, random or weighted; with geo or latency players also join the nearest open room [default: least-rooms]
    #[arg(long, env = "ROOMRAFT_STRATEGY", value_name = "NAME")]
    pub(crate) strategy: Option<String>,
    /// Whether new rooms go to the player's own server while its load is low [default: true]
    #[arg(long, env = "ROOMRAFT_PREFER_LOCAL", value_name = "BOOL")]
    pub(crate) prefer_local: Option<bool>,
    /// The load, rooms over capacity in percent, under which the player's own server is preferred [default: 80]
    #[arg(long, env = "ROOMRAFT_LOCAL_PREFERENCE_PERCENT", value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) local_preference_percent: Option<i64>,
    /// Whether this server takes over rooms that lost theirs [default: true]
    #[arg(long, env = "ROOMRAFT_ENABLE_FAILOVER", value_name = "BOOL")]
    pub(crate) enable_failover: Option<bool>,
    /// What a second join on one connection does: auto-leave or reject [default: auto-leave]
    #[arg(long, env = "ROOMRAFT_DUPLICATE_JOIN_POLICY", value_name = "POLICY")]
    pub(crate) duplicate_join_policy: Option<String>,
    /// Form of the log lines on standard error: text or json; `RUST_LOG` filters them [default: text]
    #[arg(long, env = "ROOMRAFT_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// TOML file with the same keys
    #[arg(long, env = "ROOMRAFT_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
}
