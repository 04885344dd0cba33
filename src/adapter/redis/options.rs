//! What a handle on Redis is told.

use std::{fmt, ops::RangeInclusive, time::Duration};

use redis::{ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, TlsCertificates};

use crate::{
    adapter::{AdapterError, AdapterResult, backend::SnapshotTerms},
    clock::Clock,
    model::NodeId,
};

/// How many shards a room type may have.
const SHARDS: RangeInclusive<u32> = 1..=64;
/// The shortest lease of a server.
const SERVER_TTL_MIN: Duration = Duration::from_millis(100);
/// The longest prefix and the longest name of a channel, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Options of a [`RedisAdapter`](super::RedisAdapter).
///
/// Nothing is opened before the adapter's `connect`.
#[derive(Clone)]
pub struct RedisOptions {
    /// One URL (`redis://` or `rediss://`, user and password in it or below) of a single server or of a node of a
    /// Redis Cluster, or several of one Redis Cluster. Never logged.
    pub urls: Vec<String>,
    /// The user, over that of the URLs.
    pub user: Option<String>,
    /// The password, over that of the URLs. Never logged.
    pub password: Option<String>,
    /// Certificates for `rediss://`; by default the system's roots and none of its own.
    pub tls: RedisTls,
    /// What the names of all keys and channels begin with; `dist:` by default, without braces. Handles of one prefix
    /// share one registry.
    pub prefix: String,
    /// How long a server counts as alive after its last heartbeat; 30 s by default, 100 ms at least.
    pub server_ttl: Duration,
    /// How long a room is kept that has an owner and is not changed, saved or claimed; zero, the default, = for ever.
    pub room_ttl: Duration,
    /// What is kept of snapshots, and how long; a day by default, zero = for ever.
    pub snapshots: SnapshotTerms,
    /// The Pub/Sub channel of events, after the prefix; `distributed:events` by default.
    pub channel: String,
    /// Over how many shards a room type is spread, 1 to 64; 1 by default. The same on all servers of a registry, for
    /// good: more than one is for a type that is too busy for one Redis process.
    pub shards: u32,
    /// How long a call tries before it ends in `Unavailable` or `Timeout`; 5 s by default.
    pub call_max: Duration,
    /// Which node the handle is. By default random: then a server that crashed and starts again waits until its former
    /// lease has ended. One that is the same at each start takes its server's name over at once.
    pub node_id: NodeId,
    /// The source of time. The system's means: Redis's own time decides.
    pub clock: Clock,
}

/// PEM texts for `rediss://`.
#[derive(Clone, Default)]
pub struct RedisTls {
    /// The authorities that Redis's certificate must come from; `None` = those of the system.
    pub ca: Option<Vec<u8>>,
    /// A certificate of the handle's own and its private key, where Redis asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl RedisOptions {
    /// The defaults, for these URLs.
    pub fn new(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            urls: urls.into_iter().map(Into::into).collect(),
            user: None,
            password: None,
            tls: RedisTls::default(),
            prefix: "dist:".to_owned(),
            server_ttl: Duration::from_secs(30),
            room_ttl: Duration::ZERO,
            snapshots: SnapshotTerms::default(),
            channel: "distributed:events".to_owned(),
            shards: 1,
            call_max: Duration::from_secs(5),
            node_id: NodeId(rand::random::<u64>().max(1)),
            clock: Clock::system(),
        }
    }

    /// Whether they can be used, said without passwords.
    pub(crate) fn check(&self) -> AdapterResult<()> {
        self.problem().map_or(Ok(()), |problem| Err(AdapterError::Startup(problem)))
    }

    fn problem(&self) -> Option<String> {
        let named = |what, name: &str| {
            name_problem(name).map(|problem| format!("the {what} {name:?} is not usable: {problem}"))
        };
        if self.channel.is_empty() {
            return Some("the channel has no name: give one such as distributed:events".to_owned());
        }
        if !SHARDS.contains(&self.shards) {
            return Some(format!("{} shards: give {} to {}", self.shards, SHARDS.start(), SHARDS.end()));
        }
        if self.server_ttl < SERVER_TTL_MIN {
            return Some(format!("a server TTL of {:?}: give {SERVER_TTL_MIN:?} or more", self.server_ttl));
        }
        if self.call_max.is_zero() {
            return Some("no time for a call: give a call_max above zero".to_owned());
        }
        named("prefix", &self.prefix).or_else(|| named("channel", &self.channel)).or_else(|| urls_problem(&self.urls))
    }

    /// The channel that every handle listens to.
    pub(super) fn events_channel(&self) -> String {
        format!("{}{}", self.prefix, self.channel)
    }

    /// The channel that one node's handle listens to.
    pub(super) fn node_channel(&self, node: NodeId) -> String {
        format!("{}{}:{node}", self.prefix, self.channel)
    }
}

