//! The connection to a Redis server or a Redis Cluster, made when it is needed and again when it is lost.
//!
//! A call tries for as long as it may: what it sends is harmless twice. What must be sent once at most goes by
//! [`Link::publish`], which does not try again after it has sent anything.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, RedisError, Script, Value, aio::MultiplexedConnection, cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use tokio::time::{Instant, sleep, timeout};

use super::{failure::Failure, options::RedisOptions};
use crate::adapter::AdapterResult;

/// Pauses between attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Cheap to clone: all clones use one connection.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    maker: Maker,
    connection: tokio::sync::Mutex<Option<Connection>>,
    call_max: Duration,
}

enum Maker {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// What is sent.
#[derive(Clone, Copy)]
enum Request<'a> {
    Command(&'a Cmd),
    Script { script: &'a Script, key: &'a str, args: &'a [Vec<u8>] },
}

impl Link {
    /// Checks the options and connects.
    pub(super) async fn open(options: &RedisOptions) -> AdapterResult<Self> {
        options.check()?;
        let patience = options.call_max / 2;
        let maker = Maker::new(options, patience).map_err(|error| Failure::new(&error).into_error(false))?;
        let link =
            Self(Arc::new(Inner { maker, connection: tokio::sync::Mutex::new(None), call_max: options.call_max }));
        link.query(&redis::cmd("PING")).await?;
        Ok(link)
    }

    /// Runs a script that is harmless twice.
    pub(super) async fn script(&self, script: &Script, key: &str, args: &[Vec<u8>]) -> AdapterResult<Value> {
        self.insist(Request::Script { script, key, args }).await
    }

    /// Runs a command that is harmless twice.
    pub(super) async fn query(&self, command: &Cmd) -> AdapterResult<Value> {
        self.insist(Request::Command(command)).await
    }

    /// Publishes once at most.
    pub(super) async fn publish(&self, channel: &str, payload: &str) -> AdapterResult<()> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(payload);
        let sent = self.attempt(Request::Command(&command)).await;
        sent.map(|_| ()).map_err(|failure| failure.into_error(false))
    }

    async fn insist(&self, request: Request<'_>) -> AdapterResult<Value> {
        let deadline = Instant::now() + self.0.call_max;
        let (mut pause, longest) = PAUSES;
        let mut unclear = false;
        loop {
            let failure = match self.attempt(request).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            unclear |= failure.may_have_worked();
            if !failure.passes() || Instant::now() + pause >= deadline {
                return Err(failure.into_error(unclear));
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn attempt(&self, request: Request<'_>) -> Result<Value, Failure> {
        let patience = self.0.call_max / 2;
        let connection = self.connection(patience).await?;
        let outcome = match timeout(patience, connection.send(request)).await {
            Ok(answer) => answer.map_err(|error| Failure::new(&error)),
            Err(_) => Err(Failure::silence()),
        };
        if outcome.as_ref().is_err_and(Failure::ends_connection) {
            self.forget().await;
        }
        outcome
    }

    async fn connection(&self, patience: Duration) -> Result<Connection, Failure> {
        let mut present = self.0.connection.lock().await;
        if let Some(connection) = &*present {
            return Ok(connection.clone());
        }
        let made = match timeout(patience, self.0.maker.make(patience)).await {
            Ok(made) => made.map_err(|error| Failure::new(&error).before_sending()),
            Err(_) => Err(Failure::silence().before_sending()),
        };
        let connection = made?;
        *present = Some(connection.clone());
        Ok(connection)
    }

    /// The next call makes a new connection. A cluster's finds its way by itself.
    async fn forget(&self) {
        let mut present = self.0.connection.lock().await;
        if matches!(&*present, Some(Connection::Single(_))) {
            *present = None;
        }
    }
}

impl Maker {
    fn new(options: &RedisOptions, patience: Duration) -> Result<Self, RedisError> {
        if let [url] = &options.urls[..] {
            return Client::open(url.as_str()).map(|client| Self::Single(Box::new(client)));
        }
        let urls = options.urls.iter().map(String::as_str);
        let client =
            ClusterClient::builder(urls).connection_timeout(patience).response_timeout(patience).retries(2).build()?;
        Ok(Self::Cluster(Box::new(client)))
    }

    async fn make(&self, patience: Duration) -> Result<Connection, RedisError> {
        match self {
            Self::Single(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(patience))
                    .set_response_timeout(Some(patience));
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Single)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

impl Connection {
    async fn send(self, request: Request<'_>) -> Result<Value, RedisError> {
        match request {
            Request::Command(command) => match self {
                Self::Single(mut connection) => command.query_async(&mut connection).await,
                Self::Cluster(mut connection) => command.query_async(&mut connection).await,
            },
            Request::Script { script, key, args } => {
                let mut invocation = script.key(key);
                for arg in args {
                    invocation.arg(arg);
                }
                match self {
                    Self::Single(mut connection) => invocation.invoke_async(&mut connection).await,
                    Self::Cluster(mut connection) => invocation.invoke_async(&mut connection).await,
                }
            }
        }
    }
}
