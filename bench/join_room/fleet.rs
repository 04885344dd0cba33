//! Three servers, each a process of its own, on one backend.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use super::{
    bench::{
        child::{Child, processor_time},
        raft_node, share,
    },
    redis_server::RedisServer,
};

/// What keeps the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Three Raft nodes with their data on disk.
    Raft,
    /// Three servers on one `redis-server`.
    Redis,
    /// One server alone.
    Memory,
}

impl Backend {
    pub const ALL: [Self; 3] = [Self::Raft, Self::Redis, Self::Memory];

    fn servers(self) -> usize {
        match self {
            Self::Raft | Self::Redis => 3,
            Self::Memory => 1,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raft => "raft",
            Self::Redis => "redis",
            Self::Memory => "memory",
        })
    }
}

/// Running servers.
pub struct Fleet {
    servers: Vec<Child>,
    gateways: Vec<String>,
    rooms: usize,
    redis: Option<RedisServer>,
    _folder: TempDir,
}

impl Fleet {
    /// Starts the servers and waits until they serve players.
    pub fn start(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let redis = (backend == Backend::Redis).then(|| RedisServer::start(&[]));
        let roles = raft_node::roles(backend.servers(), folder.path()).into_iter().map(|mut role| {
            role["backend"] = json!(backend.to_string());
            role["redis"] = json!(redis.as_ref().map(RedisServer::url));
            role
        });
        let mut servers: Vec<Child> = roles.map(|role| Child::start(&role)).collect();
        let gateways = servers.iter_mut().map(|server| server.ask("gateway").as_str().expect("an address").to_owned());
        let gateways = gateways.collect();
        Self { servers, gateways, rooms: 0, redis, _folder: folder }
    }

    /// Where players connect.
    pub fn gateways(&self) -> &[String] {
        &self.gateways
    }

    /// Registers full rooms until there are so many; gives the time that it took.
    pub fn fill(&mut self, rooms: usize) -> Duration {
        let began = Instant::now();
        let (more, count) = (rooms.saturating_sub(self.rooms), self.servers.len());
        for (number, server) in self.servers.iter_mut().enumerate() {
            server.order(format!("fill {}", share(more, count, number)));
        }
        for server in &mut self.servers {
            server.answer();
        }
        self.rooms = rooms;
        began.elapsed()
    }

    /// How many commands the registry of the first server has applied; 0 without Raft.
    pub fn commands(&mut self) -> f64 {
        let first = self.servers.first_mut().expect("at least one server");
        first.ask("commands").as_f64().expect("a number")
    }

    /// The processor time in seconds that the servers have used together, Redis included.
    pub fn processor_time(&self) -> f64 {
        let redis = self.redis.as_ref().map_or(0.0, |redis| processor_time(&redis.pid().to_string()));
        self.servers.iter().map(Child::processor_time).sum::<f64>() + redis
    }
}
