//! One connection to a Redis server or a Redis Cluster, opened when it is first used and anew when it broke.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, Script, TlsCertificates, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};
use tokio::sync::watch;

use super::{failure::Failure, options::RedisOptions};
use crate::adapter::{AdapterError, AdapterResult};

/// Commands that wait for one connection at most; further ones wait for a place.
const COMMANDS_QUEUED: usize = 1_024;
/// The slots of a Redis Cluster.
const SLOTS: u16 = 16_384;
/// A connection to a cluster is not made anew more often than this.
const CLUSTER_AGE_MIN: Duration = Duration::from_millis(500);

/// Where Redis is and how to get in.
pub(super) struct Access {
    endpoints: Vec<ConnectionInfo>,
    certificates: TlsCertificates,
    tls: bool,
    /// The time for one attempt of a command.
    pub(super) attempt: Duration,
    /// The time for opening a connection.
    pub(super) opening: Duration,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("endpoints", &self.endpoints.len()).finish_non_exhaustive()
    }
}

/// Which connection a [`Slot`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To whatever the URLs name: a server, or every node of a cluster.
    All,
    /// To one node of it, the next one where it fails.
    OneNode,
}

#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Access {
    pub(super) fn new(options: &RedisOptions) -> AdapterResult<Self> {
        options.check()?;
        let endpoint = |url: &String| {
            let info = url.as_str().into_connection_info()?;
            let mut settings = info.redis_settings().clone();
            if let Some(user) = &options.user {
                settings = settings.set_username(user);
            }
            if let Some(password) = &options.password {
                settings = settings.set_password(password);
            }
            Ok(info.set_redis_settings(settings))
        };
        let endpoints: RedisResult<Vec<_>> = options.urls.iter().map(endpoint).collect();
        let endpoints = endpoints.map_err(|error| Failure::of_connecting(&error).into_error(false))?;
        let tls = endpoints.iter().any(|endpoint| matches!(endpoint.addr(), ConnectionAddr::TcpTls { .. }));
        let access = Self {
            endpoints,
            certificates: options.tls.certificates(),
            tls,
            // Two attempts fit into a call.
            attempt: options.call_max / 2,
            opening: options.call_max / 4,
        };
        if tls {
            // Fails only where the process has chosen one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
        } else if options.tls.ca.is_some() || options.tls.identity.is_some() {
            let problem = "certificates for Redis are given, but no rediss:// URL: write rediss:// or leave them out";
            return Err(AdapterError::Startup(problem.to_owned()));
        }
        access.client(0).map_err(|error| Failure::of_connecting(&error).into_error(false))?;
        Ok(access)
    }

    /// A client of one of the nodes; `turn` goes round.
    pub(super) fn client(&self, turn: usize) -> RedisResult<Client> {
        let endpoint = self.endpoints[turn % self.endpoints.len()].clone();
        if self.tls { Client::build_with_tls(endpoint, self.certificates.clone()) } else { Client::open(endpoint) }
    }

    async fn open(&self, reach: Reach, turn: usize) -> RedisResult<Connection> {
        if self.endpoints.len() > 1 && reach == Reach::All {
            return self.cluster().await;
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.opening))
            .set_response_timeout(Some(self.attempt))
            .set_pipeline_buffer_size(COMMANDS_QUEUED);
        let mut connection = self.client(turn)?.get_multiplexed_async_connection_with_config(&config).await?;
        if reach == Reach::All && of_a_cluster(&mut connection).await? {
            return self.cluster().await;
        }
        Ok(Connection::Single(connection))
    }

    async fn cluster(&self) -> RedisResult<Connection> {
        let mut builder = ClusterClient::builder(self.endpoints.clone())
            .connection_timeout(self.opening)
            .response_timeout(self.attempt)
            // Redirections take their turns from these; what goes on longer is the link's to try again.
            .retries(4)
            .min_retry_wait(20)
            .max_retry_wait(100);
        if self.tls {
            builder = builder.certs(self.certificates.clone());
        }
        builder.build()?.get_async_connection().await.map(Connection::Cluster)
    }
}

