//! This node's socket: it takes connections and makes them.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, RecvStream, SendStream, TransportConfig, VarInt};
use ring::hmac;
use tokio::time::timeout;

use super::{
    ClusterSecurity, Hello, Identity, QuicError, Refusal, TlsError, accept,
    frame::{read_frame, write_frame},
    tls::{COMMON_NAME, TlsConfigs, peer_names},
};
use crate::codec;

/// How long a silent peer counts as alive; longer than any pause of a loaded machine that still serves.
const IDLE_MAX: Duration = Duration::from_millis(1500);
/// How often an idle connection is kept alive; three times within [`IDLE_MAX`].
const KEEP_ALIVE: Duration = Duration::from_millis(450);
/// The round trip that is assumed before one was measured: that of a local network, so that a first packet to a
/// node that is just starting is sent again at once.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(30);
/// How long a handshake and its hello may take.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(2);
/// The largest hello in bytes.
pub(super) const HELLO_BYTES_MAX: usize = 4096;
/// The largest UDP payload that is taken and tried, in bytes: a jumbo frame of 9,000 bytes less the headers of IPv6 and
/// UDP. Networks of clouds carry them, and loopback does; where one does not, the search for the largest that arrives
/// ends lower (RFC 8899). A packet costs much the same whatever is in it.
const DATAGRAM_BYTES_MAX: u16 = 8952;
/// Streams that a peer may have open at once.
const STREAMS_MAX: u32 = 4096;

/// What is done with the streams that other nodes open.
#[async_trait]
pub trait StreamHandler: Send + Sync + 'static {
    /// Serves one stream of a node that has said who it is. Runs in a task of its own.
    async fn handle(&self, from: Hello, send: SendStream, receive: RecvStream);
}

/// One UDP socket for both roles. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    inner: quinn::Endpoint,
    identity: Identity,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.inner.local_addr().ok()).finish_non_exhaustive()
    }
}

/// Why an endpoint could not be made. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// There is no usable certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The socket failed.
    #[error(transparent)]
    Bind(#[from] QuicError),
}

impl Endpoint {
    /// Binds the socket. Must be called within a tokio runtime, which then drives it.
    ///
    /// # Errors
    /// [`EndpointError`] where the address is taken, or the certificates are not usable.
    pub fn bind(listen: SocketAddr, identity: Identity, security: &ClusterSecurity) -> Result<Self, EndpointError> {
        let TlsConfigs { client, server, reset_key } = security.configs(identity.node_id())?;
        let transport = Arc::new(transport());
        let mut server = quinn::ServerConfig::with_crypto(server);
        server.transport_config(Arc::clone(&transport)).migration(false);
        let mut client = quinn::ClientConfig::new(client);
        client.transport_config(transport);

        let bind_error = |error: std::io::Error| {
            let reason = match error.kind() {
                std::io::ErrorKind::AddrInUse => "the address is in use".to_owned(),
                _ => error.to_string(),
            };
            QuicError::Bind { address: listen.to_string(), reason }
        };
        let socket = std::net::UdpSocket::bind(listen).map_err(bind_error)?;
        let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset_key)));
        config.max_udp_payload_size(DATAGRAM_BYTES_MAX).map_err(|error| bind_error(std::io::Error::other(error)))?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let mut inner = quinn::Endpoint::new(config, Some(server), socket, runtime).map_err(bind_error)?;
        inner.set_default_client_config(client);
        Ok(Self { inner, identity })
    }

    /// Serves the streams of other nodes until [`close`](Self::close).
    pub fn serve(&self, handler: Arc<dyn StreamHandler>) {
        tokio::spawn(accept::accept_all(self.inner.clone(), self.identity.clone(), handler));
    }

    /// Where it listens.
    ///
    /// # Errors
    /// That of the socket.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Who this node is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Ends every connection with a word, so that peers need not wait for silence, and waits until it is said.
    pub async fn close(&self) {
        self.inner.close(VarInt::from_u32(0), b"the node stops");
        // Peers that do not answer are left to their own time-outs.
        let _ = timeout(Duration::from_millis(300), self.inner.wait_idle()).await;
    }

    /// Dials a node and exchanges hellos with it.
    ///
    /// # Errors
    /// [`QuicError`] that says whether nobody answered, or who refused whom.
    pub(super) async fn dial(&self, address: &str) -> Result<(quinn::Connection, Hello), QuicError> {
        let dialled = timeout(HANDSHAKE_MAX, self.dial_in_time(address)).await;
        dialled.unwrap_or_else(|_| Err(unreachable(address, "nobody answers there")))
    }

    async fn dial_in_time(&self, address: &str) -> Result<(quinn::Connection, Hello), QuicError> {
        let socket = self.resolve(address).await?;
        let connecting = self.inner.connect(socket, COMMON_NAME).map_err(|error| unreachable(address, &error))?;
        let connection = connecting.await.map_err(|error| connection_error(address, &error))?;
        let answer = self.exchange(&connection).await.map_err(|error| refine(address, &connection, error))?;
        let hello = answer.map_err(|refusal| refused(address, refusal))?;
        let checked = self.identity.check(&hello, &peer_names(&connection));
        checked.map_err(|refusal| refused(address, refusal))?;
        Ok((connection, hello))
    }

    async fn exchange(&self, connection: &quinn::Connection) -> Result<Result<Hello, Refusal>, QuicError> {
        let (mut send, mut receive) = connection.open_bi().await.map_err(|error| QuicError::malformed(&error))?;
        let hello = codec::encode(&self.identity.hello()).map_err(|error| QuicError::malformed(&error))?;
        write_frame(&mut send, hello).await?;
        let answer = read_frame(&mut receive, HELLO_BYTES_MAX).await?;
        let answer = answer.ok_or_else(|| QuicError::Malformed("no hello came back".to_owned()))?;
        codec::decode(&answer).map_err(|error| QuicError::malformed(&error))
    }

    async fn resolve(&self, address: &str) -> Result<SocketAddr, QuicError> {
        let ours = self.inner.local_addr().map_err(|error| unreachable(address, &error))?;
        let found = tokio::net::lookup_host(address).await.map_err(|error| unreachable(address, &error))?;
        let same_family = |candidate: &SocketAddr| candidate.is_ipv4() == ours.is_ipv4();
        found
            .into_iter()
            .find(same_family)
            .ok_or_else(|| unreachable(address, "it has no address of this node's family"))
    }
}

