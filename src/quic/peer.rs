//! One other node, dialled again whenever its connection is gone.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::{Connection, RecvStream, SendStream};
use tokio::time::{Instant, timeout};

use super::{
    Endpoint, Hello, QuicError,
    frame::{FRAME_BYTES_MAX, read_frame, write_frame},
};

/// The first wait after a failed dial; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(20);
/// The longest wait between two dials.
const RETRY_MAX: Duration = Duration::from_millis(500);

/// Another node by its address. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Peer {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: Endpoint,
    address: String,
    /// Held while dialling, so that a node is dialled once at a time.
    dialling: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<(Connection, Hello)>,
    /// Why the last dial failed, and until when it is not repeated.
    failed: Option<(QuicError, Instant)>,
    failures: u32,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

impl Peer {
    /// The node at `address`, `host:port`; it is dialled at its first use.
    pub fn new(endpoint: Endpoint, address: impl Into<String>) -> Self {
        let (dialling, state) = (tokio::sync::Mutex::new(()), Mutex::new(State::default()));
        Self { shared: Arc::new(Shared { endpoint, address: address.into(), dialling, state }) }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// Whether a connection to it stands just now.
    pub fn is_connected(&self) -> bool {
        self.live().is_some()
    }

    /// How long a packet takes there and back, smoothed; none while no connection stands.
    pub fn round_trip(&self) -> Option<Duration> {
        self.live().map(|(connection, _)| connection.rtt())
    }

    /// Who it says it is; dials it where no connection stands.
    ///
    /// # Errors
    /// [`QuicError`] of the dial; soon after a failed one, that one's error again.
    pub async fn hello(&self) -> Result<Hello, QuicError> {
        self.connection().await.map(|(_, hello)| hello)
    }

    /// A new stream to it; dials it where no connection stands.
    ///
    /// # Errors
    /// [`QuicError`] of the dial, or where the connection was lost.
    pub async fn stream(&self) -> Result<(SendStream, RecvStream), QuicError> {
        let (connection, _) = self.connection().await?;
        connection.open_bi().await.map_err(|error| self.lost(&error))
    }

    /// Sends one frame and awaits one in answer, both on a stream of their own.
    ///
    /// # Errors
    /// [`QuicError`]; whether the other node acted on the request is then unknown, unless the variant says otherwise.
    pub async fn request(&self, frame: impl Into<Bytes>, deadline: Duration) -> Result<Vec<u8>, QuicError> {
        let exchange = async {
            let (mut send, mut receive) = self.stream().await?;
            write_frame(&mut send, frame).await.map_err(|error| self.lost(&error))?;
            // The stream has one request: ending it cannot fail but where it is lost, which the answer shows.
            let _ = send.finish();
            let answer = read_frame(&mut receive, FRAME_BYTES_MAX).await.map_err(|error| self.lost(&error))?;
            answer.ok_or_else(|| self.lost("it gave no answer"))
        };
        let answered = timeout(deadline, exchange).await;
        answered.unwrap_or_else(|_| Err(QuicError::Deadline { address: self.shared.address.clone() }))
    }

    async fn connection(&self) -> Result<(Connection, Hello), QuicError> {
        if let Some(link) = self.live() {
            return Ok(link);
        }
        let _dialling = self.shared.dialling.lock().await;
        if let Some(link) = self.live() {
            return Ok(link);
        }
        if let Some((error, until)) = &self.shared.state.lock().failed
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let dialled = self.shared.endpoint.dial(&self.shared.address).await;
        let mut state = self.shared.state.lock();
        match dialled {
            Ok(link) => {
                *state = State { link: Some(link.clone()), ..State::default() };
                Ok(link)
            }
            Err(error) => {
                let wait = RETRY_MAX.min(RETRY_MIN * 2_u32.saturating_pow(state.failures.min(10)));
                // Nodes that lost the same peer should not all come back in the same moment.
                let jitter = wait.mul_f64(rand::random::<f64>() / 4.0);
                state.failures = state.failures.saturating_add(1);
                state.failed = Some((error.clone(), Instant::now() + wait + jitter));
                Err(error)
            }
        }
    }

    fn live(&self) -> Option<(Connection, Hello)> {
        let state = self.shared.state.lock();
        state.link.clone().filter(|(connection, _)| connection.close_reason().is_none())
    }

    fn lost(&self, reason: &(impl ToString + ?Sized)) -> QuicError {
        QuicError::Lost { address: self.shared.address.clone(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{
        model::{NodeId, ServerId},
        quic::{ClusterId, ClusterSecret, ClusterSecurity, Identity, Refusal, StreamHandler},
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

    fn endpoint(number: u64, secret: &str, cluster: Option<u128>) -> Endpoint {
        let server_id = ServerId::new(format!("s{number}")).expect("a name");
        let identity = Identity::new(NodeId(number), server_id, cluster.map(ClusterId));
        let security = ClusterSecurity::Secret(ClusterSecret::parse(secret).expect("a secret"));
        let listen = "127.0.0.1:0".parse().expect("an address");
        let endpoint = Endpoint::bind(listen, identity, &security).expect("a free port");
        endpoint.serve(Arc::new(Echo));
        endpoint
    }

    fn peer(from: &Endpoint, to: &Endpoint) -> Peer {
        Peer::new(from.clone(), to.local_addr().expect("bound").to_string())
    }

    const SECRET: &str = "a secret of these tests";
    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn nodes_of_one_secret_talk_and_know_each_other() {
        let (one, two) = (endpoint(1, SECRET, Some(9)), endpoint(2, SECRET, None));
        let peer = peer(&two, &one);
        assert_eq!(peer.request("word", DEADLINE).await.expect("an echo"), b"word");
        assert_eq!(peer.hello().await.expect("a hello"), one.identity().hello());
    }

    #[tokio::test]
    async fn a_peer_is_dialled_again_after_its_connection_is_gone() {
        let (one, two) = (endpoint(1, SECRET, None), endpoint(2, SECRET, None));
        let address = one.local_addr().expect("bound");
        let peer = peer(&two, &one);
        peer.request("word", DEADLINE).await.expect("an echo");
        one.close().await;
        drop(one);
        let identity = Identity::new(NodeId(1), ServerId::new("s1").expect("a name"), None);
        let security = ClusterSecurity::Secret(ClusterSecret::parse(SECRET).expect("a secret"));
        let deadline = Instant::now() + DEADLINE;
        let again = loop {
            match Endpoint::bind(address, identity.clone(), &security) {
                Ok(again) => break again,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::task::yield_now().await;
        };
        again.serve(Arc::new(Echo));
        while peer.request("word", DEADLINE).await.is_err() {
            assert!(Instant::now() < deadline, "the peer came back and was not dialled again");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn another_secret_is_refused_and_said() {
        let (one, two) = (endpoint(1, SECRET, None), endpoint(2, "quite another secret", None));
        let error = peer(&two, &one).request("word", DEADLINE).await.expect_err("two secrets");
        assert!(matches!(error, QuicError::Certificate { .. }), "{error}");
        assert!(error.is_refusal());
    }

    #[tokio::test]
    async fn an_older_secret_is_accepted_during_a_rotation() {
        let new = format!("quite another secret\n{SECRET}");
        let (one, two) = (endpoint(1, SECRET, None), endpoint(2, &new, None));
        let (three, four) =
            (endpoint(3, "quite another secret", None), endpoint(4, &format!("{SECRET}\nquite another secret"), None));
        peer(&two, &three).request("word", DEADLINE).await.expect("the new secret is used");
        peer(&four, &one).request("word", DEADLINE).await.expect("the present secret is used");
        assert!(peer(&two, &one).request("word", DEADLINE).await.is_err(), "one knows nothing of the new secret yet");
    }

    #[tokio::test]
    async fn two_clusters_of_one_secret_do_not_talk() {
        let (one, two) = (endpoint(1, SECRET, Some(1)), endpoint(2, SECRET, Some(2)));
        let error = peer(&two, &one).request("word", DEADLINE).await.expect_err("two clusters");
        assert!(matches!(error, QuicError::Refused { refusal: Refusal::ForeignCluster { .. }, .. }), "{error}");
    }

    #[tokio::test]
    async fn nobody_at_an_address_is_said_and_not_waited_for_twice() {
        let (one, two) = (endpoint(1, SECRET, None), endpoint(2, SECRET, None));
        let gone = peer(&two, &one);
        one.close().await;
        drop(one);
        assert!(matches!(
            gone.request("word", DEADLINE).await,
            Err(QuicError::Unreachable { .. } | QuicError::Lost { .. })
        ));
    }
}