/// Whether a server is a node of a Redis Cluster. One that does not tell is taken for a single server.
async fn of_a_cluster(connection: &mut MultiplexedConnection) -> RedisResult<bool> {
    let answer: RedisResult<String> = redis::cmd("INFO").arg("cluster").query_async(connection).await;
    match answer {
        Ok(text) => Ok(text.contains("cluster_enabled:1")),
        Err(error) if error.is_io_error() => Err(error),
        Err(_) => Ok(false),
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    /// A script, on the node that has its only key.
    Script {
        script: &'a Script,
        key: &'a str,
        args: &'a [Vec<u8>],
    },
}

impl Connection {
    pub(super) async fn send(mut self, request: Request<'_>) -> RedisResult<Value> {
        match request {
            Request::Command(command) => match &mut self {
                Self::Single(connection) => command.query_async(connection).await,
                Self::Cluster(connection) => command.query_async(connection).await,
            },
            Request::Script { script, key, args } => {
                let mut invocation = script.key(key);
                for arg in args {
                    invocation.arg(arg);
                }
                match &mut self {
                    Self::Single(connection) => invocation.invoke_async(connection).await,
                    Self::Cluster(connection) => {
                        let owner = SingleNodeRoutingInfo::SpecificNode(Route::new(slot(key), SlotAddr::Master));
                        invocation.invoke_async(&mut Routed { connection, route: RoutingInfo::SingleNode(owner) }).await
                    }
                }
            }
        }
    }
}

/// The slot of a key, by its hash tag if it has one.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % SLOTS
}

/// A cluster's connection that sends all to the node that has one key: a script is loaded there alone, whatever the
/// state of the other nodes.
struct Routed<'a> {
    connection: &'a mut ClusterConnection,
    route: RoutingInfo,
}

impl ConnectionLike for Routed<'_> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.connection.route_command(command.clone(), self.route.clone()).boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

/// The place of a connection.
#[derive(Clone)]
pub(super) struct Slot {
    access: Arc<Access>,
    reach: Reach,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    present: Option<Present>,
    /// What comes of the attempt that is under way.
    opening: Option<watch::Receiver<Option<Result<Present, Failure>>>>,
    /// How many attempts there were.
    turn: usize,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("reach", &self.reach).finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub(super) struct Present {
    pub(super) connection: Connection,
    turn: usize,
    since: Instant,
}

impl Slot {
    pub(super) fn new(access: Arc<Access>, reach: Reach) -> Self {
        Self { access, reach, state: Arc::default() }
    }

    /// The connection, opened if there is none.
    pub(super) async fn connection(&self) -> Result<Present, Failure> {
        let mut opening = {
            let mut state = self.state.lock();
            if let Some(present) = &state.present {
                return Ok(present.clone());
            }
            match &state.opening {
                Some(opening) => opening.clone(),
                None => self.open(&mut state),
            }
        };
        let outcome = opening.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        outcome.ok().flatten().unwrap_or_else(|| Err(Failure::no_connection()))
    }

    /// Opens it in a task of its own, since a caller may be dropped or not be looked after while others wait.
    fn open(&self, state: &mut State) -> watch::Receiver<Option<Result<Present, Failure>>> {
        let (tell, opening) = watch::channel(None);
        let turn = state.turn;
        state.turn += 1;
        state.opening = Some(opening.clone());
        let slot = self.clone();
        tokio::spawn(async move {
            // The handshake is a few commands, each with its own time.
            let opened = tokio::time::timeout(slot.access.opening * 2, slot.access.open(slot.reach, turn)).await;
            let outcome = match opened {
                Ok(Ok(connection)) => Ok(Present { connection, turn, since: Instant::now() }),
                Ok(Err(error)) => Err(Failure::of_connecting(&error)),
                Err(_) => Err(Failure::no_connection()),
            };
            let mut state = slot.state.lock();
            state.opening = None;
            state.present = outcome.as_ref().ok().cloned();
            tell.send_replace(Some(outcome));
        });
        opening
    }

    /// Gives a connection up that failed, so that the next call opens another one.
    pub(super) fn discard(&self, failed: &Present) {
        let young = matches!(failed.connection, Connection::Cluster(_)) && failed.since.elapsed() < CLUSTER_AGE_MIN;
        let mut state = self.state.lock();
        if !young && state.present.as_ref().is_some_and(|present| present.turn == failed.turn) {
            state.present = None;
        }
    }
}

/// That no answer came.
pub(super) fn silence() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "nothing came back").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Redis's own `CLUSTER KEYSLOT` says.
    #[test]
    fn slots_are_those_of_redis() {
        for (key, expected) in [("123456789", 12_739), ("foo", 12_182), ("a{foo}b{c}", 12_182), ("{}foo", 9_500)] {
            assert_eq!(slot(key), expected, "{key}");
        }
    }
}
