//! openraft's way to other nodes.

use std::{future::Future, time::Duration};

use futures_util::Stream;
use openraft::{
    OptionalSend, RaftNetworkFactory,
    base::{BoxFuture, BoxStream},
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::{Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption},
    raft::{
        AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse,
        VoteRequest, VoteResponse,
    },
};
use tokio::time::{sleep, timeout};
use tracing::error;

use super::{
    SnapshotFile, append_stream,
    links::{LinkError, Links, read_message},
    messages::{Answer, PeerRequest, PeerResponse, StreamKind, StreamRefusal},
    snapshot::read_snapshot,
    types::{Member, NodeNumber, Snapshot, TypeConfig, Vote},
    wire::{SnapshotFrame, WireVote},
};
use crate::quic::write_frame;

/// How long a follower may take to answer a frame of entries. A slow disk takes its time; a dead
/// peer's connection ends sooner by itself.
const APPEND_PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait after a stream to a follower could not be opened.
const REOPEN_PAUSE: Duration = Duration::from_millis(20);

/// Makes the clients of all nodes.
#[derive(Debug, Clone)]
pub(super) struct NetworkFactory {
    links: Links,
    snapshot_time: Duration,
}

impl NetworkFactory {
    pub(super) fn new(links: Links, snapshot_time: Duration) -> Self {
        Self { links, snapshot_time }
    }
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = NodeClient;

    async fn new_client(&mut self, target: NodeNumber, node: &Member) -> NodeClient {
        let (links, address) = (self.links.clone(), node.addr.clone());
        NodeClient { links, target, address, snapshot_time: self.snapshot_time }
    }
}

/// One other node. Each call has a stream of its own, so that none waits behind another.
#[derive(Debug)]
pub(super) struct NodeClient {
    links: Links,
    target: NodeNumber,
    address: String,
    snapshot_time: Duration,
}

type RpcResult<T> = Result<T, RPCError<TypeConfig>>;

impl NodeClient {
    fn address(&self) -> String {
        self.links.address_of(self.target, &self.address)
    }

    async fn ask(&self, request: PeerRequest, option: &RPCOption) -> RpcResult<PeerResponse> {
        let asked = self.links.ask(&self.address(), Some(self.target), request, option.hard_ttl()).await;
        asked.map_err(|error| rpc_error(&error))
    }

    fn wrong_answer(&self) -> RPCError<TypeConfig> {
        RPCError::Network(NetworkError::from_string(format!("{} answered another question", self.address)))
    }
}

/// Nobody there: back off; anything else: try again at once, on a new connection.
fn rpc_error(error: &LinkError) -> RPCError<TypeConfig> {
    if error.is_unsent() {
        RPCError::Unreachable(Unreachable::new(error))
    } else {
        RPCError::Network(NetworkError::new(error))
    }
}

impl NetBackoff<TypeConfig> for NodeClient {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

impl NetVote<TypeConfig> for NodeClient {
    async fn vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> RpcResult<VoteResponse<TypeConfig>> {
        match self.ask(PeerRequest::Vote(rpc.into()), &option).await? {
            PeerResponse::Vote(answer) => Ok(answer.into()),
            _ => Err(self.wrong_answer()),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        match self.ask(PeerRequest::PreVote(rpc.into()), &option).await? {
            PeerResponse::Vote(answer) => Ok(answer.into()),
            _ => Err(self.wrong_answer()),
        }
    }
}

impl NetTransferLeader<TypeConfig> for NodeClient {
    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<TypeConfig>> {
        match self.ask(PeerRequest::TransferLeader((&req).into()), &option).await? {
            PeerResponse::TransferLeader(answer) => Ok(answer.into()),
            _ => Err(self.wrong_answer()),
        }
    }
}

impl NetStreamAppend<TypeConfig> for NodeClient {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, RpcResult<BoxStream<'s, RpcResult<StreamAppendResult<TypeConfig>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let opened = self.links.open(&self.address(), self.target, StreamKind::Append, option.hard_ttl()).await;
            let (send, receive) = match opened {
                Ok(streams) => streams,
                Err(error) => {
                    // openraft's own backoff sits in `input`, which was not even looked at: it would be back at once.
                    sleep(REOPEN_PAUSE).await;
                    return Err(rpc_error(&error));
                }
            };
            let answers: BoxStream<'s, _> = append_stream::replicate(send, receive, input, APPEND_PATIENCE);
            Ok(answers)
        })
    }
}

impl NetSnapshot<TypeConfig> for NodeClient {
    type SnapshotData = SnapshotFile;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = timeout(self.snapshot_time, self.send_snapshot(vote, snapshot)) => match sent {
                Ok(sent) => sent.map_err(Into::into),
                Err(_) => Err(NetworkError::from_string(format!("{} took too long for a snapshot", self.address)).into()),
            },
        }
    }
}

impl NodeClient {
    async fn send_snapshot(&self, vote: Vote, snapshot: Snapshot) -> RpcResult<SnapshotResponse<TypeConfig>> {
        let lost = |error: &dyn std::error::Error| RPCError::Network(NetworkError::from_string(error.to_string()));
        let file = snapshot.snapshot;
        let frame = SnapshotFrame::new(vote, &snapshot.meta, file.length());
        let kind = StreamKind::Snapshot(Box::new(frame));
        let opened = self.links.open(&self.address(), self.target, kind, self.snapshot_time).await;
        let (mut send, mut receive) = opened.map_err(|error| rpc_error(&error))?;
        let mut offset = 0;
        while offset < file.length() {
            let reader = file.clone();
            let read = tokio::task::spawn_blocking(move || reader.read_chunk(offset)).await;
            let chunk = read.map_err(|error| lost(&error))?.map_err(|error| lost(&error))?;
            offset += chunk.len() as u64;
            write_frame(&mut send, chunk).await.map_err(|error| lost(&error))?;
        }
        // Where the stream is gone the missing answer shows it.
        let _ = send.finish();
        let answer: Option<Answer<WireVote>> = read_message(&mut receive).await.map_err(|error| lost(&error))?;
        match answer {
            Some(Ok(vote)) => Ok(SnapshotResponse::new(vote.into())),
            Some(Err(refusal)) => {
                if matches!(refusal, StreamRefusal::Damaged(_)) {
                    look_for_damage(file).await;
                }
                Err(lost(&refusal))
            }
            None => Err(self.wrong_answer()),
        }
    }
}

/// Finds out whether a snapshot that its receiver refused is bad here already: then another is made.
async fn look_for_damage(file: SnapshotFile) {
    let looked = tokio::task::spawn_blocking(move || {
        if let Err(error) = read_snapshot(&file, |_| Ok(())) {
            error!(file = %file.path().display(), %error, "a Raft snapshot is damaged on this node's disk: another is made");
            file.note_damage();
        }
    });
    // Where it panicked the next refusal looks again.
    let _ = looked.await;
}
