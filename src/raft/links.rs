//! Streams to other nodes, and requests over them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use quinn::{RecvStream, SendStream};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{
    bootstrap::RecordFile,
    messages::{Answer, PeerRequest, PeerResponse, StreamHead, StreamKind, StreamRefusal},
    types::{Member, NodeNumber},
};
use crate::{
    codec::{self, CodecError},
    quic::{Endpoint, FRAME_BYTES_MAX, Peer, QuicError, read_frame, write_frame},
};

/// The connections that this node has made, by address. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Links {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// None once the node has stopped: whoever holds a handle still must not keep the port.
    endpoint: RwLock<Option<Endpoint>>,
    record: Arc<RecordFile>,
    peers: Mutex<BTreeMap<String, Peer>>,
    places: Mutex<Places>,
}

/// Where nodes are.
#[derive(Debug, Default)]
struct Places {
    /// What the membership says.
    listed: BTreeMap<NodeNumber, String>,
    /// What was seen since, with what the membership said then.
    found: BTreeMap<NodeNumber, (String, String)>,
}

/// Why there is no answer of another node.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Quic(#[from] QuicError),
    #[error("{address}: {refusal}")]
    Refused { address: String, refusal: StreamRefusal },
    #[error("{address} sent what is no answer: {reason}")]
    Malformed { address: String, reason: String },
}

impl LinkError {
    /// Whether the node was there and refused this one's identity.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Quic(error) if error.is_refusal())
    }

    /// Whether nothing of the request can have been acted upon.
    pub(super) fn is_unsent(&self) -> bool {
        match self {
            Self::Quic(error) => error.is_refusal() || matches!(error, QuicError::Unreachable { .. }),
            Self::Refused { .. } => true,
            Self::Malformed { .. } => false,
        }
    }
}

impl Links {
    pub(super) fn new(endpoint: Endpoint, record: Arc<RecordFile>) -> Self {
        Self {
            shared: Arc::new(Shared {
                endpoint: RwLock::new(Some(endpoint)),
                record,
                peers: Mutex::default(),
                places: Mutex::default(),
            }),
        }
    }

    /// Where a node is: where it was found since the membership last spoke of it, else what the membership says,
    /// else `otherwise`.
    pub(super) fn address_of(&self, node: NodeNumber, otherwise: &str) -> String {
        let places = self.shared.places.lock();
        let listed = places.listed.get(&node).map_or(otherwise, String::as_str);
        let found = places.found.get(&node).filter(|(then, _)| then == listed);
        found.map_or(listed, |(_, address)| address).to_owned()
    }

    /// What the membership says now.
    pub(super) fn list(&self, members: &BTreeMap<NodeNumber, Member>) {
        let listed = members.iter().map(|(node, member)| (*node, member.addr.clone())).collect();
        self.shared.places.lock().listed = listed;
    }

    /// A node was found at another address than the membership's, which is `listed`.
    pub(super) fn found(&self, node: NodeNumber, listed: &str, address: String) {
        self.shared.places.lock().found.insert(node, (listed.to_owned(), address));
    }

    /// Forgets, and so ends, the connections to addresses that no member has.
    pub(super) fn keep(&self, wanted: impl Fn(&str) -> bool) {
        self.shared.peers.lock().retain(|address, _| wanted(address));
    }

    /// How long a packet takes to an address and back; none without a connection.
    pub(super) fn round_trip(&self, address: &str) -> Option<Duration> {
        self.shared.peers.lock().get(address)?.round_trip()
    }

    /// Sends a request and awaits its answer.
    pub(super) async fn ask(
        &self,
        address: &str,
        target: Option<NodeNumber>,
        request: PeerRequest,
        deadline: Duration,
    ) -> Result<PeerResponse, LinkError> {
        let malformed =
            |error: CodecError| LinkError::Malformed { address: address.to_owned(), reason: error.to_string() };
        let head = codec::encode(&self.head(target, StreamKind::Request(request))).map_err(malformed)?;
        let answer = self.peer(address)?.request(head, deadline).await?;
        let answer: Answer<PeerResponse> = codec::decode(&answer).map_err(malformed)?;
        answer.map_err(|refusal| LinkError::Refused { address: address.to_owned(), refusal })
    }

    /// Opens a stream and says what it is for.
    pub(super) async fn open(
        &self,
        address: &str,
        target: NodeNumber,
        kind: StreamKind,
        deadline: Duration,
    ) -> Result<(SendStream, RecvStream), LinkError> {
        let opened = timeout(deadline, async {
            let (mut send, receive) = self.peer(address)?.stream().await?;
            write_message(&mut send, &self.head(Some(target), kind)).await?;
            Ok((send, receive))
        });
        opened.await.unwrap_or_else(|_| Err(QuicError::Deadline { address: address.to_owned() }.into()))
    }

    fn head(&self, target: Option<NodeNumber>, kind: StreamKind) -> StreamHead {
        StreamHead { cluster_id: self.shared.record.binding().cluster_id(), target, kind }
    }

    /// Lets go of the socket and of every connection; nothing is sent any more.
    pub(super) fn close(&self) {
        *self.shared.endpoint.write() = None;
        self.shared.peers.lock().clear();
    }

    fn peer(&self, address: &str) -> Result<Peer, QuicError> {
        let endpoint = self.shared.endpoint.read();
        let Some(endpoint) = &*endpoint else {
            let (address, reason) = (address.to_owned(), "this node has stopped".to_owned());
            return Err(QuicError::Unreachable { address, reason });
        };
        let mut peers = self.shared.peers.lock();
        let peer = peers.entry(address.to_owned());
        Ok(peer.or_insert_with(|| Peer::new(endpoint.clone(), address)).clone())
    }
}

/// Encodes a message and writes it as one frame.
pub(super) async fn write_message<T: Serialize>(send: &mut SendStream, message: &T) -> Result<(), QuicError> {
    let bytes = codec::encode(message).map_err(|error| QuicError::Malformed(error.to_string()))?;
    write_frame(send, bytes).await
}

/// Reads one frame and decodes it; nothing at the end of the stream.
pub(super) async fn read_message<T: DeserializeOwned>(receive: &mut RecvStream) -> Result<Option<T>, QuicError> {
    let Some(frame) = read_frame(receive, FRAME_BYTES_MAX).await? else { return Ok(None) };
    codec::decode(&frame).map(Some).map_err(|error| QuicError::Malformed(error.to_string()))
}