/// What is wrong with a prefix or the name of a channel.
pub(crate) fn name_problem(name: &str) -> Option<String> {
    let bad = name.len() > NAME_BYTES_MAX || name.contains(|c: char| c.is_control() || matches!(c, '{' | '}'));
    bad.then(|| format!("give at most {NAME_BYTES_MAX} bytes, without {{ and }}"))
}

/// What is wrong with these URLs, said without their passwords.
pub(crate) fn urls_problem(urls: &[String]) -> Option<String> {
    let form = "write redis://[user:password@]host:port, or rediss:// for TLS";
    if urls.is_empty() {
        return Some(format!("no Redis URL: {form}"));
    }
    let usable = |url: &String| {
        let parsed = url.as_str().into_connection_info();
        parsed.is_ok_and(|info| !matches!(info.addr(), ConnectionAddr::Unix(_)))
    };
    let bad = urls.iter().position(|url| !usable(url))?;
    Some(format!("Redis URL number {} is not one: {form}", bad + 1))
}

impl RedisTls {
    pub(super) fn certificates(&self) -> TlsCertificates {
        let identity = self.identity.clone();
        TlsCertificates {
            client_tls: identity.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
            root_cert: self.ca.clone(),
        }
    }
}

/// Without the URLs and the password.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("urls", &self.urls.len())
            .field("prefix", &self.prefix)
            .field("server_ttl", &self.server_ttl)
            .field("room_ttl", &self.room_ttl)
            .field("snapshots", &self.snapshots)
            .field("channel", &self.channel)
            .field("shards", &self.shards)
            .field("call_max", &self.call_max)
            .field("node_id", &self.node_id)
            .finish_non_exhaustive()
    }
}

/// Without the private key.
impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ca, identity) = (self.ca.is_some(), self.identity.is_some());
        f.debug_struct("RedisTls").field("ca", &ca).field("identity", &identity).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let options = RedisOptions {
            password: Some("sesame-1".to_owned()),
            tls: RedisTls { identity: Some((b"cert".to_vec(), b"sesame-2".to_vec())), ..RedisTls::default() },
            ..RedisOptions::new(["redis://me:sesame-3@127.0.0.1:1"])
        };
        assert!(!format!("{options:?} {:?}", options.tls).contains("sesame"));
        let bad = RedisOptions::new(["redis://127.0.0.1", "http://me:sesame-4@host"]);
        let problem = bad.check().unwrap_err().to_string();
        assert!(problem.contains("number 2") && !problem.contains("sesame"), "{problem}");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let good = RedisOptions::new(["redis://127.0.0.1:6379"]);
        assert!(good.check().is_ok());
        for (bad, word) in [
            (RedisOptions { urls: Vec::new(), ..good.clone() }, "no Redis URL"),
            (RedisOptions { prefix: "a{b}".to_owned(), ..good.clone() }, "prefix"),
            (RedisOptions { channel: String::new(), ..good.clone() }, "channel"),
            (RedisOptions { shards: 0, ..good.clone() }, "shards"),
            (RedisOptions { shards: 65, ..good.clone() }, "shards"),
            (RedisOptions { server_ttl: Duration::from_millis(1), ..good.clone() }, "server TTL"),
            (RedisOptions { urls: vec!["unix:///tmp/redis".to_owned()], ..good }, "URL"),
        ] {
            let problem = bad.check().unwrap_err().to_string();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
