//! The gateway's socket: connections come in, WebSockets come out.

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use axum_server::{
    Handle,
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use metrics::{counter, gauge};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{AuthError, AuthRequest, Authenticator, ConnectionInfo, GatewayConfig, connection, prompt::PromptAcceptor};
use crate::{
    protocol::READ_BYTES,
    room::{Connection, ConnectionId, DistributedRoomManager, Outgoing},
};

/// How long a stop waits for the connections' last words.
const STOP_MAX: Duration = Duration::from_secs(3);

/// What is told of connections.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Called when a WebSocket is open.
    pub on_connect: Option<Arc<dyn Fn(ConnectionInfo) + Send + Sync>>,
    /// Called when it has ended.
    pub on_disconnect: Option<Arc<dyn Fn(ConnectionInfo) + Send + Sync>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// Why a gateway could not be started. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for players: {source}: give --gateway another address, or end what uses it")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use {certificate} and {key} for wss://: {source}: check --gateway-tls-cert and --gateway-tls-key")]
    Tls {
        /// The certificate file.
        certificate: String,
        /// The key file.
        key: String,
        /// Why.
        source: std::io::Error,
    },
}

pub(super) struct Shared {
    pub(super) manager: DistributedRoomManager,
    pub(super) config: GatewayConfig,
    pub(super) authenticator: Arc<dyn Authenticator>,
    hooks: Hooks,
    places: Arc<Semaphore>,
    open: Mutex<Vec<Connection>>,
    tasks: TaskTracker,
}

impl Shared {
    pub(super) fn connected(&self, info: ConnectionInfo, connection: &Connection) {
        gauge!("roomraft_gateway_connections").increment(1);
        self.open.lock().push(connection.clone());
        if let Some(hook) = &self.hooks.on_connect {
            hook(info);
        }
    }

    pub(super) fn disconnected(&self, info: ConnectionInfo) {
        gauge!("roomraft_gateway_connections").decrement(1);
        self.open.lock().retain(|connection| connection.id() != info.id);
        if let Some(hook) = &self.hooks.on_disconnect {
            hook(info);
        }
    }
}

/// A listening socket that is not served yet: its address can be registered before the first player comes.
pub struct Bound {
    server: axum_server::Server<SocketAddr>,
    tls: Option<RustlsConfig>,
    address: SocketAddr,
    config: GatewayConfig,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves players.
    pub fn serve(
        self,
        manager: DistributedRoomManager,
        authenticator: Arc<dyn Authenticator>,
        hooks: Hooks,
    ) -> Gateway {
        let Self { server, tls, address, config } = self;
        let places = Arc::new(Semaphore::new(config.connections_max));
        let (open, tasks) = (Mutex::default(), TaskTracker::new());
        let shared = Arc::new(Shared { manager, config, authenticator, hooks, places, open, tasks });
        let service = Router::new()
            .fallback(upgrade)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<SocketAddr>();
        let handle = Handle::new();
        let serving = handle.clone();
        let handshake = shared.config.handshake_timeout;
        tokio::spawn(async move {
            let served = match tls {
                None => {
                    let acceptor = PromptAcceptor::new(NoDelayAcceptor::new(), handshake);
                    let mut server = server.acceptor(acceptor).handle(serving);
                    limit_handshake(server.http_builder(), handshake);
                    server.serve(service).await
                }
                Some(tls) => {
                    let acceptor =
                        RustlsAcceptor::new(tls).handshake_timeout(handshake).acceptor(NoDelayAcceptor::new());
                    let acceptor = PromptAcceptor::new(acceptor, handshake);
                    let mut server = server.acceptor(acceptor).handle(serving);
                    limit_handshake(server.http_builder(), handshake);
                    server.serve(service).await
                }
            };
            if let Err(error) = served {
                tracing::error!(%error, "the gateway has ended");
            }
        });
        Gateway { shared, handle, address }
    }
}

fn limit_handshake(
    builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>,
    limit: Duration,
) {
    builder.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(limit);
}