fn transport() -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(DATAGRAM_BYTES_MAX);
    let mut transport = TransportConfig::default();
    transport
        .mtu_discovery_config(Some(discovery))
        .max_idle_timeout(IdleTimeout::try_from(IDLE_MAX).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(ROUND_TRIP_GUESS)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0));
    transport
}

fn unreachable(address: &str, reason: &(impl ToString + ?Sized)) -> QuicError {
    QuicError::Unreachable { address: address.to_owned(), reason: reason.to_string() }
}

fn refused(address: &str, refusal: Refusal) -> QuicError {
    QuicError::Refused { address: address.to_owned(), refusal }
}

/// TLS alerts come as transport errors of the crypto range (RFC 9001, section 4.8).
fn connection_error(address: &str, error: &quinn::ConnectionError) -> QuicError {
    let crypto = |code: quinn::TransportErrorCode| (0x100..0x200).contains(&u64::from(code));
    let certificate = match error {
        quinn::ConnectionError::TransportError(inner) => crypto(inner.code),
        quinn::ConnectionError::ConnectionClosed(close) => crypto(close.error_code),
        _ => false,
    };
    let (address, reason) = (address.to_owned(), error.to_string());
    if certificate { QuicError::Certificate { address, reason } } else { QuicError::Unreachable { address, reason } }
}

/// In TLS 1.3 the server judges the client's certificate after the client is done, so that its verdict shows only
/// in the exchange that follows.
fn refine(address: &str, connection: &quinn::Connection, error: QuicError) -> QuicError {
    match connection.close_reason() {
        Some(reason) => connection_error(address, &reason),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{NodeId, ServerId},
        quic::{ClusterSecret, Peer},
    };

    struct Echo;

    #[async_trait]
    impl StreamHandler for Echo {
        async fn handle(&self, _: Hello, mut send: SendStream, mut receive: RecvStream) {
            while let Ok(Some(frame)) = read_frame(&mut receive, 1024).await {
                write_frame(&mut send, frame).await.expect("the caller listens");
            }
        }
    }

    fn endpoint(number: u64) -> Endpoint {
        let identity = Identity::new(NodeId(number), ServerId::new(format!("s{number}")).expect("a name"), None);
        let secret = ClusterSecret::parse("a secret of these tests").expect("a secret");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let endpoint = Endpoint::bind(listen, identity, &ClusterSecurity::Secret(secret)).expect("a free port");
        endpoint.serve(Arc::new(Echo));
        endpoint
    }

    #[tokio::test]
    async fn a_node_is_let_in_while_others_leave_their_handshakes_unfinished() {
        let (one, two, idler) = (endpoint(1), endpoint(2), endpoint(3));
        let address = one.local_addr().expect("bound");
        let mut idle = Vec::new();
        for _ in 0..60 {
            let connecting = idler.inner.connect(address, COMMON_NAME).expect("it dials");
            idle.push(connecting.await.expect("TLS ends well"));
        }
        let peer = Peer::new(two, address.to_string());
        let echo = peer.request("word", Duration::from_secs(20)).await.expect("an echo");
        assert_eq!(echo, b"word");
        drop(idle);
    }
}
