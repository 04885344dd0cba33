//! What a handle on Redis is told.

use std::{fmt, time::Duration};

use redis::{ConnectionAddr, IntoConnectionInfo};

use crate::{
    adapter::{AdapterResult, backend::SnapshotTerms},
    clock::Clock,
    model::NodeId,
    registry::Rejection,
};

/// The most shards of one room type.
const SHARDS_MAX: u32 = 64;
/// The shortest lease of a server.
const SERVER_TTL_MIN: Duration = Duration::from_millis(100);

/// Options of a [`RedisAdapter`](super::RedisAdapter).
#[derive(Clone)]
pub struct RedisOptions {
    /// One URL (`redis://` or `rediss://`, user and password in it) of a single server, or several of one Redis
    /// Cluster. Never logged.
    pub urls: Vec<String>,
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
    /// The source of time: by default Redis's own clock. One that is moved by hand is for tests.
    pub clock: Clock,
}

impl RedisOptions {
    /// The defaults, for these URLs.
    pub fn new(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            urls: urls.into_iter().map(Into::into).collect(),
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

    /// Refuses what cannot be used, without repeating a password.
    pub(super) fn check(&self) -> AdapterResult<()> {
        let has_braces = |text: &str| text.chars().any(|c| c.is_control() || c == '{' || c == '}');
        if has_braces(&self.prefix) || has_braces(&self.channel) {
            return invalid("prefix and channel must not have braces or control characters".to_owned());
        }
        if self.shards == 0 || self.shards > SHARDS_MAX {
            return invalid(format!("shards is {}: choose 1 to {SHARDS_MAX}", self.shards));
        }
        if self.server_ttl < SERVER_TTL_MIN {
            let ttl = self.server_ttl;
            return invalid(format!("server_ttl is {ttl:?}: choose at least {SERVER_TTL_MIN:?}"));
        }
        if self.urls.is_empty() {
            return invalid("no Redis URL: give one such as redis://127.0.0.1:6379".to_owned());
        }
        for (number, url) in self.urls.iter().enumerate() {
            let parsed = url.as_str().into_connection_info();
            if !parsed.is_ok_and(|info| !matches!(info.addr(), ConnectionAddr::Unix(_))) {
                let number = number + 1;
                return invalid(format!(
                    "Redis URL number {number} is not one: write redis://[user:password@]host:port"
                ));
            }
        }
        Ok(())
    }

    /// Where events are published.
    pub(super) fn events_channel(&self) -> String {
        format!("{}{}", self.prefix, self.channel)
    }

    /// Where messages for the rooms of one node are published.
    pub(super) fn node_channel(&self, node: NodeId) -> String {
        format!("{}:{node}", self.events_channel())
    }
}

fn invalid(problem: String) -> AdapterResult<()> {
    Err(Rejection::Invalid(problem).into())
}

/// Without the URLs: they may hold a password.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("urls", &self.urls.len())
            .field("prefix", &self.prefix)
            .field("server_ttl", &self.server_ttl)
            .field("shards", &self.shards)
            .field("node_id", &self.node_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_neither_shown_nor_repeated() {
        let options = RedisOptions::new(["redis://:hunter2@localhost:6379"]);
        assert!(options.check().is_ok());
        assert!(!format!("{options:?}").contains("hunter2"));
        let wrong = RedisOptions::new(["reddis://:hunter2@localhost:6379"]);
        let problem = wrong.check().expect_err("it is no URL").to_string();
        assert!(problem.contains("number 1") && !problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let options = RedisOptions::new(["redis://localhost"]);
        let braces = RedisOptions { prefix: "{a}".to_owned(), ..options.clone() };
        let many = RedisOptions { shards: 65, ..options.clone() };
        let hasty = RedisOptions { server_ttl: Duration::from_millis(1), ..options.clone() };
        let none = RedisOptions { urls: Vec::new(), ..options };
        for (wrong, named) in [(braces, "prefix"), (many, "shards"), (hasty, "server_ttl"), (none, "URL")] {
            let problem = wrong.check().expect_err("out of range").to_string();
            assert!(problem.contains(named), "{problem}");
        }
    }
}