/// The players' WebSockets.
pub struct Gateway {
    shared: Arc<Shared>,
    handle: Handle<SocketAddr>,
    address: SocketAddr,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Takes the address, without serving anybody yet.
    ///
    /// # Errors
    /// [`GatewayError`] where the address or the certificate cannot be used.
    pub async fn bind(config: GatewayConfig) -> Result<Bound, GatewayError> {
        let bind_error = |source| GatewayError::Bind { address: config.listen, source };
        let tls = match &config.tls {
            None => None,
            Some(files) => Some(tls_config(files).await?),
        };
        let listener = TcpListener::bind(config.listen).map_err(bind_error)?;
        listener.set_nonblocking(true).map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let server = axum_server::from_tcp(listener).map_err(bind_error)?;
        Ok(Bound { server, tls, address, config })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many WebSockets are open.
    pub fn connections(&self) -> usize {
        self.shared.open.lock().len()
    }

    /// Sends to every player; to how many it was queued.
    pub fn broadcast(&self, message: &Outgoing) -> usize {
        let open = self.shared.open.lock().clone();
        open.iter().filter(|connection| connection.send(message.clone())).count()
    }

    /// Sends to one connection; `false` where it is gone.
    pub fn send(&self, id: ConnectionId, message: Outgoing) -> bool {
        let open = self.shared.open.lock();
        open.iter().find(|connection| connection.id() == id).is_some_and(|connection| connection.send(message))
    }

    /// Takes no more connections, closes those that are open and waits for their last words.
    pub async fn stop(&self) {
        self.handle.graceful_shutdown(Some(STOP_MAX));
        self.shared.places.close();
        let open = self.shared.open.lock().clone();
        open.iter().for_each(Connection::close);
        self.shared.tasks.close();
        // Players that do not read are left behind.
        let _ = tokio::time::timeout(STOP_MAX, self.shared.tasks.wait()).await;
        self.handle.shutdown();
    }
}

async fn tls_config(files: &super::GatewayTls) -> Result<RustlsConfig, GatewayError> {
    // Which provider is the process's default does not matter here, only that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    RustlsConfig::from_pem_file(&files.certificate, &files.key).await.map_err(|source| GatewayError::Tls {
        certificate: files.certificate.display().to_string(),
        key: files.key.display().to_string(),
        source,
    })
}

async fn upgrade(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    let Ok(upgrade) = upgrade else {
        counter!("roomraft_gateway_connections_refused_total").increment(1);
        let words = "this is a roomraft gateway: connect with a WebSocket\n";
        return (StatusCode::UPGRADE_REQUIRED, words).into_response();
    };
    let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
        counter!("roomraft_gateway_connections_refused_total").increment(1);
        return (StatusCode::SERVICE_UNAVAILABLE, "this gateway is full or stopping: try another one\n")
            .into_response();
    };
    let request = auth_request(&request, remote);
    let asked = tokio::time::timeout(shared.config.handshake_timeout, shared.authenticator.connect(&request)).await;
    let user = match asked.unwrap_or_else(|_| Err(AuthError("the login took too long: try again".to_owned()))) {
        Ok(user) => user,
        Err(refusal) => {
            counter!("roomraft_gateway_connections_refused_total").increment(1);
            return (StatusCode::UNAUTHORIZED, refusal.to_string()).into_response();
        }
    };
    let limit = shared.config.message_bytes_max;
    let upgrade = upgrade.max_message_size(limit).max_frame_size(limit).read_buffer_size(READ_BYTES);
    upgrade.on_upgrade(move |socket| async move {
        let tasks = shared.tasks.clone();
        tasks.track_future(connection::serve(socket, remote, user, shared)).await;
        drop(place);
    })
}

fn auth_request(request: &Request, remote: SocketAddr) -> AuthRequest {
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = request.headers().iter().filter_map(text).collect();
    let target = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    AuthRequest { target, headers, remote }
}
